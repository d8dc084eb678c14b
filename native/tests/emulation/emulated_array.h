// What tests of kernels on the emulated device share: orders of threads, bf16 numbers, and memory.
#ifndef THREEGATE_TESTS_EMULATION_EMULATED_ARRAY_H
#define THREEGATE_TESTS_EMULATION_EMULATED_ARRAY_H

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cuda/support/runtime.h"

namespace {

struct Order {
  explicit Order(const char* order) { setenv("THREEGATE_EMULATED_ORDER", order, 1); }
  ~Order() { unsetenv("THREEGATE_EMULATED_ORDER"); }
};
const std::vector<const char*> kOrders{"forward", "reverse", "1", "2", "3"};

inline uint16_t bf16(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

// Memory of the emulated device, which the host may read.
template <typename T>
class Array {
 public:
  explicit Array(size_t count) : count_(count) {
    memory_.reserve(static_cast<int64_t>(count * sizeof(T)));
    std::memset(memory_.get(), 0xff, static_cast<size_t>(memory_.bytes()));
  }
  [[nodiscard]] T* get() const { return reinterpret_cast<T*>(memory_.get()); }
  [[nodiscard]] size_t size() const { return count_; }
  T& operator[](size_t i) const { return get()[i]; }

 private:
  threegate::cuda::DeviceMemory memory_;
  size_t count_;
};

}  // namespace

#endif  // THREEGATE_TESTS_EMULATION_EMULATED_ARRAY_H
