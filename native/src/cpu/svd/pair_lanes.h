// The arithmetic of pairs.h. A pair of levels is the 2 x 2 matrix [a b; c d], with a and d on the diagonal of the sum. Its
// singular values and vectors are exact, so that levels that nearly coincide are no exception. Everything has internal linkage,
// for the reason in dtype.h. Loops run over lanes, so that compilers vectorise them.
#ifndef THREEGATE_CPU_SVD_PAIR_LANES_H
#define THREEGATE_CPU_SVD_PAIR_LANES_H

#include <cmath>

#include "pairs.h"

namespace threegate::svd {
namespace {

constexpr float kTiny = 1e-37F;             // avoids a division of zero by zero
constexpr double kLargestTangent = 1e+100;  // its square is finite

// sqrt(x^2 + y^2) - |x| without cancellation.
inline float excess(float x, float y) { return y * y / (std::sqrt(x * x + y * y) + std::abs(x) + kTiny); }

// The singular values of [a b; c d] have the sum sqrt((a + d)^2 + (b - c)^2) and the difference sqrt((a - d)^2 + (b + c)^2).
inline void add_tile(const PairTile& tile, PairSums& sums) {
  sums = {};
  for (int64_t i = 0; i < kPairTile; ++i) {
    const double a = tile.of_rows[i];
    for (int64_t j = 0; j < kPairTile; ++j) {
      const double d = tile.of_columns[j];
      const float b = tile.across[i][j];
      const float c = tile.back[i][j];
      const auto sum = static_cast<float>(d + a);
      const auto gap = static_cast<float>(d - a);
      const float apart = excess(gap, b + c) / 2;
      const float together = excess(sum, b - c) / 2;
      const float mixing = (b + c) * (b + c) / (gap * gap + (b + c) * (b + c) + kTiny);
      sums.shift[j] += (sum < 0 ? -together : together) + (gap < 0 ? -apart : apart);
      sums.mixing[j] += mixing;
      sums.strongest[j] = sums.strongest[j] > mixing ? sums.strongest[j] : mixing;
    }
  }
}

// tan(atan2(y, x) / 2), at most kLargestTangent.
inline double half_tangent(double y, double x) {
  const double sum = std::sqrt(x * x + y * y) + std::abs(x);
  const double small = y / (sum + static_cast<double>(kTiny));
  const double large = sum / (std::abs(y) + sum / kLargestTangent + static_cast<double>(kTiny));
  return x < 0 ? (y < 0 ? -large : large) : small;
}

// The left and right vectors turn by half the angles of [2(ac + bd), a^2 + b^2 - c^2 - d^2] and of the same with b and c
// exchanged.
inline void tile_tangents(const PairTile& tile, PairTangents& tangents) {
  for (int64_t i = 0; i < kPairTile; ++i) {
    const double a = tile.of_rows[i];
    for (int64_t j = 0; j < kPairTile; ++j) {
      const double d = tile.of_columns[j];
      const double b = tile.across[i][j];
      const double c = tile.back[i][j];
      // A product of sums is used, because squares of close values cancel.
      const double squares = (a - d) * (a + d);
      const double others = (b - c) * (b + c);
      tangents.left[i][j] = half_tangent(2 * (a * c + b * d), squares + others);
      tangents.right[i][j] = half_tangent(2 * (a * b + c * d), squares - others);
    }
  }
}

}  // namespace
}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_PAIR_LANES_H
