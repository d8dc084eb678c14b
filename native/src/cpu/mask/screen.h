// The operations of screening on scores, for each instruction set. All of them give the same bits.
#ifndef THREEGATE_CPU_MASK_SCREEN_H
#define THREEGATE_CPU_MASK_SCREEN_H

#include <cstdint>

#include "cpu/support/simd_level.h"

namespace threegate::mask {

// The comparison of up to 64 scores, with one bit for each: |score| > high, and low <= |score| <= high.
struct Compared {
  uint64_t above;
  uint64_t between;
  bool finite;
};

Compared compare(SimdLevel level, const float* values, int64_t count, float low, float high);
Compared compare_scalar(const float* values, int64_t count, float low, float high);
Compared compare_avx2(const float* values, int64_t count, float low, float high);
Compared compare_avx512(const float* values, int64_t count, float low, float high);
Compared compare_neon(const float* values, int64_t count, float low, float high);

// The product of two vectors, in float64.
double dot(SimdLevel level, const float* left, const float* right, int64_t count);
double dot_scalar(const float* left, const float* right, int64_t count);
double dot_avx2(const float* left, const float* right, int64_t count);
double dot_avx512(const float* left, const float* right, int64_t count);

}  // namespace threegate::mask

#endif  // THREEGATE_CPU_MASK_SCREEN_H
