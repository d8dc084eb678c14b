#include "tracking.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/random/normals.h"
#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/operand.h"
#include "implicit_gram.h"
#include "output.h"
#include "probed_certificate.h"
#include "rayleigh_ritz.h"
#include "rows.h"
#include "singular_vectors.h"
#include "tolerance.h"

namespace threegate::svd {
namespace {

// Rayleigh-Ritz on the span of the leading vectors of the start and some guards below them, whose results are corrected: each
// residual is divided in the basis of the start by the differences of its eigenvalues. That is first-order perturbation theory
// and squares the error (Davidson, 1975; Olsen et al., 1990). The guards keep these differences away from zero. Loose tolerances
// need neither guards nor all directions of the basis: where differences are nearly equal, one factor divides them all. Another
// Rayleigh-Ritz step combines the corrected vectors with a few random directions after two multiplications. They find components
// that the start does not contain.
class Tracking {
 public:
  Tracking(Arena& arena, const View& view, const tg_svd_options& options)
      : rank_(options.rank),
        order_(view.short_side),
        tolerance_(options.tolerance),
        loose_(options.tolerance >= kLooseTolerance),
        wide_(options.tolerance < kSingleTolerance),
        block_(rank_ + (loose_ ? 0 : std::clamp<int64_t>(order_ - rank_ - kProbes, 0, kGuards))),
        gram_(arena, block_ + kProbes, order_),
        from_(take_vectors<float>(arena, view, block_ + kProbes)),
        found_(take_vectors<float>(arena, view, block_)),
        guards_(arena.take<float>((block_ - rank_) * order_)),
        guard_squares_(arena.take<double>(block_ - rank_)),
        residuals_(arena.take<float>(rank_ * order_)),
        products_(arena.take<float>(kProbes * rank_)),
        noise_(arena.take<double>(rank_)),
        rest_(arena.take<double>(rank_)),
        matrix_(arena.take<double>((block_ + kProbes) * (block_ + kProbes))),
        mixing_(arena.take<float>(block_ * (block_ + kProbes))),
        largest_(arena.take<int64_t>(block_)),
        values_(arena.take<double>(block_ + kProbes)),
        work_(arena.take<double>(work_size())),
        integers_(arena.take<lapack_int>(integer_size())),
        probed_(arena, view, wide_ ? rank_ : 0, true),
        finished_(wide_ ? take_vectors<double>(arena, view, rank_) : Vectors<double>{}),
        ritz_(arena, wide_ ? rank_ : 1) {}

  // Returns false if it did not reach the tolerance.
  bool run(const View& view, SimdLevel level, const tg_svd_options& options, const tg_svd_start& start, tg_svd_result& result) {
    // With a long side, float64 certificates cost more than the Gram matrix.
    const bool costly = wide_ && view.long_side > kLong * order_;
    if (order_ < 2 * rank_ + kProbes || rank_ > (costly ? (order_ - 1) / kLeastShareIfCostly : order_ / kLeastShare)) {
      return false;
    }
    read_basis(start, 0, block_, order_, from_.x);
    const random::Stream stream{0, 0, random::Purpose::kProbe};
    for (int64_t i = 0; i < kProbes; ++i) {
      random::normal_row(level, stream, i, order_, from_.x + (block_ + i) * order_);
    }
    multiply(level, view, 0, block_ + kProbes);
    if (!combine(block_, block_)) {
      return false;
    }
    keep_guards();
    std::copy_n(from_.z + block_ * order_, kProbes * order_, from_.x + rank_ * order_);
    // The random directions take part in the first step only. What they find is among the leading vectors afterwards.
    int64_t rows = rank_ + kProbes;
    double residual = find_residuals();
    bool near = residual <= options.tolerance;
    for (int step = 0; step < kSteps; ++step) {
      if (near) {
        mix(block_, rank_, from_.y, view.long_side, -1, found_.y);
        restart(view);
      } else {
        correct(level, view, start, step == 0 ? block_ : rank_, residual);
      }
      // A correction leaves the vectors nearly orthonormal.
      if ((!near && !orthonormalise_near_rows(from_.x, rank_, order_, from_.overlap)) ||
          (rows > rank_ && !orthonormalise_rows(level, from_.x, rank_, rows, order_, 2, products_, from_.overlap))) {
        return false;
      }
      multiply(level, view, near ? rank_ : 0, rows);
      if (!combine(rows, rank_)) {
        return false;
      }
      const double before = residual;
      residual = find_residuals();
      if (residual <= options.tolerance) {
        mix(rows, rank_, from_.y, view.long_side, -1, found_.y);
        return finish(level, view, options, result);
      }
      if (!near && residual > before / kLeastGain) {
        return false;
      }
      rows = rank_;
      near = false;
    }
    return false;
  }

