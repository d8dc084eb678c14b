#include "restarted_lanczos.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "cpu/random/normals.h"
#include "cpu/support/blas.h"
#include "rows.h"

namespace threegate::svd {
namespace {

constexpr int kMostRestarts = 40;
constexpr int64_t kRoom = 2048;       // vectors beyond twice the wanted ones
constexpr int64_t kFewestBlocks = 6;  // beside the wanted vectors
constexpr int64_t kLarge = 2048;      // order from which a matrix does not stay in a cache

// A row of which projections leave less is rounding.
template <typename T>
constexpr double kLeastRest = std::is_same_v<T, float> ? 1e-6 : 1e-14;

// Larger blocks need a larger space and fewer passes over the matrix. Small matrices stay in a cache.
int64_t block_for(int64_t order, int64_t rank) { return order < kLarge ? 16 : rank < 64 ? 32 : 64; }

// The space and its next block are orthonormal, so that they have at most as many vectors as the matrix.
int64_t capacity_for(int64_t order, int64_t rank) {
  const int64_t block = block_for(order, rank);
  return std::min(2 * rank + kRoom, order - block) / block * block;
}

int64_t kept_for(int64_t order, int64_t rank) { return rank + (capacity_for(order, rank) - rank) / 4; }

}  // namespace

template <typename T>
RestartedLanczos<T>::RestartedLanczos(Arena& arena, const View& view, int64_t rank)
    : order_(view.short_side),
      rank_(rank),
      block_(block_for(order_, rank)),
      capacity_(capacity_for(order_, rank)),
      kept_(kept_for(order_, rank)),
      basis_(arena.take<T>((capacity_ + block_) * order_)),
      saved_(arena.take<T>(block_ * order_)),
      of_long_(arena.take<T>(block_ * view.long_side)),
      products_(arena.take<T>(block_ * capacity_)),
      overlap_(arena.take<T>(block_ * block_)),
      projected_(arena.take<T>(capacity_ * capacity_)),
      copy_(arena.take<T>(capacity_ * capacity_)),
      combinations_(arena.take<T>(kept_ * capacity_)),
      part_(arena.take<T>(capacity_ * kPanel)),
      random_(arena.take<float>(order_)),
      symmetric_(arena, capacity_, kept_) {}

template <typename T>
bool RestartedLanczos<T>::suits(int64_t order, int64_t rank) {
  return rank + kFewestBlocks * block_for(order, rank) <= capacity_for(order, rank);
}

template <typename T>
bool RestartedLanczos<T>::run(const View& view, SimdLevel level, const TiledProduct<T>& product, double tolerance, T* x) {
  std::fill_n(x, rank_ * order_, T{0});
  for (int64_t i = 0; i < block_; ++i) {
    random_row(level, row(i));
  }
  if (!append_block(level, 0)) {
    return false;
  }
  // The projected problem is solved rarely, because it costs the cube of its size. By the first time rounding has brought more
  // copies of repeated values into the space than a block has vectors.
  int64_t next = std::max(3 * rank_, 2 * rank_ + 12 * block_);
  int restarts = 0;
  for (;;) {
    check_cancelled(view);
    extend(view, product);
    const bool full = size_ + block_ > capacity_;
    if (size_ >= next || full) {
      const Progress progress = solve(level, full ? kept_ : rank_, tolerance);
      if (progress == Progress::kFailed) {
        return false;
      }
      if (progress == Progress::kConverged || (full && ++restarts > kMostRestarts)) {
        restart(rank_);
        std::copy_n(basis_, rank_ * order_, x);
        return true;
      }
      if (full) {
        restart(kept_);
      }
      next = size_ + std::max(2 * block_, size_ / 5);
    }
    if (!append_block(level, largest_)) {
      return false;
    }
  }
}

// Computes the image of the last block, without its part in the space. Its products with the space are the new rows of the
// projected matrix. They vanish but for the last two blocks, or for the vectors of a restart.
template <typename T>
void RestartedLanczos<T>::extend(const View& view, const TiledProduct<T>& product) {
  const int64_t last = size_ - block_;
  const int64_t first = last == restarted_ ? 0 : last - block_;
  const int64_t near = size_ - first;
  T* image = row(size_);
  product.to_long_side(view, block_, row(last), of_long_);
  product.to_short_side(view, block_, of_long_, image);
  for (int64_t i = 0; i < block_; ++i) {
    largest_ = std::max(largest_, norm(image + i * order_, order_));
  }
  project_out(row(first), near, block_, order_, image, products_);
  for (int64_t i = 0; i < block_; ++i) {
    T* out = projected_ + (last + i) * capacity_;
    std::fill_n(out, first, T{0});
    std::copy_n(products_ + i * near, near, out + first);
  }
}

// Computes leading eigenvectors of the projected matrix. The residual of such a vector is the image of its part in the last
// block.
template <typename T>
auto RestartedLanczos<T>::solve(SimdLevel level, int64_t count, double tolerance) -> Progress {
  for (int64_t i = 0; i < size_; ++i) {
    std::copy_n(projected_ + i * capacity_, size_, copy_ + i * size_);
  }
  if (!symmetric_.tridiagonalise(level, copy_, size_) || !symmetric_.leading_vectors(level, count, combinations_)) {
    return Progress::kFailed;
  }
  const auto first = static_cast<double>(symmetric_.values()[0]);
  const auto last = static_cast<double>(symmetric_.values()[rank_ - 1]);
  if (!(first > 0)) {
    return Progress::kFailed;
  }
  const double longest = longest_combination(row(size_), block_, order_, combinations_ + size_ - block_, size_, rank_, overlap_);
  // The residual of a triplet is that of the eigenvector divided by the singular value. Half of the tolerance is left for
  // rounding, and no more than rounding is asked for. Vectors with values far below the tolerance may be combined.
  const double least = std::max(last, tolerance * tolerance / 4 * first);
  const double rounding = 2 * static_cast<double>(std::numeric_limits<T>::epsilon()) * first;
  const bool converged = longest <= std::max(tolerance / 2 * std::sqrt(first * least), rounding);
  return converged ? Progress::kConverged : Progress::kGoesOn;
}

// Replaces the space by `count` of its leading vectors. The image stays after them.
template <typename T>
void RestartedLanczos<T>::restart(int64_t count) {
  for (int64_t begin = 0; begin < order_; begin += kPanel) {
    const int64_t some = std::min(kPanel, order_ - begin);
    for (int64_t i = 0; i < size_; ++i) {
      std::copy_n(row(i) + begin, some, part_ + i * some);
    }
    blas().functions<T>().gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(count), blas_size(some), blas_size(size_),
                               T{1}, combinations_, blas_size(size_), part_, blas_size(some), T{0}, basis_ + begin,
                               blas_size(order_));
  }
  std::copy_n(row(size_), block_ * order_, row(count));
  for (int64_t i = 0; i < count; ++i) {
    std::fill_n(projected_ + i * capacity_, i, T{0});
    projected_[i * capacity_ + i] = symmetric_.values()[i];
  }
  size_ = count;
  restarted_ = count;
}

