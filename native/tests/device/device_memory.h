// Owners of memory and streams of the CUDA device.
#ifndef THREEGATE_TESTS_DEVICE_DEVICE_MEMORY_H
#define THREEGATE_TESTS_DEVICE_DEVICE_MEMORY_H

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "device/device_library.h"
#include "support.h"

namespace support {

// A function of the library for tests. It is found beside the tests, unless THREEGATE_TEST_DEVICE_LIBRARY names it.
template <typename Function>
Function* device_function(const char* name) {
  static void* const library = [] {
    const char* given = std::getenv("THREEGATE_TEST_DEVICE_LIBRARY");
    const char* emulated = is_emulated() ? std::getenv("THREEGATE_CUDA_LIBRARY") : nullptr;
    void* opened = dlopen(given != nullptr ? given : emulated != nullptr ? emulated : "libthreegate_test_device.so", RTLD_NOW);
    EXPECT_NE(nullptr, opened) << dlerror();
    return opened;
  }();
  void* const found = dlsym(library, name);
  EXPECT_NE(nullptr, found) << name;
  return reinterpret_cast<Function*>(found);
}
#define TG_ON_DEVICE(function) support::device_function<decltype(function)>(#function)

// Memory of a device. The host may use it too, while nothing runs there.
class DeviceMemory {
 public:
  explicit DeviceMemory(int64_t bytes, int device = 0) : device_(device) {
    EXPECT_EQ(0, TG_ON_DEVICE(tg_test_allocate)(device, &memory_, static_cast<size_t>(bytes)));
  }
  ~DeviceMemory() { EXPECT_EQ(0, TG_ON_DEVICE(tg_test_free)(device_, memory_)); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  [[nodiscard]] void* get() const { return memory_; }

 private:
  int device_;
  void* memory_ = nullptr;
};

class Stream {
 public:
  explicit Stream(bool blocking, int device = 0) : device_(device) {
    EXPECT_EQ(0, TG_ON_DEVICE(tg_test_create_stream)(device, blocking ? 1 : 0, &stream_));
  }
  ~Stream() { EXPECT_EQ(0, TG_ON_DEVICE(tg_test_destroy_stream)(device_, stream_)); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  [[nodiscard]] void* get() const { return stream_; }

 private:
  int device_;
  void* stream_ = nullptr;
};

}  // namespace support

#endif  // THREEGATE_TESTS_DEVICE_DEVICE_MEMORY_H
