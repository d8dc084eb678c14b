// Cuts a caller's workspace into arrays. Over no memory it only counts, so that the query and the work share one layout.
#ifndef THREEGATE_CPU_SUPPORT_ARENA_H
#define THREEGATE_CPU_SUPPORT_ARENA_H

#include <cstdint>

namespace threegate {

class Arena {
 public:
  explicit Arena(void* memory) : memory_(static_cast<uint8_t*>(memory)) {}

  // `count` elements, 64-byte aligned when the workspace is; nullptr while counting.
  template <typename T>
  T* take(int64_t count) {
    T* array = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + used_);
    used_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return array;
  }
  // Gives back all that was taken since used() was `mark`; what was needed at most stays counted.
  void release(int64_t mark) {
    most_ = most_ > used_ ? most_ : used_;
    used_ = mark;
  }
  [[nodiscard]] int64_t used() const { return used_; }
  [[nodiscard]] int64_t most() const { return most_ > used_ ? most_ : used_; }

 private:
  uint8_t* memory_;
  int64_t used_ = 0;
  int64_t most_ = 0;
};

}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_ARENA_H
