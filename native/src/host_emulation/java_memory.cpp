// Memory of the emulated device for tests in Java: the native methods of DeviceMemory in java/testing, as JNI finds them by name.
// They ask the emulation that libthreegate has loaded.
#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {

template <typename Function>
Function* find(const char* name) {
  const char* file = std::getenv("THREEGATE_CUDA_LIBRARY");
  void* library = file == nullptr ? nullptr : dlopen(file, RTLD_NOW | RTLD_NOLOAD);
  return library == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(library, name));
}

}  // namespace

// Returns 0 without an emulation.
EXPORTED int64_t Java_org_threegate_testing_DeviceMemory_allocate(void*, void*, int64_t bytes) {
  const auto allocate = find<int(int, void**, size_t)>("tg_test_allocate");
  void* memory = nullptr;
  return allocate == nullptr || allocate(0, &memory, static_cast<size_t>(bytes)) != 0 ? 0 : reinterpret_cast<int64_t>(memory);
}

EXPORTED void Java_org_threegate_testing_DeviceMemory_free(void*, void*, int64_t address) {
  const auto release = find<int(int, void*)>("tg_test_free");
  if (release != nullptr) {
    release(0, reinterpret_cast<void*>(address));
  }
}

EXPORTED void Java_org_threegate_testing_DeviceMemory_copyToHost(void*, void*, int64_t to, int64_t from, int64_t bytes) {
  const auto copy = find<void(void*, const void*, size_t)>("tg_emulated_copy");
  if (copy != nullptr) {
    copy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), static_cast<size_t>(bytes));
  }
}

// Returns -1 without an emulation, so that no test mistakes it for a device that copied nothing.
EXPORTED int64_t Java_org_threegate_testing_DeviceMemory_bytesToHost(void*, void*) {
  const auto bytes = find<uint64_t()>("tg_emulated_bytes_to_host");
  return bytes == nullptr ? -1 : static_cast<int64_t>(bytes());
}
