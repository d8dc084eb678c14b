#include "thin_product.h"

#include "cpu/support/blas.h"

namespace threegate::svd {

void thin_product([[maybe_unused]] SimdLevel level, int64_t count, int64_t order, const float* rows, const float* matrix,
                  [[maybe_unused]] float* copy, float* product) {
  if constexpr (kHasAvx512) {
    if (level == SimdLevel::kAvx512) {
      thin_product_avx512(count, order, rows, matrix, copy, product);
      return;
    }
  }
  blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(count), blas_size(order), blas_size(order), 1.0F, rows,
                     blas_size(order), matrix, blas_size(order), 0.0F, product, blas_size(order));
}

}  // namespace threegate::svd
