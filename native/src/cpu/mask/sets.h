// Set algebra and overlaps of masks.
#ifndef THREEGATE_CPU_MASK_SETS_H
#define THREEGATE_CPU_MASK_SETS_H

#include <cstdint>

#include "cpu/support/thread_pool.h"
#include "threegate/threegate.h"

namespace threegate::mask {

// Writes the combination to `result` unless it is nullptr. Returns the number of its entries.
int64_t combine(ThreadPool& pool, const tg_mask_sets& sets, int32_t operation, uint64_t* result);

// `common` and `memberships` as in tg_mask_overlaps.
void overlaps(ThreadPool& pool, const tg_mask_sets& sets, int64_t* common, int64_t* memberships);

}  // namespace threegate::mask

#endif  // THREEGATE_CPU_MASK_SETS_H
