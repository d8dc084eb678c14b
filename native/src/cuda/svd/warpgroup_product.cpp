#include "warpgroup_product.h"

#include <cstdlib>
#include <cstring>
#include <numeric>

#include "cuda/support/runtime.h"

namespace threegate::cuda {
namespace {

bool is_chosen(const char* product) {
  const char* const chosen = std::getenv("THREEGATE_CUDA_PRODUCT");
  return chosen != nullptr && std::strcmp(chosen, product) == 0;
}

// Tiles from the top to the bottom of a result.
int64_t tiles_below(int64_t length, const TileShape& shape) {
  const int64_t together = int64_t{shape.rows} * shape.blocks;
  return (length + together - 1) / together * shape.blocks;
}

}  // namespace

ProductMaps describe_problem(const Problem& problem, int tile_vectors) {
  constexpr int kRows = 64;  // of a product of a warpgroup, or terms of a stage
  const int share = tile_vectors / kShares;
  ProductMaps maps{};
  const int64_t rows = problem.short_side * problem.long_side / problem.stride;
  for (int plane = 0; plane < problem.a_planes; ++plane) {
    maps.a[plane] = describe_matrix(problem.a[plane], rows, problem.stride, kRows);
  }
  maps.x_planes = describe_matrix(problem.x_planes, int64_t{kPlanes} * problem.vectors, problem.short_side, share);
  maps.y_planes = describe_matrix(problem.y_planes, int64_t{kPlanes} * problem.vectors, problem.long_side, share);
  return maps;
}

bool has_warpgroup_products(int compute_capability) {
  constexpr int kHopper = 90;
  return compute_capability == kHopper && !is_chosen("mma") && has_warpgroup_code() && has_tensor_maps();
}

TileShape shape_of_tiles(const std::vector<int64_t>& lengths, int across, int multiprocessors) {
  // Of the tiles of clusters, at most one of so many is beyond a result. Clusters raise the limit of a product by 6 to 53 %.
  constexpr int64_t kMostBeyond = 16;
  const auto tiles = [&](const TileShape& shape) {
    return std::accumulate(lengths.begin(), lengths.end(), int64_t{0},
                           [&](int64_t sum, int64_t length) { return sum + tiles_below(length, shape); });
  };
  TileShape shape;
  shape.rows = static_cast<int>(tiles(shape) * across >= int64_t{2} * multiprocessors ? 2 * kPadding : kPadding);
  const TileShape in_pairs{shape.rows, 2};
  const int64_t beyond = tiles(in_pairs) - tiles(shape);
  return is_chosen("wgmma") || beyond * kMostBeyond > tiles(in_pairs) ? shape : in_pairs;
}

void add_tiles(int32_t task, int64_t length, int across, const TileShape& shape, std::vector<Tile>& tiles) {
  const auto each = static_cast<int32_t>(shape.rows / kPadding);
  const auto end = static_cast<int32_t>(tiles_below(length, shape));
  for (int32_t first = 0; first < end; first += shape.blocks) {
    for (int column = 0; column < across; ++column) {
      for (int block = 0; block < shape.blocks; ++block) {
        tiles.push_back({task, (first + block) * each, column});
      }
    }
  }
}

}  // namespace threegate::cuda
