// Memory of the emulated device for tests in Java: the native methods of EmulatedMemory in java/cuda, as JNI finds them by name.
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
EXPORTED int64_t Java_org_threegate_cuda_EmulatedMemory_allocate(void*, void*, int64_t bytes) {
  const auto allocate = find<int(int, void**, size_t)>("tg_test_allocate");
  void* memory = nullptr;
  return allocate == nullptr || allocate(0, &memory, static_cast<size_t>(bytes)) != 0 ? 0 : reinterpret_cast<int64_t>(memory);
}

EXPORTED void Java_org_threegate_cuda_EmulatedMemory_free(void*, void*, int64_t address) {
  const auto release = find<int(int, void*)>("tg_test_free");
  if (release != nullptr) {
    release(0, reinterpret_cast<void*>(address));
  }
}
