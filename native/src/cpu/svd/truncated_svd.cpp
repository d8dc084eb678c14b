#include "truncated_svd.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "block_lanczos.h"
#include "cpu/random/normals.h"
#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/operand.h"
#include "gram_bf16.h"
#include "panel.h"
#include "rows.h"
#include "symmetric.h"

namespace threegate::svd {
namespace {

// At least this tolerance is tried in float32 first: rounding leaves its residuals about ten times below.
constexpr double kSingleTolerance = 1e-5;
// Short sides up to which the triangle is as fast as the Gram matrix.
constexpr int64_t kSmall = 64;
constexpr double kRounding = std::numeric_limits<double>::epsilon();

// From here to kSingleTolerance the Gram matrix is in float32 and what follows from its vectors in float64: its rounding, about
// 1e-7, is all that the residual keeps.
constexpr double kMixedTolerance = 7e-7;

enum class Layout { kGramSingle, kGramMixed, kGramDouble, kTriangle };

// Vectors of both sides and what is known of them. Row i is vector i; `x` belongs to the short side, `y` to the long one.
template <typename T>
struct Vectors {
  T* x;        // rank x short_side
  T* y;        // rank x long_side
  T* z;        // rank x short_side: A^T y
  T* overlap;  // rank x rank
  T* panel;    // kPanel x short_side
  double* sigma;
};

template <typename T>
Vectors<T> take_vectors(Arena& arena, const View& view, int64_t rank) {
  Vectors<T> vectors{};
  vectors.x = arena.take<T>(rank * view.short_side);
  vectors.y = arena.take<T>(rank * view.long_side);
  vectors.z = arena.take<T>(rank * view.short_side);
  vectors.overlap = arena.take<T>(rank * rank);
  vectors.panel = arena.take<T>(kPanel * view.short_side);
  vectors.sigma = arena.take<double>(rank);
  return vectors;
}

template <typename T, typename Body>
void for_panels(const View& view, T* panel, Body body) {
  for (int64_t begin = 0; begin < view.long_side; begin += kPanel) {
    check_cancelled(view);
    const int64_t count = std::min(kPanel, view.long_side - begin);
    read_panel(view, begin, count, panel);
    body(begin, count);
  }
}

// y = A x, for all vectors, or A^T x where the short side is the rows.
template <typename T>
void to_long_side(const View& view, int64_t rank, const Vectors<T>& vectors, int64_t begin, int64_t count) {
  blas().functions<T>().gemm(CblasRowMajor, CblasNoTrans, view.tall ? CblasTrans : CblasNoTrans, blas_size(rank),
                             blas_size(count), blas_size(view.short_side), T{1}, vectors.x, blas_size(view.short_side),
                             vectors.panel, blas_size(view.tall ? view.short_side : count), T{0}, vectors.y + begin,
                             blas_size(view.long_side));
}

// z += the panel's part of the product with y.
template <typename T>
void to_short_side(const View& view, int64_t rank, const Vectors<T>& vectors, int64_t begin, int64_t count) {
  blas().functions<T>().gemm(CblasRowMajor, CblasNoTrans, view.tall ? CblasNoTrans : CblasTrans, blas_size(rank),
                             blas_size(view.short_side), blas_size(count), T{1}, vectors.y + begin, blas_size(view.long_side),
                             vectors.panel, blas_size(view.tall ? view.short_side : count), T{1}, vectors.z,
                             blas_size(view.short_side));
}

// Largest deviation of rows from orthonormality; `overlap` takes their products.
template <typename T>
double deviation(int64_t rank, int64_t length, const T* rows, T* overlap) {
  blas().functions<T>().syrk(CblasRowMajor, CblasLower, CblasNoTrans, blas_size(rank), blas_size(length), T{1}, rows,
                             blas_size(length), T{0}, overlap, blas_size(rank));
  double largest = 0;
  for (int64_t i = 0; i < rank; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      largest = std::max(largest, std::abs(static_cast<double>(overlap[i * rank + j]) - (i == j ? 1 : 0)));
    }
  }
  return largest;
}

// Of both sides; the products of the long side stay in `overlap`.
template <typename T>
double deviation(const View& view, int64_t rank, const Vectors<T>& vectors) {
  const double of_short = deviation(rank, view.short_side, vectors.x, vectors.overlap);
  return std::max(of_short, deviation(rank, view.long_side, vectors.y, vectors.overlap));
}

// max_i |A^T y_i - sigma_i x_i| / sigma_1; `z` holds the products.
template <typename T>
double residual(const View& view, int64_t rank, const Vectors<T>& vectors) {
  double largest = 0;
  for (int64_t i = 0; i < rank; ++i) {
    const T* x = vectors.x + i * view.short_side;
    T* z = vectors.z + i * view.short_side;
    for (int64_t j = 0; j < view.short_side; ++j) {
      z[j] = static_cast<T>(z[j] - vectors.sigma[i] * x[j]);
    }
    largest = std::max(largest, norm(z, view.short_side));
  }
  return vectors.sigma[0] > 0 ? largest / vectors.sigma[0] : 0;
}

struct Certificate {
  double residual;
  double orthogonality;
  [[nodiscard]] bool within(double tolerance) const { return residual <= tolerance && orthogonality <= tolerance; }
};

// Swaps vectors so that the singular values descend: rounding may have exchanged neighbours.
template <typename T>
void sort(const View& view, int64_t rank, const Vectors<T>& vectors) {
  for (int64_t i = 1; i < rank; ++i) {
    for (int64_t j = i; j > 0 && vectors.sigma[j] > vectors.sigma[j - 1]; --j) {
      std::swap(vectors.sigma[j], vectors.sigma[j - 1]);
      std::swap_ranges(vectors.x + j * view.short_side, vectors.x + (j + 1) * view.short_side,
                       vectors.x + (j - 1) * view.short_side);
      std::swap_ranges(vectors.y + j * view.long_side, vectors.y + (j + 1) * view.long_side,
                       vectors.y + (j - 1) * view.long_side);
      std::swap_ranges(vectors.z + j * view.short_side, vectors.z + (j + 1) * view.short_side,
                       vectors.z + (j - 1) * view.short_side);
    }
  }
}

// y = A x and z = A^T y for rows `from` .. `to` - 1, in one pass over the matrix.
template <typename T>
void multiply(const View& view, int64_t from, int64_t to, Vectors<T> vectors) {
  vectors.x += from * view.short_side;
  vectors.y += from * view.long_side;
  vectors.z += from * view.short_side;
  std::fill_n(vectors.z, (to - from) * view.short_side, T{0});
  for_panels(view, vectors.panel, [&](int64_t begin, int64_t count) {
    to_long_side(view, to - from, vectors, begin, count);
    to_short_side(view, to - from, vectors, begin, count);
  });
}

// From vectors of the short side: those of the other, the singular values, and how good they are; one pass over the matrix.
template <typename T>
Certificate complete(const View& view, int64_t rank, const Vectors<T>& vectors) {
  multiply(view, 0, rank, vectors);
  for (int64_t i = 0; i < rank; ++i) {
    vectors.sigma[i] = norm(vectors.y + i * view.long_side, view.long_side);
    if (vectors.sigma[i] > 0) {
      divide(vectors.y + i * view.long_side, view.long_side, vectors.sigma[i]);
      divide(vectors.z + i * view.short_side, view.short_side, vectors.sigma[i]);
    }
  }
  sort(view, rank, vectors);
  const double orthogonality = deviation(view, rank, vectors);
  return {residual(view, rank, vectors), orthogonality};
}

// Rayleigh-Ritz on the matrix itself: among the combinations of the vectors found, those whose images are orthogonal. Rounding in
// the Gram matrix is of sigma_1 squared, in the k x k products of the images it is of sigma_i sigma_j.
template <typename T>
class Ritz {
 public:
  Ritz(Arena& arena, int64_t rank)
      : rank_(rank),
        matrix_(arena.take<double>(rank * rank)),
        values_(arena.take<double>(rank)),
        mixing_(arena.take<T>(rank * rank)),
        part_(arena.take<T>(rank * kPanel)),
        work_(arena.take<double>(work_size())),
        integers_(arena.take<lapack_int>(integer_size())) {}

