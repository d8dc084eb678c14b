// Exact selection of the largest or smallest scores.
#ifndef THREEGATE_CPU_MASK_SELECTION_H
#define THREEGATE_CPU_MASK_SELECTION_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "cpu/support/thread_pool.h"
#include "scores.h"
#include "threegate/threegate.h"

namespace threegate::mask {

// Bytes of workspace that select() needs.
int64_t workspace_bytes(const tg_mask_scores& scores, int threads);

enum class Outcome { kDone, kCancelled, kNotFinite };

// Sets the bits of the selected entries, see tg_mask_select. `workspace` has workspace_bytes() of the pool's threads.
Outcome select(ThreadPool& pool, SimdLevel level, const tg_mask_scores& scores, const tg_mask_options& options,
               tg_control* control, void* workspace, uint64_t* mask);

}  // namespace threegate::mask

#endif  // THREEGATE_CPU_MASK_SELECTION_H
