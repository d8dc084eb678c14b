#include "tracking.h"

#include <algorithm>
#include <cmath>

#include "cpu/random/normals.h"
#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/operand.h"
#include "output.h"
#include "rayleigh_ritz.h"
#include "rows.h"
#include "singular_vectors.h"
#include "tolerance.h"

namespace threegate::svd {
namespace {

// Rayleigh-Ritz on the span of the leading vectors of the start, a correction of each, and a few random directions, after one
// multiplication with A^T A. A correction is the residual, divided in the basis of the start by the differences of its
// eigenvalues. That is first-order perturbation theory and squares the error (Davidson, 1975; Olsen et al., 1990). The random
// directions find components that the start does not contain: two multiplications turn them towards such components.
class Tracking {
 public:
  Tracking(Arena& arena, const View& view, const tg_svd_options& options)
      : rank_(options.rank),
        order_(view.short_side),
        rows_(std::min(2 * rank_ + kProbes, order_)),
        wide_(options.tolerance < kSingleTolerance),
        basis_(arena.take<float>(order_ * order_)),
        all_(take_vectors<float>(arena, view, rows_)),
        found_(take_vectors<float>(arena, view, rank_)),
        products_(arena.take<float>(rows_ * order_)),
        matrix_(arena.take<double>(rows_ * rows_)),
        mixing_(arena.take<float>(rank_ * rows_)),
        values_(arena.take<double>(rows_)),
        work_(arena.take<double>(work_size())),
        integers_(arena.take<lapack_int>(integer_size())),
        finished_(wide_ ? take_vectors<double>(arena, view, rank_) : Vectors<double>{}),
        ritz_(arena, wide_ ? rank_ : 1) {}

  // Returns false if it did not reach the tolerance.
  bool run(const View& view, SimdLevel level, const tg_svd_options& options, const tg_svd_start& start, tg_svd_result& result) {
    // With a long side, float64 certificates cost more than the Gram matrix.
    const bool costly = wide_ && view.long_side > 2 * order_;
    if (rows_ < 2 * rank_ + kProbes || rank_ > (costly ? (order_ - 1) / kLeastShareIfCostly : order_ / kLeastShare)) {
      return false;
    }
    read(start);
    const random::Stream stream{0, 0, random::Purpose::kProbe};
    for (int64_t i = 0; i < kProbes; ++i) {
      random::normal_row(level, stream, i, order_, row(rank_ + i));
    }
    multiply_both_sides(view, 0, rank_ + kProbes, all_);
    std::copy_n(all_.z + rank_ * order_, kProbes * order_, row(rank_));
    for (int step = 0; step < kSteps; ++step) {
      // The random directions take part in the first step only. What they find is among the leading vectors afterwards.
      const int64_t rows = step == 0 ? rows_ : 2 * rank_;
      correct(view, start, row(rows - rank_));
      if (!orthonormalise_rows(level, all_.x, rank_, rows, order_, 2, products_, all_.overlap)) {
        return false;
      }
      multiply_both_sides(view, rank_, rows, all_);
      if (!combine(view, rows)) {
        return false;
      }
      if (residual() <= options.tolerance) {
        return finish(view, options, result);
      }
      restart(view);
    }
    return false;
  }

 private:
  static constexpr int64_t kProbes = 8;
  static constexpr int kSteps = 2;
  // The decomposition from the beginning is as fast if the rank is more than one eighth of the short side, or one twelfth.
  static constexpr int64_t kLeastShare = 8;
  static constexpr int64_t kLeastShareIfCostly = 12;

  float* row(int64_t i) const { return all_.x + i * order_; }

  void read(const tg_svd_start& start) const {
    const tg_operand basis{sizeof(basis), start.basis, {}, 0, 0, nullptr, 0};
    double wide[kRun];
    for (int64_t i = 0; i < order_; ++i) {
      for (int64_t j = 0; j < order_; j += kRun) {
        const int64_t count = std::min(kRun, order_ - j);
        stage_double(basis, i, j, count, wide, convert_f16_plain);
        for (int64_t k = 0; k < count; ++k) {
          basis_[i * order_ + j + k] = static_cast<float>(wide[k]);
        }
      }
    }
    std::copy_n(basis_, rank_ * order_, all_.x);
  }

