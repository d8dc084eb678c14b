#include "block_lanczos.h"

#include <algorithm>
#include <cmath>

#include "cpu/random/normals.h"
#include "cpu/support/blas.h"
#include "rows.h"
#include "thin_product.h"

namespace threegate::svd {
namespace {

// The largest dimension of the space relative to that of the matrix. Beyond it a tridiagonalisation is no slower.
constexpr double kLargestShare = 0.5;
// The method pays for up to one vector in kFew.
constexpr int64_t kFew = 16;
// From this order on a matrix does not stay in a cache, so that larger blocks are faster, though they need a larger space.
constexpr int64_t kLarge = 2048;
// Below it the method pays from this order on, for up to one vector in kFewer.
constexpr int64_t kMedium = 1024;
constexpr int64_t kFewer = 24;

int64_t block_for(int64_t order, int64_t rank) { return order < kLarge ? kThinRows : rank < 64 ? 16 : 32; }

int64_t capacity_for(int64_t order, int64_t rank) {
  const int64_t block = block_for(order, rank);
  const bool few = order >= kMedium && (order < kLarge ? kFewer : kFew) * rank <= order;
  return few ? static_cast<int64_t>(kLargestShare * static_cast<double>(order)) / block * block : 0;
}

// Few vectors of a matrix that is nearly square need fewer products than its Gram matrix has.
constexpr int64_t kFewest = 32;
constexpr int64_t kNearlySquare = 2;

bool avoids_gram(const View& view, int64_t rank) {
  return view.short_side < kLarge && capacity_for(view.short_side, rank) > 0 && kFewest * rank <= view.short_side &&
         view.long_side <= kNearlySquare * view.short_side;
}

}  // namespace

BlockLanczos::BlockLanczos(Arena& arena, const View& view, int64_t rank)
    : order_(view.short_side),
      rank_(rank),
      block_(block_for(order_, rank)),
      capacity_(rank > 0 ? capacity_for(order_, rank) : 0),
      basis_(arena.take<float>(capacity_ > 0 ? (capacity_ + block_) * order_ : 0)),
      products_(arena.take<float>(block_ * capacity_)),
      overlap_(arena.take<float>(block_ * block_)),
      thin_copy_(arena.take<float>(capacity_ > 0 ? thin_copy_size(block_, view.long_side) : 0)),
      entries_(rank > 0 && avoids_gram(view, rank) ? arena.take<float>(order_ * view.long_side) : nullptr),
      of_long_(rank > 0 && avoids_gram(view, rank) ? arena.take<float>(block_ * view.long_side) : nullptr),
      projected_(arena.take<float>(capacity_ * capacity_)),
      copy_(arena.take<float>(capacity_ * capacity_)),
      combinations_(arena.take<float>(rank * capacity_)),
      symmetric_(arena, capacity_, capacity_ > 0 ? rank : 0) {}

bool BlockLanczos::suits(SimdLevel level) const { return capacity_ > 0 && (block_ > kThinRows || has_thin_product(level)); }

bool BlockLanczos::suits_without_gram(SimdLevel level) const {
  return entries_ != nullptr && has_thin_product(level) && level != SimdLevel::kAvx512;
}

bool BlockLanczos::run(const View& view, SimdLevel level, const float* gram, double tolerance, float* x) {
  if (gram == nullptr) {
    read_panel(view, 0, view.long_side, entries_);
  }
  const random::Stream stream{0, 0, random::Purpose::kKrylov};
  for (int64_t i = 0; i < block_; ++i) {
    random::normal_row(level, stream, i, order_, row(i));
  }
  if (!orthonormalise_rows(level, basis_, 0, block_, order_, 0, products_, overlap_)) {
    return false;
  }
  // The projected problem is solved rarely, because it costs the cube of its size.
  int64_t next = block_ == kThinRows ? 6 * rank_ + 16 * block_ : std::max(3 * rank_, 2 * rank_ + 12 * block_);
  for (int64_t size = block_; size <= capacity_; size += block_) {
    check_cancelled(view);
    extend(view, level, gram, size);
    if (size >= next) {
      bool converged = false;
      if (!solve(level, size, converged, tolerance)) {
        return false;
      }
      if (converged) {
        blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rank_), blas_size(order_), blas_size(size), 1.0F,
                           combinations_, blas_size(size), basis_, blas_size(order_), 0.0F, x, blas_size(order_));
        return true;
      }
      next = size + std::max(block_, size / (block_ == kThinRows ? 8 : 5));
    }
    // The last two blocks are subtracted already. With one more projection the components that matter are projected twice.
    if (size < capacity_ && !orthonormalise_rows(level, basis_, size, size + block_, order_, 1, products_, overlap_,
                                                 block_ == kThinRows ? thin_copy_ : nullptr)) {
      return false;
    }
  }
  return false;
}

// image = rows * A^T A, up to the order of the sides.
void BlockLanczos::multiply(const View& view, SimdLevel level, const float* gram, const float* rows, float* image) const {
  if (gram != nullptr) {
    thin_product(level, block_, order_, order_, rows, gram, thin_copy_, image);
    return;
  }
  // One of the two products is subtracted from zero, so that the sign is wrong until the end.
  if (view.tall) {
    thin_product(level, block_, order_, view.long_side, rows, entries_, thin_copy_, of_long_);
    std::fill_n(image, block_ * order_, 0.0F);
    thin_subtract(level, block_, order_, view.long_side, of_long_, entries_, image);
  } else {
    std::fill_n(of_long_, block_ * view.long_side, 0.0F);
    thin_subtract(level, block_, view.long_side, order_, rows, entries_, of_long_);
    thin_product(level, block_, view.long_side, order_, of_long_, entries_, thin_copy_, image);
  }
  for (int64_t i = 0; i < block_ * order_; ++i) {
    image[i] = -image[i];
  }
}

// Appends the image of the last block, without its part in the space. Its products with the last two blocks are the new rows of
// the projected matrix.
void BlockLanczos::extend(const View& view, SimdLevel level, const float* gram, int64_t size) {
  const int64_t first = std::max<int64_t>(0, size - 2 * block_);
  const int64_t near = size - first;
  float* image = row(size);
  multiply(view, level, gram, row(size - block_), image);
  thin_product(level, block_, order_, near, image, row(first), thin_copy_, products_);
  thin_subtract(level, block_, order_, near, products_, row(first), image);
  for (int64_t i = 0; i < block_; ++i) {
    float* out = projected_ + (size - block_ + i) * capacity_;
    std::fill_n(out, first, 0.0F);
    std::copy_n(products_ + i * near, near, out + first);
  }
}

// Computes leading eigenvectors of the projected matrix. The residual of such a vector is the image of its part in the last
// block.
bool BlockLanczos::solve(SimdLevel level, int64_t size, bool& converged, double tolerance) {
  for (int64_t i = 0; i < size; ++i) {
    std::copy_n(projected_ + i * capacity_, size, copy_ + i * size);
  }
  if (!symmetric_.tridiagonalise(level, copy_, size) || !symmetric_.leading_vectors(level, rank_, combinations_)) {
    return false;
  }
  const auto first = static_cast<double>(symmetric_.values()[0]);
  const auto last = static_cast<double>(symmetric_.values()[rank_ - 1]);
  if (!(last > 0)) {
    return false;
  }
  const double longest = longest_combination(row(size), block_, order_, combinations_ + size - block_, size, rank_, overlap_);
  // The residual of a triplet is that of the eigenvector divided by the singular value. Half of the tolerance is left for
  // rounding.
  converged = longest <= tolerance / 2 * std::sqrt(first * last);
  return true;
}

}  // namespace threegate::svd
