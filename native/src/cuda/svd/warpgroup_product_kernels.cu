// The products of product_kernels.cu for compute capability 9.0, with the same sums in the same order.
//
// One warp asks the copy unit for stages of 64 terms. Two warpgroups multiply them with wgmma, which reads both factors from
// shared memory. A stage has a tile of A and up to three planes of 96 vectors, so that the tile is read once for all of them. The
// transposed matrix needs another description of the same tile, and no other copy.
//
// With 96 vectors and three terms a stage of 256 rows has 68 KB and 9.4 Mflop, which are 135 flop for a byte of the second-level
// cache, where product_kernels.cu has 88. That limits an H200 to 745 Tflop/s, and its matrix units to about 790. Two blocks of a
// cluster have the same vectors, and each copies half of them to both. A stage then has 50 KB of the cache: 184 flop for a byte,
// 1,014 Tflop/s. The wait for a stage to be empty is for both blocks, so that the slower one sets the pace. Shared memory comes
// close, and clusters leave it as it is: a product of 64 rows reads 5 KB in 48 cycles, and copies write 68 KB in a stage, which
// are 107 % of its 128 bytes a cycle at the peak rate of matrix units. Reading A to registers would save a fifth of that, but
// needs ldmatrix and its transposed form again. A warp executes 352 instructions for a stage, a third of the issue slots.
//
// What was tried: four warpgroups with 64 rows each have 96 registers for a thread and spill. Two with 128 rows have 166, of 168
// that 288 threads leave, so that no registers need to move from the copying warp to the others (setmaxnreg). A branch around the
// arrivals at other blocks makes 435 instructions of 352, because the compiler then forms descriptions in registers of lanes. An
// arrival that releases to the cluster has a fence of all memory, and nothing here needs it.
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "cuda/support/warpgroup_pipeline.h"
#include "product_epilogue.h"
#include "warpgroup_product.h"

