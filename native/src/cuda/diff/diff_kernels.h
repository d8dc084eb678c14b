// Kernels that compare a list of parts of matrices in one launch.
#ifndef THREEGATE_CUDA_DIFF_DIFF_KERNELS_H
#define THREEGATE_CUDA_DIFF_DIFF_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/support/entries.h"

namespace threegate::cuda {

// The work of a warp, and the unit of the fixed order of summation.
constexpr int64_t kUnitRows = 64;
constexpr int64_t kUnitColumns = 256;

constexpr int kDiffCounts = 6;  // changed, changed_bits, changed_stored, hidden, non_finite, sign_flips

// The sums and counts of one unit. Counts are at most 64 * 256.
struct UnitResult {
  double base_squares;
  double delta_squares;
  double delta_dot_base;
  double max_abs_delta;
  uint16_t counts[8];  // kDiffCounts of them
  uint16_t bins[16];   // bins 1 to 14 of tg_diff_result.ulp_histogram at their positions
};

struct MatrixResult {
  double base_squares;
  double delta_squares;
  double delta_dot_base;
  double max_abs_delta;
  int64_t counts[kDiffCounts];
  int64_t bins[TG_ULP_BINS];
};

enum class PairKind : int32_t { kBf16, kFloat, kAny };

// Rows and columns of a pair of matrices. They begin at a multiple of a unit.
struct DiffPart {
  Entries base;
  Entries tuned;
  int64_t row;
  int64_t rows;
  int64_t column;
  int64_t columns;
  int64_t all_rows;
  int64_t all_columns;
  int64_t first_unit;     // index of the first unit of this part in the launch
  UnitResult* units;      // units of the whole matrix, row-major
  uint64_t* row_changed;  // of the whole matrix. nullptr if it is not wanted, as below
  uint64_t* column_changed;
  uint64_t* map;
  int64_t map_rows;
  int64_t map_columns;
  double map_rows_of_one;  // map_rows / all_rows
  double rows_of_map_row;  // all_rows / map_rows
  double map_columns_of_one;
  uint8_t* mask;        // mask of this part
  int64_t mask_stride;  // bytes per row
};

cudaError_t launch_diff(PairKind kind, const DiffPart* parts, int64_t part_count, int64_t units, int multiprocessors,
                        cudaStream_t stream);

struct UnitRange {
  const UnitResult* units;
  int64_t count;
};

// Sums the units of each matrix in a fixed order.
cudaError_t launch_diff_sums(const UnitRange* ranges, int64_t matrices, MatrixResult* results, cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_DIFF_DIFF_KERNELS_H
