// Products of a bf16 matrix with a block of float32 vectors on tensor cores. A vector is the sum of three bf16 terms, which
// represent float32 exactly up to its precision. Products of bf16 numbers are exact in float32. Sums of up to 32 terms are
// computed by the matrix unit, which truncates them. Longer sums are float32 additions.
//
// For 96 vectors and three terms a stage has 26 KB and 2.4 Mflop, which are 88 flop for a byte of the second-level cache. That
// cache and mma.sync, which reaches 60 % of the rate of wgmma, limit an H200 to about 470 Tflop/s. A warp executes 210
// instructions for 72 products of a stage, where it was 669 with a division in each stage, so that issuing is not a limit.
// Registers are: 128 of them are all that two blocks leave to a thread. Two columns of pieces at a time would spill, and so would
// an unrolled prologue. What becomes of the sums is in product_epilogue.h.
#include "cuda/support/runtime.h"
#include "product_epilogue.h"
#include "product_pipeline.h"

namespace threegate::cuda {
namespace {

// Adds the product of kParts planes of vectors with the plane of A whose products with them count. Products of planes i and j
// with i + j beyond the last plane are below the rounding of the omitted terms. A plane of A is thus multiplied with fewer planes
// of vectors than the one before it.
template <bool kTransposed, int kVectors, int kParts>
__device__ void add_product(const PanelWork& work, Sums<kVectors>& sums) {
  const Tile tile = work.tiles[blockIdx.x];
  const Task& task = work.tasks[tile.task];
  const Problem& problem = work.problems[task.problem];
  const int plane = task.terms - kParts;
  if (plane < 0 || plane >= problem.a_planes) {
    return;
  }
  const bool to_long = work.to == Side::kLong;
  const int64_t row = static_cast<int64_t>(tile.row) * kTileRows;
  const int64_t length = to_long ? problem.short_side : problem.long_side;
  const Factors factors{
      problem.a[plane] + (kTransposed ? row : row * problem.stride), problem.stride,
      (to_long ? problem.x_planes : problem.y_planes) + static_cast<int64_t>(tile.column) * kPlanes * kVectors * length, length};
  add_planes<kTransposed, kVectors, kParts>(factors, length, sums);
}

template <bool kTransposed, int kVectors>
__device__ void multiply_tile(const PanelWork& work, Sums<kVectors>& sums) {
  static_assert(kPlanes == 3);
  add_product<kTransposed, kVectors, 3>(work, sums);
  add_product<kTransposed, kVectors, 2>(work, sums);
  add_product<kTransposed, kVectors, 1>(work, sums);
}

// Brings the sums of all fragments together, in place of the stages.
template <int kVectors>
__device__ void stage_sums(const Sums<kVectors>& sums, float* staged) {
  static_assert(kVectors * kStagedLength * sizeof(float) <= kStages * sizeof(Stage<kVectors>));
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const auto warp = static_cast<int>(threadIdx.x / kWarp);
  constexpr int kWarpsAcross = warps_across(kVectors);
  const int row = warp / kWarpsAcross * kDownEach * 16 + lane / 4;
  const int vector = warp % kWarpsAcross * Sums<kVectors>::kAcross * 8 + lane % 4 * 2;
  __syncthreads();  // other warps may read the last stage
#pragma unroll
  for (int i = 0; i < kDownEach; ++i) {
#pragma unroll
    for (int j = 0; j < Sums<kVectors>::kAcross; ++j) {
#pragma unroll
      for (int l = 0; l < 4; ++l) {
        staged[(vector + 8 * j + l % 2) * kStagedLength + row + 16 * i + l / 2 * 8] = sums.of[i][j][l];
      }
    }
  }
  __syncthreads();
}

// Two blocks fit a multiprocessor. One of them multiplies while the other one waits at a barrier.
template <int kVectors>
__global__ void __launch_bounds__(kThreads, 2) product_kernel(const __grid_constant__ PanelWork work) {
  const Task& task = work.tasks[work.tiles[blockIdx.x].task];
  if (task.active == 0) {
    return;
  }
  Sums<kVectors> sums{};
  if ((work.problems[task.problem].tall != 0) == (work.to == Side::kLong)) {
    multiply_tile<false, kVectors>(work, sums);
  } else {
    multiply_tile<true, kVectors>(work, sums);
  }
  auto* staged = dynamic_shared<float>();
  stage_sums<kVectors>(sums, staged);
  finish_tile<kVectors, kThreads>(work, static_cast<int64_t>(work.tiles[blockIdx.x].row) * kTileRows, staged);
}

}  // namespace

cudaError_t launch_product(const PanelWork& work, int64_t count, int tile_vectors, cudaStream_t stream) {
  const auto shape = [&](int64_t stage_bytes) { return Shape{count, kThreads, kStages * stage_bytes}; };
  switch (tile_vectors) {
    case 32:
      return launch(shape(sizeof(Stage<32>)), stream, product_kernel<32>, work);
    case 64:
      return launch(shape(sizeof(Stage<64>)), stream, product_kernel<64>, work);
    default:
      return launch(shape(sizeof(Stage<96>)), stream, product_kernel<96>, work);
  }
}

}  // namespace threegate::cuda
