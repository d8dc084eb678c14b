// Splitting of float32 numbers into sums of bf16 terms.
#ifndef THREEGATE_CUDA_SVD_BF16_TERMS_H
#define THREEGATE_CUDA_SVD_BF16_TERMS_H

#include "cuda/support/entries.h"

namespace threegate::cuda {

// Rounds `rest` to bf16, subtracts the result from it and returns the code of the result.
__device__ inline uint16_t take_bf16_term(float& rest) {
  const uint16_t code = float_to_bf16(rest);
  rest -= bf16_to_float(code);
  return code;
}

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_BF16_TERMS_H
