// The arithmetic of screen.h, compiled for each instruction set. Everything has internal linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_MASK_SCREEN_LANES_H
#define THREEGATE_CPU_MASK_SCREEN_LANES_H

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/lanes.h"
#include "screen.h"

namespace threegate::mask {
namespace {

constexpr float kInfiniteScore = std::numeric_limits<float>::infinity();

// Compares sixteen, eight or four scores at a time where x86-64 has instructions for it. Returns the number of scores compared.
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
#elif defined(__AVX2__)
  const __m256 sign = _mm256_set1_ps(-0.0F);
  __m256 wrong = _mm256_setzero_ps();
  for (; l + 8 <= count; l += 8) {
    const __m256 score = _mm256_andnot_ps(sign, _mm256_loadu_ps(values + l));
    wrong = _mm256_or_ps(wrong, _mm256_cmp_ps(score, _mm256_set1_ps(kInfiniteScore), _CMP_NLT_UQ));
    const __m256 above = _mm256_cmp_ps(score, _mm256_set1_ps(high), _CMP_GT_OQ);
    const __m256 between = _mm256_cmp_ps(score, _mm256_set1_ps(low), _CMP_GE_OQ);
    result.above |= static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_ps(above))) << l;
    result.between |= static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_ps(between))) << l;
  }
  result.finite = _mm256_movemask_ps(wrong) == 0;
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

// A vector of scores. As many rows and vectors are summed at a time as the registers of the instruction set can hold.
#if defined(__AVX512F__)
using Vector = __m512;
constexpr int64_t kLanes = 16;
constexpr int64_t kSumRows = 12;
constexpr int64_t kSumVectors = 2;
inline Vector load(const float* from) { return _mm512_loadu_ps(from); }
inline void store(float* to, Vector from) { _mm512_storeu_ps(to, from); }
inline Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
inline Vector add_product(Vector sum, float a, Vector b) { return _mm512_fmadd_ps(_mm512_set1_ps(a), b, sum); }
#elif defined(__AVX2__)
using Vector = __m256;
constexpr int64_t kLanes = 8;
constexpr int64_t kSumRows = 6;
constexpr int64_t kSumVectors = 2;
inline Vector load(const float* from) { return _mm256_loadu_ps(from); }
inline void store(float* to, Vector from) { _mm256_storeu_ps(to, from); }
inline Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
inline Vector add_product(Vector sum, float a, Vector b) { return _mm256_fmadd_ps(_mm256_set1_ps(a), b, sum); }
#elif defined(__x86_64__)
using Vector = __m128;
constexpr int64_t kLanes = 4;
constexpr int64_t kSumRows = 6;
constexpr int64_t kSumVectors = 2;
inline Vector load(const float* from) { return _mm_loadu_ps(from); }
inline void store(float* to, Vector from) { _mm_storeu_ps(to, from); }
inline Vector add(Vector a, Vector b) { return _mm_add_ps(a, b); }
inline Vector add_product(Vector sum, float a, Vector b) { return _mm_add_ps(sum, _mm_mul_ps(_mm_set1_ps(a), b)); }
#elif defined(__aarch64__)
using Vector = float32x4_t;
constexpr int64_t kLanes = 4;
constexpr int64_t kSumRows = 6;
constexpr int64_t kSumVectors = 4;
inline Vector load(const float* from) { return vld1q_f32(from); }
inline void store(float* to, Vector from) { vst1q_f32(to, from); }
inline Vector add(Vector a, Vector b) { return vaddq_f32(a, b); }
inline Vector add_product(Vector sum, float a, Vector b) { return vfmaq_n_f32(sum, b, a); }
#else
using Vector = float;
constexpr int64_t kLanes = 1;
constexpr int64_t kSumRows = 4;
constexpr int64_t kSumVectors = 4;
inline Vector load(const float* from) { return *from; }
inline void store(float* to, Vector from) { *to = from; }
inline Vector add(Vector a, Vector b) { return a + b; }
inline Vector add_product(Vector sum, float a, Vector b) { return sum + a * b; }
#endif
constexpr int64_t kPanel = kLanes * kSumVectors;
static_assert(kBlockRows % kSumRows == 0 && kBlockColumns % kPanel == 0);

// Adds `count` terms of one panel, or begins with them.
template <bool kIsFirst>
inline void multiply_chunk(const float* left, const float* right, int64_t rank, int64_t count, float* scores) {
  Vector sums[kSumRows][kSumVectors] = {};
  for (int64_t k = 0; k < count; ++k) {
    Vector columns[kSumVectors];
    for (int64_t v = 0; v < kSumVectors; ++v) {
      columns[v] = load(right + k * kPanel + v * kLanes);
    }
    for (int64_t i = 0; i < kSumRows; ++i) {
      for (int64_t v = 0; v < kSumVectors; ++v) {
        sums[i][v] = add_product(sums[i][v], left[i * rank + k], columns[v]);
      }
    }
  }
  for (int64_t i = 0; i < kSumRows; ++i) {
    for (int64_t v = 0; v < kSumVectors; ++v) {
      float* to = scores + i * kBlockColumns + v * kLanes;
      store(to, kIsFirst ? sums[i][v] : add(load(to), sums[i][v]));
    }
  }
}

// All rows of a block are multiplied by a chunk of a panel while it is in the first-level cache.
inline void multiply_lanes(const float* left, const float* right, int64_t rank, float* scores) {
  const int64_t chunks = (rank + kChunk - 1) / kChunk;
  const int64_t longest = (rank + chunks - 1) / chunks;
  for (int64_t column = 0; column < kBlockColumns; column += kPanel) {
    for (int64_t begin = 0; begin < rank; begin += longest) {
      const int64_t count = std::min(longest, rank - begin);
      const float* chunk = right + column * rank + begin * kPanel;
      for (int64_t row = 0; row < kBlockRows; row += kSumRows) {
        const float* rows = left + row * rank + begin;
        float* to = scores + row * kBlockColumns + column;
        if (begin == 0) {
          multiply_chunk<true>(rows, chunk, rank, count, to);
        } else {
          multiply_chunk<false>(rows, chunk, rank, count, to);
        }
      }
    }
  }
}

inline double dot_lanes(const float* left, const float* right, int64_t count) {
  return sum_in_lanes(count, [&](int64_t i) { return static_cast<double>(left[i]) * static_cast<double>(right[i]); });
}

}  // namespace
}  // namespace threegate::mask

#endif  // THREEGATE_CPU_MASK_SCREEN_LANES_H
