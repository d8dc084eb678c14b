// The factors of a reconstruction in float32.
#ifndef THREEGATE_CPU_MASK_NARROW_FACTORS_H
#define THREEGATE_CPU_MASK_NARROW_FACTORS_H

#include <cstdint>
#include <vector>

#include "threegate/threegate.h"

namespace threegate::mask {

// The factors, and how far a score from them may lie from the exact one. The error comes from the rounding of the factors and of
// a sum of `rank` products: (rank + 8) units of rounding times the largest norms of both factors (Cauchy and Schwarz).
struct NarrowFactors {
  explicit NarrowFactors(const tg_mask_scores& scores);

  // False where the error is near an end of float32's range, where rounding is no longer relative, or where it is not finite.
  [[nodiscard]] bool is_usable() const { return error > 1e-25 && error < 1e25; }

  static constexpr double kOthers = 8;  // roundings other than those of the sum

  std::vector<float> left;   // rows x rank, with the singular values included
  std::vector<float> right;  // columns x rank
  double error = 0;
};

}  // namespace threegate::mask

#endif  // THREEGATE_CPU_MASK_NARROW_FACTORS_H
