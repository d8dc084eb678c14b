// Kernels on the blocks of vectors of all problems, between products with the matrices.
#include "bf16_terms.h"
#include "cuda/support/instructions.h"
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "product_epilogue.h"
#include "svd_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;

int64_t quotient(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The entries of a task that belong to a thread.
struct Place {
  const Task* task;
  int64_t first;
  int64_t step;
};
__device__ inline Place place(const Task* tasks, int blocks_each) {
  const auto block = static_cast<int64_t>(blockIdx.x);
  return {tasks + block / blocks_each, block % blocks_each * kThreads + threadIdx.x,
          static_cast<int64_t>(blocks_each) * kThreads};
}

constexpr int kPieceLength = 4 * kFour * kThreads;  // entries of a vector that a block filters

// The planes of a vector of a block, of which each tile has all planes.
__device__ inline uint16_t* planes_of(uint16_t* planes, int64_t vector, int tile_vectors, int64_t length) {
  const auto own = static_cast<unsigned>(vector);
  const unsigned in_tile = own % static_cast<unsigned>(tile_vectors);
  return planes + static_cast<int64_t>((own - in_tile) * kPlanes + in_tile) * length;
}

// Each block has one piece of a vector.
__global__ void __launch_bounds__(kThreads)
    filter_kernel(const Problem* problems, const Task* tasks, unsigned vectors, int tile_vectors, unsigned pieces) {
  const Task task = tasks[blockIdx.x / pieces / vectors];
  if (task.active == 0) {
    return;
  }
  const Problem& problem = problems[task.problem];
  const int64_t vector = blockIdx.x / pieces % vectors;
  const int64_t length = problem.short_side;
  const float* from = problem.x[task.x_from] + vector * length;
  const float* product = problem.z + vector * length;
  float* to = problem.x[task.x_to] + vector * length;
  uint16_t* planes = planes_of(problem.x_planes, vector, tile_vectors, length);
  const bool splits = filter_splits(task, vector);
  const int64_t begin = int64_t{blockIdx.x % pieces} * kPieceLength;
  const int64_t end = smaller(length, begin + kPieceLength);
  for (int64_t i = begin + kFour * static_cast<int64_t>(threadIdx.x); i < end; i += kFour * kThreads) {
    float4 value = *reinterpret_cast<const float4*>(from + i);
    if (vector >= task.locked) {
      value = filtered(task, *reinterpret_cast<const float4*>(product + i), value, value);
    }
    *reinterpret_cast<float4*>(to + i) = value;
    if (splits) {
      split_four(value, task.terms, planes + i, tile_vectors * length);
    }
  }
}

constexpr int kGramTile = 32;
constexpr int kGramDepth = 32;
constexpr int64_t kGramLength = 2048;  // entries of a partial sum
constexpr int kGramEach = 2;           // a thread has 2 x 2 entries of a tile
constexpr int kGramAcross = kGramTile / kGramEach;
static_assert(kGramAcross * kGramAcross == kThreads);

// A 32 x 32 tile of V V^T over one piece of the length. Vectors are widened on the way to shared memory: widening them at each
// use was tried, and conversions were the ceiling, at a quarter of the rate of float64 units. A row there has a multiple of 16
// bytes and begins 16 bytes after the one before, in turn, so that a thread reads two neighbouring numbers at once without a
// conflict.
__global__ void __launch_bounds__(kThreads, 3)
    gram_kernel(Side side, const Problem* problems, const Task* tasks, int tiles_across, int pieces) {
  alignas(16) __shared__ double left[kGramTile][kGramDepth + 2];
  alignas(16) __shared__ double right[kGramTile][kGramDepth + 2];
  const int each = tiles_across * tiles_across * pieces;
  const auto block = static_cast<int>(blockIdx.x);
  const Task task = tasks[block / each];
  const int row = block % each / pieces / tiles_across * kGramTile;
  const int column = block % each / pieces % tiles_across * kGramTile;
  const int64_t piece = block % pieces;
  if (task.active == 0) {
    return;
  }
  const Problem& problem = problems[task.problem];
  const int64_t length = side == Side::kShort ? problem.short_side : problem.long_side;
  if (row >= problem.vectors || column > row || piece * kGramLength >= length) {
    return;
  }
  const float* vectors = side == Side::kShort ? problem.x[task.x_from] : problem.y[task.y_from];
  const int64_t end = smaller(length, (piece + 1) * kGramLength);
  const auto thread = static_cast<int>(threadIdx.x);
  double sums[kGramEach][kGramEach] = {};
  for (int64_t begin = piece * kGramLength; begin < end; begin += kGramDepth) {
    __syncthreads();
    for (int i = thread; i < kGramTile * kGramDepth; i += kThreads) {
      const int64_t at = begin + i % kGramDepth;
      left[i / kGramDepth][i % kGramDepth] = static_cast<double>(vectors[(row + i / kGramDepth) * length + at]);
      right[i / kGramDepth][i % kGramDepth] = static_cast<double>(vectors[(column + i / kGramDepth) * length + at]);
    }
    __syncthreads();
#pragma unroll 4
    for (int k = 0; k < kGramDepth; k += 2) {
      double2 a[kGramEach];
      double2 b[kGramEach];
#pragma unroll
      for (int i = 0; i < kGramEach; ++i) {
        a[i] = *reinterpret_cast<const double2*>(&left[thread / kGramAcross + kGramAcross * i][k]);
        b[i] = *reinterpret_cast<const double2*>(&right[thread % kGramAcross + kGramAcross * i][k]);
      }
#pragma unroll
      for (int i = 0; i < kGramEach; ++i) {
#pragma unroll
        for (int j = 0; j < kGramEach; ++j) {
          sums[i][j] += a[i].x * b[j].x;
          sums[i][j] += a[i].y * b[j].y;
        }
      }
    }
  }
  double* out = problem.partial + piece * problem.vectors * problem.vectors;
#pragma unroll
  for (int i = 0; i < kGramEach; ++i) {
#pragma unroll
    for (int j = 0; j < kGramEach; ++j) {
      out[(row + thread / kGramAcross + kGramAcross * i) * problem.vectors + column + thread % kGramAcross + kGramAcross * j] =
          sums[i][j];
    }
  }
}

// Fills both triangles from the partial sums of the lower one.
__global__ void __launch_bounds__(kThreads)
    add_gram_kernel(Side side, const Problem* problems, const Task* tasks, int blocks_each) {
  const Place own = place(tasks, blocks_each);
  const Task task = *own.task;
  if (task.active == 0) {
    return;
  }
  const Problem& problem = problems[task.problem];
  const int64_t length = side == Side::kShort ? problem.short_side : problem.long_side;
  const int64_t pieces = (length + kGramLength - 1) / kGramLength;
  const int64_t order = problem.vectors;
  for (int64_t at = own.first; at < order * order; at += own.step) {
    const int64_t i = larger(at / order, at % order);
    const int64_t j = smaller(at / order, at % order);
    double sum = 0;
    for (int64_t piece = 0; piece < pieces; ++piece) {
      sum += problem.partial[piece * order * order + i * order + j];
    }
    problem.gram[at] = sum;
  }
}

constexpr int kMixVectors = 32;
constexpr int kMixLength = 128;
constexpr int kMixDepth = 16;
constexpr int kMixRows = kMixVectors / 8;        // a thread has 4 vectors
constexpr int kMixColumns = kMixLength / kWarp;  // and 4 neighbouring entries of each of them
static_assert(kMixColumns == kFour);

// to[i] = the sum over j of mixing[i][j] from[j], for 32 vectors by 128 entries.
__global__ void __launch_bounds__(kThreads, 2)
    mix_kernel(Side side, const Problem* problems, const Task* tasks, int tile_vectors, int tiles_down, int tiles_across) {
  __shared__ float coefficients[kMixVectors][kMixDepth + 1];
  __shared__ float4 entries[kMixDepth][kWarp];
  const int each = tiles_down * tiles_across;
  const auto block = static_cast<int>(blockIdx.x);
  const Task task = tasks[block / each];
  if (task.active == 0) {
    return;
  }
  const Problem& problem = problems[task.problem];
  const int64_t length = side == Side::kShort ? problem.short_side : problem.long_side;
  const int row = block % each / tiles_across * kMixVectors;
  const int64_t column = static_cast<int64_t>(block % each % tiles_across) * kMixLength;
  if (row >= problem.vectors || column >= length) {
    return;
  }
  const float* from = side == Side::kShort ? problem.x[task.x_from] : problem.y[task.y_from];
  float* to = side == Side::kShort ? problem.x[task.x_to] : problem.y[task.y_to];
  const auto thread = static_cast<int>(threadIdx.x);
  const int own_row = thread / kWarp * kMixRows;
  const int lane = thread % kWarp;
  float4 sums[kMixRows] = {};
  for (int begin = 0; begin < problem.vectors; begin += kMixDepth) {
    __syncthreads();
    for (int i = thread; i < kMixVectors * kMixDepth; i += kThreads) {
      coefficients[i / kMixDepth][i % kMixDepth] =
          problem.mixing[(row + i / kMixDepth) * problem.vectors + begin + i % kMixDepth];
    }
    for (int i = thread; i < kMixDepth * kWarp; i += kThreads) {
      entries[i / kWarp][i % kWarp] =
          *reinterpret_cast<const float4*>(from + (begin + i / kWarp) * length + column + kFour * (i % kWarp));
    }
    __syncthreads();
#pragma unroll 8
    for (int k = 0; k < kMixDepth; ++k) {
      const float4 own = entries[k][lane];
#pragma unroll
      for (int i = 0; i < kMixRows; ++i) {
        const float coefficient = coefficients[own_row + i][k];
        sums[i] = {fma(coefficient, own.x, sums[i].x), fma(coefficient, own.y, sums[i].y), fma(coefficient, own.z, sums[i].z),
                   fma(coefficient, own.w, sums[i].w)};
      }
    }
  }
  const bool splits = (side == Side::kShort ? task.split_x : task.split_y) != 0;
  uint16_t* planes = side == Side::kShort ? problem.x_planes : problem.y_planes;
#pragma unroll
  for (int i = 0; i < kMixRows; ++i) {
    const int64_t vector = row + own_row + i;
    const int64_t at = column + kFour * lane;
    *reinterpret_cast<float4*>(to + vector * length + at) = sums[i];
    if (splits) {
      split_four(sums[i], task.terms, planes_of(planes, vector, tile_vectors, length) + at, tile_vectors * length);
    }
  }
}

// Each block has one vector after the locked ones, which are orthonormal. It computes the products with all of them, one per
// warp, and then subtracts them.
__global__ void __launch_bounds__(kThreads)
    deflate_kernel(const Problem* problems, const Task* tasks, int vectors_each, int tile_vectors) {
  double* coefficients = dynamic_shared<double>();
  const Task task = tasks[blockIdx.x / static_cast<unsigned>(vectors_each)];
  const auto vector = static_cast<int>(blockIdx.x % static_cast<unsigned>(vectors_each));
  if (task.active == 0 || vector < task.locked) {
    return;
  }
  const Problem& problem = problems[task.problem];
  const int64_t length = problem.short_side;
  const float* locked = problem.x[task.x_to];
  float* own = problem.x[task.x_to] + vector * length;
  const auto thread = static_cast<int>(threadIdx.x);
  for (int i = thread / kWarp; i < task.locked; i += kThreads / kWarp) {
    double sum = 0;
    for (int64_t j = thread % kWarp; j < length; j += kWarp) {
      sum += static_cast<double>(own[j]) * static_cast<double>(locked[i * length + j]);
    }
    sum = sum_over_warp(sum);
    if (thread % kWarp == 0) {
      coefficients[i] = sum;
    }
  }
  __syncthreads();
  const bool splits = task.locked > 0 && task.split_x != 0;
  uint16_t* planes = planes_of(problem.x_planes, vector, tile_vectors, length);
  for (int64_t j = kFour * thread; j < length; j += kFour * kThreads) {
    const float4 before = *reinterpret_cast<const float4*>(own + j);
    double values[kFour] = {before.x, before.y, before.z, before.w};
    for (int i = 0; i < task.locked; ++i) {
      const float4 other = *reinterpret_cast<const float4*>(locked + i * length + j);
      values[0] -= coefficients[i] * static_cast<double>(other.x);
      values[1] -= coefficients[i] * static_cast<double>(other.y);
      values[2] -= coefficients[i] * static_cast<double>(other.z);
      values[3] -= coefficients[i] * static_cast<double>(other.w);
    }
    const float4 after = {static_cast<float>(values[0]), static_cast<float>(values[1]), static_cast<float>(values[2]),
                          static_cast<float>(values[3])};
    *reinterpret_cast<float4*>(own + j) = after;
    if (splits) {
      split_four(after, task.terms, planes + j, tile_vectors * length);
    }
  }
}

// Each warp has one vector.
__global__ void __launch_bounds__(kThreads) residual_kernel(const Problem* problems, const Task* tasks, int blocks_each) {
  const Task task = tasks[blockIdx.x / static_cast<unsigned>(blocks_each)];
  const int vector = static_cast<int>(blockIdx.x % static_cast<unsigned>(blocks_each) * (kThreads / kWarp) + threadIdx.x / kWarp);
  if (task.active == 0) {
    return;
  }
  const Problem& problem = problems[task.problem];
  if (vector >= problem.vectors) {
    return;
  }
  const int64_t length = problem.short_side;
  const float* x = problem.x[task.x_from] + vector * length;
  const float* z = problem.z + vector * length;
  const double value = problem.values[vector];
  double sum = 0;
  for (int64_t j = threadIdx.x % kWarp; j < length; j += kWarp) {
    const double difference = static_cast<double>(z[j]) - value * static_cast<double>(x[j]);
    sum += difference * difference;
  }
  sum = sum_over_warp(sum);
  if (threadIdx.x % kWarp == 0) {
    problem.residual[vector] = value > 0 ? sqrt(sum / value) : 0;
  }
}

__global__ void __launch_bounds__(kThreads)
    deviation_kernel(const Problem* problems, const Task* tasks, int32_t rank, int32_t normalise) {
  __shared__ double largest[kThreads];
  const Task task = tasks[blockIdx.x];
  if (task.active == 0) {
    return;
  }
  const Problem& problem = problems[task.problem];
  double own = 0;
  for (int at = static_cast<int>(threadIdx.x); at < rank * rank; at += kThreads) {
    const int i = at / rank;
    const int j = at % rank;
    const double scale = normalise != 0 ? sqrt(problem.values[i]) * sqrt(problem.values[j]) : 1;
    const double product = scale > 0 ? problem.gram[i * problem.vectors + j] / scale : 0;
    own = fmax(own, fabs(product - (i == j ? 1 : 0)));
  }
  largest[threadIdx.x] = own;
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      largest[threadIdx.x] = fmax(largest[threadIdx.x], largest[threadIdx.x + half]);
    }
  }
  if (threadIdx.x == 0) {
    problem.residual[0] = largest[0];
  }
}