namespace threegate::cuda {
namespace {

constexpr int kGroups = 2;

// Each of the warpgroups multiplies kPieces pieces of 64 rows of a tile. One more warp copies.
template <int kVectors, int kPieces>
struct Block {
  struct Stage {
    uint16_t a[size_t{kGroups * kPieces}][size_t{kWarpgroupRows * kDepth}];
    uint16_t b[size_t{kPlanes * kVectors * kDepth}];
  };
  static constexpr int kThreads = kGroups * kWarpgroup + kWarp;
  static constexpr int kStages = kMostShared / sizeof(Stage) < 4 ? 3 : 4;
  struct Shared {
    Stage stages[size_t{kStages}];
    uint64_t full[size_t{kStages}];   // whether the copies to a stage have arrived
    uint64_t empty[size_t{kStages}];  // whether all warps of the cluster have multiplied a stage
  };
  static constexpr int64_t kSharedBytes = sizeof(Shared) + kSwizzleAlignment;
  static_assert(kSharedBytes <= kMostShared && sizeof(Stage) % kSwizzleAlignment == 0);
};

template <int kVectors, int kPieces>
using Sums = WarpgroupSums<kPieces, 1, kVectors>;

// Copies all stages of a tile, one plane of A after the other. One thread does it. Blocks of a cluster copy shares of vectors in
// turn, each of them to all blocks. Their stages are the same, because their tiles are of one task.
template <int kVectors, int kPieces>
__device__ void copy_stages(typename Block<kVectors, kPieces>::Shared& shared, const PanelWork& work, const ProductMaps& maps,
                            const Tile& tile, const Task& task, bool transposed) {
  using Own = Block<kVectors, kPieces>;
  const Problem& problem = work.problems[task.problem];
  const bool to_long = work.to == Side::kLong;
  const auto length = static_cast<int>(to_long ? problem.short_side : problem.long_side);
  const CUtensorMap* const in = to_long ? &maps.x_planes : &maps.y_planes;
  const int row = tile.row * static_cast<int>(kPadding);
  const int vector = tile.column * kPlanes * kVectors;
  const int planes = problem.a_planes < task.terms ? problem.a_planes : task.terms;
  const int blocks = cluster_blocks();
  const int own_block = block_of_cluster();
  constexpr int kShare = kVectors / kShares;
  acquire_map(in);
  Turn<Own::kStages> turn;
#pragma unroll 1
  for (int plane = 0; plane < planes; ++plane) {
    const CUtensorMap* const a = &maps.a[plane];
    const int parts = task.terms - plane;
    const int bytes = static_cast<int>(sizeof(Own::Stage::a)) + parts * kVectors * kSwizzledRow;
    acquire_map(a);
#pragma unroll 1
    for (int k = 0; k < length; k += kDepth) {
      typename Own::Stage& stage = shared.stages[turn.stage];
      uint64_t* const full = &shared.full[turn.stage];
      wait_for_phase(&shared.empty[turn.stage], turn.parity ^ 1U);
      arrive_and_announce(full, bytes);
#pragma unroll
      for (int piece = 0; piece < kGroups * kPieces; ++piece) {
        const int own_row = row + kWarpgroupRows * piece;
        copy_box(stage.a[piece], a, transposed ? own_row : k, transposed ? k : own_row, full);
      }
#pragma unroll 1
      for (int share = own_block; share < parts * kShares; share += blocks) {
        uint16_t* const to = stage.b + share * kShare * kDepth;
        if (blocks == 1) {
          copy_box(to, in, k, vector + share * kShare, full);
        } else {
          copy_box_to_blocks(to, in, k, vector + share * kShare, full, (1U << blocks) - 1);
        }
      }
      turn.advance();
    }
  }
}

// Adds the product of kParts planes of vectors with the plane of A whose products with them count, as in product_kernels.cu.
template <bool kTransposed, int kParts, int kVectors, int kPieces>
__device__ void add_product(typename Block<kVectors, kPieces>::Shared& shared, int planes, int terms, int length,
                            Turn<Block<kVectors, kPieces>::kStages>& turn, Sums<kVectors, kPieces>& sums) {
  if (terms - kParts < 0 || terms - kParts >= planes) {
    return;
  }
  const int first = static_cast<int>(threadIdx.x) / kWarpgroup * kPieces;
  const int blocks = cluster_blocks();
#pragma unroll 1
  for (int k = 0; k < length; k += kDepth) {
    const uint64_t a = describe_shared(shared.stages[turn.stage].a[first]);
    const uint64_t b = describe_shared(shared.stages[turn.stage].b);
    wait_for_phase(&shared.full[turn.stage], turn.parity);
    multiply_stage<kTransposed, kParts>(a, b, sums, [&] { arrive_in_blocks(&shared.empty[turn.stage], blocks); });
    turn.advance();
  }
}

template <bool kTransposed, int kVectors, int kPieces>
__device__ void multiply_tile(typename Block<kVectors, kPieces>::Shared& shared, int planes, int terms, int length,
                              Sums<kVectors, kPieces>& sums) {
  Turn<Block<kVectors, kPieces>::kStages> turn;
  static_assert(kPlanes == 3);
  add_product<kTransposed, 3, kVectors, kPieces>(shared, planes, terms, length, turn, sums);
  add_product<kTransposed, 2, kVectors, kPieces>(shared, planes, terms, length, turn, sums);
  add_product<kTransposed, 1, kVectors, kPieces>(shared, planes, terms, length, turn, sums);
}

// Brings the sums of all fragments together, in place of the stages. Each part has kTileRows rows of all vectors of the tile.
template <int kVectors, int kPieces>
__device__ void stage_sums(const Sums<kVectors, kPieces>& sums, float* staged) {
  static_assert(kPieces * kVectors * kStagedLength * sizeof(float) <= sizeof(Block<kVectors, kPieces>::Shared::stages));
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const auto warp = static_cast<int>(threadIdx.x / kWarp);
  const int vector = lane % 4 * 2;
#pragma unroll
  for (int piece = 0; piece < kPieces; ++piece) {
    const int begin = (warp / kWarpsEach * kPieces + piece) * kWarpgroupRows;
    const int row = begin % kTileRows + warp % kWarpsEach * (kWarpgroupRows / kWarpsEach) + lane / 4;
    float* const part = staged + begin / kTileRows * kVectors * kStagedLength;
#pragma unroll
    for (int j = 0; j < kVectors / 8; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        part[(vector + 8 * j + i % 2) * kStagedLength + row + i / 2 * 8] = sums.of[piece][0][4 * j + i];
      }
    }
  }
}

template <int kVectors, int kPieces>
__global__ void __launch_bounds__(Block<kVectors, kPieces>::kThreads, 1)
    warpgroup_product_kernel(const __grid_constant__ PanelWork work, const ProductMaps* maps) {
  using Own = Block<kVectors, kPieces>;
  const Tile tile = work.tiles[blockIdx.x];
  const Task& task = work.tasks[tile.task];
  if (task.active == 0) {  // for all blocks of the cluster
    return;
  }
  const Problem& problem = work.problems[task.problem];
  const bool to_long = work.to == Side::kLong;
  const bool transposed = (problem.tall != 0) != to_long;
  auto& shared = *aligned_shared<typename Own::Shared>();
  const int blocks = cluster_blocks();
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < Own::kStages; ++stage) {
      initialise_barrier(&shared.full[stage], 1);
      initialise_barrier(&shared.empty[stage], kGroups * kWarpsEach * blocks);
    }
    publish_barriers();
  }
  __syncthreads();
  if (blocks > 1) {
    arrive_at_cluster();
    wait_for_cluster();
  }
  constexpr int kMultiplying = kGroups * kWarpgroup;
  const bool multiplies = threadIdx.x < kMultiplying;
  Sums<kVectors, kPieces> sums{};
  if (multiplies) {
    const auto length = static_cast<int>(to_long ? problem.short_side : problem.long_side);
    if (transposed) {
      multiply_tile<true, kVectors, kPieces>(shared, problem.a_planes, task.terms, length, sums);
    } else {
      multiply_tile<false, kVectors, kPieces>(shared, problem.a_planes, task.terms, length, sums);
    }
  } else if (threadIdx.x == kMultiplying) {
    copy_stages<kVectors, kPieces>(shared, work, maps[task.problem], tile, task, transposed);
  }
  __syncthreads();  // all products have read their stages
  if (blocks > 1) {
    arrive_at_cluster();
  }
  auto* const staged = reinterpret_cast<float*>(shared.stages);
  if (multiplies) {
    stage_sums<kVectors, kPieces>(sums, staged);
  }
  __syncthreads();
  if (multiplies) {
    const int64_t length = to_long ? problem.long_side : problem.short_side;
    for (int part = 0; part < kPieces; ++part) {
      const int64_t row = (static_cast<int64_t>(tile.row) + part) * kTileRows;
      if (row < length) {  // the last tile may have rows that the matrix has not
        finish_tile<kVectors, kMultiplying>(work, row, staged + part * kVectors * kStagedLength);
      }
    }
  }
  if (blocks > 1) {
    wait_for_cluster();  // other blocks have arrived at all barriers of this one
  }
}

