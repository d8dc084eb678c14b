// Rayleigh-Ritz refinement of singular triplets on the matrix itself.
#ifndef THREEGATE_CPU_SVD_RAYLEIGH_RITZ_H
#define THREEGATE_CPU_SVD_RAYLEIGH_RITZ_H

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "singular_vectors.h"

namespace threegate::svd {

// Replaces the vectors found by those of their combinations whose images are orthogonal. The rounding of a Gram matrix is
// relative to sigma_1 squared. The rounding of the k x k products of the images is relative to sigma_i sigma_j, which is smaller.
template <typename T>
class RayleighRitz {
 public:
  RayleighRitz(Arena& arena, int64_t rank)
      : rank_(rank),
        matrix_(arena.take<double>(rank * rank)),
        values_(arena.take<double>(rank)),
        mixing_(arena.take<T>(rank * rank)),
        part_(arena.take<T>(rank * kPanel)),
        work_(arena.take<double>(work_size())),
        integers_(arena.take<lapack_int>(integer_size())) {}

  // Refines what complete_triplets() computed. Uses its overlaps of the long side.
  Certificate run(const View& view, const Vectors<T>& vectors) {
    const double first = vectors.sigma[0];
    for (int64_t i = 0; i < rank_; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        const double scale = vectors.sigma[i] / first * (vectors.sigma[j] / first);
        matrix_[i * rank_ + j] = static_cast<double>(vectors.overlap[i * rank_ + j]) * scale;
      }
    }
    if (blas().wide.syevd(LAPACK_COL_MAJOR, 'V', 'U', blas_size(rank_), matrix_, blas_size(rank_), values_, work_,
                          blas_size(work_size()), integers_, blas_size(integer_size())) != 0 ||
        values_[0] <= 0) {
      return {1, 1};
    }
    // Row i of `matrix_` is the combination with the i-th smallest value. Images are scaled to length 1.
    mix(vectors.x, view.short_side, [](int64_t, int64_t) { return 1.0; });
    const auto of_images = [&](int64_t i, int64_t j) { return vectors.sigma[j] / (first * std::sqrt(values_[rank_ - 1 - i])); };
    mix(vectors.y, view.long_side, of_images);
    for (int64_t i = 0; i < rank_; ++i) {
      vectors.sigma[i] = first * std::sqrt(values_[rank_ - 1 - i]);
    }
    multiply_to_short_side(view, rank_, vectors);
    const double orthogonality = orthogonality_error(view, rank_, vectors);
    return {largest_residual(view, rank_, vectors), orthogonality};
  }

 private:
  // Row i becomes the sum over j of combination (i, j) * scale(i, j) * row j. The combination with the largest value comes first.
  template <typename Scale>
  void mix(T* rows, int64_t length, Scale scale) {
    for (int64_t i = 0; i < rank_; ++i) {
      for (int64_t j = 0; j < rank_; ++j) {
        mixing_[i * rank_ + j] = static_cast<T>(matrix_[(rank_ - 1 - i) * rank_ + j] * scale(i, j));
      }
    }
    for (int64_t begin = 0; begin < length; begin += kPanel) {
      const int64_t count = std::min(kPanel, length - begin);
      for (int64_t i = 0; i < rank_; ++i) {
        std::copy_n(rows + i * length + begin, count, part_ + i * count);
      }
      blas().functions<T>().gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rank_), blas_size(count), blas_size(rank_),
                                 T{1}, mixing_, blas_size(rank_), part_, blas_size(count), T{0}, rows + begin, blas_size(length));
    }
  }
  [[nodiscard]] int64_t work_size() const { return 1 + 6 * rank_ + 2 * rank_ * rank_; }
  [[nodiscard]] int64_t integer_size() const { return 3 + 5 * rank_; }

  int64_t rank_;
  double* matrix_;
  double* values_;
  T* mixing_;
  T* part_;
  double* work_;
  lapack_int* integers_;
};

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_RAYLEIGH_RITZ_H
