#include "thin_product.h"

#include <algorithm>

#include "cpu/support/blas.h"
#include "cpu/support/crew.h"

namespace threegate::svd {
namespace {

#if defined(__x86_64__)
constexpr double kLeastProducts = 1 << 20;  // smaller products take less time than waking threads
#endif

void product_by_blas(int64_t count, int64_t length, int64_t columns, const float* rows, const float* matrix, float* product) {
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
                  const float* matrix, [[maybe_unused]] float* copy, float* product) {
#if defined(__x86_64__)
  if (level != SimdLevel::kScalar) {
    const bool wide = level == SimdLevel::kAvx512;
    (wide ? &thin_copy_avx512 : &thin_copy_avx2)(count, length, rows, copy);
    // Columns are computed in the same way in any part.
    const bool large = static_cast<double>(count) * static_cast<double>(length) * static_cast<double>(columns) >= kLeastProducts;
    const int64_t each = large ? part_length(columns) : columns;
    in_parts(each == 0 ? 0 : (columns + each - 1) / each, [&](int64_t part) {
      const ThinColumns own{part * each, std::min(columns, (part + 1) * each), columns};
      (wide ? &thin_multiply_avx512 : &thin_multiply_avx2)(count, length, own, copy, matrix, product);
    });
    return;
  }
#endif
  product_by_blas(count, length, columns, rows, matrix, product);
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
