// The Gram matrix of the short side of a matrix, and its eigenproblem.
#ifndef THREEGATE_CPU_SVD_GRAM_MATRIX_H
#define THREEGATE_CPU_SVD_GRAM_MATRIX_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/operand.h"
#include "cpu/support/processor.h"
#include "cpu/support/simd_level.h"
#include "gram_bf16.h"
#include "panel.h"
#include "rows.h"
#include "symmetric.h"

namespace threegate::svd {

template <typename T>
class GramMatrix {
 public:
  // What the matrix keeps beside the one that is reduced.
  enum class Keep {
    kNothing,
    kCopy,            // with a diagonal in float64
    kCopyAndSquares,  // with a diagonal that is also summed in float64
  };

  GramMatrix(Arena& arena, const View& view, int64_t rank, Keep keep)
      : order_(view.short_side),
        matrix_(arena.take<T>(order_ * order_)),
        symmetric_(arena, order_, rank),
        packed_(arena.take<uint16_t>(std::is_same_v<T, float> ? packed_entries(order_) : 0)),
        copy_(arena.take<T>(keep != Keep::kNothing ? order_ * order_ : 0)),
        squares_(arena.take<double>(keep != Keep::kNothing ? order_ : 0)),
        keep_(keep) {}

  void form(const View& view, [[maybe_unused]] SimdLevel level, T* panel) {
    std::fill_n(matrix_, order_ * order_, T{0});
    std::fill_n(squares_, keep_ != Keep::kNothing ? order_ : 0, 0.0);
    if constexpr (kHasAvx512 && std::is_same_v<T, float>) {
      if (level == SimdLevel::kAvx512 && has_bf16_dot() && is_plain_bf16(view)) {
        for (int64_t begin = 0; begin < view.long_side; begin += kDotPanel) {
          check_cancelled(view);
          pack(view, begin, std::min(kDotPanel, view.long_side - begin), packed_);
          add_products_avx512(packed_, order_, matrix_);
          if (keep_ == Keep::kCopyAndSquares) {
            add_packed_squares(packed_, order_, squares_);
          }
        }
        keep_copy();
        return;
      }
    }
    for_panels(view, panel, [&](int64_t, int64_t count) {
      blas().functions<T>().syrk(CblasRowMajor, CblasLower, view.tall ? CblasTrans : CblasNoTrans, blas_size(order_),
                                 blas_size(count), T{1}, panel, blas_size(view.tall ? order_ : count), T{1}, matrix_,
                                 blas_size(order_));
      add_squares(view, count, panel);
    });
    keep_copy();
  }

  // The entries below the diagonal and the diagonal, also after the matrix was reduced. The diagonal of the copy is zero.
  [[nodiscard]] const T* copy() const { return copy_; }
  [[nodiscard]] const double* diagonal() const { return squares_; }

  bool tridiagonalise(SimdLevel level) { return symmetric_.tridiagonalise(level, matrix_, order_); }

  // Computes all singular values, descending. Returns false if LAPACK failed.
  bool all_values(double* sigma) {
    if (!symmetric_.all_values()) {
      return false;
    }
    for (int64_t i = 0; i < order_; ++i) {
      sigma[i] = std::sqrt(std::max<double>(symmetric_.values()[order_ - 1 - i], 0));
    }
    return true;
  }

  // Writes the leading eigenvectors as rows of `x`, the first one first.
  bool leading_vectors(SimdLevel level, int64_t rank, T* x) { return symmetric_.leading_vectors(level, rank, x); }

  // Fills the upper triangle and returns the whole matrix.
  const T* whole() {
    constexpr int64_t kSquare = 32;
    for (int64_t i = 0; i < order_; i += kSquare) {
      for (int64_t j = 0; j <= i; j += kSquare) {
        for (int64_t k = i; k < std::min(i + kSquare, order_); ++k) {
          for (int64_t l = j; l < std::min(j + kSquare, k); ++l) {
            matrix_[l * order_ + k] = matrix_[k * order_ + l];
          }
        }
      }
    }
    return matrix_;
  }

 private:
  // Adds the squares of a panel to the diagonal in float64. They are all positive, and their sums in float32 have a bias.
  void add_squares(const View& view, int64_t count, const T* panel) {
    for (int64_t i = 0; keep_ == Keep::kCopyAndSquares && i < (view.tall ? count : order_); ++i) {
      if (view.tall) {
        for (int64_t j = 0; j < order_; ++j) {
          const auto entry = static_cast<double>(panel[i * order_ + j]);
          squares_[j] += entry * entry;
        }
      } else {
        const double length = norm(panel + i * count, count);
        squares_[i] += length * length;
      }
    }
  }

  void keep_copy() {
    for (int64_t i = 0; keep_ != Keep::kNothing && i < order_; ++i) {
      std::copy_n(matrix_ + i * order_, i, copy_ + i * order_);
      copy_[i * order_ + i] = 0;
      T& diagonal = matrix_[i * order_ + i];
      if (keep_ == Keep::kCopyAndSquares) {
        diagonal = static_cast<T>(squares_[i]);
      } else {
        squares_[i] = static_cast<double>(diagonal);
      }
    }
  }

  int64_t order_;
  T* matrix_;
  Symmetric<T> symmetric_;
  uint16_t* packed_;
  T* copy_;
  double* squares_;
  Keep keep_;
};

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_GRAM_MATRIX_H
