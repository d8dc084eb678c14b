#include "tridiagonal.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tridiagonal_lanes.h"

namespace threegate::svd {
namespace {

// Brackets of this many halvings are narrow enough for Rayleigh quotients in nearly all cases. The others are bisected to the
// end.
constexpr int kFirstSteps = 30;
constexpr int kAllSteps = 24;
constexpr double kRounding = 16 * std::numeric_limits<double>::epsilon();
// The deviation of two vectors from orthogonality is the rounding of float64 divided by the difference of their values.
constexpr double kClose = 1e-8;

}  // namespace

void bisect_lanes_scalar(TridiagonalLanes& lanes, int steps) { bisect(lanes, steps); }
void twist_lanes_scalar(TridiagonalLanes& lanes) { twist(lanes); }

void bisect_lanes(SimdLevel level, TridiagonalLanes& lanes, int steps) { TG_LANES_AT_LEVEL(level, bisect_lanes)(lanes, steps); }
void twist_lanes(SimdLevel level, TridiagonalLanes& lanes) { TG_LANES_AT_LEVEL(level, twist_lanes)(lanes); }

Tridiagonal::Tridiagonal(Arena& arena, int64_t capacity)
    : diagonal_(arena.take<double>(capacity)),
      off_diagonal_(arena.take<double>(capacity)),
      squares_(arena.take<double>(capacity)) {
  lanes_.forward = arena.take<double>(capacity * kTridiagonalLanes);
  lanes_.backward = arena.take<double>(capacity * kTridiagonalLanes);
}

bool Tridiagonal::run(SimdLevel level, int64_t order, const float* diagonal, const float* off_diagonal, int64_t rank,
                      float* values, float* x) {
  std::copy_n(diagonal, order, diagonal_);
  std::copy_n(off_diagonal, order - 1, off_diagonal_);
  double norm = 0;
  for (int64_t i = 0; i < order; ++i) {
    const double before = i > 0 ? std::abs(off_diagonal_[i - 1]) : 0;
    const double after = i + 1 < order ? std::abs(off_diagonal_[i]) : 0;
    norm = std::max(norm, std::abs(diagonal_[i]) + before + after);
  }
  // In units of the norm, so that neither squares nor pivots leave the range of float64.
  if (!(norm > 0) || !std::isfinite(norm)) {
    return false;
  }
  for (int64_t i = 0; i < order; ++i) {
    diagonal_[i] /= norm;
    off_diagonal_[i] = i + 1 < order ? off_diagonal_[i] / norm : 0;
    squares_[i] = std::max(off_diagonal_[i] * off_diagonal_[i], 1e-200);
  }
  lanes_.order = order;
  lanes_.diagonal = diagonal_;
  lanes_.off_diagonal = off_diagonal_;
  lanes_.squares = squares_;
  lanes_.smallest = 1e-100;
  previous_ = 2;
  for (int64_t first = 0; first < rank; first += kTridiagonalLanes) {
    const int64_t count = std::min(kTridiagonalLanes, rank - first);
    if (!solve(level, first) || !write(first, count, values, x)) {
      return false;
    }
    for (int64_t i = first; i < first + count; ++i) {
      values[i] = static_cast<float>(static_cast<double>(values[i]) * norm);
    }
  }
  return true;
}

// Finds the lanes from value `first` on, counted from the largest one. Lanes beyond the last value repeat it.
bool Tridiagonal::solve(SimdLevel level, int64_t first) {
  for (int64_t l = 0; l < kTridiagonalLanes; ++l) {
    lanes_.index[l] = static_cast<double>(std::max<int64_t>(lanes_.order - 1 - first - l, 0));
    lanes_.low[l] = -1 - kRounding;
    lanes_.high[l] = 1 + kRounding;
  }
  for (const int steps : {kFirstSteps, kAllSteps}) {
    bisect_lanes(level, lanes_, steps);
    for (int64_t l = 0; l < kTridiagonalLanes; ++l) {
      lanes_.value[l] = (lanes_.low[l] + lanes_.high[l]) / 2;
    }
    for (int pass = 0; pass < 4; ++pass) {
      twist_lanes(level, lanes_);
      bool fine = true;
      for (int64_t l = 0; l < kTridiagonalLanes; ++l) {
        const bool inside = lanes_.value[l] >= lanes_.low[l] - kRounding && lanes_.value[l] <= lanes_.high[l] + kRounding;
        fine = fine && inside && lanes_.residual[l] <= kRounding;
      }
      if (fine) {
        return true;
      }
    }
  }
  return false;
}

bool Tridiagonal::write(int64_t first, int64_t count, float* values, float* x) {
  const int64_t order = lanes_.order;
  for (int64_t l = 0; l < count; ++l) {
    const double value = lanes_.value[l];
    values[first + l] = static_cast<float>(value);
    if (previous_ - value < kClose) {
      return false;
    }
    previous_ = value;
  }
  for (int64_t i = 0; i < order; ++i) {
    for (int64_t l = 0; l < count; ++l) {
      x[(first + l) * order + i] = static_cast<float>(lanes_.forward[i * kTridiagonalLanes + l]);
    }
  }
  return true;
}

}  // namespace threegate::svd
