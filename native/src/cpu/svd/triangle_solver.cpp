#include "triangle_solver.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "orthonormaliser.h"
#include "output.h"
#include "singular_vectors.h"
#include "symmetric.h"

namespace threegate::svd {
namespace {

// The triangle R of A = QR, or of A^T = QR where the short side is the rows, and its SVD.
class Triangle {
 public:
  Triangle(Arena& arena, const View& view, bool vectors)
      : order_(view.short_side),
        vectors_(vectors),
        stack_(arena.take<double>((order_ + kPanel) * order_)),
        triangle_(arena.take<double>(order_ * order_)),
        reflectors_(arena.take<double>(order_)),
        left_(arena.take<double>(vectors ? order_ * order_ : 1)),
        right_(arena.take<double>(vectors ? order_ * order_ : 1)),
        work_(arena.take<double>(work_size())),
        integers_(arena.take<lapack_int>(8 * order_)) {}

  bool form(const View& view, double* panel) {
    const int64_t height = order_ + kPanel;
    std::fill_n(triangle_, order_ * order_, 0.0);
    bool fine = true;
    for_panels(view, panel, [&](int64_t, int64_t count) {
      // In column-major order the triangle is above the panel.
      for (int64_t j = 0; j < order_; ++j) {
        std::copy_n(triangle_ + j * order_, order_, stack_ + j * height);
        for (int64_t i = 0; i < count; ++i) {
          stack_[j * height + order_ + i] = view.tall ? panel[i * order_ + j] : panel[j * count + i];
        }
      }
      fine = fine && blas().wide.geqrf(LAPACK_COL_MAJOR, blas_size(order_ + count), blas_size(order_), stack_, blas_size(height),
                                       reflectors_, work_, blas_size(work_size())) == 0;
      for (int64_t j = 0; j < order_; ++j) {
        std::copy_n(stack_ + j * height, j + 1, triangle_ + j * order_);
      }
    });
    return fine;
  }

  // Computes all singular values, descending.
  bool decompose(double* sigma) {
    return blas().wide.gesdd(LAPACK_COL_MAJOR, vectors_ ? 'S' : 'N', blas_size(order_), blas_size(order_), triangle_,
                             blas_size(order_), sigma, left_, blas_size(order_), right_, blas_size(order_), work_,
                             blas_size(work_size()), integers_) == 0;
  }

  // Writes right singular vectors as rows.
  void leading_vectors(int64_t rank, double* x) const {
    for (int64_t i = 0; i < rank; ++i) {
      for (int64_t j = 0; j < order_; ++j) {
        x[i * order_ + j] = right_[j * order_ + i];
      }
    }
  }

 private:
  [[nodiscard]] int64_t work_size() const { return 4 * order_ * order_ + (kLapackBlock + 8) * order_ + 64; }

  int64_t order_;
  bool vectors_;
  double* stack_;
  double* triangle_;
  double* reflectors_;
  double* left_;
  double* right_;
  double* work_;
  lapack_int* integers_;
};

struct TriangleAttempt {
  TriangleAttempt(Arena& arena, const View& view, int64_t rank, bool wants_vectors)
      : panel(arena.take<double>(kPanel * view.short_side)),
        sigma(arena.take<double>(view.short_side)),
        triangle(arena, view, wants_vectors),
        vectors(wants_vectors ? take_vectors<double>(arena, view, rank) : Vectors<double>{}),
        orthonormaliser(arena, rank) {}
  double* panel;
  double* sigma;
  Triangle triangle;
  Vectors<double> vectors;
  Orthonormaliser orthonormaliser;
};

}  // namespace

int64_t triangle_solver_bytes(const View& view, const tg_svd_options& options) {
  Arena arena;
  const TriangleAttempt attempt(arena, view, options.rank, options.vectors != 0);
  return arena.used();
}

void solve_with_triangle(const View& view, const tg_svd_options& options, void* workspace, tg_svd_result& result) {
  Arena arena(workspace);
  TriangleAttempt attempt(arena, view, options.rank, options.vectors != 0);
  result.method = TG_SVD_TRIANGLE;
  result.status = TG_NOT_CONVERGED;
  result.residual = 1;
  if (!attempt.triangle.form(view, attempt.panel) || !attempt.triangle.decompose(attempt.sigma)) {
    return;
  }
  if (result.spectrum != nullptr) {
    std::copy_n(attempt.sigma, view.short_side, result.spectrum);
    result.spectrum_error = std::numeric_limits<double>::epsilon() * static_cast<double>(view.short_side);
    write_spectrum(view, options, result);
  }
  result.residual = 0;
  result.status = result.spectrum_error <= options.tolerance ? TG_OK : TG_NOT_CONVERGED;
  if (options.vectors != 0) {
    attempt.triangle.leading_vectors(options.rank, attempt.vectors.x);
    Certificate certificate = complete_triplets(view, options.rank, attempt.vectors);
    if (!certificate.within(options.tolerance)) {
      certificate = attempt.orthonormaliser.run(view, options.rank, attempt.vectors);
    }
    write_triplets(view, options, attempt.vectors, certificate, result);
  }
}

}  // namespace threegate::svd
