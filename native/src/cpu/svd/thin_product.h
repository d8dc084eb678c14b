// Products of four rows with the rows of a matrix. A general product copies the matrix into the order of its kernel. For a few
// rows that costs more than the product.
#ifndef THREEGATE_CPU_SVD_THIN_PRODUCT_H
#define THREEGATE_CPU_SVD_THIN_PRODUCT_H

#include <cstdint>

#include "cpu/support/simd_level.h"

namespace threegate::svd {

constexpr int64_t kThinRows = 4;

// Returns whether the level has kernels for these products. Otherwise they are general products.
bool has_thin_product(SimdLevel level);

// The number of floats that a product needs for a copy of the rows.
inline int64_t thin_copy_size(int64_t count, int64_t length) { return count * ((length + 15) / 16 * 16); }

// product = rows * matrix^T in float32. `rows` is count x length, where count is a multiple of kThinRows, `matrix` is
// columns x length, and `product` is count x columns.
void thin_product(SimdLevel level, int64_t count, int64_t length, int64_t columns, const float* rows, const float* matrix,
                  float* copy, float* product);

// The columns begin .. end of a product.
struct ThinColumns {
  int64_t begin;
  int64_t end;
  int64_t all;
};

// The steps of a product: to copy the rows, and to multiply the copy with some rows of the matrix.
void thin_copy_avx2(int64_t count, int64_t length, const float* rows, float* copy);
void thin_copy_avx512(int64_t count, int64_t length, const float* rows, float* copy);
void thin_multiply_avx2(int64_t count, int64_t length, const ThinColumns& columns, const float* copy, const float* matrix,
                        float* product);
void thin_multiply_avx512(int64_t count, int64_t length, const ThinColumns& columns, const float* copy, const float* matrix,
                          float* product);

// rows -= factors * matrix in float32, where `factors` is count x columns.
void thin_subtract(SimdLevel level, int64_t count, int64_t length, int64_t columns, const float* factors, const float* matrix,
                   float* rows);
void thin_subtract_avx2(int64_t count, int64_t length, int64_t columns, const float* factors, const float* matrix, float* rows);
void thin_subtract_avx512(int64_t count, int64_t length, int64_t columns, const float* factors, const float* matrix, float* rows);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_THIN_PRODUCT_H
