// The symmetric eigenproblem by tridiagonalisation.
#ifndef THREEGATE_CPU_SVD_SYMMETRIC_H
#define THREEGATE_CPU_SVD_SYMMETRIC_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/simd_level.h"
#include "reduction.h"
#include "tridiagonal.h"
#include "two_stages.h"

namespace threegate::svd {

static_assert(kReductionPanel + kReductionParts <= 64);
constexpr int64_t kLapackBlock = 64;  // the block size of LAPACK, which determines the workspace of its blocked routines

template <typename T>
class Symmetric {
 public:
  // For matrices of up to `capacity` rows and for up to `rank` of their eigenvectors.
  Symmetric(Arena& arena, int64_t capacity, int64_t rank)
      : work_size_(kLapackBlock * (capacity + rank) + 18 * capacity),
        diagonal_(arena.take<T>(capacity)),
        off_diagonal_(arena.take<T>(capacity)),
        copy_(arena.take<T>(2 * capacity)),
        reflectors_(arena.take<T>(capacity)),
        values_(arena.take<T>(capacity)),
        support_(arena.take<lapack_int>(2 * capacity)),
        work_(arena.take<T>(work_size_)),
        integers_(arena.take<lapack_int>(10 * capacity)),
        tridiagonal_(arena, std::is_same_v<T, float> ? capacity : 0),
        two_stages_(arena, capacity >= kLeastForTwoStages ? capacity : 0, capacity >= kLeastForTwoStages ? rank : 0) {}

  // Reduces a matrix to tridiagonal form. Takes the lower triangle of a row-major matrix, which is the upper one in column-major
  // order. All of the matrix is overwritten and must stay valid.
  bool tridiagonalise(SimdLevel level, T* matrix, int64_t order) {
    matrix_ = matrix;
    order_ = order;
    in_two_stages_ = pays_in_two_stages<T>(level, order);
    if (in_two_stages_) {
      two_stages_.reduce(level, order, matrix, diagonal_, off_diagonal_);
      return true;
    }
    return reduce_to_tridiagonal(level, order_, matrix_, diagonal_, off_diagonal_, reflectors_, work_);
  }

  // Computes all eigenvalues, ascending. Returns false if LAPACK failed.
  bool all_values() {
    std::copy_n(diagonal_, order_, values_);
    std::copy_n(off_diagonal_, order_ - 1, copy_);
    return blas().functions<T>().sterf(blas_size(order_), values_, copy_) == 0;
  }

  // Writes the `rank` leading eigenvectors as rows of `x`, the first one first. Their values are then in values().
  bool leading_vectors(SimdLevel level, int64_t rank, T* x) {
    bool found = false;
    if constexpr (std::is_same_v<T, float>) {
      found = tridiagonal_.run(level, order_, diagonal_, off_diagonal_, rank, values_, x);
    }
    // Inverse iteration may fail where all values are equal up to rounding.
    if (!(found || (rank <= order_ / 2 && by_inverse_iteration(rank, x)) || by_representations(rank, x)) || !transform(rank, x)) {
      return false;
    }
    // Values ascend within each block of a tridiagonal matrix that falls into blocks. They must descend over all.
    for (int64_t i = 0; i < rank; ++i) {
      const int64_t largest = std::max_element(values_ + i, values_ + rank) - values_;
      if (largest != i) {
        std::swap(values_[i], values_[largest]);
        std::swap_ranges(x + i * order_, x + (i + 1) * order_, x + largest * order_);
      }
    }
    return true;
  }

  [[nodiscard]] const T* values() const { return values_; }

 private:
  // Turns vectors of the tridiagonal matrix into those of the matrix.
  bool transform(int64_t rank, T* x) {
    if (in_two_stages_) {
      two_stages_.transform(rank, x);
      return true;
    }
    return blas().functions<T>().ormtr(LAPACK_COL_MAJOR, 'L', 'U', 'N', blas_size(order_), blas_size(rank), matrix_,
                                       blas_size(order_), reflectors_, x, blas_size(order_), work_, blas_size(work_size_)) == 0;
  }

  // Inverse iteration. It is about ten times more accurate than the other method, and its cost grows with the square of the rank.
  bool by_inverse_iteration(int64_t rank, T* x) {
    lapack_int* failed = integers_ + 4 * order_;
    // Bisection finds values one by one. For many of them the QL iteration, which finds all, is faster.
    constexpr int64_t kFew = 8;
    const bool found = kFew * rank >= order_ && is_connected() ? last_values(rank) : bisect(rank);
    std::copy_n(diagonal_, order_, copy_);
    std::copy_n(off_diagonal_, order_ - 1, copy_ + order_);
    return found &&
           blas().functions<T>().stein(LAPACK_COL_MAJOR, blas_size(order_), copy_, copy_ + order_, blas_size(rank), values_,
                                       support_, support_ + order_, x, blas_size(order_), work_, integers_, failed) == 0;
  }

  // Returns whether the tridiagonal matrix is clearly a single block.
  [[nodiscard]] bool is_connected() const {
    for (int64_t i = 0; i + 1 < order_; ++i) {
      const T product = std::abs(diagonal_[i] * diagonal_[i + 1]);
      if (!(std::abs(off_diagonal_[i]) > 16 * std::numeric_limits<T>::epsilon() * std::sqrt(product))) {
        return false;
      }
    }
    return true;
  }

  bool last_values(int64_t rank) {
    if (!all_values()) {
      return false;
    }
    std::copy_n(values_ + order_ - rank, rank, values_);
    std::fill_n(support_, rank, lapack_int{1});
    support_[order_] = blas_size(order_);
    return true;
  }

  bool bisect(int64_t rank) {
    std::copy_n(diagonal_, order_, copy_);
    std::copy_n(off_diagonal_, order_ - 1, copy_ + order_);
    lapack_int found = 0;
    lapack_int block_count = 0;
    return blas().functions<T>().stebz('I', 'B', blas_size(order_), T{0}, T{0}, blas_size(order_ - rank + 1), blas_size(order_),
                                       T{0}, copy_, copy_ + order_, &found, &block_count, values_, support_, support_ + order_,
                                       work_, integers_) == 0 &&
           found == rank;
  }

  // The method of multiple relatively robust representations.
  bool by_representations(int64_t rank, T* x) {
    std::copy_n(diagonal_, order_, copy_);
    std::copy_n(off_diagonal_, order_ - 1, copy_ + order_);
    lapack_int found = 0;
    lapack_logical accurate = 1;
    return blas().functions<T>().stemr(LAPACK_COL_MAJOR, 'V', 'I', blas_size(order_), copy_, copy_ + order_, T{0}, T{0},
                                       blas_size(order_ - rank + 1), blas_size(order_), &found, values_, x, blas_size(order_),
                                       blas_size(rank), support_, &accurate, work_, blas_size(work_size_), integers_,
                                       blas_size(10 * order_)) == 0 &&
           found == rank;
  }

  int64_t work_size_;
  int64_t order_ = 0;
  bool in_two_stages_ = false;
  T* matrix_ = nullptr;
  T* diagonal_;
  T* off_diagonal_;
  T* copy_;
  T* reflectors_;
  T* values_;
  lapack_int* support_;
  T* work_;
  lapack_int* integers_;
  Tridiagonal tridiagonal_;
  TwoStages<T> two_stages_;
};

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_SYMMETRIC_H
