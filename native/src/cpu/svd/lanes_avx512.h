// Sums over the lanes of vectors. Everything has internal linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_SVD_LANES_AVX512_H
#define THREEGATE_CPU_SVD_LANES_AVX512_H

#include <immintrin.h>

namespace threegate::svd {
namespace {

// The sums over the lanes of four vectors.
[[gnu::always_inline]] inline __m128 sum_lanes(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  const __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
  const __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
  const __m512 quarters = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
  const __m256 halves = _mm256_add_ps(_mm512_castps512_ps256(quarters), _mm512_extractf32x8_ps(quarters, 1));
  return _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
}

}  // namespace
}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_LANES_AVX512_H
