// Products of a bf16 matrix with a block of float32 vectors on tensor cores. A vector is the sum of three bf16 terms, which
// represent float32 exactly up to its precision. Products of bf16 numbers are exact in float32. Sums of up to 32 terms are
// computed by the matrix unit, which truncates them. Longer sums are float32 additions.
#include "cuda/support/instructions.h"
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "svd_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTileRows = kPadding;  // entries of a vector in a tile of the product
constexpr int kDepth = 32;           // terms of the sum that are loaded at a time
constexpr int kStages = 3;
constexpr int kWarpsDown = 4;
constexpr int kWarpsAcross = 2;
constexpr int kChunk = 8;  // bf16 numbers of a 16-byte copy
constexpr int kDownEach = kTileRows / kWarpsDown / 16;

template <int kVectors>
struct Stage {
  static constexpr size_t kEntries = size_t{kVectors} * kDepth;
  uint16_t a[size_t{kTileRows} * kDepth];
  uint16_t b[kPlanes][kEntries];
};

// The numbers of a thread in a tile: 16 x 8 pieces with four numbers each.
template <int kVectors>
struct Sums {
  static constexpr size_t kAcross = kVectors / kWarpsAcross / 8;
  float of[kDownEach][kAcross][4];
};

// The position of a chunk in shared memory. Rows have 64 or 256 bytes. Their chunks are permuted so that the same chunk of eight
// rows lies in different banks.
__device__ inline int narrow_place(int row, int chunk) { return row * kDepth + (chunk ^ (row >> 1 & 3)) * kChunk; }
__device__ inline int wide_place(int row, int chunk) { return row * kTileRows + (chunk ^ (row & 7)) * kChunk; }

// The rows of A are the entries of the product. If A is transposed, they are the terms of its sums.
template <bool kTransposed, int kVectors>
__device__ void load_stage(const Problem& problem, const uint16_t* in, int64_t in_length, int64_t row, int64_t column,
                           int64_t depth, int plane, int terms, Stage<kVectors>& stage) {
  const auto thread = static_cast<int>(threadIdx.x);
  const uint16_t* a = problem.a[plane];
  for (int i = thread; i < kTileRows * kDepth / kChunk; i += kThreads) {
    if (kTransposed) {
      const int k = i / (kTileRows / kChunk);
      const int chunk = i % (kTileRows / kChunk);
      copy_16_asynchronously(stage.a + wide_place(k, chunk), a + (depth + k) * problem.stride + row + chunk * kChunk);
    } else {
      const int m = i / (kDepth / kChunk);
      const int chunk = i % (kDepth / kChunk);
      copy_16_asynchronously(stage.a + narrow_place(m, chunk), a + (row + m) * problem.stride + depth + chunk * kChunk);
    }
  }
  // Products of planes i and j with i + j beyond the last plane are below the rounding of the omitted terms.
  constexpr int kChunks = kVectors * kDepth / kChunk;
  for (int i = thread; i < (terms - plane) * kChunks; i += kThreads) {
    const int part = i / kChunks;
    const int n = i % kChunks / (kDepth / kChunk);
    const int chunk = i % (kDepth / kChunk);
    copy_16_asynchronously(stage.b[part] + narrow_place(n, chunk),
                           in + (static_cast<int64_t>(part) * problem.vectors + column + n) * in_length + depth + chunk * kChunk);
  }
}

