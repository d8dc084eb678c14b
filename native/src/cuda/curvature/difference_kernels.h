#ifndef THREEGATE_CUDA_CURVATURE_DIFFERENCE_KERNELS_H
#define THREEGATE_CUDA_CURVATURE_DIFFERENCE_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "threegate/threegate.h"

namespace threegate::cuda {

constexpr size_t kDifferenceSums = 4;  // the sums of tg_difference_sums

// The number of blocks of a launch. It depends only on the number of elements, so that sums have the same order everywhere.
int64_t difference_blocks(int64_t count);

// partial[b] is the contribution of block b to the squared rounding.
cudaError_t launch_displace(const tg_displacement& displacement, void* displaced, double* partial, cudaStream_t stream);

// partial[b * kDifferenceSums + i] is the contribution of block b to sum i.
cudaError_t launch_difference(const tg_gradient_difference& difference, void* product, double* partial, cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_CURVATURE_DIFFERENCE_KERNELS_H
