#include "change_tracking.h"

#include <algorithm>
#include <cmath>

#include "bf16_products.h"
#include "changes.h"
#include "common/dtype.h"
#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/crew.h"
#include "cpu/support/operand.h"
#include "gram_bf16.h"
#include "implicit_gram.h"
#include "output.h"
#include "rows.h"
#include "singular_vectors.h"
#include "tolerance.h"

namespace threegate::svd {
namespace {

constexpr int64_t kGuards = 16;     // triplets of the base below the leading ones
constexpr int64_t kLeastShare = 5;  // short side over rank, as for any tracked solve
constexpr double kMostGain = 3;     // of a correction. Residuals beyond it are left to a solve without the base

// What the rounding of float32 adds to a residual, relative to the first singular value. It is an estimate: entries of vectors
// and of products are rounded by 6e-8 of their sizes, and sums by a few times that.
constexpr double kRounding = 2e-6;

// The base A has the triplets A x = s y. With D, the matrix of the changes, (A + D) x = s y + D x, and the same for the other
// side. So a two-sided Rayleigh-Ritz step needs products with D only, and the residuals of its triplets are known: what D x and
// D^T y have beyond the vectors of the base. The base's own residual is added, times the sum of |weights|.
//
// A residual above the tolerance is moved into the vectors: x + a r_x / sigma and y + b r_y / sigma. The new residuals are
// (1 - b) r_y + a A r_x / sigma and (1 - a) r_x + b A^T r_y / sigma, where A is the new matrix. One pass multiplies both, and a
// and b minimise the sum of squares. This converges like Jacobi's method: by the ratio of a typical singular value to sigma.
//
// The norm of D bounds what is outside of the vectors of the base: no direction there has a value above the first one that was
// left out plus that norm. So the triplets are the leading ones if they are above it.
class ChangeTracking {
 public:
  ChangeTracking(Arena& arena, const View& view, const tg_svd_options& options)
      : rank_(options.rank),
        block_(rank_ + kGuards),
        width_((block_ + kChangeLanes - 1) / kChangeLanes * kChangeLanes),
        order_(view.short_side),
        length_(view.long_side),
        changes_(take_changes(arena, view.operand->values.rows, view.operand->values.columns)),
        sums_(arena.take<double>(view.operand->values.columns)),
        of_short_(arena.take<float>(width_ * order_)),
        of_long_(arena.take<float>(width_ * length_)),
        back_(arena.take<float>(width_ * order_)),
        images_(arena.take<float>(width_ * length_)),
        coupling_(arena.take<float>(block_ * block_)),
        projected_(arena.take<double>(block_ * block_)),
        square_(arena.take<double>(block_ * block_)),
        values_(arena.take<double>(block_)),
        work_(arena.take<double>(work_size())),
        integers_(arena.take<lapack_int>(integer_size())),
        weights_(arena.take<double>(2 * rank_ * block_)),
        narrow_(arena.take<float>(rank_ * block_)),
        found_(take_vectors<float>(arena, view, rank_)),
        short_residuals_(arena.take<float>(rank_ * order_)),
        long_residuals_(arena.take<float>(rank_ * length_)),
        long_images_(arena.take<float>(rank_ * length_)),
        errors_(arena.take<double>(rank_)),
        short_steps_(arena.take<float>(rank_ * order_)),
        long_steps_(arena.take<float>(rank_ * length_)),
        gram_(arena, rank_, order_),
        products_(arena, view, rank_) {}

  bool run(const View& view, SimdLevel level, const tg_svd_options& options, const tg_svd_start& start, tg_svd_result& result) {
    if (!find_changes(start.base->values, view.operand->values, changes_)) {
      return false;
    }
    read_vectors(start.basis, of_short_);
    read_vectors(start.images, of_long_);
    multiply_changes(level, changes_,
                     view.tall ? ChangeVectors{width_, of_long_, of_short_, images_, back_}
                               : ChangeVectors{width_, of_short_, of_long_, back_, images_});
    if (!combine(start) || found_.sigma[rank_ - 1] < start.values[block_] + norm_bound(changes_, sums_)) {
      return false;
    }
    double residual = residual_of([&](int64_t i) {
      return std::max(norm(short_residuals_ + i * order_, order_), norm(long_residuals_ + i * length_, length_));
    });
    if (residual > kMostGain * options.tolerance) {
      return false;
    }
    if (residual > options.tolerance) {
      multiply_residuals(view, level);
      residual = residual_of([&](int64_t i) { return correct(i); });
    }
    const Certificate certificate{residual, orthogonality_error(view, rank_, found_)};
    if (!certificate.within(options.tolerance)) {
      return false;
    }
    write_triplets(view, options, found_, certificate, result);
    result.method = TG_SVD_TRACKED;
    return true;
  }

