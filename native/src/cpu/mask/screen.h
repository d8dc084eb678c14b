// The operations of screening on scores, for each instruction set. Comparisons and sums in float64 give the same bits at all
// levels.
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

// Scores are computed in blocks. A block has the columns of one word of a mask.
constexpr int64_t kBlockRows = 24;
constexpr int64_t kBlockColumns = 64;

// Products are summed in chunks of at most this many terms, so that the rounding of a sum does not grow with the rank.
constexpr int64_t kChunk = 192;

// The number of columns of a panel, in which a level reads the right factor. Panels follow each other. The entries of a panel are
// ordered by term, and then by column. A block is a whole number of panels.
int64_t panel_columns(SimdLevel level);
int64_t panel_columns_scalar();
int64_t panel_columns_avx2();
int64_t panel_columns_avx512();

// The scores of a block, row by row, from the rows of the left factor and the panels of the right one. Both have `rank` terms, at
// least one.
void multiply(SimdLevel level, const float* left, const float* right, int64_t rank, float* scores);
void multiply_scalar(const float* left, const float* right, int64_t rank, float* scores);
void multiply_avx2(const float* left, const float* right, int64_t rank, float* scores);
void multiply_avx512(const float* left, const float* right, int64_t rank, float* scores);

// The product of two vectors, in float64.
double dot(SimdLevel level, const float* left, const float* right, int64_t count);
double dot_scalar(const float* left, const float* right, int64_t count);
double dot_avx2(const float* left, const float* right, int64_t count);
double dot_avx512(const float* left, const float* right, int64_t count);

}  // namespace threegate::mask

#endif  // THREEGATE_CPU_MASK_SCREEN_H
