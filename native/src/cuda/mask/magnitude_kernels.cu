// Histograms and sums by the magnitude code of entries.
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "magnitude_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;

__device__ uint32_t magnitude(const Entries& matrix, int64_t row, int64_t column) {
  const double value = is_plain_bf16(matrix) ? 0 : entry(matrix, row, column);
  return bf16_magnitude_code(entry_code(matrix, row, column, value));
}

constexpr int kHistogramThreads = 1024;

__global__ void __launch_bounds__(kHistogramThreads, 1)
    magnitude_histogram_kernel(Entries matrix, int64_t rows, int64_t columns, const uint64_t* first, const uint64_t* second,
                               uint64_t* all, uint64_t* counts) {
  uint32_t* own = dynamic_shared<uint32_t>();
  for (unsigned i = threadIdx.x; i < TG_MAGNITUDE_CODES; i += kHistogramThreads) {
    own[i] = 0;
  }
  __syncthreads();
  const int64_t words = (columns + 63) / 64;
  // A warp processes half a word of the masks at a time.
  const int64_t halves = rows * words * 2;
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const int64_t warps = static_cast<int64_t>(gridDim.x) * (kHistogramThreads / kWarp);
  for (int64_t half = static_cast<int64_t>(blockIdx.x) * (kHistogramThreads / kWarp) + threadIdx.x / kWarp; half < halves;
       half += warps) {
    const int64_t row = half / 2 / words;
    const int64_t column = (half / 2 % words) * 64 + half % 2 * kWarp + lane;
    if (column >= columns) {
      continue;
    }
    const uint32_t code = magnitude(matrix, row, column);
    atomicAdd(&own[code], 1U);
    const auto at = static_cast<unsigned>(column % 64);
    const uint64_t in = (first[half / 2] >> at & 1U) + 2 * (second[half / 2] >> at & 1U);
    if (in != 0) {
      atomicAdd(reinterpret_cast<unsigned long long*>(counts + 4 * code + in), 1ULL);
    }
  }
  __syncthreads();
  for (unsigned i = threadIdx.x; i < TG_MAGNITUDE_CODES; i += kHistogramThreads) {
    if (own[i] != 0) {
      atomicAdd(reinterpret_cast<unsigned long long*>(all + i), static_cast<unsigned long long>(own[i]));
    }
  }
}

// Each warp sums one row, in a fixed order.
__global__ void __launch_bounds__(kThreads, 4)
    row_profile_kernel(Entries matrix, int64_t rows, int64_t columns, const double* table, double* row_sums) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp;
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  double sum = 0;
  if (row < rows) {
    for (int64_t j = lane; j < columns; j += kWarp) {
      sum += table[magnitude(matrix, row, j)];
    }
  }
  sum = sum_over_warp(sum);
  if (row < rows && lane == 0) {
    row_sums[row] = sum;
  }
}

__global__ void __launch_bounds__(kThreads)
    column_profile_kernel(Entries matrix, int64_t rows, int64_t columns, const double* table, double* partial_sums) {
  const int64_t strips = (columns + kThreads - 1) / kThreads;
  const int64_t part = blockIdx.x / strips;
  const int64_t column = blockIdx.x % strips * kThreads + threadIdx.x;
  if (column >= columns) {
    return;
  }
  const int64_t end = smaller(rows, (part + 1) * kProfileRows);
  double sum = 0;
  for (int64_t i = part * kProfileRows; i < end; ++i) {
    sum += table[magnitude(matrix, i, column)];
  }
  partial_sums[part * columns + column] = sum;
}

__global__ void __launch_bounds__(kThreads)
    add_partial_sums_kernel(const double* partial_sums, int64_t parts, int64_t columns, double* column_sums) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (column >= columns) {
    return;
  }
  double sum = 0;
  for (int64_t part = 0; part < parts; ++part) {
    sum += partial_sums[part * columns + column];
  }
  column_sums[column] = sum;
}

int64_t quotient(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

cudaError_t launch_magnitude_histogram(const Entries& matrix, int64_t rows, int64_t columns, const uint64_t* first,
                                       const uint64_t* second, uint64_t* all, uint64_t* counts, int multiprocessors,
                                       cudaStream_t stream) {
  // There is one block per multiprocessor, because its counters take half of the shared memory.
  const int64_t warps = quotient(rows * quotient(columns, 64) * 2, kHistogramThreads / kWarp);
  const Shape shape{warps < multiprocessors ? warps : multiprocessors, kHistogramThreads,
                    TG_MAGNITUDE_CODES * static_cast<int64_t>(sizeof(uint32_t))};
  return launch(shape, stream, magnitude_histogram_kernel, matrix, rows, columns, first, second, all, counts);
}

cudaError_t launch_magnitude_profile(const Entries& matrix, int64_t rows, int64_t columns, const double* table, double* row_sums,
                                     double* partial_sums, double* column_sums, cudaStream_t stream) {
  cudaError_t error =
      launch({quotient(rows, kThreads / kWarp), kThreads}, stream, row_profile_kernel, matrix, rows, columns, table, row_sums);
  if (error == cudaSuccess) {
    error = launch({quotient(columns, kThreads) * quotient(rows, kProfileRows), kThreads}, stream, column_profile_kernel, matrix,
                   rows, columns, table, partial_sums);
  }
  if (error == cudaSuccess) {
    error = launch({quotient(columns, kThreads), kThreads}, stream, add_partial_sums_kernel, partial_sums,
                   quotient(rows, kProfileRows), columns, column_sums);
  }
  return error;
}

}  // namespace threegate::cuda