 private:
  // Reads the first vectors of a side. Those beyond the block are zero.
  void read_vectors(const tg_matrix& from, float* out) const {
    constexpr int64_t kPart = 64;  // entries of which the rows of `out` stay in the first-level cache
    in_parts((from.columns + kPart - 1) / kPart, [&](int64_t part) {
      const int64_t begin = part * kPart;
      const int64_t count = std::min(kPart, from.columns - begin);
      std::fill_n(out + begin * width_, count * width_, 0.0F);
      for (int64_t i = 0; i < block_; ++i) {
        const uint8_t* row = element_address(from, i, begin);
        float* to = out + begin * width_ + i;
        for (int64_t j = 0; j < count; ++j) {
          to[j * width_] = from.dtype == TG_F32 ? load<float>(row + 4 * j) : static_cast<float>(load<double>(row + 8 * j));
        }
      }
    });
  }

  // Computes the leading triplets of the projected matrix, their vectors and residuals. Returns false if a value is not positive.
  bool combine(const tg_svd_start& start) {
    blas().single.gemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_size(block_), blas_size(block_), blas_size(order_), 1.0F,
                       back_, blas_size(width_), of_short_, blas_size(width_), 0.0F, coupling_, blas_size(block_));
    std::copy_n(coupling_, block_ * block_, projected_);
    for (int64_t i = 0; i < block_; ++i) {
      projected_[i * block_ + i] += start.values[i];
    }
    const lapack_int size = blas_size(block_);
    blas().wide.gemm(CblasRowMajor, CblasTrans, CblasNoTrans, size, size, size, 1.0, projected_, size, projected_, size, 0.0,
                     square_, size);
    if (blas().wide.syevd(LAPACK_COL_MAJOR, 'V', 'U', size, square_, size, values_, work_, blas_size(work_size()), integers_,
                          blas_size(integer_size())) != 0 ||
        !(values_[block_ - rank_] > 0)) {
      return false;
    }
    double* of_short = weights_;
    double* of_long = weights_ + rank_ * block_;
    for (int64_t i = 0; i < rank_; ++i) {
      found_.sigma[i] = std::sqrt(values_[block_ - 1 - i]);
      std::copy_n(square_ + (block_ - 1 - i) * block_, block_, of_short + i * block_);
    }
    blas().wide.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rank_), size, size, 1.0, of_short, size, projected_, size,
                     0.0, of_long, size);
    const double error = start.residual * start.values[0];
    for (int64_t i = 0; i < rank_; ++i) {
      divide(of_long + i * block_, block_, found_.sigma[i]);
      double sum_short = 0;
      double sum_long = 0;
      for (int64_t j = i * block_; j < (i + 1) * block_; ++j) {
        sum_short += std::abs(of_short[j]);
        sum_long += std::abs(of_long[j]);
      }
      errors_[i] = error * std::max(sum_short, sum_long);
    }
    // What the vectors of the base have of D x and D^T y is part of the triplets, and subtracted.
    const auto beyond = [&](const double* own, const double* other) {
      for (int64_t i = 0; i < rank_; ++i) {
        for (int64_t j = 0; j < block_; ++j) {
          const int64_t at = i * block_ + j;
          narrow_[at] = static_cast<float>(start.values[j] * other[at] - found_.sigma[i] * own[at]);
        }
      }
    };
    const auto narrow = [&](const double* weights) {
      std::transform(weights, weights + rank_ * block_, narrow_, [](double weight) { return static_cast<float>(weight); });
    };
    narrow(of_short);
    mix(of_short_, order_, 0, found_.x);
    mix(images_, length_, 0, long_residuals_);
    narrow(of_long);
    mix(of_long_, length_, 0, found_.y);
    mix(back_, order_, 0, short_residuals_);
    beyond(of_short, of_long);
    mix(of_short_, order_, 1, short_residuals_);
    beyond(of_long, of_short);
    mix(of_long_, length_, 1, long_residuals_);
    return true;
  }

  // out = factor * out + narrow_ * vectors^T.
  void mix(const float* vectors, int64_t length, float factor, float* out) const {
    blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rank_), blas_size(length), blas_size(block_), 1.0F,
                       narrow_, blas_size(block_), vectors, blas_size(width_), factor, out, blas_size(length));
  }

  // The largest residual relative to the first singular value, with what the base and rounding add.
  template <typename Length>
  double residual_of(Length length_of) {
    double largest = 0;
    for (int64_t i = 0; i < rank_; ++i) {
      largest = std::max(largest, length_of(i) + errors_[i]);
    }
    return largest / found_.sigma[0] + kRounding;
  }

  // Multiplies the residuals of both sides with the matrix, in one pass. Steps are rounded to bf16 where that makes products
  // faster. Nothing else is inexact, because the vectors take the rounded steps.
  void multiply_residuals(const View& view, SimdLevel level) const {
    const auto round = [](const float* from, int64_t count, float* to) {
      std::transform(from, from + count, to, [](float entry) { return bf16_to_float(float_to_bf16(entry)); });
    };
    if (has_bf16_products(level, view)) {
      round(short_residuals_, rank_ * order_, short_steps_);
      round(long_residuals_, rank_ * length_, long_steps_);
      products_.run(view, short_steps_, long_steps_, long_images_, found_.z);
      return;
    }
    std::copy_n(short_residuals_, rank_ * order_, short_steps_);
    std::copy_n(long_residuals_, rank_ * length_, long_steps_);
    gram_.run(
        level, view, rank_, short_residuals_,
        [&](int64_t begin, int64_t count, int64_t stride, float* products) {
          for (int64_t row = 0; row < rank_; ++row) {
            const int64_t at = row * length_ + begin;
            for (int64_t i = 0; i < count; ++i) {
              long_images_[at + i] = products[i * stride + row];
              products[i * stride + row] = long_residuals_[at + i];
            }
          }
        },
        found_.z);
  }

  // Corrects the vectors of triplet i, and returns the length of its larger residual.
  double correct(int64_t i) const {
    const double sigma = found_.sigma[i];
    float* x = found_.x + i * order_;
    float* y = found_.y + i * length_;
    const float* of_short = short_steps_ + i * order_;
    const float* of_long = long_steps_ + i * length_;
    const float* back = found_.z + i * order_;
    const float* images = long_images_ + i * length_;
    const auto product = [](const float* a, const float* b, int64_t count) {
      return sum_in_lanes(count, [&](int64_t j) { return static_cast<double>(a[j]) * static_cast<double>(b[j]); });
    };
    const double both = product(of_short, back, order_) / sigma;  // the same as that of the long side
    const double short_square = product(of_short, of_short, order_);
    const double long_square = product(of_long, of_long, length_);
    const double of_a = product(images, images, length_) / (sigma * sigma) + short_square;
    const double of_b = product(back, back, order_) / (sigma * sigma) + long_square;
    const double determinant = of_a * of_b - 4 * both * both;
    if (!(determinant > 0)) {
      return std::sqrt(std::max(short_square, long_square));
    }
    const double a = ((short_square - both) * of_b + 2 * both * (long_square - both)) / determinant;
    const double b = ((long_square - both) * of_a + 2 * both * (short_square - both)) / determinant;
    const auto move = [&](int64_t count, double own, double other, const float* residual, const float* step,
                          const float* product_of_other, float* vector) {
      return std::sqrt(sum_in_lanes(count, [&](int64_t j) {
        const double moved = own * static_cast<double>(step[j]);
        vector[j] = static_cast<float>(static_cast<double>(vector[j]) + moved / sigma);
        const double rest = static_cast<double>(residual[j]) - moved + other / sigma * static_cast<double>(product_of_other[j]);
        return rest * rest;
      }));
    };
    const double short_length = move(order_, a, b, short_residuals_ + i * order_, of_short, back, x);
    return std::max(short_length, move(length_, b, a, long_residuals_ + i * length_, of_long, images, y));
  }

  [[nodiscard]] int64_t work_size() const { return 1 + 6 * block_ + 2 * block_ * block_; }
  [[nodiscard]] int64_t integer_size() const { return 3 + 5 * block_; }

  int64_t rank_;
  int64_t block_;  // the leading vectors and the guards
  int64_t width_;
  int64_t order_;
  int64_t length_;
  Changes changes_;
  double* sums_;
  float* of_short_;  // vectors of the base, order x width
  float* of_long_;   // length x width
  float* back_;      // order x width: D^T times of_long_
  float* images_;    // length x width: D times of_short_
  float* coupling_;
  double* projected_;  // the matrix between the vectors of the base; rows belong to the long side
  double* square_;
  double* values_;
  double* work_;
  lapack_int* integers_;
  double* weights_;  // of the vectors of the base, for those found: of the short side, and then of the long side
  float* narrow_;
  Vectors<float> found_;
  float* short_residuals_;  // rank x order: A^T y - sigma x
  float* long_residuals_;   // rank x length: A x - sigma y
  float* long_images_;      // rank x length: A times short_steps_
  double* errors_;          // what the residual of the base adds to those
  float* short_steps_;      // the residuals as they are multiplied and moved
  float* long_steps_;
  ImplicitGram<float> gram_;
  Bf16Products products_;
};

bool suits(const View& view, const tg_svd_options& options, const tg_svd_start& start) {
  const int64_t block = options.rank + kGuards;
  return start.base != nullptr && is_plain_bf16(view) && start.base->values.dtype == TG_BF16 && is_plain(*start.base) &&
         options.tolerance >= kSingleTolerance && kLeastShare * options.rank <= view.short_side && block < view.short_side &&
         block <= start.images.rows;
}

}  // namespace

int64_t change_tracking_bytes(const View& view, const tg_svd_options& options, const tg_svd_start& start) {
  if (!suits(view, options, start)) {
    return 0;
  }
  Arena arena;
  const ChangeTracking tracking(arena, view, options);
  return arena.used();
}

bool track_changes(const View& view, SimdLevel level, const tg_svd_options& options, const tg_svd_start& start, void* workspace,
                   tg_svd_result& result) {
  if (!suits(view, options, start)) {
    return false;
  }
  Arena arena(workspace);
  return ChangeTracking(arena, view, options).run(view, level, options, start, result);
}

}  // namespace threegate::svd
