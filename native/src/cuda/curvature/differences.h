// Finite differences of gradients on the device. The counterpart on the CPU is cpu/curvature/differences.h.
#ifndef THREEGATE_CUDA_CURVATURE_DIFFERENCES_H
#define THREEGATE_CUDA_CURVATURE_DIFFERENCES_H

#include "cuda/support/session.h"

namespace threegate::cuda {

double displace(CudaSession& session, const tg_displacement& displacement, void* displaced);

void difference_gradients(CudaSession& session, const tg_gradient_difference& difference, void* product,
                          tg_difference_sums& sums);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_CURVATURE_DIFFERENCES_H
