// Kernels on the blocks of vectors of all problems, between products with the matrices.
#include "bf16_terms.h"
#include "cuda/support/instructions.h"
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
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

constexpr int kFour = 4;                            // neighbouring entries of a thread
constexpr int kPieceLength = 4 * kFour * kThreads;  // entries of a vector that a block splits

__global__ void __launch_bounds__(kThreads) filter_kernel(const Problem* problems, const Task* tasks, int blocks_each) {
  const Place own = place(tasks, blocks_each);
  const Task task = *own.task;
  if (task.active == 0) {
    return;
  }
  const Problem& problem = problems[task.problem];
  const auto* from = reinterpret_cast<const float4*>(problem.x[task.x_from]);
  const auto* before = reinterpret_cast<const float4*>(problem.x[task.x_before]);
  const auto* product = reinterpret_cast<const float4*>(problem.z);
  auto* to = reinterpret_cast<float4*>(problem.x[task.x_to]);
  const int64_t count = problem.vectors * problem.short_side / kFour;
  const int64_t locked = task.locked * problem.short_side / kFour;
  for (int64_t i = own.first; i < count; i += own.step) {
    float4 value = from[i];
    if (i >= locked) {
      const float4 z = product[i];
      value = {task.alpha * z.x + task.beta * value.x, task.alpha * z.y + task.beta * value.y,
               task.alpha * z.z + task.beta * value.z, task.alpha * z.w + task.beta * value.w};
      if (task.gamma != 0.0F) {
        const float4 x = before[i];
        value = {value.x + task.gamma * x.x, value.y + task.gamma * x.y, value.z + task.gamma * x.z, value.w + task.gamma * x.w};
      }
    }
    to[i] = value;
  }
}

// Each block has one piece of a vector.
__global__ void __launch_bounds__(kThreads) split_vectors_kernel(Side side, const Problem* problems, const Task* tasks,
                                                                 unsigned vectors, unsigned tile_vectors, unsigned pieces) {
  const Task task = tasks[blockIdx.x / pieces / vectors];
  if (task.active == 0) {
    return;
  }
  const Problem& problem = problems[task.problem];
  const unsigned vector = blockIdx.x / pieces % vectors;
  const int64_t length = side == Side::kShort ? problem.short_side : problem.long_side;
  const float* own = (side == Side::kShort ? problem.x[task.x_to] : problem.y[task.y_to]) + vector * length;
  uint16_t* planes = (side == Side::kShort ? problem.x_planes : problem.y_planes) +
                     (vector / tile_vectors * tile_vectors * kPlanes + vector % tile_vectors) * length;
  const int64_t begin = int64_t{blockIdx.x % pieces} * kPieceLength;
  const int64_t end = smaller(length, begin + kPieceLength);
  for (int64_t i = begin + kFour * static_cast<int64_t>(threadIdx.x); i < end; i += kFour * kThreads) {
    float4 rest = *reinterpret_cast<const float4*>(own + i);
#pragma unroll
    for (int plane = 0; plane < kPlanes; ++plane) {
      if (plane < task.terms) {
        store_vector(planes + plane * (tile_vectors * length) + i,
                     uint2{take_two_terms(rest.x, rest.y), take_two_terms(rest.z, rest.w)});
      }
    }
  }
}

constexpr int kGramTile = 32;
constexpr int kGramDepth = 32;
constexpr int64_t kGramLength = 2048;  // entries of a partial sum
constexpr int kGramEach = 2;           // a thread has 2 x 2 entries of a tile
constexpr int kGramAcross = kGramTile / kGramEach;
static_assert(kGramAcross * kGramAcross == kThreads);

// A 32 x 32 tile of V V^T over one piece of the length.
__global__ void __launch_bounds__(kThreads, 2)
    gram_kernel(Side side, const Problem* problems, const Task* tasks, int tiles_across, int pieces) {
  __shared__ float left[kGramTile][kGramDepth + 1];
  __shared__ float right[kGramTile][kGramDepth + 1];
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
      left[i / kGramDepth][i % kGramDepth] = vectors[(row + i / kGramDepth) * length + begin + i % kGramDepth];
      right[i / kGramDepth][i % kGramDepth] = vectors[(column + i / kGramDepth) * length + begin + i % kGramDepth];
    }
    __syncthreads();
