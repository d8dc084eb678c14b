#include "screen.h"

#include "cpu/support/neon.h"
#include "screen_lanes.h"

namespace threegate::mask {
namespace {

// Compares 64 scores if there are that many. Returns the number of scores compared.
int64_t compare_all(const float* values, int64_t count, float low, float high, Compared& result) {
  constexpr int64_t kVectors = 16;
  constexpr int64_t kWidth = 4;
  if (count < kVectors * kWidth) {
    return 0;
  }
  uint32x4_t above[kVectors];
  uint32x4_t between[kVectors];
  uint32x4_t finite = vdupq_n_u32(~0U);
  for (int64_t i = 0; i < kVectors; ++i) {
    const float32x4_t score = vabsq_f32(vld1q_f32(values + i * kWidth));
    finite = vandq_u32(finite, vcltq_f32(score, vdupq_n_f32(kInfiniteScore)));
    above[i] = vcgtq_f32(score, vdupq_n_f32(high));
    between[i] = vcgeq_f32(score, vdupq_n_f32(low));
  }
  result.finite = vminvq_u32(finite) != 0;
  result.above = lane_bits(above);
  result.between = lane_bits(between);
  return kVectors * kWidth;
}

}  // namespace

Compared compare_neon(const float* values, int64_t count, float low, float high) {
  return compare_with(compare_all, values, count, low, high);
}

}  // namespace threegate::mask
