#include "block_solver.h"

#include <algorithm>
#include <type_traits>

#include "cpu/support/arena.h"
#include "orthonormaliser.h"
#include "output.h"
#include "rayleigh_ritz.h"
#include "restarted_lanczos.h"
#include "singular_vectors.h"
#include "tiled_product.h"
#include "tolerance.h"

namespace threegate::svd {
namespace {

// The arrays of one attempt. `G` is the precision of the Krylov space and `T` that of the triplets.
template <typename G, typename T>
struct BlockAttempt {
  BlockAttempt(Arena& arena, const View& view, int64_t rank)
      : space_product(arena, view),
        lanczos(arena, view, rank),
        found(arena.take<G>(kMixed ? rank * view.short_side : 0)),
        product(arena, view),
        vectors(take_vectors<T>(arena, view, rank)),
        ritz(arena, rank),
        orthonormaliser(arena, std::is_same_v<G, double> ? rank : 0) {}

  // Finds the triplets and returns their certificate.
  Certificate run(const View& view, SimdLevel level, const tg_svd_options& options) {
    const int64_t rank = options.rank;
    G* x = found;
    if constexpr (!kMixed) {
      x = vectors.x;
    }
    const bool runs = lanczos.run(view, level, space_product, options.tolerance, x);
    if constexpr (kMixed) {
      std::copy_n(found, rank * view.short_side, vectors.x);
    }
    if constexpr (kWide) {
      correct_orthonormality(rank, view.short_side, vectors.x, vectors.overlap, vectors.z);
    }
    product.to_long_side(view, rank, vectors.x, vectors.y);
    product.to_short_side(view, rank, vectors.y, vectors.z);
    Certificate certificate = scale_triplets(view, rank, vectors);
    if (runs && !certificate.within(options.tolerance)) {
      certificate = ritz.run(view, vectors);
    }
    if constexpr (std::is_same_v<G, double>) {
      if (runs && !certificate.within(options.tolerance)) {
        product.to_long_side(view, rank, vectors.x, vectors.y);
        std::fill_n(vectors.sigma, rank, 1.0);
        certificate = orthonormaliser.run(view, rank, vectors);
      }
    }
    return certificate;
  }

  static constexpr bool kWide = std::is_same_v<T, double>;
  static constexpr bool kMixed = !std::is_same_v<G, T>;

  TiledProduct<G> space_product;  // the products of the space
  RestartedLanczos<G> lanczos;
  G* found;
  TiledProduct<T> product;
  Vectors<T> vectors;
  RayleighRitz<T> ritz;
  Orthonormaliser orthonormaliser;
};

template <typename G, typename T>
bool solve(const View& view, SimdLevel level, const tg_svd_options& options, void* workspace, tg_svd_result& result) {
  Arena arena(workspace);
  BlockAttempt<G, T> attempt(arena, view, options.rank);
  write_triplets(view, options, attempt.vectors, attempt.run(view, level, options), result);
  return result.status == TG_OK;
}

template <typename G, typename T>
int64_t bytes_of(const View& view, const tg_svd_options& options) {
  Arena arena;
  const BlockAttempt<G, T> attempt(arena, view, options.rank);
  return arena.used();
}

}  // namespace

bool block_solver_suits(const View& view, int64_t rank) { return RestartedLanczos<double>::suits(view.short_side, rank); }

int64_t block_solver_bytes(const View& view, const tg_svd_options& options) {
  const int64_t wide = bytes_of<double, double>(view, options);
  return options.tolerance >= kSingleTolerance  ? std::max(wide, bytes_of<float, float>(view, options))
         : options.tolerance >= kMixedTolerance ? std::max(wide, bytes_of<float, double>(view, options))
                                                : wide;
}

void solve_by_blocks(const View& view, SimdLevel level, const tg_svd_options& options, void* workspace, tg_svd_result& result) {
  result.method = TG_SVD_BLOCK_LANCZOS;
  const bool done = options.tolerance >= kSingleTolerance  ? solve<float, float>(view, level, options, workspace, result)
                    : options.tolerance >= kMixedTolerance ? solve<float, double>(view, level, options, workspace, result)
                                                           : false;
  if (!done) {
    solve<double, double>(view, level, options, workspace, result);
  }
}

}  // namespace threegate::svd
