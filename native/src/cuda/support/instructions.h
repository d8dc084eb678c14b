// Instructions without functions in CUDA C++: matrix products of a warp, asynchronous copies to shared memory, words that blocks
// share, wide stores, conversions of floating-point formats, and counters. See the PTX ISA 8.0, sections on mma.m16n8k16,
// ldmatrix, cp.async, ld, st, cvt, max, prmt and red. The emulation implements them with their documented layouts.
#ifndef THREEGATE_CUDA_SUPPORT_INSTRUCTIONS_H
#define THREEGATE_CUDA_SUPPORT_INSTRUCTIONS_H

#include <cuda_runtime.h>

#include <cstdint>

#if defined(THREEGATE_HOST_EMULATION)
#include "emulated_instructions.h"
#else

namespace threegate::cuda {
namespace {

// c += a * b, where a is 16 x 16 and b is 16 x 8 in bf16, and c is float32.
__device__ inline void multiply_add_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// c = a * b, without registers that have to be set to zero.
__device__ inline void multiply_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"
      : "=f"(c[0]), "=f"(c[1]), "=f"(c[2]), "=f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(0.0F));
}

// Loads four 8 x 8 matrices of 16-bit entries. Lane 8 i + j gives the address of row j of matrix i.
__device__ inline void load_matrices(uint32_t (&out)[4], const void* row) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(address));
}
__device__ inline void load_matrices_transposed(uint32_t (&out)[4], const void* row) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(address));
}

// Copies 16 aligned bytes from global to shared memory. They are valid after a wait.
__device__ inline void copy_16_asynchronously(void* to, const void* from) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
}
// Copies 16 aligned bytes in the same way, or sets them to zeros.
__device__ inline void copy_16_or_zeros_asynchronously(void* to, const void* from, bool copies) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(copies ? 16 : 0) : "memory");
}
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most kLeft of the committed groups are not complete.
template <int kLeft>
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
}

// Words by which blocks of one launch tell each other how far they are. Each of them is read and written as a whole.
__device__ inline uint64_t load_shared_state(const uint64_t* from) {
  uint64_t state;
  asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(state) : "l"(from) : "memory");
  return state;
}
__device__ inline void store_shared_state(uint64_t* to, uint64_t state) {
  asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(to), "l"(state) : "memory");
}

// Loads 16 aligned bytes.
__device__ inline uint4 load_vector(const void* from) { return *static_cast<const uint4*>(from); }
// Stores a vector to global memory at once. The compiler makes several stores of the assignment of one that it has computed.
__device__ inline void store_vector(void* to, const uint4& value) {
  asm volatile("st.global.v4.u32 [%0], {%1,%2,%3,%4};" ::"l"(to), "r"(value.x), "r"(value.y), "r"(value.z), "r"(value.w)
               : "memory");
}
__device__ inline void store_vector(void* to, const uint2& value) {
  asm volatile("st.global.v2.u32 [%0], {%1,%2};" ::"l"(to), "r"(value.x), "r"(value.y) : "memory");
}

// Two numbers as bf16 codes, the first one in the low half: rounded to nearest, ties to even. Every NaN becomes 0x7fff.
__device__ inline uint32_t round_two_to_bf16(float first, float second) {
  uint32_t codes;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(codes) : "f"(second), "f"(first));
  return codes;
}

// The numbers of float16 codes.
__device__ inline float widen_f16(uint16_t code) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(code));
  return value;
}
__device__ inline void widen_two_f16(uint32_t codes, float& low, float& high) {
  asm("{\n\t.reg .b16 l, h;\n\tmov.b32 {l, h}, %2;\n\tcvt.f32.f16 %0, l;\n\tcvt.f32.f16 %1, h;\n\t}"
      : "=f"(low), "=f"(high)
      : "r"(codes));
}

// The float16 codes of two float8 codes in the format E4M3. Devices have it from compute capability 8.9 on.
__device__ inline uint32_t f16_of_two_e4m3(uint16_t codes) {
  uint32_t wide;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(wide) : "h"(codes));
  return wide;
}

// The larger number, or NaN if one of them is.
__device__ inline float larger_or_nan(float a, float b) {
  float result;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}

// Counters in shared memory by their offset in bytes. The address of the first one is opaque to the compiler, which would
// otherwise compute parts of it again for each counter.
struct SharedCounters {
  uint32_t address;
};
__device__ inline SharedCounters shared_counters(uint32_t* first) {
  SharedCounters counters{static_cast<uint32_t>(__cvta_generic_to_shared(first))};
  asm volatile("" : "+r"(counters.address));
  return counters;
}
__device__ inline void add_to_counter(const SharedCounters& counters, uint32_t offset, uint32_t value) {
  asm volatile("red.shared.add.u32 [%0], %1;" ::"r"(counters.address + offset), "r"(value) : "memory");
}

// Byte i of the result is the byte of `low` or `high`, 0 to 7, that digit i of the selector names. With 8 added to the digit, all
// of its bits are the byte's highest one.
__device__ inline uint32_t permuted_bytes(uint32_t low, uint32_t high, uint32_t selector) {
  uint32_t bytes;
  asm("prmt.b32 %0, %1, %2, %3;" : "=r"(bytes) : "r"(low), "r"(high), "r"(selector));
  return bytes;
}

}  // namespace
}  // namespace threegate::cuda

#endif

#endif  // THREEGATE_CUDA_SUPPORT_INSTRUCTIONS_H
