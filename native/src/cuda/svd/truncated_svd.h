// Leading singular triplets of many matrices at once, by subspace iteration with Chebyshev filters (Zhou, Saad, Tiago and
// Chelikowsky, "Self-consistent-field calculations using Chebyshev-filtered subspace iteration", 2006) on A^T A, which is never
// formed.
#ifndef THREEGATE_CUDA_SVD_TRUNCATED_SVD_H
#define THREEGATE_CUDA_SVD_TRUNCATED_SVD_H

#include "cuda/support/session.h"

namespace threegate::cuda {

// Vectors without a spectrum, to a tolerance that float32 reaches, and few enough of them.
bool svd_suits(const CudaSvdBatch& batch, int64_t i);

// Device memory for all of a batch at once; it takes less, in parts, where there is less.
int64_t svd_bytes(const CudaSvdBatch& batch);

// Solves the matrices that suit, and others by dense_svd() where it can. A status of NOT_CONVERGED leaves a matrix to the caller.
void svd(CudaSession& session, const CudaSvdBatch& batch, tg_control* control);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_TRUNCATED_SVD_H
