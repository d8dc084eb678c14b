// Subspace iteration with Chebyshev filters on A^T A, which is never formed, for many matrices at once (Zhou, Saad, Tiago and
// Chelikowsky, "Self-consistent-field calculations using Chebyshev-filtered subspace iteration", 2006).
#ifndef THREEGATE_CUDA_SVD_SUBSPACE_ITERATION_H
#define THREEGATE_CUDA_SVD_SUBSPACE_ITERATION_H

#include <cstdint>
#include <vector>

#include "cuda/support/session.h"

namespace threegate::cuda {

// Solves the problems `indices` of the batch, whose blocks have the same number of vectors, and fills their results. The status
// of those that do not converge is NOT_CONVERGED.
void iterate(CudaSession& session, const CudaSvdBatch& batch, const std::vector<int64_t>& indices, tg_control* control);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_SUBSPACE_ITERATION_H