  // After complete(), whose overlaps of the long side are used.
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
    // Row i of `matrix_`: the combination with the i-th smallest value. Images are scaled to length one.
    mix(vectors.x, view.short_side, [](int64_t, int64_t) { return 1.0; });
    const auto of_images = [&](int64_t i, int64_t j) { return vectors.sigma[j] / (first * std::sqrt(values_[rank_ - 1 - i])); };
    mix(vectors.y, view.long_side, of_images);
    for (int64_t i = 0; i < rank_; ++i) {
      vectors.sigma[i] = first * std::sqrt(values_[rank_ - 1 - i]);
    }
    std::fill_n(vectors.z, rank_ * view.short_side, T{0});
    for_panels(view, vectors.panel, [&](int64_t begin, int64_t count) { to_short_side(view, rank_, vectors, begin, count); });
    const double orthogonality = deviation(view, rank_, vectors);
    return {residual(view, rank_, vectors), orthogonality};
  }

 private:
  // Row i becomes the sum over j of combination (i, j) * scale(i, j) * row j, the largest value first.
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

// The symmetric eigenproblem of the short side's Gram matrix.
template <typename T>
class Gram {
 public:
  Gram(Arena& arena, const View& view, int64_t rank)
      : order_(view.short_side),
        matrix_(arena.take<T>(order_ * order_)),
        symmetric_(arena, order_, rank),
        packed_(arena.take<uint16_t>(std::is_same_v<T, float> ? packed_entries(order_) : 0)) {}

