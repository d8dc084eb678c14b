// Memory where the contexts of the tests compute: on the device if they use one, and of the host otherwise. The host may read and
// write both.
#ifndef THREEGATE_TESTS_CONTEXT_MEMORY_H
#define THREEGATE_TESTS_CONTEXT_MEMORY_H

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "device/device_memory.h"
#include "support.h"

namespace support {

class ContextMemory {
 public:
  explicit ContextMemory(int64_t bytes) {
    if (tests_device()) {
      device_.emplace(bytes);
    } else {
      host_.resize(static_cast<size_t>(bytes) + kAlignment);
    }
  }
  [[nodiscard]] uint8_t* get() {
    if (device_) {
      return static_cast<uint8_t*>(device_->get());
    }
    void* at = host_.data();
    size_t room = host_.size();
    return static_cast<uint8_t*>(std::align(kAlignment, 1, at, room));
  }

 private:
  static constexpr size_t kAlignment = 256;
  std::optional<DeviceMemory> device_;
  std::vector<uint8_t> host_;
};

// Zeros in that memory, of any size.
class ContextZeros {
 public:
  explicit ContextZeros(int64_t bytes) {
    if (tests_device()) {
      EXPECT_EQ(0, TG_ON_DEVICE(tg_test_allocate_zeros)(0, &device_, static_cast<size_t>(bytes)));
    } else {
      host_.emplace(static_cast<size_t>(bytes));
    }
  }
  ~ContextZeros() {
    if (device_ != nullptr) {
      EXPECT_EQ(0, TG_ON_DEVICE(tg_test_free)(0, device_));
    }
  }
  ContextZeros(const ContextZeros&) = delete;
  ContextZeros& operator=(const ContextZeros&) = delete;
  [[nodiscard]] uint8_t* get() const { return static_cast<uint8_t*>(device_ != nullptr ? device_ : host_->data()); }

 private:
  void* device_ = nullptr;
  std::optional<ZeroPages> host_;
};

}  // namespace support

#endif  // THREEGATE_TESTS_CONTEXT_MEMORY_H
