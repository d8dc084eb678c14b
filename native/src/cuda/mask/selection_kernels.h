// Kernels that count and mark scores for the selection of masks.
#ifndef THREEGATE_CUDA_MASK_SELECTION_KERNELS_H
#define THREEGATE_CUDA_MASK_SELECTION_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/support/entries.h"

namespace threegate::cuda {

constexpr int kDigitBits = 13;  // the counters of a digit fit the shared memory
constexpr int kDigits = 1 << kDigitBits;

enum class ScoreKind : int32_t { kMatrix, kTriplets, kNarrowTriplets };

// The source of the scores: entries, or the factors of a reconstruction, whose left one includes the singular values.
struct Scores {
  ScoreKind kind;
  int64_t rows;
  int64_t columns;
  int64_t rank;
  Entries entries;
  const double* left;   // rank x rows
  const double* right;  // rank x columns
  const float* narrow_left;
  const float* narrow_right;
};

// Computes left[k][i] *= values[k] and float32 copies of both factors. norms[0] and norms[1] receive the largest squared norm of
// a row of each factor, as bits of doubles. They must be zero before.
cudaError_t launch_prepare_factors(const double* values, int64_t rank, int64_t rows, double* left, float* narrow_left,
                                   int64_t columns, const double* right, float* narrow_right, uint64_t* norms,
                                   cudaStream_t stream);

// Counts digits of the keys whose digits above `shift` + kDigitBits are those of `prefix`. A key is the bits of a score without
// the sign, in float64, or in float32 for narrow scores. `flags` becomes non-zero if a score is not finite.
struct DigitPass {
  uint64_t prefix;
  int32_t shift;
  int32_t above;  // the bits from here on must be equal, or 64 if none must
};
cudaError_t launch_count_digits(const Scores& scores, const DigitPass& pass, uint64_t* digits, uint32_t* flags,
                                int multiprocessors, cudaStream_t stream);

// Sets the bits of keys > `high` in `beyond` and of keys in [low, high] in `between`. If the smallest are selected, the bits of
// keys < `low` are set in `beyond`.
struct MarkPass {
  uint64_t low;
  uint64_t high;
  int32_t smallest;
};
cudaError_t launch_mark(const Scores& scores, const MarkPass& pass, uint64_t* beyond, uint64_t* between, uint32_t* flags,
                        int multiprocessors, cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_SELECTION_KERNELS_H
