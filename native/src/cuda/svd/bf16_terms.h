// Splitting of float32 numbers into sums of bf16 terms.
#ifndef THREEGATE_CUDA_SVD_BF16_TERMS_H
#define THREEGATE_CUDA_SVD_BF16_TERMS_H

#include "cuda/support/entries.h"
#include "cuda/support/instructions.h"
#include "svd_kernels.h"

namespace threegate::cuda {

// Rounds `rest` to bf16, subtracts the result from it and returns the code of the result.
__device__ inline uint16_t take_bf16_term(float& rest) {
  const uint16_t code = float_to_bf16(rest);
  rest -= bf16_to_float(code);
  return code;
}

// The codes of two neighbouring numbers, the first one in the lower half.
__device__ inline uint32_t take_two_terms(float& first, float& second) {
  const uint32_t code = take_bf16_term(first);
  return code | static_cast<uint32_t>(take_bf16_term(second)) << 16;
}

constexpr int kFour = 4;  // neighbouring entries of a thread

// Writes the first `terms` terms of four neighbouring entries. Planes are `distance` apart.
__device__ inline void split_four(float4 rest, int terms, uint16_t* planes, int64_t distance) {
#pragma unroll
  for (int plane = 0; plane < kPlanes; ++plane) {
    if (plane < terms) {
      store_vector(planes + plane * distance, uint2{take_two_terms(rest.x, rest.y), take_two_terms(rest.z, rest.w)});
    }
  }
}

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_BF16_TERMS_H
