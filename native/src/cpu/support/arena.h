// Divides a workspace into arrays. Without memory it only counts, so that a workspace query and the work share one layout.
#ifndef THREEGATE_CPU_SUPPORT_ARENA_H
#define THREEGATE_CPU_SUPPORT_ARENA_H

#include <cstdint>

namespace threegate {

class Arena {
 public:
  Arena() : memory_(nullptr), counts_(true) {}
  explicit Arena(void* memory) : memory_(static_cast<uint8_t*>(memory)), counts_(false) {}

  // Takes `count` elements, 64-byte aligned if the workspace is. Returns nullptr while counting.
  template <typename T>
  T* take(int64_t count) {
    T* array = counts_ ? nullptr : reinterpret_cast<T*>(memory_ + used_);
    used_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return array;
  }
  [[nodiscard]] int64_t used() const { return used_; }

 private:
  uint8_t* memory_;
  bool counts_;
  int64_t used_ = 0;
};

}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_ARENA_H
