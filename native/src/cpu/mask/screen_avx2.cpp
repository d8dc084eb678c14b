#include "screen.h"

#include "screen_lanes.h"

namespace threegate::mask {

Compared compare_avx2(const float* values, int64_t count, float low, float high) {
  return compare_lanes(values, count, low, high);
}
double dot_avx2(const float* left, const float* right, int64_t count) { return dot_lanes(left, right, count); }

}  // namespace threegate::mask
