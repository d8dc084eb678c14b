// The bf16-round-trip diff of a list of matrices, streamed to the device where they are not there yet.
#ifndef THREEGATE_CUDA_DIFF_DIFF_H
#define THREEGATE_CUDA_DIFF_DIFF_H

#include "cuda/support/session.h"

namespace threegate::cuda {

// Device memory that a call takes beside its slots.
int64_t diff_bytes(const CudaDiff* items, int64_t count);

void diff(CudaSession& session, const CudaDiff* items, int64_t count, tg_control* control);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_DIFF_DIFF_H
