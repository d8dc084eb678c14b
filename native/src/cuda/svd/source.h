// Copying of one matrix of a batch to the device.
#ifndef THREEGATE_CUDA_SVD_SOURCE_H
#define THREEGATE_CUDA_SVD_SOURCE_H

#include "cuda/support/staging.h"
#include "svd_kernels.h"

namespace threegate::cuda {

inline const tg_operand* subtracted_of(const CudaSvdBatch& batch, int64_t i) {
  return batch.subtracted == nullptr ? nullptr : batch.subtracted + i;
}

// The bytes of `staging` that stage_source() needs for the entries.
int64_t source_bytes(const CudaSvdBatch& batch, int64_t i);

// The entries of a matrix on the device. Sets `largest` to 0 there, for a kernel that finds the largest magnitude. The host waits
// for neither.
Source stage_source(CudaSession& session, Uploads& uploads, const CudaSvdBatch& batch, int64_t i, uint8_t* staging,
                    uint64_t* largest);

// Fills `scale` with a power of two with which squares neither overflow nor vanish, from the largest magnitude. Returns false if
// the entries are not finite or all zero, with a status that leaves the matrix to the caller.
bool find_scale(const CudaSvdBatch& batch, int64_t i, double largest, double& scale);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_SOURCE_H
