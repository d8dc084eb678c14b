// Whole decompositions in float64 by NVIDIA's libraries. They serve spectra, more vectors than a block can have, and tolerances
// beyond float32.
#ifndef THREEGATE_CUDA_SVD_DENSE_SVD_H
#define THREEGATE_CUDA_SVD_DENSE_SVD_H

#include "cuda/support/session.h"

namespace threegate::cuda {

// Returns whether the libraries are available and matrix i of a batch is large enough. False with a start, from which the CPU is
// faster.
bool dense_svd_suits(const CudaSvdBatch& batch, int64_t i);

// Solves a matrix by the Gram matrix of its short side. A status of NOT_CONVERGED leaves it to the caller, also after too little
// memory.
void dense_svd(CudaSession& session, const CudaSvdBatch& batch, int64_t i, tg_control* control);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_DENSE_SVD_H
