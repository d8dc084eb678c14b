// The entries in which two bf16 matrices differ, and products with the matrix D of their differences. All variants give the same
// bits.
//
// Both matrices are read once, 4 bytes an entry. A product takes 2 multiplications and additions for each change and lane, and
// reads and writes rows of 64 bytes that stay in the second-level cache. For 1 % of the entries that is less than the comparison
// up to about 64 vectors. Vectors of the other order would need a gather and a scatter for each change.
#ifndef THREEGATE_CPU_SVD_CHANGES_H
#define THREEGATE_CPU_SVD_CHANGES_H

#include <cstdint>

#include "cpu/support/arena.h"
#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::svd {

struct Change {
  int32_t column;
  float value;
};

struct Changes {
  int64_t rows;
  int64_t columns;
  int64_t* begins;  // of the entries of each row
  int64_t* ends;
  Change* entries;
};

Changes take_changes(Arena& arena, int64_t rows, int64_t columns);

// Fills `changes` with the entries of `matrix` minus `base`, both bf16. Returns false if more than a sixteenth of the entries of
// 64 rows differs, or if a difference is not finite.
bool find_changes(const tg_matrix& base, const tg_matrix& matrix, const Changes& changes);

// An upper bound of the spectral norm: the root of the largest sum of |entries| of a row times that of a column, or the Frobenius
// norm. `sums` has room for one number per column.
double norm_bound(const Changes& changes, double* sums);

constexpr int64_t kChangeLanes = 16;

// Vectors of both sides. Each entry has `width` numbers, one for each vector; `width` is a multiple of kChangeLanes.
struct ChangeVectors {
  int64_t width;
  const float* of_rows;     // rows x width
  const float* of_columns;  // columns x width
  float* images;            // rows x width: D times of_columns
  float* back;              // columns x width: D^T times of_rows
};
void multiply_changes(SimdLevel level, const Changes& changes, const ChangeVectors& vectors);

// Does so for the vectors first .. first + kChangeLanes.
void multiply_change_lanes_scalar(const Changes& changes, const ChangeVectors& vectors, int64_t first);
void multiply_change_lanes_avx2(const Changes& changes, const ChangeVectors& vectors, int64_t first);
void multiply_change_lanes_avx512(const Changes& changes, const ChangeVectors& vectors, int64_t first);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_CHANGES_H
