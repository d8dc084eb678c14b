#include "rows.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "cpu/support/blas.h"
#include "thin_product.h"

namespace threegate::svd {

template <typename T>
void project_out(const T* rows, int64_t from, int64_t count, int64_t length, T* own, T* products) {
  const auto& functions = blas().functions<T>();
  functions.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(count), blas_size(from), blas_size(length), T{1}, own,
                 blas_size(length), rows, blas_size(length), T{0}, products, blas_size(from));
  functions.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(count), blas_size(length), blas_size(from), T{-1}, products,
                 blas_size(from), rows, blas_size(length), T{1}, own, blas_size(length));
}

template <typename T>
double longest_combination(const T* rows, int64_t count, int64_t length, const T* weights, int64_t stride, int64_t combinations,
                           T* overlap) {
  blas().functions<T>().syrk(CblasRowMajor, CblasLower, CblasNoTrans, blas_size(count), blas_size(length), T{1}, rows,
                             blas_size(length), T{0}, overlap, blas_size(count));
  double largest = 0;
  for (int64_t i = 0; i < combinations; ++i) {
    const T* own = weights + i * stride;
    double square = 0;
    for (int64_t j = 0; j < count; ++j) {
      for (int64_t k = 0; k <= j; ++k) {
        square += (j == k ? 1 : 2) * static_cast<double>(overlap[j * count + k]) * static_cast<double>(own[j]) *
                  static_cast<double>(own[k]);
      }
    }
    largest = std::max(largest, square);
  }
  return std::sqrt(largest);
}

namespace {

// A pass of Cholesky QR. `shift` is relative to the diagonal.
template <typename T>
bool cholesky_pass(T* own, int64_t count, int64_t length, T shift, T* overlap) {
  const auto& functions = blas().functions<T>();
  const lapack_int rows = blas_size(count);
  const lapack_int width = blas_size(length);
  functions.syrk(CblasRowMajor, CblasLower, CblasNoTrans, rows, width, T{1}, own, width, T{0}, overlap, rows);
  for (int64_t i = 0; i < count; ++i) {
    overlap[i * count + i] *= 1 + shift;
  }
  // A row-major lower triangle is a column-major upper one: overlap = U^T U.
  if (functions.potrf(LAPACK_COL_MAJOR, 'U', rows, overlap, rows) != 0) {
    return false;
  }
  functions.trsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, rows, width, T{1}, overlap, rows, own, width);
  return true;
}

template <typename T, typename Project>
bool orthonormalise(T* rows, int64_t from, int64_t to, int64_t length, int projections, T* overlap, Project project_rows) {
  // The rounding of a product of two rows, generously.
  constexpr T kShift = std::is_same_v<T, float> ? T(1e-5) : T(1e-13);
  T* own = rows + from * length;
  for (int64_t i = 0; i < to - from; ++i) {
    const double size = norm(own + i * length, length);
    if (!(size > 0)) {
      return false;
    }
    divide(own + i * length, length, size);
  }
  for (int pass = 0; pass < 3; ++pass) {
    if (from > 0 && pass < projections) {
      project_rows(own);
    }
    // The products may be nearly singular in the first pass.
    if (!cholesky_pass(own, to - from, length, pass == 0 ? kShift : 0, overlap)) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool orthonormalise_near_rows(float* rows, int64_t count, int64_t length, float* overlap) {
  return cholesky_pass(rows, count, length, 0.0F, overlap);
}

bool orthonormalise_rows(SimdLevel level, float* rows, int64_t from, int64_t to, int64_t length, int projections, float* products,
                         float* overlap, float* copy) {
  return orthonormalise(rows, from, to, length, projections, overlap, [&](float* own) {
    if (copy != nullptr) {
      thin_product(level, to - from, length, from, own, rows, copy, products);
      thin_subtract(level, to - from, length, from, products, rows, own);
    } else {
      project_out(rows, from, to - from, length, own, products);
    }
  });
}

bool orthonormalise_rows(double* rows, int64_t from, int64_t to, int64_t length, int projections, double* products,
                         double* overlap) {
  return orthonormalise(rows, from, to, length, projections, overlap,
                        [&](double* own) { project_out(rows, from, to - from, length, own, products); });
}

template void project_out(const float*, int64_t, int64_t, int64_t, float*, float*);
template void project_out(const double*, int64_t, int64_t, int64_t, double*, double*);
template double longest_combination(const float*, int64_t, int64_t, const float*, int64_t, int64_t, float*);
template double longest_combination(const double*, int64_t, int64_t, const double*, int64_t, int64_t, double*);

}  // namespace threegate::svd
