// The arithmetic of screen.h, compiled for each instruction set. Everything has internal linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_MASK_SCREEN_LANES_H
#define THREEGATE_CPU_MASK_SCREEN_LANES_H

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cmath>
#include <limits>

#include "common/lanes.h"
#include "screen.h"

namespace threegate::mask {
namespace {

constexpr float kInfiniteScore = std::numeric_limits<float>::infinity();

// Compares sixteen or four scores at a time where x86-64 has instructions for it. Returns the number of scores compared.
[[maybe_unused]] inline int64_t compare_vectors([[maybe_unused]] const float* values, [[maybe_unused]] int64_t count,
                                                [[maybe_unused]] float low, [[maybe_unused]] float high,
                                                [[maybe_unused]] Compared& result) {
  int64_t l = 0;
#if defined(__AVX512F__)
  uint32_t finite = 0xffffU;
  for (; l + 16 <= count; l += 16) {
    const __m512 score = _mm512_abs_ps(_mm512_loadu_ps(values + l));
    finite &= _mm512_cmp_ps_mask(score, _mm512_set1_ps(kInfiniteScore), _CMP_LT_OQ);
    result.above |= static_cast<uint64_t>(_mm512_cmp_ps_mask(score, _mm512_set1_ps(high), _CMP_GT_OQ)) << l;
    result.between |= static_cast<uint64_t>(_mm512_cmp_ps_mask(score, _mm512_set1_ps(low), _CMP_GE_OQ)) << l;
  }
  result.finite = finite == 0xffffU;
#elif defined(__x86_64__)
  const __m128 sign = _mm_set1_ps(-0.0F);
  __m128 wrong = _mm_setzero_ps();
  for (; l + 4 <= count; l += 4) {
    const __m128 score = _mm_andnot_ps(sign, _mm_loadu_ps(values + l));
    wrong = _mm_or_ps(wrong, _mm_cmpnlt_ps(score, _mm_set1_ps(kInfiniteScore)));
    result.above |= static_cast<uint64_t>(_mm_movemask_ps(_mm_cmpgt_ps(score, _mm_set1_ps(high)))) << l;
    result.between |= static_cast<uint64_t>(_mm_movemask_ps(_mm_cmpge_ps(score, _mm_set1_ps(low)))) << l;
  }
  result.finite = _mm_movemask_ps(wrong) == 0;
#endif
  return l;
}

// `vectors` compares the first scores, as compare_vectors does.
template <typename Vectors>
Compared compare_with(Vectors vectors, const float* values, int64_t count, float low, float high) {
  Compared result{0, 0, true};
  for (int64_t l = vectors(values, count, low, high, result); l < count; ++l) {
    const float score = std::abs(values[l]);
    result.finite = result.finite && score < kInfiniteScore;
    result.above |= static_cast<uint64_t>(score > high) << l;
    result.between |= static_cast<uint64_t>(score >= low) << l;
  }
  result.between &= ~result.above;
  return result;
}

inline Compared compare_lanes(const float* values, int64_t count, float low, float high) {
  return compare_with(compare_vectors, values, count, low, high);
}

inline double dot_lanes(const float* left, const float* right, int64_t count) {
  return sum_in_lanes(count, [&](int64_t i) { return static_cast<double>(left[i]) * static_cast<double>(right[i]); });
}

}  // namespace
}  // namespace threegate::mask

#endif  // THREEGATE_CPU_MASK_SCREEN_LANES_H
