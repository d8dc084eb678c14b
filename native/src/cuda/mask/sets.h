// Set algebra and overlaps of masks on the device: the twin of cpu/mask/sets.h. Masks lie there or are brought in parts.
#ifndef THREEGATE_CUDA_MASK_SETS_H
#define THREEGATE_CUDA_MASK_SETS_H

#include "cuda/support/session.h"

namespace threegate::cuda {

int64_t combine(CudaSession& session, const tg_mask_sets& sets, int32_t operation, uint64_t* result);

void overlaps(CudaSession& session, const tg_mask_sets& sets, int64_t* common, int64_t* memberships);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_SETS_H
