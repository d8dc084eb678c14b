#include "screen.h"

#include "screen_lanes.h"

namespace threegate::mask {

Compared compare(SimdLevel level, const float* values, int64_t count, float low, float high) {
  switch (level) {
    case SimdLevel::kAvx512:
      return compare_avx512(values, count, low, high);
    case SimdLevel::kAvx2:
      return compare_avx2(values, count, low, high);
    default:
      return compare_lanes(values, count, low, high);
  }
}

double dot(SimdLevel level, const float* left, const float* right, int64_t count) {
  switch (level) {
    case SimdLevel::kAvx512:
      return dot_avx512(left, right, count);
    case SimdLevel::kAvx2:
      return dot_avx2(left, right, count);
    default:
      return dot_lanes(left, right, count);
  }
}

}  // namespace threegate::mask
