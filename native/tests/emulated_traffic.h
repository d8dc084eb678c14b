// What the emulated device was asked for, see host_emulation/runtime.cpp.
#ifndef THREEGATE_TESTS_EMULATED_TRAFFIC_H
#define THREEGATE_TESTS_EMULATED_TRAFFIC_H

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>

namespace support {

struct Traffic {
  uint64_t waits;  // of the host, for work that was not done
  uint64_t copies;
  uint64_t bytes;
};

inline Traffic emulated_traffic() {
  void* library = dlopen(std::getenv("THREEGATE_CUDA_LIBRARY"), RTLD_NOW | RTLD_NOLOAD);
  const auto read = reinterpret_cast<void (*)(uint64_t*)>(dlsym(library, "tg_emulated_traffic"));
  uint64_t numbers[3] = {};
  read(&numbers[0]);
  return {numbers[0], numbers[1], numbers[2]};
}

// Memory of the emulated device, which the host may read and write.
class DeviceMemory {
 public:
  explicit DeviceMemory(int64_t bytes) {
    void* library = dlopen(std::getenv("THREEGATE_CUDA_LIBRARY"), RTLD_NOW | RTLD_NOLOAD);
    const auto allocate = reinterpret_cast<int (*)(void**, size_t)>(dlsym(library, "tg_emulated_allocate"));
    release_ = reinterpret_cast<int (*)(void*)>(dlsym(library, "tg_emulated_free"));
    EXPECT_EQ(0, allocate(&memory_, static_cast<size_t>(bytes)));
  }
  ~DeviceMemory() { EXPECT_EQ(0, release_(memory_)); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  [[nodiscard]] void* get() const { return memory_; }

 private:
  int (*release_)(void*) = nullptr;
  void* memory_ = nullptr;
};

}  // namespace support

#endif  // THREEGATE_TESTS_EMULATED_TRAFFIC_H