  void form(const View& view, SimdLevel level, T* panel) {
    std::fill_n(matrix_, order_ * order_, T{0});
    if constexpr (std::is_same_v<T, float>) {
      if (level == SimdLevel::kAvx512 && has_bf16_dot() && is_plain_bf16(view)) {
        for (int64_t begin = 0; begin < view.long_side; begin += kDotPanel) {
          check_cancelled(view);
          pack(view, begin, std::min(kDotPanel, view.long_side - begin), packed_);
          add_products_avx512(packed_, order_, matrix_);
        }
        return;
      }
    }
    for_panels(view, panel, [&](int64_t, int64_t count) {
      blas().functions<T>().syrk(CblasRowMajor, CblasLower, view.tall ? CblasTrans : CblasNoTrans, blas_size(order_),
                                 blas_size(count), T{1}, panel, blas_size(view.tall ? order_ : count), T{1}, matrix_,
                                 blas_size(order_));
    });
  }

  bool tridiagonalise() { return symmetric_.tridiagonalise(matrix_, order_); }

  // Singular values, all of them, descending; false when LAPACK gave up.
  bool all_values(double* sigma) {
    if (!symmetric_.all_values()) {
      return false;
    }
    for (int64_t i = 0; i < order_; ++i) {
      sigma[i] = std::sqrt(std::max<double>(symmetric_.values()[order_ - 1 - i], 0));
    }
    return true;
  }

  // The leading eigenvectors as rows of `x`, the first one first.
  bool leading_vectors(int64_t rank, T* x) { return symmetric_.leading_vectors(rank, x); }

  // Both triangles.
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
  int64_t order_;
  T* matrix_;
  Symmetric<T> symmetric_;
  uint16_t* packed_;
};

// The triangle R of A = QR (of A^T where the short side is the rows), and its SVD.
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
      // Column-major: the triangle above, the panel below.
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

  // All singular values, descending.
  bool decompose(double* sigma) {
    return blas().wide.gesdd(LAPACK_COL_MAJOR, vectors_ ? 'S' : 'N', blas_size(order_), blas_size(order_), triangle_,
                             blas_size(order_), sigma, left_, blas_size(order_), right_, blas_size(order_), work_,
                             blas_size(work_size()), integers_) == 0;
  }