template <int kVectors, int kPieces>
cudaError_t launch_tiles(const PanelWork& work, const ProductMaps* maps, int64_t count, int blocks, cudaStream_t stream) {
  using Own = Block<kVectors, kPieces>;
  return launch({count, Own::kThreads, Own::kSharedBytes, blocks}, stream, warpgroup_product_kernel<kVectors, kPieces>, work,
                maps);
}

template <int kVectors>
cudaError_t launch_vectors(const PanelWork& work, const ProductMaps* maps, int64_t count, const TileShape& shape,
                           cudaStream_t stream) {
  static_assert(kPadding == kGroups * kWarpgroupRows);
  return shape.rows == kPadding ? launch_tiles<kVectors, 1>(work, maps, count, shape.blocks, stream)
                                : launch_tiles<kVectors, 2>(work, maps, count, shape.blocks, stream);
}

}  // namespace

bool has_warpgroup_code() {
  cudaFuncAttributes attributes{};
  if (cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(warpgroup_product_kernel<96, 2>)) != cudaSuccess) {
    cudaGetLastError();  // resets the last error
    return false;
  }
  return true;
}

cudaError_t launch_warpgroup_product(const PanelWork& work, const ProductMaps* maps, int64_t count, int tile_vectors,
                                     const TileShape& shape, cudaStream_t stream) {
  switch (tile_vectors) {
    case 32:
      return launch_vectors<32>(work, maps, count, shape, stream);
    case 64:
      return launch_vectors<64>(work, maps, count, shape, stream);
    default:
      return launch_vectors<96>(work, maps, count, shape, stream);
  }
}

}  // namespace threegate::cuda
