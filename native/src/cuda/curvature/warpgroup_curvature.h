// Slopes and sums of products of tokens on devices of compute capability 9.0, in place of those of curvature_kernels.cu.
#ifndef THREEGATE_CUDA_CURVATURE_WARPGROUP_CURVATURE_H
#define THREEGATE_CUDA_CURVATURE_WARPGROUP_CURVATURE_H

#include "curvature_kernels.h"

namespace threegate::cuda {

// The tiles of warpgroups.
constexpr int kSlopeTokens = 256;   // tokens of a tile of slopes
constexpr int kSlopeVectors = 160;  // rows of directions of such a tile, or 96 if they have three terms
constexpr int kProductRows = 192;   // rows of a tile of sums of products
constexpr int kProductVectors = 64;

// As launch_slope_tiles, with the same partial slopes.
cudaError_t launch_warpgroup_slopes(const SlopeWork& work, int32_t terms, cudaStream_t stream);

// Adds the sums of all blocks of kProbeTokens of the first `tokens` tokens to `sums`, one after the other, as
// launch_token_products does with one block.
cudaError_t launch_warpgroup_products(const VectorPlanes& left, const VectorPlanes& right, int64_t tokens, bool symmetric,
                                      double2* sums, cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_CURVATURE_WARPGROUP_CURVATURE_H
