// Splitting of float32 numbers into sums of bf16 terms.
#ifndef THREEGATE_CUDA_SVD_BF16_TERMS_H
#define THREEGATE_CUDA_SVD_BF16_TERMS_H

#include "cuda/support/entries.h"
#include "cuda/support/instructions.h"
#include "svd_kernels.h"

namespace threegate::cuda {

// Rounds `rest` to bf16, subtracts the result from it and returns the code of the result.
__device__ inline uint16_t take_bf16_term(float& rest) {
  const uint32_t code = round_two_to_bf16(rest, 0);
  rest -= bit_cast<float>(code << 16);
  return static_cast<uint16_t>(code);
}

// Rounds two neighbouring numbers to bf16, and subtracts the results from them. Returns the codes, the first one in the lower
// half.
__device__ inline uint32_t take_two_terms(float& first, float& second) {
  const uint32_t codes = round_two_to_bf16(first, second);
  first -= bit_cast<float>(codes << 16);
  second -= bit_cast<float>(codes & 0xffff0000U);
  return codes;
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
