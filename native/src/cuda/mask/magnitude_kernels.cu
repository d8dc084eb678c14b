// Histograms and sums by the magnitude code of entries.
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "groups.h"
#include "magnitude_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;

__device__ uint32_t magnitude(const Entries& matrix, int64_t row, int64_t column) {
  const double value = is_plain_bf16(matrix) ? 0 : entry(matrix, row, column);
  return bf16_magnitude_code(entry_code(matrix, row, column, value));
}

// The histogram: a counter of 16 bits for each code, two in a word, takes 64 KB of shared memory. That fits every device, where
// 99 KB are the least, and three blocks run on a multiprocessor of an H200. A thread that counts up to kFull moves that many to
// the counters of all blocks. Between barriers of the block no counter is increased so often that it overflows before.
//
// One launch counts four times: all entries, those in each mask, and those in both. Blocks share the four. Each count is an
// atomic operation in shared memory, and each block adds its counters to global memory once. The matrix is read four times,
// mostly from the second-level cache: 8 bytes an entry of bf16. One pass with the masked entries in global memory was tried: half
// of the entries then go to a few hundred addresses there, which serialises them.
constexpr int kHistogramThreads = 512;
constexpr int kClasses = 4;
constexpr uint32_t kFull = 0x8000;
constexpr int kHistogramWords = TG_MAGNITUDE_CODES / 2 + kWarp;
constexpr int kUnitsBetweenBarriers = kFull / (kHistogramThreads * kGroup);

__device__ inline uint32_t magnitude_of(float value) { return bf16_magnitude_code(float_to_bf16(value)); }
__device__ inline uint32_t magnitude_of(double value) { return bf16_magnitude_code(double_to_bf16(value)); }

// The magnitude codes of a group of columns. Those of plain bf16 are stored.
template <int kDtype>
__device__ void load_magnitudes(const Entries& matrix, int64_t row, int64_t column, int count, uint32_t (&magnitudes)[kGroup]) {
  typename ValueOf<kDtype>::Type values[kGroup];
  load_values<kDtype>(matrix, row, column, count, values);
  if constexpr (kDtype == TG_BF16) {
    if (matrix.block_scale == nullptr) {
#pragma unroll
      for (int i = 0; i < kGroup; ++i) {
        magnitudes[i] = bf16_magnitude_code(static_cast<uint16_t>(bit_cast<uint32_t>(values[i]) >> 16));
      }
      return;
    }
  }
#pragma unroll
  for (int i = 0; i < kGroup; ++i) {
    magnitudes[i] = magnitude_of(values[i]);
  }
}

template <int kDtype>
__global__ void __launch_bounds__(kHistogramThreads)
    magnitude_histogram_kernel(Entries matrix, Walk walk, const uint8_t* first, const uint8_t* second, uint64_t* counts) {
  uint32_t* own = dynamic_shared<uint32_t>();
  for (unsigned i = threadIdx.x; i < kHistogramWords; i += kHistogramThreads) {
    own[i] = 0;
  }
  __syncthreads();
  const uint32_t masks = blockIdx.x % kClasses;  // 1 for the first mask, 2 for the second one
  uint64_t* all = counts + static_cast<size_t>(masks) * TG_MAGNITUDE_CODES;
  const uint32_t outside = TG_MAGNITUDE_CODES / 2 + threadIdx.x % kWarp;
  int units = 0;
  for_groups<kHistogramThreads>(
      walk, blockIdx.x / kClasses,
      [&](int64_t row, int64_t group) {
        const int64_t at = row * walk.words * kGroupsOfWord + group;
        const int columns = columns_of_group(walk, group);
        uint32_t bits = (1U << columns) - 1;
        bits &= (masks & 1U) != 0 ? first[at] : bits;
        bits &= (masks & 2U) != 0 ? second[at] : bits;
        if (bits == 0) {
          return;
        }
        uint32_t magnitudes[kGroup];
        load_magnitudes<kDtype>(matrix, row, group * kGroup, columns, magnitudes);
        // All operations of a group are under way before the first result is looked at. Those of entries outside of the mask add
        // nothing to a word of their lane.
        uint32_t before[kGroup];
#pragma unroll
        for (int i = 0; i < kGroup; ++i) {
          const uint32_t half = magnitudes[i] % 2 * 16;
          const uint32_t in = bits >> i & 1U;
          before[i] = atomicAdd(own + (in != 0 ? magnitudes[i] / 2 : outside), in << half) >> half & 0xffffU;
        }
#pragma unroll
        for (int i = 0; i < kGroup; ++i) {
          if (before[i] == kFull - 1) {
            atomicAdd(own + magnitudes[i] / 2, 0U - (kFull << (magnitudes[i] % 2 * 16)));
            atomicAdd(reinterpret_cast<unsigned long long*>(all + magnitudes[i]), static_cast<unsigned long long>(kFull));
          }
        }
      },
      [&] {
        if (++units == kUnitsBetweenBarriers) {
          __syncthreads();
          units = 0;
        }
      });
  __syncthreads();
  for (unsigned i = threadIdx.x; i < TG_MAGNITUDE_CODES; i += kHistogramThreads) {
    const uint32_t found = own[i / 2] >> (i % 2 * 16) & 0xffffU;
    if (found != 0) {
      atomicAdd(reinterpret_cast<unsigned long long*>(all + i), static_cast<unsigned long long>(found));
    }
  }
}

// Each warp sums one row, in a fixed order.
template <int kDtype>
__global__ void __launch_bounds__(kThreads, 4)
    row_profile_kernel(Entries matrix, int64_t rows, int64_t columns, const double* table, double* row_sums) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp;
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  double sum = 0;
  if (row < rows) {
    for (int64_t column = lane * kGroup; column < columns; column += kWarp * kGroup) {
      const auto count = static_cast<int>(smaller(columns - column, kGroup));
      uint32_t magnitudes[kGroup];
      load_magnitudes<kDtype>(matrix, row, column, count, magnitudes);
#pragma unroll
      for (int i = 0; i < kGroup; ++i) {
        sum += i < count ? table[magnitudes[i]] : 0;
      }
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

}  // namespace

cudaError_t launch_magnitude_histogram(const Entries& matrix, int64_t rows, int64_t columns, const uint64_t* first,
                                       const uint64_t* second, uint64_t* counts, int multiprocessors, cudaStream_t stream) {
  constexpr int64_t kBytes = kHistogramWords * static_cast<int64_t>(sizeof(uint32_t));
  constexpr int64_t kBlocksEach = 3;  // as many as have room for their counters at a time
  int64_t blocks = quotient(kBlocksEach * multiprocessors, kClasses);
  const Walk walk = make_walk(rows, columns, kHistogramThreads, blocks);
  return with_kind(matrix, [&](auto kind) {
    return launch({kClasses * blocks, kHistogramThreads, kBytes}, stream, magnitude_histogram_kernel<decltype(kind)::kValue>,
                  matrix, walk, reinterpret_cast<const uint8_t*>(first), reinterpret_cast<const uint8_t*>(second), counts);
  });
}

cudaError_t launch_magnitude_profile(const Entries& matrix, int64_t rows, int64_t columns, const double* table, double* row_sums,
                                     double* partial_sums, double* column_sums, cudaStream_t stream) {
  cudaError_t error = with_kind(matrix, [&](auto kind) {
    return launch({quotient(rows, kThreads / kWarp), kThreads}, stream, row_profile_kernel<decltype(kind)::kValue>, matrix, rows,
                  columns, table, row_sums);
  });
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