  // Right singular vectors as rows.
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

// Makes the long side's vectors orthonormal where they are images of vectors with tiny singular values: Householder QR, in
// descending order, moves y_i by the rounding of the first divided by sigma_i, and the residual by that rounding alone.
class Orthonormaliser {
 public:
  Orthonormaliser(Arena& arena, int64_t rank)
      : reflectors_(arena.take<double>(rank)),
        signs_(arena.take<double>(rank)),
        size_(kLapackBlock * rank),
        work_(arena.take<double>(size_)) {}

  Certificate run(const View& view, int64_t rank, const Vectors<double>& vectors) {
    // Back to y_i = A x_i: columns of a long_side x rank matrix.
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
    std::fill_n(vectors.z, rank * view.short_side, 0.0);
    for_panels(view, vectors.panel, [&](int64_t begin, int64_t count) { to_short_side(view, rank, vectors, begin, count); });
    sort(view, rank, vectors);
    const double orthogonality = deviation(view, rank, vectors);
    Certificate certificate{residual(view, rank, vectors), orthogonality};
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

// Rows that are orthonormal up to a small E = X X^T - 1 become so up to E squared: X - E X / 2.
void orthonormalise(int64_t rank, int64_t length, double* x, double* overlap, double* copy) {
  const auto& functions = blas().wide;
  functions.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rank), blas_size(rank), blas_size(length), 1.0, x,
                 blas_size(length), x, blas_size(length), 0.0, overlap, blas_size(rank));
  for (int64_t i = 0; i < rank; ++i) {
    overlap[i * rank + i] -= 1;
  }
  std::copy_n(x, rank * length, copy);
  functions.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rank), blas_size(length), blas_size(rank), -0.5, overlap,
                 blas_size(rank), copy, blas_size(length), 1.0, x, blas_size(length));
}

template <typename T>
void copy_out(const View& view, const tg_svd_options& options, const Vectors<T>& vectors, const Certificate& certificate,
              tg_svd_result& result) {
  double* x = view.tall ? result.right : result.left;
  double* y = view.tall ? result.left : result.right;
  std::copy_n(vectors.x, options.rank * view.short_side, x);
  std::copy_n(vectors.y, options.rank * view.long_side, y);
  for (int64_t i = 0; i < options.rank; ++i) {
    result.values[i] = vectors.sigma[i] / view.scale;
  }
  result.residual = certificate.residual;
  result.orthogonality = certificate.orthogonality;
  result.status = certificate.within(options.tolerance) ? TG_OK : TG_NOT_CONVERGED;
}

// Everything that one attempt needs of the workspace.
// `G` is the precision of the Gram matrix, `T` that of the vectors.
template <typename G, typename T>
struct GramAttempt {
  GramAttempt(Arena& arena, const View& view, int64_t rank, bool wants_vectors)
      : panel(arena.take<G>(kPanel * view.short_side)),
        gram(arena, view, rank),
        lanczos(arena, std::is_same_v<G, float> && wants_vectors ? view.short_side : 0, rank),
        found(arena.take<G>(std::is_same_v<G, T> || !wants_vectors ? 0 : rank * view.short_side)),
        vectors(wants_vectors ? take_vectors<T>(arena, view, rank) : Vectors<T>{}),
        ritz(arena, wants_vectors ? rank : 1) {}

  // The leading vectors of the short side, in a Krylov space.
  bool find_vectors_in_krylov_space(const View& view, SimdLevel level, const tg_svd_options& options) {
    if constexpr (std::is_same_v<G, float>) {
      return lanczos.suits() && lanczos.run(view, level, gram.whole(), options.tolerance, found_vectors()) &&
             widen_vectors(view, options.rank);
    }
    return false;
  }

