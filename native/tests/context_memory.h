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

}  // namespace support

#endif  // THREEGATE_TESTS_CONTEXT_MEMORY_H
