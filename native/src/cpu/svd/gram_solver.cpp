#include "gram_solver.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "block_lanczos.h"
#include "cpu/support/arena.h"
#include "gram_matrix.h"
#include "output.h"
#include "probed_certificate.h"
#include "rayleigh_ritz.h"
#include "singular_vectors.h"

namespace threegate::svd {
namespace {

// The arrays and the steps of one attempt. `G` is the precision of the Gram matrix and `T` that of the vectors.
template <typename G, typename T>
struct GramAttempt {
  GramAttempt(Arena& arena, const View& view, int64_t rank, bool wants_vectors)
      : panel(arena.take<G>(kPanel * view.short_side)),
        probed(arena, view, kNarrow && wants_vectors ? rank : 0, !std::is_same_v<G, T>),
        gram(arena, view, rank, kept()),
        lanczos(arena, view, kNarrow && wants_vectors ? rank : 0),
        vectors(wants_vectors ? take_vectors<T>(arena, view, rank) : Vectors<T>{}),
        narrow(take_narrow(arena, view, wants_vectors ? rank : 0)),
        ritz(arena, wants_vectors ? rank : 1) {}

  // Finds the leading vectors of the short side in a Krylov space.
  bool find_vectors_in_krylov_space(const View& view, SimdLevel level, const tg_svd_options& options) {
    if constexpr (kNarrow) {
      return lanczos.suits(level) && lanczos.run(view, level, gram.whole(), options.tolerance, narrow.x);
    }
    return false;
  }

  // The same, before there is a Gram matrix.
  bool find_vectors_without_gram(const View& view, SimdLevel level, const tg_svd_options& options) {
    if constexpr (kNarrow) {
      return lanczos.suits_without_gram(level) && lanczos.run(view, level, nullptr, options.tolerance, narrow.x);
    }
    return false;
  }

  // Finds the leading vectors of the short side by tridiagonalisation.
  bool find_vectors(SimdLevel level, int64_t rank) {
    if constexpr (kNarrow) {
      return gram.leading_vectors(level, rank, narrow.x);
    } else {
      return gram.leading_vectors(level, rank, vectors.x);
    }
  }

  // Computes the triplets from the vectors of the short side. Returns whether they are within the tolerance.
  bool certify(const View& view, SimdLevel level, const tg_svd_options& options, bool has_gram, tg_svd_result& result) {
    if constexpr (kNarrow) {
      if (has_gram && probed.suits()) {
        const Certificate certificate = probed.run(view, level, gram.copy(), gram.diagonal(), options.tolerance, narrow);
        if (certificate.within(options.tolerance)) {
          write_triplets(view, options, narrow, certificate, result);
          return true;
        }
      }
    }
    if constexpr (kMixed) {
      std::copy_n(narrow.x, options.rank * view.short_side, vectors.x);
      correct_orthonormality(options.rank, view.short_side, vectors.x, vectors.overlap, vectors.z);
    }
    Certificate certificate = complete_triplets(view, options.rank, vectors);
    if (!certificate.within(options.tolerance)) {
      certificate = ritz.run(view, vectors);
    }
    if (!certificate.within(options.tolerance)) {
      return false;
    }
    write_triplets(view, options, vectors, certificate, result);
    return true;
  }

  static constexpr bool kNarrow = std::is_same_v<G, float>;
  static constexpr bool kMixed = !std::is_same_v<G, T>;

  [[nodiscard]] typename GramMatrix<G>::Keep kept() const {
    using Keep = typename GramMatrix<G>::Keep;
    return !probed.suits() ? Keep::kNothing : kMixed ? Keep::kCopyAndSquares : Keep::kCopy;
  }

  // The vectors in the precision of the Gram matrix. They are the same arrays if both precisions are float32.
  Vectors<float> take_narrow(Arena& arena, const View& view, int64_t rank) const {
    if constexpr (std::is_same_v<T, float>) {
      return vectors;
    } else {
      return take_vectors<float>(arena, view, kNarrow ? rank : 0);
    }
  }

  G* panel;
  ProbedCertificate probed;
  GramMatrix<G> gram;
  BlockLanczos lanczos;
  Vectors<T> vectors;
  Vectors<float> narrow;
  RayleighRitz<T> ritz;
};

// The largest error of the singular values of a Gram matrix, relative to the first one. The rounding is relative to the square of
// the first one.
double spectrum_error(const double* sigma, int64_t count) {
  const double rounding = std::numeric_limits<double>::epsilon() * static_cast<double>(count);
  if (sigma[0] == 0) {
    return 0;
  }
  const double smallest = sigma[count - 1] / sigma[0];
  return smallest * smallest > rounding ? rounding / smallest : std::sqrt(rounding);
}

template <typename G, typename T>
bool solve(const View& view, SimdLevel level, const tg_svd_options& options, void* workspace, tg_svd_result& result) {
  Arena arena(workspace);
  GramAttempt<G, T> attempt(arena, view, options.rank, options.vectors != 0);
  if (result.spectrum == nullptr && attempt.find_vectors_without_gram(view, level, options) &&
      attempt.certify(view, level, options, false, result)) {
    result.method = TG_SVD_BLOCK_LANCZOS;
    return true;
  }
  attempt.gram.form(view, level, attempt.panel);
  result.method = std::is_same_v<G, double> ? TG_SVD_GRAM_DOUBLE : TG_SVD_GRAM_SINGLE;
  if (result.spectrum == nullptr && attempt.find_vectors_in_krylov_space(view, level, options) &&
      attempt.certify(view, level, options, true, result)) {
    result.method = TG_SVD_BLOCK_LANCZOS;
    return true;
  }
  if (!attempt.gram.tridiagonalise(level)) {
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
    write_spectrum(view, options, result);
  }
  return options.vectors == 0 ||
         (attempt.find_vectors(level, options.rank) && attempt.certify(view, level, options, true, result));
}

template <typename G, typename T>
int64_t bytes_of(const View& view, const tg_svd_options& options) {
  Arena arena;
  const GramAttempt<G, T> attempt(arena, view, options.rank, options.vectors != 0);
  return arena.used();
}

}  // namespace

int64_t gram_solver_bytes(GramPrecision precision, const View& view, const tg_svd_options& options) {
  switch (precision) {
    case GramPrecision::kSingle:
      return bytes_of<float, float>(view, options);
    case GramPrecision::kMixed:
      return bytes_of<float, double>(view, options);
    default:
      return bytes_of<double, double>(view, options);
  }
}

bool solve_with_gram_matrix(GramPrecision precision, const View& view, SimdLevel level, const tg_svd_options& options,
                            void* workspace, tg_svd_result& result) {
  switch (precision) {
    case GramPrecision::kSingle:
      return solve<float, float>(view, level, options, workspace, result);
    case GramPrecision::kMixed:
      return solve<float, double>(view, level, options, workspace, result);
    default:
      return solve<double, double>(view, level, options, workspace, result);
  }
}

}  // namespace threegate::svd
