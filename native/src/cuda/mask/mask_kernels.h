#ifndef THREEGATE_CUDA_MASK_MASK_KERNELS_H
#define THREEGATE_CUDA_MASK_MASK_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/support/entries.h"

namespace threegate::cuda {

constexpr int kDigitBits = 13;  // counters of a digit fit shared memory
constexpr int kDigits = 1 << kDigitBits;

enum class ScoreKind : int32_t { kMatrix, kTriplets, kNarrowTriplets };

// Where scores come from: entries, or factors of a reconstruction whose first one holds the values.
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

// left[k][i] *= values[k], float32 copies of both factors, and the largest squared norms of a row of either, as bits of doubles
// in norms[0] and norms[1], which must have been zeros.
cudaError_t launch_prepare_factors(const double* values, int64_t rank, int64_t rows, double* left, float* narrow_left,
                                   int64_t columns, const double* right, float* narrow_right, uint64_t* norms,
                                   cudaStream_t stream);

// Counts digits of the keys whose digits above `shift` + kDigitBits are those of `prefix`. A key is a score's bits without the
// sign: of float64, or of float32 for narrow scores. `flags` becomes non-zero at a score that is not finite.
struct DigitPass {
  uint64_t prefix;
  int32_t shift;
  int32_t above;  // shift of what must be equal; 64: nothing
};
cudaError_t launch_count_digits(const Scores& scores, const DigitPass& pass, uint64_t* digits, uint32_t* flags,
                                int multiprocessors, cudaStream_t stream);

// Sets bits: of keys > `high` in `beyond`, of keys in [low, high] in `between`; for the smallest the other way round, keys < low.
struct MarkPass {
  uint64_t low;
  uint64_t high;
  int32_t smallest;
};
cudaError_t launch_mark(const Scores& scores, const MarkPass& pass, uint64_t* beyond, uint64_t* between, uint32_t* flags,
                        int multiprocessors, cudaStream_t stream);

// counts[4 * code + 1 * (in first) + 2 * (in second)] of bf16 magnitude codes, for all entries that are in a mask; `all` counts
// all.
cudaError_t launch_magnitude_histogram(const Entries& matrix, int64_t rows, int64_t columns, const uint64_t* first,
                                       const uint64_t* second, uint64_t* all, uint64_t* counts, int multiprocessors,
                                       cudaStream_t stream);

constexpr int64_t kProfileRows = 256;  // of a partial sum of a column

// Sums table[code] by row, and by column of each kProfileRows rows.
cudaError_t launch_magnitude_profile(const Entries& matrix, int64_t rows, int64_t columns, const double* table, double* row_sums,
                                     double* partial_sums, double* column_sums, cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_MASK_KERNELS_H
