#include "screen.h"

#include "screen_lanes.h"

namespace threegate::mask {

Compared compare_avx2(const float* values, int64_t count, float low, float high) {
  return compare_lanes(values, count, low, high);
}
int64_t panel_columns_avx2() { return kPanel; }
void multiply_avx2(const float* left, const float* right, int64_t rank, float* scores) {
  multiply_lanes(left, right, rank, scores);
}
double dot_avx2(const float* left, const float* right, int64_t count) { return dot_lanes(left, right, count); }

}  // namespace threegate::mask