 private:
  static constexpr int64_t kProbes = 8;
  static constexpr int64_t kGuards = 16;
  static constexpr int kSteps = 3;
  static constexpr double kLeastGain = 4;          // of a step. It is smaller only if the matrices are far apart
  static constexpr double kLooseTolerance = 1e-4;  // from which on a correction need not square the error
  static constexpr double kMargin = 1.5;           // by which such a correction aims below the tolerance
  static constexpr double kRounding = 1e-14;       // the square of that of float32, relative to eigenvalues
  // The decomposition from the beginning is as fast if the rank is more than one fifth of the short side, or one sixth.
  static constexpr int64_t kLeastShare = 5;
  static constexpr int64_t kLong = 4;  // short sides
  static constexpr int64_t kLeastShareIfCostly = 6;

  // Reads some rows of the basis of the start.
  void read_basis(const tg_svd_start& start, int64_t begin, int64_t count, int64_t stride, float* out) const {
    for (int64_t i = 0; i < count; ++i) {
      const uint8_t* from = element_address(start.basis, begin + i, 0);
      if (start.basis.dtype == TG_F32) {
        std::memcpy(out + i * stride, from, static_cast<size_t>(order_) * sizeof(float));
      } else {
        for (int64_t j = 0; j < order_; ++j) {
          out[i * stride + j] = static_cast<float>(load<double>(from + 8 * j));
        }
      }
    }
  }

  void multiply(SimdLevel level, const View& view, int64_t from, int64_t to) const {
    gram_.multiply_both_sides(level, view, to - from, from_.x + from * order_, from_.y + from * view.long_side,
                              from_.z + from * order_);
  }

