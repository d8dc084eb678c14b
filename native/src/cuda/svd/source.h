// Copying of one matrix of a batch to the device.
#ifndef THREEGATE_CUDA_SVD_SOURCE_H
#define THREEGATE_CUDA_SVD_SOURCE_H

#include "cuda/support/staging.h"
#include "svd_kernels.h"

namespace threegate::cuda {

inline const tg_operand* subtracted_of(const CudaSvdBatch& batch, int64_t i) {
  return batch.subtracted == nullptr ? nullptr : batch.subtracted + i;
}

// The bytes of `staging` that bring_source() needs for the entries.
int64_t source_bytes(const CudaSvdBatch& batch, int64_t i);

// Copies the entries and finds their range on the device. The host waits for neither.
Source bring_source(CudaSession& session, Uploads& uploads, const CudaSvdBatch& batch, int64_t i, uint8_t* staging, Range* range);

// Finds a power of two with which squares neither overflow nor vanish. Returns false if the entries are not finite or all zero,
// with a status that leaves the matrix to the caller.
bool find_scale(const Range& range, const CudaSvdBatch& batch, int64_t i, double& scale);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_SOURCE_H
