#include "warpgroup_product.h"

#include <cstdlib>
#include <cstring>

#include "cuda/support/runtime.h"

namespace threegate::cuda {

ProductMaps describe_problem(const Problem& problem, int tile_vectors) {
  constexpr int kRows = 64;  // of a product of a warpgroup, or terms of a stage
  ProductMaps maps{};
  const int64_t rows = problem.short_side * problem.long_side / problem.stride;
  for (int plane = 0; plane < problem.a_planes; ++plane) {
    maps.a[plane] = describe_matrix(problem.a[plane], rows, problem.stride, kRows);
  }
  maps.x_planes = describe_matrix(problem.x_planes, int64_t{kPlanes} * problem.vectors, problem.short_side, tile_vectors);
  maps.y_planes = describe_matrix(problem.y_planes, int64_t{kPlanes} * problem.vectors, problem.long_side, tile_vectors);
  return maps;
}

bool has_warpgroup_products(int compute_capability) {
  constexpr int kHopper = 90;
  static const char* const chosen = std::getenv("THREEGATE_CUDA_PRODUCT");
  const bool refused = chosen != nullptr && std::strcmp(chosen, "mma") == 0;
  return compute_capability == kHopper && !refused && has_warpgroup_code() && has_tensor_maps();
}

int warpgroup_tile_rows(int64_t tiles_of_padding, int multiprocessors) {
  return static_cast<int>(tiles_of_padding >= int64_t{2} * multiprocessors ? 2 * kPadding : kPadding);
}

}  // namespace threegate::cuda
