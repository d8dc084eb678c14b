#include "truncated_svd.h"

#include <algorithm>
#include <cmath>

#include "block_solver.h"
#include "change_tracking.h"
#include "gram_solver.h"
#include "output.h"
#include "panel.h"
#include "tolerance.h"
#include "tracking.h"
#include "triangle_solver.h"

namespace threegate::svd {
namespace {

// Up to this short side the triangular factor is as fast as the Gram matrix.
constexpr int64_t kSmall = 64;

// A power of two near one over the largest entry, with which squares neither overflow nor vanish. It is 1 if they do neither
// anyway.
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

// Returns whether the matrix is solved by blocks, without any matrix of the order of its short side.
bool takes_blocks(const View& view, const tg_svd_options& options, const tg_svd_result& result, int64_t longest_whole) {
  return view.short_side > longest_whole && options.vectors != 0 && result.spectrum == nullptr &&
         block_solver_suits(view, options.rank);
}

}  // namespace

int64_t workspace_bytes(const tg_operand& matrix, const tg_svd_options& options, const tg_svd_start* start,
                        const tg_svd_result& result, int64_t longest_whole) {
  const View view = make_view(matrix, nullptr, 1);
  if (view.short_side == 0) {
    return 0;
  }
  if (start == nullptr && takes_blocks(view, options, result, longest_whole)) {
    return block_solver_bytes(view, options);
  }
  int64_t bytes = triangle_solver_bytes(view, options);
  if (start != nullptr) {
    bytes = std::max({bytes, tracking_bytes(view, options), change_tracking_bytes(view, options, *start)});
  }
  if (tries_gram(view)) {
    bytes = std::max(bytes, gram_solver_bytes(GramPrecision::kDouble, view, options));
  }
  if (tries_single(view, options, result)) {
    bytes = std::max(bytes, gram_solver_bytes(GramPrecision::kSingle, view, options));
  }
  if (tries_mixed(view, options, result)) {
    bytes = std::max(bytes, gram_solver_bytes(GramPrecision::kMixed, view, options));
  }
  return bytes;
}

void truncated_svd(SimdLevel level, const tg_operand& matrix, const tg_operand* subtracted, const tg_svd_options& options,
                   const tg_svd_start* start, int64_t longest_whole, const tg_control* control, void* workspace,
                   tg_svd_result& result) {
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
    write_zero(view, options, result);
    return;
  }
  if (start == nullptr && takes_blocks(view, options, result, longest_whole)) {
    solve_by_blocks(view, level, options, workspace, result);
    return;
  }
  if (start != nullptr && (track_changes(view, level, options, *start, workspace, result) ||
                           track(view, level, options, *start, workspace, result))) {
    return;
  }
  const auto solve = [&](GramPrecision precision) {
    return solve_with_gram_matrix(precision, view, level, options, workspace, result);
  };
  if ((tries_single(view, options, result) && solve(GramPrecision::kSingle)) ||
      (tries_mixed(view, options, result) && solve(GramPrecision::kMixed)) ||
      (tries_gram(view) && solve(GramPrecision::kDouble))) {
    return;
  }
  solve_with_triangle(view, options, workspace, result);
}

}  // namespace threegate::svd
