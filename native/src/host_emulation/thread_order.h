// The order in which the emulated threads of a block are run. A kernel that lacks a barrier gives other results in another order.
#ifndef THREEGATE_HOST_EMULATION_THREAD_ORDER_H
#define THREEGATE_HOST_EMULATION_THREAD_ORDER_H

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace emulation {

class ThreadOrder {
 public:
  // Starts a block. `text` is the value of THREEGATE_EMULATED_ORDER or nullptr. `salt` makes blocks differ.
  void restart(const char* text, uint64_t salt) {
    reverse_ = false;
    random_ = false;
    if (text != nullptr && std::string(text) == "reverse") {
      reverse_ = true;
    } else if (text != nullptr && *text >= '0' && *text <= '9') {
      random_ = true;
      state_ = std::strtoull(text, nullptr, 10) * 0x9E3779B97F4A7C15U + salt + 1;
    }
  }
  // The index of the thread that is run next, of `count` threads that can run.
  size_t pick(size_t count) {
    if (reverse_) {
      return count - 1;
    }
    if (!random_) {
      return 0;
    }
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<size_t>((state_ >> 32) * count >> 32);  // as even as a remainder, without a division
  }

 private:
  bool reverse_ = false;
  bool random_ = false;
  uint64_t state_ = 1;
};

}  // namespace emulation

#endif  // THREEGATE_HOST_EMULATION_THREAD_ORDER_H
