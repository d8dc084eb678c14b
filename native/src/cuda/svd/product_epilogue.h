// What becomes of a tile of the panel product. The sums are in shared memory then, so that a warp has 128 neighbouring entries of
// a vector: 512 bytes of float32, and 256 bytes of a plane. The fragments of the matrix units have 8 of them, 16 bytes of a
// plane, which are half of a sector.
//
// Vectors have as many bytes as the epilogue reads and writes, apart from the planes that products read. For a step of the filter
// of a 4096 x 4096 matrix, 96 vectors and three terms, that are 9.4 MB: planes of y, and x twice read, once written and split.
// Kernels of their own moved 17.3 MB, because y and z were written to be read once, and x was read again to be split.
#ifndef THREEGATE_CUDA_SVD_PRODUCT_EPILOGUE_H
#define THREEGATE_CUDA_SVD_PRODUCT_EPILOGUE_H

#include "bf16_terms.h"
#include "cuda/support/warp.h"
#include "svd_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kStagedLength = kTileRows + 4;  // of a vector in shared memory. Fragments of a warp then lie in different banks
static_assert(kTileRows == kFour * kWarp);

// A step of the filter for four entries of a vector.
__device__ inline float4 filtered(const Task& task, const float4& z, const float4& from, const float4& before) {
  float4 value = {task.alpha * z.x + task.beta * from.x, task.alpha * z.y + task.beta * from.y,
                  task.alpha * z.z + task.beta * from.z, task.alpha * z.w + task.beta * from.w};
  if (task.gamma != 0.0F) {
    value = {value.x + task.gamma * before.x, value.y + task.gamma * before.y, value.z + task.gamma * before.z,
             value.w + task.gamma * before.w};
  }
  return value;
}

// Whether the filter writes the planes of a vector. Those of vectors that become orthogonal to locked ones are written then.
__device__ inline bool filter_splits(const Task& task, int64_t vector) {
  return task.split_x != 0 && (task.locked == 0 || vector < task.locked);
}

// The four entries of a lane in each vector of a tile.
struct LaneOfTile {
  int64_t length;
  int64_t entry;   // of the first vector
  int64_t plane;   // the same in the planes
  int64_t vector;  // the first one of the tile
};

// Warps take vectors in turn. A lane asks for the entries of two vectors before it uses any: 32 KB on the way on a
// multiprocessor, where 25 KB hide the latency. With four of them 96 vectors spill a register for compute capability 8.0. Stores
// would make the compiler read a task in global memory again, hence the copy.
template <int kVectors, int kThreads>
__device__ void filter_tile(const Task task, const Problem& problem, const LaneOfTile& own, const float* staged) {
  constexpr int kWarps = kThreads / kWarp;
  constexpr int kTogether = 2;
  static_assert(kVectors % (kTogether * kWarps) == 0);
  const float* from = problem.x[task.x_from] + own.entry;
  const float* before = problem.x[task.x_before] + own.entry;
  float* to = problem.x[task.x_to] + own.entry;
  uint16_t* planes = problem.x_planes + own.plane;
#pragma unroll 1
  for (auto first = static_cast<int>(threadIdx.x / kWarp); first < kVectors; first += kTogether * kWarps) {
    float4 x[size_t{kTogether}];
    float4 x_before[size_t{kTogether}];
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      const int64_t at = (first + i * kWarps) * own.length;
      x[i] = *reinterpret_cast<const float4*>(from + at);
      x_before[i] = *reinterpret_cast<const float4*>(before + at);
    }
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      const int vector = first + i * kWarps;
      const int64_t at = vector * own.length;
      float4 value = x[i];
      if (own.vector + vector >= task.locked) {
        value = filtered(task, *reinterpret_cast<const float4*>(staged + vector * kStagedLength), value, x_before[i]);
      }
      *reinterpret_cast<float4*>(to + at) = value;
      if (filter_splits(task, own.vector + vector)) {
        split_four(value, task.terms, planes + at, kVectors * own.length);
      }
    }
  }
}

// Finishes kTileRows entries of the vectors of a tile, from a row on, whose sums are in shared memory, vector after vector. All
// of the first kThreads threads of the block see them.
template <int kVectors, int kThreads>
__device__ void finish_tile(const PanelWork& work, int64_t row, const float* staged) {
  constexpr int kWarps = kThreads / kWarp;
  static_assert(kVectors % kWarps == 0);
  const Tile tile = work.tiles[blockIdx.x];
  const Task& task = work.tasks[tile.task];
  const Problem& problem = work.problems[task.problem];
  const bool to_long = work.to == Side::kLong;
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  LaneOfTile own{};
  own.length = to_long ? problem.long_side : problem.short_side;
  own.vector = static_cast<int64_t>(tile.column) * kVectors;
  own.entry = own.vector * own.length + row + kFour * lane;
  own.plane = own.entry + own.vector * own.length * (kPlanes - 1);
  staged += kFour * lane;
  if (work.epilogue == Epilogue::kFilter && !to_long) {
    filter_tile<kVectors, kThreads>(task, problem, own, staged);
    return;
  }
  float* out = (to_long ? problem.y[task.y_to] : problem.z) + own.entry;
  for (auto vector = static_cast<int>(threadIdx.x / kWarp); vector < kVectors; vector += kWarps) {
    const float4 value = *reinterpret_cast<const float4*>(staged + vector * kStagedLength);
    const int64_t at = vector * own.length;
    if (work.epilogue == Epilogue::kFilter) {
      split_four(value, task.terms, problem.y_planes + own.plane + at, kVectors * own.length);
    } else {
      *reinterpret_cast<float4*>(out + at) = value;
    }
  }
}

}  // namespace
}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_PRODUCT_EPILOGUE_H
