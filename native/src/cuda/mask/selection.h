// Exact selection of the largest or smallest scores on the device. The counterpart on the CPU is cpu/mask/selection.h.
#ifndef THREEGATE_CUDA_MASK_SELECTION_H
#define THREEGATE_CUDA_MASK_SELECTION_H

#include "cuda/support/session.h"

namespace threegate::cuda {

// Bytes of device memory that select() needs.
int64_t mask_bytes(const tg_mask_scores& scores);

// Sets the bits of the selected entries, see tg_mask_select. `mask` may lie on the host or on the device.
void select(CudaSession& session, const tg_mask_scores& scores, const tg_mask_options& options, tg_control* control,
            uint64_t* mask);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_SELECTION_H