  // Computes the `leading` Ritz values of the first rows, with their vectors of the short side and the products of those.
  bool combine(int64_t rows, int64_t leading) const {
    blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rows), blas_size(rows), blas_size(order_), 1.0F,
                       from_.x, blas_size(order_), from_.z, blas_size(order_), 0.0F, from_.overlap, blas_size(rows));
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < rows; ++j) {
        matrix_[i * rows + j] =
            (static_cast<double>(from_.overlap[i * rows + j]) + static_cast<double>(from_.overlap[j * rows + i])) / 2;
      }
    }
    if (blas().wide.syevd(LAPACK_COL_MAJOR, 'V', 'U', blas_size(rows), matrix_, blas_size(rows), values_, work_,
                          blas_size(work_size()), integers_, blas_size(integer_size())) != 0 ||
        !(values_[rows - leading] > 0)) {
      return false;
    }
    for (int64_t i = 0; i < leading; ++i) {
      found_.sigma[i] = std::sqrt(values_[rows - 1 - i]);
    }
    mix(rows, leading, from_.x, order_, 1, found_.x);
    mix(rows, leading, from_.z, order_, -1, found_.z);
    return true;
  }

  // Combines rows. Images (power -1) are divided by the singular values. The largest part of each combination is added last,
  // because sums are rounded relative to their size.
  void mix(int64_t rows, int64_t leading, const float* from, int64_t length, int power, float* out) const {
    for (int64_t i = 0; i < leading; ++i) {
      const double* weights = matrix_ + (rows - 1 - i) * rows;
      largest_[i] =
          std::max_element(weights, weights + rows, [](double a, double b) { return std::abs(a) < std::abs(b); }) - weights;
      for (int64_t j = 0; j < rows; ++j) {
        mixing_[i * rows + j] =
            j == largest_[i] ? 0.0F : static_cast<float>(power < 0 ? weights[j] / found_.sigma[i] : weights[j]);
      }
    }
    blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(leading), blas_size(length), blas_size(rows), 1.0F,
                       mixing_, blas_size(rows), from, blas_size(length), 0.0F, out, blas_size(length));
    for (int64_t i = 0; i < leading; ++i) {
      const double weight = matrix_[(rows - 1 - i) * rows + largest_[i]] / (power < 0 ? found_.sigma[i] : 1);
      const float* part = from + largest_[i] * length;
      for (int64_t k = 0; k < length; ++k) {
        out[i * length + k] =
            static_cast<float>(static_cast<double>(out[i * length + k]) + weight * static_cast<double>(part[k]));
      }
    }
  }

  // The guards replace the vectors of the start with the same numbers.
  void keep_guards() const {
    std::copy_n(found_.x + rank_ * order_, (block_ - rank_) * order_, guards_);
    for (int64_t i = rank_; i < block_; ++i) {
      guard_squares_[i - rank_] = found_.sigma[i] * found_.sigma[i];
    }
  }

  // Makes the vectors found, with their products, the first rows of the next combination.
  void restart(const View& view) const {
    std::copy_n(found_.x, rank_ * order_, from_.x);
    for (int64_t i = 0; i < rank_; ++i) {
      for (int64_t j = i * order_; j < (i + 1) * order_; ++j) {
        from_.z[j] = static_cast<float>(static_cast<double>(found_.z[j]) * found_.sigma[i]);
      }
      for (int64_t j = i * view.long_side; j < (i + 1) * view.long_side; ++j) {
        from_.y[j] = static_cast<float>(static_cast<double>(found_.y[j]) * found_.sigma[i]);
      }
    }
  }

  // Computes the residuals, and returns what svd::largest_residual() does.
  [[nodiscard]] double find_residuals() const {
    double largest = 0;
    for (int64_t i = 0; i < rank_; ++i) {
      for (int64_t j = i * order_; j < (i + 1) * order_; ++j) {
        residuals_[j] = static_cast<float>(static_cast<double>(found_.z[j]) - found_.sigma[i] * static_cast<double>(found_.x[j]));
      }
      const double size = norm(residuals_ + i * order_, order_);
      const double coupling = found_.sigma[i] * size;
      noise_[i] = coupling * coupling / static_cast<double>(order_) + kRounding * std::pow(found_.sigma[0], 4);
      largest = std::max(largest, size);
    }
    return largest / found_.sigma[0];
  }

  [[nodiscard]] static double square_of(const View& view, const tg_svd_start& start, int64_t number) {
    const double value = start.values[number] * view.scale;
    return value * value;
  }

  // The number of the direction from which on one factor replaces the division by differences. What it leaves of the residual
  // there is a share that the tolerance allows.
  [[nodiscard]] int64_t last_direction(const View& view, const tg_svd_start& start, int64_t first, double residual) const {
    if (!loose_) {
      return order_;
    }
    const double own = found_.sigma[rank_ - 1] * found_.sigma[rank_ - 1];
    const double least = square_of(view, start, order_ - 1);
    const double share = std::min(1 / kLeastGain, tolerance_ / (kMargin * residual));
    int64_t number = first;
    for (; number < order_; ++number) {
      const double square = square_of(view, start, number);
      if (square < own && square - least <= share * (2 * own - square - least)) {
        break;
      }
    }
    return number;
  }

  // Writes the corrected leading vectors. Corrections have directions from number `first` on.
  void correct(SimdLevel level, const View& view, const tg_svd_start& start, int64_t first, double residual) const {
    const int64_t last = last_direction(view, start, first, residual);
    // The factor of the directions from `last` on, between the largest and the smallest one.
    std::fill_n(rest_, rank_, 0.0);
    for (int64_t i = 0; i < rank_ && last < order_; ++i) {
      const double own = found_.sigma[i] * found_.sigma[i];
      rest_[i] = 2 * found_.sigma[i] / (2 * own - square_of(view, start, last) - square_of(view, start, order_ - 1));
    }
    gram_.run(
        level, rank_, last - first, residuals_,
        [&](int64_t begin, int64_t count, int64_t stride, float* panel) {
          check_cancelled(view);
          for (int64_t i = 0; i < count; ++i) {
            const int64_t number = first + begin + i;
            if (number < block_) {
              std::copy_n(guards_ + (number - rank_) * order_, order_, panel + i * stride);
            } else {
              read_basis(start, number, 1, stride, panel + i * stride);
            }
          }
        },
        [&](int64_t begin, int64_t count, int64_t stride, float* products) {
          for (int64_t j = 0; j < count; ++j) {
            const int64_t number = first + begin + j;
            const double square = number < block_ ? guard_squares_[number - rank_] : square_of(view, start, number);
            for (int64_t i = 0; i < rank_; ++i) {
              // Differences below the size of the perturbation mean nothing.
              const double own = found_.sigma[i] * found_.sigma[i];
              const double weight = found_.sigma[i] * (own - square) / ((own - square) * (own - square) + noise_[i]) - rest_[i];
              products[j * stride + i] = static_cast<float>(static_cast<double>(products[j * stride + i]) * weight);
            }
          }
        },
        from_.x);
    for (int64_t i = 0; i < rank_; ++i) {
      const auto rest = static_cast<float>(rest_[i]);
      for (int64_t j = i * order_; j < (i + 1) * order_; ++j) {
        from_.x[j] += found_.x[j] + rest * residuals_[j];
      }
    }
  }

  bool finish(SimdLevel level, const View& view, const tg_svd_options& options, tg_svd_result& result) {
    if (!wide_) {
      const double orthogonality = orthogonality_error(view, rank_, found_);
      return certified(view, options, found_, {largest_residual(view, rank_, found_), orthogonality}, result);
    }
    if (probed_.suits() && certified(view, options, found_, probed_.complete(view, level, found_), result)) {
      return true;
    }
    std::copy_n(found_.x, rank_ * order_, finished_.x);
    correct_orthonormality(rank_, order_, finished_.x, finished_.overlap, finished_.z);
    Certificate certificate = complete_triplets(view, rank_, finished_);
    if (!certificate.within(options.tolerance)) {
      certificate = ritz_.run(view, finished_);
    }
    return certified(view, options, finished_, certificate, result);
  }

  template <typename T>
  static bool certified(const View& view, const tg_svd_options& options, const Vectors<T>& vectors,
                        const Certificate& certificate, tg_svd_result& result) {
    if (!certificate.within(options.tolerance)) {
      return false;
    }
    write_triplets(view, options, vectors, certificate, result);
    result.method = TG_SVD_TRACKED;
    return true;
  }

  [[nodiscard]] int64_t work_size() const { return 1 + 6 * (block_ + kProbes) + 2 * (block_ + kProbes) * (block_ + kProbes); }
  [[nodiscard]] int64_t integer_size() const { return 3 + 5 * (block_ + kProbes); }

  int64_t rank_;
  int64_t order_;
  double tolerance_;
  bool loose_;
  bool wide_;
  int64_t block_;  // the leading vectors and the guards
  ImplicitGram<float> gram_;
  Vectors<float> from_;
  Vectors<float> found_;
  float* guards_;
  double* guard_squares_;
  float* residuals_;  // rank x order
  float* products_;   // of the random directions with the vectors found
  double* noise_;     // the square of what a residual has in a direction
  double* rest_;      // the factors of the directions that a correction does not tell apart
  double* matrix_;
  float* mixing_;
  int64_t* largest_;
  double* values_;
  double* work_;
  lapack_int* integers_;
  ProbedCertificate probed_;
  Vectors<double> finished_;
  RayleighRitz<double> ritz_;
};

}  // namespace

int64_t tracking_bytes(const View& view, const tg_svd_options& options) {
  Arena arena;
  const Tracking tracking(arena, view, options);
  return arena.used();
}

bool track(const View& view, SimdLevel level, const tg_svd_options& options, const tg_svd_start& start, void* workspace,
           tg_svd_result& result) {
  Arena arena(workspace);
  return Tracking(arena, view, options).run(view, level, options, start, result);
}

}  // namespace threegate::svd
