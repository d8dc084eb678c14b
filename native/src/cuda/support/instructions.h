// Instructions without functions in CUDA C++: matrix products of a warp, asynchronous copies to shared memory, words that blocks
// share, and wide stores. See the PTX ISA 8.0, sections on mma.m16n8k16, ldmatrix, cp.async, ld and st. The emulation implements
// them with their documented layouts.
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

// Stores a vector to global memory at once. The compiler makes several stores of the assignment of one that it has computed.
__device__ inline void store_vector(void* to, const uint4& value) {
  asm volatile("st.global.v4.u32 [%0], {%1,%2,%3,%4};" ::"l"(to), "r"(value.x), "r"(value.y), "r"(value.z), "r"(value.w)
               : "memory");
}
__device__ inline void store_vector(void* to, const uint2& value) {
  asm volatile("st.global.v2.u32 [%0], {%1,%2};" ::"l"(to), "r"(value.x), "r"(value.y) : "memory");
}

}  // namespace
}  // namespace threegate::cuda

#endif

#endif  // THREEGATE_CUDA_SUPPORT_INSTRUCTIONS_H
