// Comparison of a list of pairs of matrices, which are streamed to the device unless they are there.
#ifndef THREEGATE_CUDA_DIFF_DIFF_H
#define THREEGATE_CUDA_DIFF_DIFF_H

#include "cuda/support/session.h"

namespace threegate::cuda {

// Bytes of device memory that a call needs in addition to its slots.
int64_t diff_bytes(const CudaDiff* items, int64_t count);

void diff(CudaSession& session, const CudaDiff* items, int64_t count, tg_control* control);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_DIFF_DIFF_H
