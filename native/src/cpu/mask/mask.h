// Exact selection of the largest or smallest scores, which are recomputed tile by tile instead of being stored, and counts by
// magnitude.
#ifndef THREEGATE_CPU_MASK_MASK_H
#define THREEGATE_CPU_MASK_MASK_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "cpu/support/thread_pool.h"
#include "threegate/threegate.h"

namespace threegate::mask {

int64_t rows_of(const tg_mask_scores& scores);
int64_t columns_of(const tg_mask_scores& scores);

int64_t workspace_bytes(const tg_mask_scores& scores, int threads);

enum class Outcome { kDone, kCancelled, kNotFinite };

Outcome select(ThreadPool& pool, SimdLevel level, const tg_mask_scores& scores, const tg_mask_options& options,
               tg_control* control, void* workspace, uint64_t* mask);

struct Histogram {
  int64_t* all;
  int64_t* first;
  int64_t* second;
  int64_t* both;
};
void magnitude_profile(const tg_operand& matrix, const double* table, double* row_sums, double* column_sums);
void magnitude_histogram(const tg_operand& matrix, const uint64_t* first, const uint64_t* second, const Histogram& histogram);

}  // namespace threegate::mask

#endif  // THREEGATE_CPU_MASK_MASK_H
