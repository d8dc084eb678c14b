// Selection of the largest scores of a reconstruction, with float32 for all but the scores close to the last selected one.
#ifndef THREEGATE_CPU_MASK_SCREENING_H
#define THREEGATE_CPU_MASK_SCREENING_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "cpu/support/thread_pool.h"
#include "narrow_factors.h"
#include "threegate/threegate.h"

namespace threegate::mask {

// Sets the bits of the `count` largest scores of triplets in `mask`, which must be zero. Returns false if float32 cannot decide,
// because many scores are equal or the factors do not fit, or if the call was cancelled. The mask is then undefined.
bool select_by_screening(ThreadPool& pool, SimdLevel level, const tg_mask_scores& scores, int64_t count, tg_control* control,
                         const NarrowFactors::Memory& memory, uint64_t* mask);

}  // namespace threegate::mask

#endif  // THREEGATE_CPU_MASK_SCREENING_H
