#include "thin_product.h"

#include "cpu/support/blas.h"

namespace threegate::svd {
namespace {

void product_by_blas(int64_t count, int64_t length, int64_t columns, const float* rows, const float* matrix, float* /*copy*/,
                     float* product) {
  blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(count), blas_size(columns), blas_size(length), 1.0F, rows,
                     blas_size(length), matrix, blas_size(length), 0.0F, product, blas_size(columns));
}

void subtract_by_blas(int64_t count, int64_t length, int64_t columns, const float* factors, const float* matrix, float* rows) {
  blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(count), blas_size(length), blas_size(columns), -1.0F,
                     factors, blas_size(columns), matrix, blas_size(length), 1.0F, rows, blas_size(length));
}

}  // namespace

bool has_thin_product(SimdLevel level) { return level == SimdLevel::kAvx2 || level == SimdLevel::kAvx512; }

void thin_product([[maybe_unused]] SimdLevel level, int64_t count, int64_t length, int64_t columns, const float* rows,
                  const float* matrix, float* copy, float* product) {
  auto variant = &product_by_blas;
#if defined(__x86_64__)
  variant = level == SimdLevel::kAvx512 ? &thin_product_avx512 : level == SimdLevel::kAvx2 ? &thin_product_avx2 : variant;
#endif
  variant(count, length, columns, rows, matrix, copy, product);
}

void thin_subtract([[maybe_unused]] SimdLevel level, int64_t count, int64_t length, int64_t columns, const float* factors,
                   const float* matrix, float* rows) {
  auto variant = &subtract_by_blas;
#if defined(__x86_64__)
  variant = level == SimdLevel::kAvx512 ? &thin_subtract_avx512 : level == SimdLevel::kAvx2 ? &thin_subtract_avx2 : variant;
#endif
  variant(count, length, columns, factors, matrix, rows);
}

}  // namespace threegate::svd
