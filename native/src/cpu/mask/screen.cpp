#include "screen.h"

#include "screen_lanes.h"

namespace threegate::mask {

Compared compare_scalar(const float* values, int64_t count, float low, float high) {
  return compare_lanes(values, count, low, high);
}
int64_t panel_columns_scalar() { return kPanel; }
void multiply_scalar(const float* left, const float* right, int64_t rank, float* scores) {
  multiply_lanes(left, right, rank, scores);
}
double dot_scalar(const float* left, const float* right, int64_t count) { return dot_lanes(left, right, count); }

Compared compare(SimdLevel level, const float* values, int64_t count, float low, float high) {
  return TG_AT_LEVEL(level, compare)(values, count, low, high);
}

int64_t panel_columns(SimdLevel level) { return TG_LANES_AT_LEVEL(level, panel_columns)(); }

void multiply(SimdLevel level, const float* left, const float* right, int64_t rank, float* scores) {
  TG_LANES_AT_LEVEL(level, multiply)(left, right, rank, scores);
}

double dot(SimdLevel level, const float* left, const float* right, int64_t count) {
  return TG_LANES_AT_LEVEL(level, dot)(left, right, count);
}

}  // namespace threegate::mask
