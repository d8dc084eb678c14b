// Sums in an order that compilers can vectorise. The order is the same at every optimisation level.
#ifndef THREEGATE_COMMON_LANES_H
#define THREEGATE_COMMON_LANES_H

#include <cstdint>

namespace threegate {

// term(0) + .. + term(count - 1), as eight partial sums that are added at the end.
template <typename Term>
double sum_in_lanes(int64_t count, Term term) {
  constexpr int64_t kLanes = 8;
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] += term(i + lane);
    }
  }
  for (int64_t lane = 0; i < count; ++i, ++lane) {
    lanes[lane] += term(i);
  }
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t lane = 0; lane < width; ++lane) {
      lanes[lane] += lanes[lane + width];
    }
  }
  return lanes[0];
}

}  // namespace threegate

#endif  // THREEGATE_COMMON_LANES_H
