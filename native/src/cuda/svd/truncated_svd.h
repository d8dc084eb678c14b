// Leading singular triplets of many matrices on the device, by subspace iteration (subspace_iteration.h) or by whole
// decompositions (dense_svd.h).
#ifndef THREEGATE_CUDA_SVD_TRUNCATED_SVD_H
#define THREEGATE_CUDA_SVD_TRUNCATED_SVD_H

#include "cuda/support/session.h"

namespace threegate::cuda {

// Returns whether subspace iteration solves matrix i: vectors and no spectrum are wanted, float32 reaches the tolerance, and
// there are few enough vectors.
bool svd_suits(const CudaSvdBatch& batch, int64_t i);

// Bytes of device memory for a whole batch at once. If there is less, the batch is solved in parts.
int64_t svd_bytes(const CudaSvdBatch& batch);

// Solves the suitable matrices, and others by dense_svd() if possible. A status of NOT_CONVERGED leaves a matrix to the caller.
void svd(CudaSession& session, const CudaSvdBatch& batch, tg_control* control);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_TRUNCATED_SVD_H
