#include "screen.h"

#include "screen_lanes.h"

namespace threegate::mask {

Compared compare_scalar(const float* values, int64_t count, float low, float high) {
  return compare_lanes(values, count, low, high);
}
double dot_scalar(const float* left, const float* right, int64_t count) { return dot_lanes(left, right, count); }

Compared compare(SimdLevel level, const float* values, int64_t count, float low, float high) {
  return TG_AT_LEVEL(level, compare)(values, count, low, high);
}

double dot(SimdLevel level, const float* left, const float* right, int64_t count) {
  return TG_LANES_AT_LEVEL(level, dot)(left, right, count);
}

}  // namespace threegate::mask
