// The instructions of cuda/support/instructions.h for the CPU.
#ifndef THREEGATE_HOST_EMULATION_EMULATED_INSTRUCTIONS_H
#define THREEGATE_HOST_EMULATION_EMULATED_INSTRUCTIONS_H

#include <cuda_runtime.h>

#include "common/dtype.h"

namespace threegate::cuda {

void multiply_add_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
inline void multiply_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  for (float& number : c) {
    number = 0;
  }
  multiply_add_bf16(c, a, b);
}
void load_matrices(uint32_t (&out)[4], const void* row);
void load_matrices_transposed(uint32_t (&out)[4], const void* row);

inline void copy_16_asynchronously(void* to, const void* from) { emulation::copy_asynchronously(to, from, 16); }
inline void copy_16_or_zeros_asynchronously(void* to, const void* from, bool copies) {
  alignas(16) static const unsigned char zeros[16] = {};
  emulation::copy_asynchronously(to, copies ? from : zeros, 16);
}
// Not inline, because GCC would load a part of the vector before the caller asks whether the address is aligned.
[[gnu::noinline]] inline uint4 load_vector(const void* from) { return *static_cast<const uint4*>(from); }
inline void store_vector(void* to, const uint4& value) { *static_cast<uint4*>(to) = value; }
inline void store_vector(void* to, const uint2& value) { *static_cast<uint2*>(to) = value; }
inline void commit_copies() { emulation::commit_copies(); }
template <int kLeft>
void wait_for_copies() {
  emulation::wait_for_copies(kLeft);
}

// A device has one NaN for results of float32 and bf16.
constexpr uint32_t kDeviceNan = 0x7fffffffU;
inline uint32_t round_two_to_bf16(float first, float second) {
  const auto round = [](float value) { return std::isnan(value) ? kDeviceNan >> 16 : uint32_t{float_to_bf16(value)}; };
  return round(first) | round(second) << 16;
}
inline float widen_f16(uint16_t code) {
  const float value = f16_to_float(code);
  return std::isnan(value) ? __uint_as_float(kDeviceNan) : value;
}
inline void widen_two_f16(uint32_t codes, float& low, float& high) {
  low = widen_f16(static_cast<uint16_t>(codes));
  high = widen_f16(static_cast<uint16_t>(codes >> 16));
}
// float16 holds every E4M3 number, with a normal exponent.
inline uint32_t f16_of_e4m3(uint32_t code) {
  const uint32_t magnitude = __float_as_uint(f8_e4m3_to_float(static_cast<uint8_t>(code))) & 0x7fffffffU;
  const uint32_t wide = magnitude == 0 ? 0 : magnitude > 0x7f800000U ? 0x7fffU : (magnitude - (112U << 23)) >> 13;
  return wide | (code & 0x80U) << 8;
}
inline uint32_t f16_of_two_e4m3(uint16_t codes) { return f16_of_e4m3(codes & 0xffU) | f16_of_e4m3(codes >> 8U) << 16; }
inline float larger_or_nan(float a, float b) {
  return std::isnan(a) || std::isnan(b) ? __uint_as_float(kDeviceNan) : std::fmax(a, b);
}
struct SharedCounters {
  uint32_t* first;
};
inline SharedCounters shared_counters(uint32_t* first) { return {first}; }
inline void add_to_counter(const SharedCounters& counters, uint32_t offset, uint32_t value) {
  emulation::require_aligned(reinterpret_cast<const unsigned char*>(counters.first) + offset, sizeof(uint32_t), "a counter");
  atomicAdd(counters.first + offset / sizeof(uint32_t), value);
}
inline uint32_t permuted_bytes(uint32_t low, uint32_t high, uint32_t selector) {
  const uint64_t all = static_cast<uint64_t>(high) << 32 | low;
  uint32_t bytes = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const uint32_t digit = selector >> (4 * i) & 0xfU;
    const auto byte = static_cast<uint32_t>(all >> (8 * (digit & 7U))) & 0xffU;
    bytes |= (digit < 8 ? byte : (byte >> 7) * 0xffU) << (8 * i);
  }
  return bytes;
}

// Blocks run one after the other, and fibers change at collective operations only.
THREEGATE_ATOMIC inline uint64_t load_shared_state(const uint64_t* from) {
  emulation::note_access(from, sizeof(*from), emulation::Access::kAtomic);
  return *from;
}
THREEGATE_ATOMIC inline void store_shared_state(uint64_t* to, uint64_t state) {
  emulation::note_access(to, sizeof(*to), emulation::Access::kAtomic);
  *to = state;
}

}  // namespace threegate::cuda

#endif  // THREEGATE_HOST_EMULATION_EMULATED_INSTRUCTIONS_H
