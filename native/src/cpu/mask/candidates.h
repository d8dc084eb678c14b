// The last step of a selection by scores, for entries that float32 could not decide. The device has the same operations in
// cuda/mask/screening_kernels.cu.
#ifndef THREEGATE_CPU_MASK_CANDIDATES_H
#define THREEGATE_CPU_MASK_CANDIDATES_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/lanes.h"
#include "threegate/threegate.h"

namespace threegate {

struct Candidate {
  double score;
  int64_t index;  // row-major
};

// The score of one entry of a reconstruction from triplets, in float64.
inline Candidate score_exactly(const tg_mask_scores& scores, int64_t row, int64_t column) {
  const double* left = scores.left + row;
  const double* right = scores.right + column;
  const double score =
      sum_in_lanes(scores.rank, [&](int64_t k) { return scores.values[k] * left[k * scores.rows] * right[k * scores.columns]; });
  return {std::abs(score), row * scores.columns + column};
}

// Calls take(row, column) for the `wanted` largest scores. Of equal scores those with the lower index are taken.
template <typename Take>
void take_largest(const tg_mask_scores& scores, std::vector<Candidate>& candidates, int64_t wanted, Take take) {
  std::nth_element(candidates.begin(), candidates.begin() + wanted, candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.score > b.score || (a.score == b.score && a.index < b.index);
  });
  for (int64_t i = 0; i < wanted; ++i) {
    const int64_t index = candidates[static_cast<size_t>(i)].index;
    take(index / scores.columns, index % scores.columns);
  }
}

}  // namespace threegate

#endif  // THREEGATE_CPU_MASK_CANDIDATES_H