// The number of blocks of a task, with four entries per thread.
int blocks_for(int64_t entries) { return static_cast<int>(quotient(entries, int64_t{4} * kThreads)); }

}  // namespace

cudaError_t launch_filter(const Problem* problems, const Task* tasks, int64_t count, int64_t most_length, int vectors,
                          int tile_vectors, cudaStream_t stream) {
  const int64_t pieces = quotient(most_length, kPieceLength);
  return launch({count * vectors * pieces, kThreads}, stream, filter_kernel, problems, tasks, static_cast<unsigned>(vectors),
                tile_vectors, static_cast<unsigned>(pieces));
}

cudaError_t launch_deflate(const Problem* problems, const Task* tasks, int64_t count, int vectors, int tile_vectors,
                           cudaStream_t stream) {
  return launch({count * vectors, kThreads, vectors * static_cast<int64_t>(sizeof(double))}, stream, deflate_kernel, problems,
                tasks, vectors, tile_vectors);
}

int64_t partial_count(int64_t length) { return quotient(length, kGramLength); }

cudaError_t launch_gram(Side side, const Problem* problems, const Task* tasks, int64_t count, int64_t most_length,
                        int32_t most_vectors, cudaStream_t stream) {
  const auto across = static_cast<int>(quotient(most_vectors, kGramTile));
  const auto pieces = static_cast<int>(partial_count(most_length));
  const cudaError_t error =
      launch({count * across * across * pieces, kThreads}, stream, gram_kernel, side, problems, tasks, across, pieces);
  if (error != cudaSuccess) {
    return error;
  }
  const int each = blocks_for(int64_t{most_vectors} * most_vectors);
  return launch({count * each, kThreads}, stream, add_gram_kernel, side, problems, tasks, each);
}

cudaError_t launch_mix(Side side, const Problem* problems, const Task* tasks, int64_t count, int64_t most_length, int vectors,
                       int tile_vectors, cudaStream_t stream) {
  const auto down = static_cast<int>(quotient(vectors, kMixVectors));
  const auto across = static_cast<int>(quotient(most_length, kMixLength));
  return launch({count * down * across, kThreads}, stream, mix_kernel, side, problems, tasks, tile_vectors, down, across);
}

cudaError_t launch_residual(const Problem* problems, const Task* tasks, int64_t count, int32_t most_vectors,
                            cudaStream_t stream) {
  const auto each = static_cast<int>(quotient(most_vectors, kThreads / kWarp));
  return launch({count * each, kThreads}, stream, residual_kernel, problems, tasks, each);
}

cudaError_t launch_deviation(const Problem* problems, const Task* tasks, int64_t count, int32_t rank, int32_t normalise,
                             cudaStream_t stream) {
  return launch({count, kThreads}, stream, deviation_kernel, problems, tasks, rank, normalise);
}

}  // namespace threegate::cuda