  // Computes the corrections of the leading rows.
  void correct(const View& view, const tg_svd_start& start, float* corrections) const {
    const auto& functions = blas().single;
    // The residuals are z - (z x^T) x.
    functions.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rank_), blas_size(rank_), blas_size(order_), 1.0F, all_.z,
                   blas_size(order_), all_.x, blas_size(order_), 0.0F, all_.overlap, blas_size(rank_));
    float* residuals = found_.z;
    std::copy_n(all_.z, rank_ * order_, residuals);
    functions.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rank_), blas_size(order_), blas_size(rank_), -1.0F,
                   all_.overlap, blas_size(rank_), all_.x, blas_size(order_), 1.0F, residuals, blas_size(order_));
    functions.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rank_), blas_size(order_), blas_size(order_), 1.0F,
                   residuals, blas_size(order_), basis_, blas_size(order_), 0.0F, products_, blas_size(order_));
    const auto square = [&](int64_t i) { return start.values[i] * view.scale * start.values[i] * view.scale; };
    const double least = 1e-7 * square(0);
    for (int64_t i = 0; i < rank_; ++i) {
      for (int64_t j = 0; j < order_; ++j) {
        float& entry = products_[i * order_ + j];
        entry = j < rank_ ? 0.0F : static_cast<float>(static_cast<double>(entry) / std::max(square(i) - square(j), least));
      }
    }
    functions.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rank_), blas_size(order_), blas_size(order_), 1.0F,
                   products_, blas_size(order_), basis_, blas_size(order_), 0.0F, corrections, blas_size(order_));
  }

  // Computes the leading Ritz vectors of the first rows and their images from the existing products.
  bool combine(const View& view, int64_t rows) const {
    blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rows), blas_size(rows), blas_size(order_), 1.0F, all_.x,
                       blas_size(order_), all_.z, blas_size(order_), 0.0F, all_.overlap, blas_size(rows));
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < rows; ++j) {
        matrix_[i * rows + j] =
            (static_cast<double>(all_.overlap[i * rows + j]) + static_cast<double>(all_.overlap[j * rows + i])) / 2;
      }
    }
    if (blas().wide.syevd(LAPACK_COL_MAJOR, 'V', 'U', blas_size(rows), matrix_, blas_size(rows), values_, work_,
                          blas_size(work_size()), integers_, blas_size(integer_size())) != 0 ||
        !(values_[rows - rank_] > 0)) {
      return false;
    }
    for (int64_t i = 0; i < rank_; ++i) {
      found_.sigma[i] = std::sqrt(values_[rows - 1 - i]);
    }
    mix(rows, all_.x, order_, 1, found_.x);
    mix(rows, all_.y, view.long_side, -1, found_.y);
    mix(rows, all_.z, order_, -1, found_.z);
    return true;
  }

  // Combines rows. Images (power -1) are divided by the singular values.
  void mix(int64_t rows, const float* from, int64_t length, int power, float* out) const {
    for (int64_t i = 0; i < rank_; ++i) {
      for (int64_t j = 0; j < rows; ++j) {
        mixing_[i * rows + j] = static_cast<float>(power < 0 ? matrix_[(rows - 1 - i) * rows + j] / found_.sigma[i]
                                                             : matrix_[(rows - 1 - i) * rows + j]);
      }
    }
    blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rank_), blas_size(length), blas_size(rows), 1.0F,
                       mixing_, blas_size(rows), from, blas_size(length), 0.0F, out, blas_size(length));
  }

  // What svd::largest_residual() computes, without overwriting the images.
  [[nodiscard]] double residual() const {
    double largest = 0;
    for (int64_t i = 0; i < rank_; ++i) {
      for (int64_t j = 0; j < order_; ++j) {
        products_[j] = static_cast<float>(static_cast<double>(found_.z[i * order_ + j]) -
                                          found_.sigma[i] * static_cast<double>(found_.x[i * order_ + j]));
      }
      largest = std::max(largest, norm(products_, order_));
    }
    return largest / found_.sigma[0];
  }

  // Makes the vectors found the beginning of the next step.
  void restart(const View& view) const {
    std::copy_n(found_.x, rank_ * order_, all_.x);
    for (int64_t i = 0; i < rank_; ++i) {
      for (int64_t j = 0; j < order_; ++j) {
        all_.z[i * order_ + j] = static_cast<float>(static_cast<double>(found_.z[i * order_ + j]) * found_.sigma[i]);
      }
      for (int64_t j = 0; j < view.long_side; ++j) {
        const int64_t at = i * view.long_side + j;
        all_.y[at] = static_cast<float>(static_cast<double>(found_.y[at]) * found_.sigma[i]);
      }
    }
  }

  bool finish(const View& view, const tg_svd_options& options, tg_svd_result& result) {
    if (!wide_) {
      const double orthogonality = orthogonality_error(view, rank_, found_);
      return certified(view, options, found_, {largest_residual(view, rank_, found_), orthogonality}, result);
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

  [[nodiscard]] int64_t work_size() const { return 1 + 6 * rows_ + 2 * rows_ * rows_; }
  [[nodiscard]] int64_t integer_size() const { return 3 + 5 * rows_; }

  int64_t rank_;
  int64_t order_;
  int64_t rows_;
  bool wide_;
  float* basis_;
  Vectors<float> all_;
  Vectors<float> found_;
  float* products_;
  double* matrix_;
  float* mixing_;
  double* values_;
  double* work_;
  lapack_int* integers_;
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
