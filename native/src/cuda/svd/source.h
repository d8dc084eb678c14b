// Copying of one matrix of a batch to the device.
#ifndef THREEGATE_CUDA_SVD_SOURCE_H
#define THREEGATE_CUDA_SVD_SOURCE_H

#include "cuda/support/session.h"
#include "svd_kernels.h"

namespace threegate::cuda {

inline const tg_operand* subtracted_of(const CudaSvdBatch& batch, int64_t i) {
  return batch.subtracted == nullptr ? nullptr : batch.subtracted + i;
}

// The bytes of `staging` that bring_source() needs for the entries.
int64_t source_bytes(const CudaSvdBatch& batch, int64_t i);

// Fills `source` with the entries of the matrix, and `scale` with a power of two with which squares neither overflow nor vanish.
// Returns false if the entries are not finite or all zero, with a status that leaves the matrix to the caller.
bool bring_source(CudaSession& session, const CudaSvdBatch& batch, int64_t i, uint8_t* staging, Range* range,
                  const tg_control* control, Source& source, double& scale);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_SOURCE_H