template <bool kTransposed, int kVectors>
__device__ void multiply_stage(const Stage<kVectors>& stage, int parts, Sums<kVectors>& sums) {
  constexpr int kAcrossEach = kVectors / kWarpsAcross / 8;
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const auto warp = static_cast<int>(threadIdx.x / kWarp);
  const int first_row = warp / kWarpsAcross * kDownEach * 16;
  const int first_vector = warp % kWarpsAcross * kAcrossEach * 8;
  Sums<kVectors> part_sums{};
#pragma unroll
  for (int k = 0; k < kDepth; k += 16) {
    uint32_t a[kDownEach][4];
#pragma unroll
    for (int i = 0; i < kDownEach; ++i) {
      const int row = first_row + 16 * i;
      if (kTransposed) {
        load_matrices_transposed(a[i], stage.a + wide_place(k + lane % 8 + lane / 16 * 8, row / kChunk + lane / 8 % 2));
      } else {
        load_matrices(a[i], stage.a + narrow_place(row + lane % 16, k / kChunk + lane / 16));
      }
    }
#pragma unroll
    for (int part = 0; part < kPlanes; ++part) {
      if (part >= parts) {
        break;
      }
#pragma unroll
      for (int j = 0; j < kAcrossEach; j += 2) {
        uint32_t b[4];
        load_matrices(b,
                      stage.b[part] + narrow_place(first_vector + 8 * j + lane % 8 + lane / 16 * 8, k / kChunk + lane / 8 % 2));
        const uint32_t first[2] = {b[0], b[1]};
        const uint32_t second[2] = {b[2], b[3]};
#pragma unroll
        for (int i = 0; i < kDownEach; ++i) {
          multiply_add_bf16(part_sums.of[i][j], a[i], first);
          multiply_add_bf16(part_sums.of[i][j + 1], a[i], second);
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kDownEach; ++i) {
#pragma unroll
    for (int j = 0; j < kAcrossEach; ++j) {
#pragma unroll
      for (int l = 0; l < 4; ++l) {
        sums.of[i][j][l] += part_sums.of[i][j][l];
      }
    }
  }
}

// out = op(A) in, with `terms` planes of `in`.
template <bool kTransposed, int kVectors>
__device__ void multiply_tile(const Problem& problem, const uint16_t* in, int64_t in_length, float* out, int64_t out_length,
                              const Tile& tile, int terms) {
  constexpr int kAcrossEach = kVectors / kWarpsAcross / 8;
  auto* stages = dynamic_shared<Stage<kVectors>>();
  const int64_t row = static_cast<int64_t>(tile.row) * kTileRows;
  const int64_t column = static_cast<int64_t>(tile.column) * kVectors;
  const int planes = problem.a_planes < terms ? problem.a_planes : terms;
  const int64_t steps = in_length / kDepth * planes;
  Sums<kVectors> sums{};
  const auto load = [&](int64_t step) {
    if (step < steps) {
      load_stage<kTransposed, kVectors>(problem, in, in_length, row, column, step / planes * kDepth,
                                        static_cast<int>(step % planes), terms, stages[step % kStages]);
    }
    commit_copies();
  };
  for (int64_t step = 0; step < kStages - 1; ++step) {
    load(step);
  }
  for (int64_t step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    // All copies have arrived, and no thread uses the stage that is loaded next.
    __syncthreads();
    load(step + kStages - 1);
    multiply_stage<kTransposed, kVectors>(stages[step % kStages], terms - static_cast<int>(step % planes), sums);
  }
  wait_for_copies<0>();
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const auto warp = static_cast<int>(threadIdx.x / kWarp);
  const int64_t first_row = row + warp / kWarpsAcross * kDownEach * 16 + lane / 4;
  const int64_t first_vector = column + warp % kWarpsAcross * kAcrossEach * 8 + lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < kDownEach; ++i) {
#pragma unroll
    for (int j = 0; j < kAcrossEach; ++j) {
#pragma unroll
      for (int l = 0; l < 4; ++l) {
        out[(first_vector + 8 * j + l % 2) * out_length + first_row + 16 * i + l / 2 * 8] = sums.of[i][j][l];
      }
    }
  }
}

template <Side kTo, int kVectors>
__global__ void __launch_bounds__(kThreads, kVectors == 32 ? 2 : 1)
    product_kernel(const Problem* problems, const Task* tasks, const Tile* tiles) {
  const Tile tile = tiles[blockIdx.x];
  const Task task = tasks[tile.task];
  if (task.active == 0) {
    return;
  }
  const Problem& problem = problems[task.problem];
  const bool to_long = kTo == Side::kLong;
  const uint16_t* in = to_long ? problem.x_planes : problem.y_planes;
  const int64_t in_length = to_long ? problem.short_side : problem.long_side;
  float* out = to_long ? problem.y[task.y_to] : problem.z;
  const int64_t out_length = to_long ? problem.long_side : problem.short_side;
  if ((problem.tall != 0) == to_long) {
    multiply_tile<false, kVectors>(problem, in, in_length, out, out_length, tile, task.terms);
  } else {
    multiply_tile<true, kVectors>(problem, in, in_length, out, out_length, tile, task.terms);
  }
}

template <Side kTo>
cudaError_t launch_product(const Problem* problems, const Task* tasks, const Tile* tiles, int64_t count, int tile_vectors,
                           cudaStream_t stream) {
  const auto shape = [&](int64_t stage_bytes) { return Shape{count, kThreads, kStages * stage_bytes}; };
  switch (tile_vectors) {
    case 32:
      return launch(shape(sizeof(Stage<32>)), stream, product_kernel<kTo, 32>, problems, tasks, tiles);
    case 64:
      return launch(shape(sizeof(Stage<64>)), stream, product_kernel<kTo, 64>, problems, tasks, tiles);
    default:
      return launch(shape(sizeof(Stage<96>)), stream, product_kernel<kTo, 96>, problems, tasks, tiles);
  }
}

}  // namespace

cudaError_t launch_to_long_side(const Problem* problems, const Task* tasks, const Tile* tiles, int64_t count, int tile_vectors,
                                cudaStream_t stream) {
  return launch_product<Side::kLong>(problems, tasks, tiles, count, tile_vectors, stream);
}

cudaError_t launch_to_short_side(const Problem* problems, const Task* tasks, const Tile* tiles, int64_t count, int tile_vectors,
                                 cudaStream_t stream) {
  return launch_product<Side::kShort>(problems, tasks, tiles, count, tile_vectors, stream);
}

}  // namespace threegate::cuda
