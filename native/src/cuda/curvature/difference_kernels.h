#ifndef THREEGATE_CUDA_CURVATURE_DIFFERENCE_KERNELS_H
#define THREEGATE_CUDA_CURVATURE_DIFFERENCE_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "threegate/threegate.h"

namespace threegate::cuda {

constexpr size_t kDifferenceSums = 4;  // those of tg_difference_sums

// Of a launch, by the numbers alone, so that sums have one order everywhere.
int64_t difference_blocks(int64_t count);

// partial[b]: what block b adds to the squared rounding.
cudaError_t launch_displace(const tg_displacement& displacement, void* displaced, double* partial, cudaStream_t stream);

// partial[b * kDifferenceSums + i]: what block b adds to sum i.
cudaError_t launch_difference(const tg_gradient_difference& difference, void* product, double* partial, cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_CURVATURE_DIFFERENCE_KERNELS_H
