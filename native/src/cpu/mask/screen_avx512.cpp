#include "screen.h"

#include "screen_lanes.h"

namespace threegate::mask {

Compared compare_avx512(const float* values, int64_t count, float low, float high) {
  return compare_lanes(values, count, low, high);
}
int64_t panel_columns_avx512() { return kPanel; }
void multiply_avx512(const float* left, const float* right, int64_t rank, float* scores) {
  multiply_lanes(left, right, rank, scores);
}
double dot_avx512(const float* left, const float* right, int64_t count) { return dot_lanes(left, right, count); }

}  // namespace threegate::mask
