#include "narrow_factors.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace threegate::mask {
namespace {

// Transposes rank x length factors, times the values where there are any, into length x rank. Returns the largest squared norm of
// a row of the result.
double take(const tg_mask_scores& scores, const double* factors, const double* values, int64_t length, float* out) {
  constexpr int64_t kTogether = 16;  // rows that are transposed together, so that few cache lines are written at a time
  double largest = 0;
  for (int64_t begin = 0; begin < length; begin += kTogether) {
    const int64_t count = std::min(kTogether, length - begin);
    double squares[kTogether] = {};
    for (int64_t k = 0; k < scores.rank; ++k) {
      const double value = values == nullptr ? 1 : values[k];
      for (int64_t j = 0; j < count; ++j) {
        const double entry = value * factors[k * length + begin + j];
        out[(begin + j) * scores.rank + k] = static_cast<float>(entry);
        squares[j] += entry * entry;
      }
    }
    largest = std::max(largest, *std::max_element(squares, squares + count));
  }
  return largest;
}

}  // namespace

NarrowFactors::NarrowFactors(const tg_mask_scores& scores)
    : left(static_cast<size_t>(scores.rank * scores.rows)), right(static_cast<size_t>(scores.rank * scores.columns)) {
  const double norms = std::sqrt(take(scores, scores.left, scores.values, scores.rows, left.data()) *
                                 take(scores, scores.right, nullptr, scores.columns, right.data()));
  constexpr double kUnit = std::numeric_limits<float>::epsilon() / 2;
  error = (static_cast<double>(scores.rank) + kOthers) * kUnit * norms;
}

}  // namespace threegate::mask
