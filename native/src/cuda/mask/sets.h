// Set algebra and overlaps of masks on the device. The masks are there or are copied there in parts. The counterpart on the CPU
// is cpu/mask/sets.h.
#ifndef THREEGATE_CUDA_MASK_SETS_H
#define THREEGATE_CUDA_MASK_SETS_H

#include "cuda/support/session.h"

namespace threegate::cuda {

int64_t combine(CudaSession& session, const tg_mask_sets& sets, int32_t operation, uint64_t* result);

void overlaps(CudaSession& session, const tg_mask_sets& sets, int64_t* common, int64_t* memberships);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_SETS_H
