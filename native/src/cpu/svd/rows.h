// Vectors as rows of a matrix.
#ifndef THREEGATE_CPU_SVD_ROWS_H
#define THREEGATE_CPU_SVD_ROWS_H

#include <cmath>
#include <cstdint>

#include "common/lanes.h"
#include "cpu/support/simd_level.h"

namespace threegate::svd {

template <typename T>
double norm(const T* values, int64_t count) {
  return std::sqrt(
      sum_in_lanes(count, [&](int64_t i) { return static_cast<double>(values[i]) * static_cast<double>(values[i]); }));
}

template <typename T>
void divide(T* values, int64_t count, double divisor) {
  for (int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<T>(values[i] / divisor);
  }
}

// Subtracts from `own`, which is count x length, its part in the span of the first `from` rows, which are orthonormal. `products`
// has room for count x from numbers.
template <typename T>
void project_out(const T* rows, int64_t from, int64_t count, int64_t length, T* own, T* products);

// The length of the longest of some combinations of rows, which are count x length. The weights of a combination are `stride`
// after those of the one before it. `overlap` takes the products of the rows.
template <typename T>
double longest_combination(const T* rows, int64_t count, int64_t length, const T* weights, int64_t stride, int64_t combinations,
                           T* overlap);

// Makes the rows from .. to - 1 orthogonal to the rows before them, with the given number of `projections`, and orthonormal among
// themselves. The latter takes three passes of Cholesky QR, the first of them shifted. `products` has room for (to - from) x from
// numbers, and `overlap` for the square of to - from. With a `copy` of thin_copy_size() the projection suits a few rows. Returns
// false if the rows do not span as many directions.
bool orthonormalise_rows(SimdLevel level, float* rows, int64_t from, int64_t to, int64_t length, int projections, float* products,
                         float* overlap, float* copy = nullptr);
bool orthonormalise_rows(double* rows, int64_t from, int64_t to, int64_t length, int projections, double* products,
                         double* overlap);

// The same for rows that are orthonormal up to a small error, in one pass.
bool orthonormalise_near_rows(float* rows, int64_t count, int64_t length, float* overlap);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_ROWS_H
