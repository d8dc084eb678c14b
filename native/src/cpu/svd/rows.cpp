#include "rows.h"

#include "cpu/support/blas.h"
#include "thin_product.h"

namespace threegate::svd {

bool orthonormalise_rows(SimdLevel level, float* rows, int64_t from, int64_t to, int64_t length, int projections, float* products,
                         float* overlap, float* copy) {
  const auto& functions = blas().single;
  const lapack_int before = blas_size(from);
  const lapack_int count = blas_size(to - from);
  const lapack_int width = blas_size(length);
  float* own = rows + from * length;
  for (int64_t i = 0; i < to - from; ++i) {
    const double size = norm(own + i * length, length);
    if (!(size > 0)) {
      return false;
    }
    divide(own + i * length, length, size);
  }
  for (int pass = 0; pass < 3; ++pass) {
    if (from > 0 && pass < projections && copy != nullptr) {
      thin_product(level, count, length, from, own, rows, copy, products);
      thin_subtract(level, count, length, from, products, rows, own);
    } else if (from > 0 && pass < projections) {
      functions.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, count, before, width, 1.0F, own, width, rows, width, 0.0F, products,
                     before);
      functions.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, count, width, before, -1.0F, products, before, rows, width, 1.0F,
                     own, width);
    }
    functions.syrk(CblasRowMajor, CblasLower, CblasNoTrans, count, width, 1.0F, own, width, 0.0F, overlap, count);
    // A row-major lower triangle is a column-major upper one: overlap = U^T U. It may be nearly singular in the first pass.
    for (int64_t i = 0; i < to - from && pass == 0; ++i) {
      overlap[i * (to - from) + i] *= 1 + 1e-5F;
    }
    if (functions.potrf(LAPACK_COL_MAJOR, 'U', count, overlap, count) != 0) {
      return false;
    }
    functions.trsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, count, width, 1.0F, overlap, count, own,
                   width);
  }
  return true;
}

}  // namespace threegate::svd
