// Products of a matrix with vectors on devices of compute capability 9.0, in place of those of product_kernels.cu.
#ifndef THREEGATE_CUDA_SVD_WARPGROUP_PRODUCT_H
#define THREEGATE_CUDA_SVD_WARPGROUP_PRODUCT_H

#include "cuda/support/tensor_map.h"
#include "svd_kernels.h"

namespace threegate::cuda {

// What the copy unit must know of a problem.
struct ProductMaps {
  CUtensorMap a[kPlanes];
  CUtensorMap x_planes;
  CUtensorMap y_planes;
};
ProductMaps describe_problem(const Problem& problem, int tile_vectors);

// Whether the current device has warpgroup products, and code for it is here. THREEGATE_CUDA_PRODUCT=mma says no. The capability
// is 10 times the major version plus the minor one.
bool has_warpgroup_products(int compute_capability);
bool has_warpgroup_code();

// The rows of a tile, kPadding or twice as many. Large tiles need fewer bytes of the second-level cache for a product. Small ones
// are for problems that otherwise have less tiles than the device has multiprocessors.
int warpgroup_tile_rows(int64_t tiles_of_padding, int multiprocessors);

// As launch_product. `maps` has an entry for each problem. The row of a tile is in units of
// kPadding entries here too, and even for tiles of twice as many rows.
cudaError_t launch_warpgroup_product(const PanelWork& work, const ProductMaps* maps, int64_t count, int tile_vectors,
                                     int tile_rows, cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_WARPGROUP_PRODUCT_H