#pragma unroll 8
    for (int k = 0; k < kGramDepth; ++k) {
#pragma unroll
      for (int i = 0; i < kGramEach; ++i) {
#pragma unroll
        for (int j = 0; j < kGramEach; ++j) {
          sums[i][j] += static_cast<double>(left[thread / kGramAcross + kGramAcross * i][k]) *
                        static_cast<double>(right[thread % kGramAcross + kGramAcross * j][k]);
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
constexpr int kMixRows = kMixVectors / 8;     // a thread has 4 vectors
constexpr int kMixColumns = kMixLength / 32;  // and 4 entries of each of them

// to[i] = the sum over j of mixing[i][j] from[j], for 32 vectors by 128 entries.
__global__ void __launch_bounds__(kThreads, 2)
    mix_kernel(Side side, const Problem* problems, const Task* tasks, int tiles_down, int tiles_across) {
  __shared__ float coefficients[kMixVectors][kMixDepth + 1];
  __shared__ float entries[kMixDepth][kMixLength];
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
  float sums[kMixRows][kMixColumns] = {};
  for (int begin = 0; begin < problem.vectors; begin += kMixDepth) {
    __syncthreads();
    for (int i = thread; i < kMixVectors * kMixDepth; i += kThreads) {
      coefficients[i / kMixDepth][i % kMixDepth] =
          problem.mixing[(row + i / kMixDepth) * problem.vectors + begin + i % kMixDepth];
    }
    for (int i = thread; i < kMixDepth * kMixLength; i += kThreads) {
      entries[i / kMixLength][i % kMixLength] = from[(begin + i / kMixLength) * length + column + i % kMixLength];
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kMixDepth; ++k) {
#pragma unroll
      for (int i = 0; i < kMixRows; ++i) {
#pragma unroll
        for (int j = 0; j < kMixColumns; ++j) {
          sums[i][j] = fma(coefficients[own_row + i][k], entries[k][lane + kWarp * j], sums[i][j]);
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kMixRows; ++i) {
#pragma unroll
    for (int j = 0; j < kMixColumns; ++j) {
      to[(row + own_row + i) * length + column + lane + kWarp * j] = sums[i][j];
    }
  }
}

// Each block has one vector after the locked ones, which are orthonormal. It computes the products with all of them, one per
// warp, and then subtracts them.
__global__ void __launch_bounds__(kThreads) deflate_kernel(const Problem* problems, const Task* tasks, int vectors_each) {
  double* coefficients = dynamic_shared<double>();
  const Task task = tasks[blockIdx.x / static_cast<unsigned>(vectors_each)];
  const auto vector = static_cast<int>(blockIdx.x % static_cast<unsigned>(vectors_each));
  if (task.active == 0 || vector < task.locked) {
    return;
  }
  const Problem& problem = problems[task.problem];
  if (vector >= problem.vectors) {
    return;
  }
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
  for (int64_t j = thread; j < length; j += kThreads) {
    auto value = static_cast<double>(own[j]);
    for (int i = 0; i < task.locked; ++i) {
      value -= coefficients[i] * static_cast<double>(locked[i * length + j]);
    }
    own[j] = static_cast<float>(value);
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

cudaError_t launch_filter(const Problem* problems, const Task* tasks, int64_t count, int64_t most_entries, cudaStream_t stream) {
  const int each = blocks_for(most_entries / kFour);
  return launch({count * each, kThreads}, stream, filter_kernel, problems, tasks, each);
}

cudaError_t launch_deflate(const Problem* problems, const Task* tasks, int64_t count, int32_t most_vectors, cudaStream_t stream) {
  return launch({count * most_vectors, kThreads, most_vectors * static_cast<int64_t>(sizeof(double))}, stream, deflate_kernel,
                problems, tasks, most_vectors);
}

cudaError_t launch_split_vectors(Side side, const Problem* problems, const Task* tasks, int64_t count, int64_t most_length,
                                 int vectors, int tile_vectors, cudaStream_t stream) {
  const int64_t pieces = quotient(most_length, kPieceLength);
  return launch({count * vectors * pieces, kThreads}, stream, split_vectors_kernel, side, problems, tasks,
                static_cast<unsigned>(vectors), static_cast<unsigned>(tile_vectors), static_cast<unsigned>(pieces));
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

cudaError_t launch_mix(Side side, const Problem* problems, const Task* tasks, int64_t count, int64_t most_length,
                       int32_t most_vectors, cudaStream_t stream) {
  const auto down = static_cast<int>(quotient(most_vectors, kMixVectors));
  const auto across = static_cast<int>(quotient(most_length, kMixLength));
  return launch({count * down * across, kThreads}, stream, mix_kernel, side, problems, tasks, down, across);
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
