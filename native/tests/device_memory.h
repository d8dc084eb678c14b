// Memory where the contexts of the tests compute: on the emulated device if they use it, and of the host otherwise.
#ifndef THREEGATE_TESTS_DEVICE_MEMORY_H
#define THREEGATE_TESTS_DEVICE_MEMORY_H

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>

#include "support.h"

namespace support {

class DeviceMemory {
 public:
  explicit DeviceMemory(int64_t bytes) : there_(tests_device() && is_emulated()) {
    if (there_) {
      const auto allocate = reinterpret_cast<int (*)(void**, size_t)>(find("tg_emulated_allocate"));
      EXPECT_EQ(0, allocate(&memory_, static_cast<size_t>(bytes)));
    } else {
      constexpr size_t kAlignment = 256;
      memory_ = std::aligned_alloc(kAlignment, (static_cast<size_t>(bytes) + kAlignment) / kAlignment * kAlignment);
    }
  }
  ~DeviceMemory() {
    if (there_) {
      reinterpret_cast<int (*)(void*)>(find("tg_emulated_free"))(memory_);
    } else {
      std::free(memory_);
    }
  }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  [[nodiscard]] uint8_t* get() const { return static_cast<uint8_t*>(memory_); }

 private:
  static void* find(const char* name) {
    // The library is loaded already, by its first context.
    void* const library = dlopen(std::getenv("THREEGATE_CUDA_LIBRARY"), RTLD_NOW | RTLD_NOLOAD);
    void* const function = dlsym(library, name);
    dlclose(library);
    return function;
  }

  bool there_;
  void* memory_ = nullptr;
};

}  // namespace support

#endif  // THREEGATE_TESTS_DEVICE_MEMORY_H