  // The same by tridiagonalisation.
  bool find_vectors(const View& view, int64_t rank) {
    return gram.leading_vectors(rank, found_vectors()) && widen_vectors(view, rank);
  }

  G* found_vectors() {
    if constexpr (std::is_same_v<G, T>) {
      return vectors.x;
    } else {
      return found;
    }
  }

  bool widen_vectors(const View& view, int64_t rank) {
    if constexpr (!std::is_same_v<G, T>) {
      std::copy_n(found, rank * view.short_side, vectors.x);
      orthonormalise(rank, view.short_side, vectors.x, vectors.overlap, vectors.z);
    }
    return true;
  }

  // What follows from the vectors of the short side, and whether it is good enough.
  bool certify(const View& view, const tg_svd_options& options, tg_svd_result& result) {
    Certificate certificate = complete(view, options.rank, vectors);
    if (!certificate.within(options.tolerance)) {
      certificate = ritz.run(view, vectors);
    }
    if (!certificate.within(options.tolerance)) {
      return false;
    }
    copy_out(view, options, vectors, certificate, result);
    return true;
  }

  G* panel;
  Gram<G> gram;
  BlockLanczos lanczos;
  G* found;
  Vectors<T> vectors;
  Ritz<T> ritz;
};
template <Layout kLayout>
struct Precision;
template <>
struct Precision<Layout::kGramSingle> {
  using Attempted = GramAttempt<float, float>;
};
template <>
struct Precision<Layout::kGramMixed> {
  using Attempted = GramAttempt<float, double>;
};
template <>
struct Precision<Layout::kGramDouble> {
  using Attempted = GramAttempt<double, double>;
};
struct TriangleAttempt;
template <>
struct Precision<Layout::kTriangle> {
  using Attempted = TriangleAttempt;
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

// Largest error of the singular values of a Gram matrix, over the first one: rounding is of the first squared.
double spectrum_error(const double* sigma, int64_t count) {
  const double rounding = kRounding * static_cast<double>(count);
  if (sigma[0] == 0) {
    return 0;
  }
  const double smallest = sigma[count - 1] / sigma[0];
  return smallest * smallest > rounding ? rounding / smallest : std::sqrt(rounding);
}

void scale_spectrum(const View& view, const tg_svd_options& options, tg_svd_result& result) {
  for (int64_t i = 0; i < view.short_side; ++i) {
    result.spectrum[i] /= view.scale;
  }
  if (options.vectors == 0) {
    std::copy_n(result.spectrum, options.rank, result.values);
  }
}

// False when a better layout should be tried.
template <Layout kLayout>
bool solve_gram(const View& view, SimdLevel level, const tg_svd_options& options, void* workspace, tg_svd_result& result) {
  Arena arena(workspace);
  typename Precision<kLayout>::Attempted attempt(arena, view, options.rank, options.vectors != 0);
  attempt.gram.form(view, level, attempt.panel);
  result.method = kLayout == Layout::kGramDouble ? TG_SVD_GRAM_DOUBLE : TG_SVD_GRAM_SINGLE;
  if (result.spectrum == nullptr && attempt.find_vectors_in_krylov_space(view, level, options) &&
      attempt.certify(view, options, result)) {
    result.method = TG_SVD_BLOCK_LANCZOS;
    return true;
  }
  if (!attempt.gram.tridiagonalise()) {
    return false;
  }
  if (result.spectrum != nullptr) {
    if (!attempt.gram.all_values(result.spectrum)) {
      return false;
    }
    result.spectrum_error = spectrum_error(result.spectrum, view.short_side);
    if (result.spectrum_error > options.tolerance) {
      return false;
    }
    scale_spectrum(view, options, result);
  }
  return options.vectors == 0 || (attempt.find_vectors(view, options.rank) && attempt.certify(view, options, result));
}

void solve_triangle(const View& view, const tg_svd_options& options, void* workspace, tg_svd_result& result) {
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
    result.spectrum_error = kRounding * static_cast<double>(view.short_side);
    scale_spectrum(view, options, result);
  }
  result.residual = 0;
  result.status = result.spectrum_error <= options.tolerance ? TG_OK : TG_NOT_CONVERGED;
  if (options.vectors != 0) {
    attempt.triangle.leading_vectors(options.rank, attempt.vectors.x);
    Certificate certificate = complete(view, options.rank, attempt.vectors);
    if (!certificate.within(options.tolerance)) {
      certificate = attempt.orthonormaliser.run(view, options.rank, attempt.vectors);
    }
    copy_out(view, options, attempt.vectors, certificate, result);
  }
}

