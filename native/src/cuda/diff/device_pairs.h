// The memory of pairs of matrices on the device, and the results that are copied from it.
#ifndef THREEGATE_CUDA_DIFF_DEVICE_PAIRS_H
#define THREEGATE_CUDA_DIFF_DEVICE_PAIRS_H

#include <cstdint>
#include <vector>

#include "cuda/support/staging.h"
#include "diff.h"
#include "diff_kernels.h"

namespace threegate::cuda {

inline int64_t quotient(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t padded(int64_t bytes) { return quotient(bytes, Layout::kAlignment) * Layout::kAlignment; }

// The number of units of work that a matrix is divided into.
int64_t units_of(const tg_matrix& values);

// A pair on the device without its entries, and the arrays of its results.
struct Pair {
  const CudaDiff* item;
  Entries base;
  Entries tuned;
  bool base_resident;
  bool tuned_resident;
  UnitResult* units;
  uint64_t* row_changed;
  uint64_t* column_changed;
  uint64_t* map;
};

// Takes the arrays of all pairs that are not empty. Without memory they are only counted. Returns the number of bytes.
int64_t lay_out_all(const CudaDiff* items, int64_t count, uint8_t* memory, std::vector<Pair>& pairs, UnitRange*& ranges,
                    MatrixResult*& results);

// Sets a result to that of a matrix without changed entries, and the profiles of an empty matrix to zeros.
void clear(const CudaDiff& item);

// Copies the sums and counters of a matrix to the result of the caller, whose `total` is set.
void copy_result(const MatrixResult& from, tg_diff_result& to);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_DIFF_DEVICE_PAIRS_H