// Makes the rows after the space orthonormal to it and appends them. They are what is left of rows of the given length.
template <typename T>
bool RestartedLanczos<T>::append_block(SimdLevel level, double whole) {
  constexpr bool kSingle = std::is_same_v<T, float>;
  // Rows of rounding have no direction of their own.
  const double least = kLeastRest<T> * whole;
  T* own = row(size_);
  bool fine = true;
  for (int64_t i = 0; i < block_; ++i) {
    fine = fine && norm(own + i * order_, order_) > least;
  }
  std::copy_n(own, block_ * order_, saved_);
  if (fine) {
    if constexpr (kSingle) {
      fine = orthonormalise_rows(level, basis_, size_, size_ + block_, order_, 2, products_, overlap_);
    } else {
      fine = orthonormalise_rows(basis_, size_, size_ + block_, order_, 2, products_, overlap_);
    }
  }
  if (fine) {
    blas().functions<T>().syrk(CblasRowMajor, CblasLower, CblasNoTrans, blas_size(block_), blas_size(order_), T{1}, own,
                               blas_size(order_), T{0}, overlap_, blas_size(block_));
    for (int64_t i = 0; i < block_; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        fine = fine && std::abs(static_cast<double>(overlap_[i * block_ + j]) - (i == j ? 1 : 0)) <= 1e-4;
      }
    }
  }
  if (!fine) {
    std::copy_n(saved_, block_ * order_, own);
    for (int64_t i = 0; i < block_; ++i) {
      if (!append_row(level, i, whole)) {
        return false;
      }
    }
  }
  size_ += block_;
  return true;
}

// Makes one row orthonormal to all before it. If nothing of it is left, a random one takes its place.
template <typename T>
bool RestartedLanczos<T>::append_row(SimdLevel level, int64_t i, double whole) {
  constexpr int kMostAttempts = 4;
  T* own = row(size_ + i);
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    const double before = std::max(attempt == 0 ? whole : 0, norm(own, order_));
    for (int pass = 0; pass < 2; ++pass) {
      project_out(basis_, size_ + i, 1, order_, own, products_);
    }
    const double rest = norm(own, order_);
    if (rest > kLeastRest<T> * before) {
      divide(own, order_, rest);
      // What the division has enlarged is removed.
      project_out(basis_, size_ + i, 1, order_, own, products_);
      divide(own, order_, norm(own, order_));
      return true;
    }
    random_row(level, own);
  }
  return false;
}

template <typename T>
void RestartedLanczos<T>::random_row(SimdLevel level, T* out) {
  random::normal_row(level, {0, 0, random::Purpose::kKrylov}, drawn_++, order_, random_);
  std::copy_n(random_, order_, out);
}

template class RestartedLanczos<float>;
template class RestartedLanczos<double>;

}  // namespace threegate::svd
