// Changed elements on the device: the twin of cpu/patch/patch.h.
#ifndef THREEGATE_CUDA_PATCH_PATCH_H
#define THREEGATE_CUDA_PATCH_PATCH_H

#include "cuda/support/session.h"

namespace threegate::cuda {

int64_t extract(CudaSession& session, const tg_patch_pair& pair, const tg_patch_entries& entries);

// Nothing is written when a position is misplaced: the first such one, else entries.count.
int64_t apply(CudaSession& session, const tg_patch_entries& entries, void* target, int64_t count);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_PATCH_PATCH_H
