// Orthonormal vectors of the long side, also where singular values are tiny.
#ifndef THREEGATE_CPU_SVD_ORTHONORMALISER_H
#define THREEGATE_CPU_SVD_ORTHONORMALISER_H

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "rows.h"
#include "singular_vectors.h"
#include "symmetric.h"

namespace threegate::svd {

// Makes the vectors of the long side orthonormal where they are images of vectors with tiny singular values. Householder QR in
// descending order moves y_i by the rounding of the first one divided by sigma_i. It changes the residual by that rounding alone.
class Orthonormaliser {
 public:
  Orthonormaliser(Arena& arena, int64_t rank)
      : reflectors_(arena.take<double>(rank)),
        signs_(arena.take<double>(rank)),
        size_(kLapackBlock * rank),
        work_(arena.take<double>(size_)) {}

  Certificate run(const View& view, int64_t rank, const Vectors<double>& vectors) {
    // Restores y_i = A x_i as columns of a long_side x rank matrix.
    for (int64_t i = 0; i < rank; ++i) {
      for (int64_t j = 0; j < view.long_side; ++j) {
        vectors.y[i * view.long_side + j] *= vectors.sigma[i];
      }
    }
    const lapack_int rows = blas_size(view.long_side);
    double beyond_diagonal = 0;
    bool fine =
        blas().wide.geqrf(LAPACK_COL_MAJOR, rows, blas_size(rank), vectors.y, rows, reflectors_, work_, blas_size(size_)) == 0;
    for (int64_t i = 0; i < rank; ++i) {
      const double* column = vectors.y + i * view.long_side;
      beyond_diagonal = std::max(beyond_diagonal, norm(column, i));
      signs_[i] = column[i] < 0 ? -1 : 1;
      vectors.sigma[i] = std::abs(column[i]);
    }
    fine = fine && blas().wide.orgqr(LAPACK_COL_MAJOR, rows, blas_size(rank), blas_size(rank), vectors.y, rows, reflectors_,
                                     work_, blas_size(size_)) == 0;
    for (int64_t i = 0; i < rank; ++i) {
      for (int64_t j = 0; j < view.long_side; ++j) {
        vectors.y[i * view.long_side + j] *= signs_[i];
      }
    }
    multiply_to_short_side(view, rank, vectors);
    sort_descending(view, rank, vectors);
    const double orthogonality = orthogonality_error(view, rank, vectors);
    Certificate certificate{largest_residual(view, rank, vectors), orthogonality};
    if (vectors.sigma[0] > 0) {
      certificate.residual = std::max(certificate.residual, beyond_diagonal / vectors.sigma[0]);
    }
    if (!fine) {
      certificate.residual = 1;
    }
    return certificate;
  }

 private:
  double* reflectors_;
  double* signs_;
  int64_t size_;
  double* work_;
};

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_ORTHONORMALISER_H
