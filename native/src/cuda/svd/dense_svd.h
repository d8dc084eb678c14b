// A whole decomposition in float64 by NVIDIA's libraries: spectra, more vectors than a block has, and tolerances beyond float32.
#ifndef THREEGATE_CUDA_SVD_DENSE_SVD_H
#define THREEGATE_CUDA_SVD_DENSE_SVD_H

#include "cuda/support/session.h"

namespace threegate::cuda {

// Whether matrix i of a batch is large enough and has no start, from which the CPU is faster, and the libraries are there.
bool dense_svd_suits(const CudaSvdBatch& batch, int64_t i);

// From the Gram matrix of the short side. A status of NOT_CONVERGED leaves the matrix to the caller, for want of memory too.
void dense_svd(CudaSession& session, const CudaSvdBatch& batch, int64_t i, tg_control* control);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_DENSE_SVD_H
