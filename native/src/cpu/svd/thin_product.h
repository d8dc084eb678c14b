// Products of a few rows with a symmetric matrix. A general product copies the matrix into the order of its kernel. For a few
// rows that costs more than the product.
#ifndef THREEGATE_CPU_SVD_THIN_PRODUCT_H
#define THREEGATE_CPU_SVD_THIN_PRODUCT_H

#include <cstdint>

#include "cpu/support/simd_level.h"

namespace threegate::svd {

constexpr int64_t kThinRows = 4;

// The number of floats that a product needs for a copy of the rows.
inline int64_t thin_copy_size(int64_t count, int64_t order) { return count * ((order + 15) / 16 * 16); }

// product = rows * matrix in float32. `rows` and `product` are count x order, where count is a multiple of kThinRows. `matrix` is
// order x order with both triangles.
void thin_product(SimdLevel level, int64_t count, int64_t order, const float* rows, const float* matrix, float* copy,
                  float* product);
void thin_product_avx512(int64_t count, int64_t order, const float* rows, const float* matrix, float* copy, float* product);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_THIN_PRODUCT_H