// A matrix of zeros: any orthonormal vectors will do.
void solve_zero(const View& view, const tg_svd_options& options, tg_svd_result& result) {
  std::fill_n(result.values, options.rank, 0.0);
  if (result.spectrum != nullptr) {
    std::fill_n(result.spectrum, view.short_side, 0.0);
  }
  if (options.vectors != 0) {
    const int64_t rows = view.operand->values.rows;
    const int64_t columns = view.operand->values.columns;
    std::fill_n(result.left, options.rank * rows, 0.0);
    std::fill_n(result.right, options.rank * columns, 0.0);
    for (int64_t i = 0; i < options.rank; ++i) {
      result.left[i * rows + i] = 1;
      result.right[i * columns + i] = 1;
    }
  }
  result.method = TG_SVD_TRIANGLE;
}

// From the singular vectors of a matrix nearby: Rayleigh-Ritz on the span of its leading ones, of a correction of each, and of a
// few random directions, after one multiplication with A^T A. The correction is the residual divided, in the basis of the other
// matrix, by the differences of eigenvalues there: what first-order perturbation theory says, so that the error is squared
// (Davidson, 1975; Olsen et al., 1990). Random directions find what entered from outside: multiplied twice they turn to it.
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

  // False when it did not come to the tolerance.
  bool run(const View& view, SimdLevel level, const tg_svd_options& options, const tg_svd_start& start, tg_svd_result& result) {
    if (rows_ < 2 * rank_ + kProbes || kLeastShare * rank_ > order_) {
      return false;
    }
    read(start);
    const random::Stream stream{0, 0, random::Purpose::kProbe};
    for (int64_t i = 0; i < kProbes; ++i) {
      random::normal_row(level, stream, i, order_, row(rank_ + i));
    }
    multiply(view, 0, rank_ + kProbes, all_);
    std::copy_n(all_.z + rank_ * order_, kProbes * order_, row(rank_));
    for (int step = 0; step < kSteps; ++step) {
      // The probes take part in the first step alone: what they find is among the leading vectors then.
      const int64_t rows = step == 0 ? rows_ : 2 * rank_;
      correct(view, start, row(rows - rank_));
      if (!orthonormalise_rows(all_.x, rank_, rows, order_, 2, products_, all_.overlap)) {
        return false;
      }
      multiply(view, rank_, rows, all_);
      if (!combine(view, rows)) {
        return false;
      }
      if (largest_residual() <= options.tolerance) {
        return finish(view, options, result);
      }
      restart(view);
    }
    return false;
  }

 private:
  static constexpr int64_t kProbes = 8;
  static constexpr int kSteps = 2;
  // Above this share of the short side a decomposition from the beginning is as fast.
  static constexpr int64_t kLeastShare = 8;

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

  // The corrections of the leading rows.
  void correct(const View& view, const tg_svd_start& start, float* corrections) const {
    const auto& functions = blas().single;
    // Residuals: z - (z x^T) x.
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

  // The leading Ritz vectors of the first rows, and their images, from the products that are there.
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

  // Combinations of rows; of images (power -1) divided by the singular values.
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

  // What residual() would say, leaving the images as they are.
  [[nodiscard]] double largest_residual() const {
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

  // What was found is where the next step begins.
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
      const double orthogonality = deviation(view, rank_, found_);
      return certified(view, options, found_, {residual(view, rank_, found_), orthogonality}, result);
    }
    std::copy_n(found_.x, rank_ * order_, finished_.x);
    orthonormalise(rank_, order_, finished_.x, finished_.overlap, finished_.z);
    Certificate certificate = complete(view, rank_, finished_);
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
    copy_out(view, options, vectors, certificate, result);
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
  Ritz<double> ritz_;
};

