// Products of a matrix with vectors on devices of compute capability 9.0, in place of those of product_kernels.cu.
#ifndef THREEGATE_CUDA_SVD_WARPGROUP_PRODUCT_H
#define THREEGATE_CUDA_SVD_WARPGROUP_PRODUCT_H

#include <vector>

#include "cuda/support/tensor_map.h"
#include "svd_kernels.h"

namespace threegate::cuda {

// What the copy unit must know of a problem.
struct ProductMaps {
  CUtensorMap a[kPlanes];
  CUtensorMap x_planes;
  CUtensorMap y_planes;
};
constexpr int kShares = 2;  // of the vectors of a tile, each of which is a box
ProductMaps describe_problem(const Problem& problem, int tile_vectors);

// Whether the current device has warpgroup products, and code for it is here. THREEGATE_CUDA_PRODUCT=mma says no. The capability
// is 10 times the major version plus the minor one.
bool has_warpgroup_products(int compute_capability);
bool has_warpgroup_code();

// The rows of a tile, kPadding or twice as many, and the blocks of a cluster, one or two. Their tiles lie below each other. Both
// copy half of the vectors that they share, to both.
struct TileShape {
  int rows = kPadding;
  int blocks = 1;
};

// The shape for products whose results have these lengths, and vectors in `across` tiles. Large tiles need fewer bytes of the
// second-level cache for a product. Small ones are for problems that otherwise have less tiles than the device has
// multiprocessors. A cluster needs fewer bytes, too, and a tile for each block. There are clusters unless too many of these tiles
// would be beyond a result, or THREEGATE_CUDA_PRODUCT=wgmma says that there are none.
TileShape shape_of_tiles(const std::vector<int64_t>& lengths, int across, int multiprocessors);

// Adds the tiles of a task. Those of a cluster follow each other. The last ones may lie beyond the result.
void add_tiles(int32_t task, int64_t length, int across, const TileShape& shape, std::vector<Tile>& tiles);

// As launch_product, for tiles of add_tiles. `maps` has an entry for each problem.
cudaError_t launch_warpgroup_product(const PanelWork& work, const ProductMaps* maps, int64_t count, int tile_vectors,
                                     const TileShape& shape, cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_WARPGROUP_PRODUCT_H