// A power of two near one over the largest entry: squares neither overflow nor vanish. One where they do neither anyway.
double scale_for(double largest) {
  constexpr int kSafe = 40;
  const int exponent = largest == 0 ? 0 : std::ilogb(largest);
  return std::abs(exponent) <= kSafe ? 1 : std::ldexp(1.0, std::clamp(-exponent, -1022, 1022));
}

bool tries_gram(const View& view) { return view.short_side > kSmall; }

bool wants_vectors_alone(const View& view, const tg_svd_options& options, const tg_svd_result& result) {
  return tries_gram(view) && options.vectors != 0 && result.spectrum == nullptr;
}

bool tries_single(const View& view, const tg_svd_options& options, const tg_svd_result& result) {
  return wants_vectors_alone(view, options, result) && options.tolerance >= kSingleTolerance;
}

bool tries_mixed(const View& view, const tg_svd_options& options, const tg_svd_result& result) {
  return wants_vectors_alone(view, options, result) && options.tolerance >= kMixedTolerance &&
         options.tolerance < kSingleTolerance;
}

template <Layout kLayout>
int64_t bytes_of(const View& view, const tg_svd_options& options) {
  Arena arena;
  const typename Precision<kLayout>::Attempted attempt(arena, view, options.rank, options.vectors != 0);
  return arena.used();
}

}  // namespace

int64_t workspace_bytes(const tg_operand& matrix, const tg_svd_options& options, bool tracked, const tg_svd_result& result) {
  const View view = make_view(matrix, nullptr, 1);
  if (view.short_side == 0) {
    return 0;
  }
  int64_t bytes = bytes_of<Layout::kTriangle>(view, options);
  if (tracked) {
    Arena arena;
    const Tracking tracking(arena, view, options);
    bytes = std::max(bytes, arena.used());
  }
  if (tries_gram(view)) {
    bytes = std::max(bytes, bytes_of<Layout::kGramDouble>(view, options));
  }
  if (tries_single(view, options, result)) {
    bytes = std::max(bytes, bytes_of<Layout::kGramSingle>(view, options));
  }
  if (tries_mixed(view, options, result)) {
    bytes = std::max(bytes, bytes_of<Layout::kGramMixed>(view, options));
  }
  return bytes;
}

void truncated_svd(SimdLevel level, const tg_operand& matrix, const tg_operand* subtracted, const tg_svd_options& options,
                   const tg_svd_start* start, const tg_control* control, void* workspace, tg_svd_result& result) {
  result.residual = 0;
  result.orthogonality = 0;
  result.spectrum_error = 0;
  result.status = TG_OK;
  const Range range = entry_range(make_view(matrix, subtracted, 1));
  if (!range.finite) {
    result.method = TG_SVD_TRIANGLE;
    result.status = TG_INVALID_ARGUMENT;
    return;
  }
  const View view = make_view(matrix, subtracted, scale_for(range.largest), control);
  if (range.largest == 0) {
    solve_zero(view, options, result);
    return;
  }
  if (start != nullptr) {
    Arena arena(workspace);
    Tracking tracking(arena, view, options);
    if (tracking.run(view, level, options, *start, result)) {
      return;
    }
  }
  if (tries_single(view, options, result) && solve_gram<Layout::kGramSingle>(view, level, options, workspace, result)) {
    return;
  }
  if (tries_mixed(view, options, result) && solve_gram<Layout::kGramMixed>(view, level, options, workspace, result)) {
    return;
  }
  if (tries_gram(view) && solve_gram<Layout::kGramDouble>(view, level, options, workspace, result)) {
    return;
  }
  solve_triangle(view, options, workspace, result);
}

}  // namespace threegate::svd
