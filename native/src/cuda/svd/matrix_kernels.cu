// Kernels on one matrix or one list of vectors: the range of the entries, the split into bf16 terms, and conversions.
#include "bf16_terms.h"
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "svd_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRangeBlocks = 512;

int64_t quotient(int64_t a, int64_t b) { return (a + b - 1) / b; }

__device__ inline double source_entry(const Source& source, int64_t row, int64_t column) {
  const double value = entry(source.entries, row, column);
  return source.has_subtracted != 0 ? value - entry(source.subtracted, row, column) : value;
}

__global__ void __launch_bounds__(kThreads) range_kernel(Source source, Range* range) {
  uint64_t largest = 0;
  uint32_t wrong = 0;
  const int64_t count = source.rows * source.columns;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += step) {
    const double value = source_entry(source, i / source.columns, i % source.columns);
    const uint64_t magnitude = bit_cast<uint64_t>(value) & 0x7fffffffffffffffULL;
    wrong |= static_cast<uint32_t>(!isfinite(value));
    largest = magnitude > largest ? magnitude : largest;
  }
  atomicMax(reinterpret_cast<unsigned long long*>(&range->largest), static_cast<unsigned long long>(largest));
  if (wrong != 0) {
    atomicOr(&range->not_finite, 1U);
  }
}

struct Planes {
  uint16_t* plane[kPlanes];
};

__global__ void __launch_bounds__(kThreads)
    split_matrix_kernel(Source source, Planes planes, int64_t stride, int64_t padded_rows) {
  const int64_t count = padded_rows * stride;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += step) {
    const int64_t row = i / stride;
    const int64_t column = i % stride;
    const bool inside = row < source.rows && column < source.columns;
    float rest = inside ? static_cast<float>(source_entry(source, row, column) * source.scale) : 0.0F;
#pragma unroll
    for (int plane = 0; plane < kPlanes; ++plane) {
      if (plane < source.planes) {
        planes.plane[plane][i] = take_bf16_term(rest);
      }
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    narrow_kernel(Entries entries, int64_t count, int64_t length, float* vectors, int64_t stride) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count * stride; i += step) {
    const int64_t j = i % stride;
    vectors[i] = j < length ? static_cast<float>(entry(entries, i / stride, j)) : 0.0F;
  }
}

__global__ void __launch_bounds__(kThreads) widen_matrix_kernel(Source source, double* out) {
  const int64_t count = source.rows * source.columns;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += step) {
    out[i] = source_entry(source, i / source.columns, i % source.columns) * source.scale;
  }
}

// The sum of the numbers of a block, in every thread.
__device__ double sum_over_block(double value, double* shared) {
  value = sum_over_warp(value);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) {
    shared[threadIdx.x / kWarp] = value;
  }
  __syncthreads();
  double sum = 0;
  for (int i = 0; i < kThreads / kWarp; ++i) {
    sum += shared[i];
  }
  return sum;
}

// Each block has one vector.
__global__ void __launch_bounds__(kThreads) normalise_kernel(double* vectors, int64_t length, double* norms) {
  __shared__ double shared[kThreads / kWarp];
  double* own = vectors + blockIdx.x * length;
  double square = 0;
  for (int64_t i = threadIdx.x; i < length; i += kThreads) {
    square += own[i] * own[i];
  }
  const double norm = sqrt(sum_over_block(square, shared));
  if (threadIdx.x == 0) {
    norms[blockIdx.x] = norm;
  }
  for (int64_t i = threadIdx.x; i < length && norm > 0; i += kThreads) {
    own[i] /= norm;
  }
}

__global__ void __launch_bounds__(kThreads)
    distance_kernel(const double* z, const double* x, const double* norms, int64_t length, double* distances) {
  __shared__ double shared[kThreads / kWarp];
  const double norm = norms[blockIdx.x];
  double square = 0;
  for (int64_t i = threadIdx.x; i < length; i += kThreads) {
    const double difference = z[blockIdx.x * length + i] - norm * x[blockIdx.x * length + i];
    square += difference * difference;
  }
  const double distance = sqrt(sum_over_block(square, shared));
  if (threadIdx.x == 0) {
    distances[blockIdx.x] = distance;
  }
}

int64_t blocks_in_all(int64_t entries) {
  constexpr int64_t kMost = 4096;
  const int64_t blocks = quotient(entries, int64_t{4} * kThreads);
  return blocks < kMost ? blocks : kMost;
}

}  // namespace

cudaError_t launch_range(const Source& source, Range* range, cudaStream_t stream) {
  const int64_t blocks = quotient(source.rows * source.columns, kThreads);
  return launch({blocks < kRangeBlocks ? blocks : kRangeBlocks, kThreads}, stream, range_kernel, source, range);
}

cudaError_t launch_split_matrix(const Source& source, uint16_t* const (&planes)[kPlanes], int64_t stride, int64_t padded_rows,
                                cudaStream_t stream) {
  return launch({blocks_in_all(stride * padded_rows), kThreads}, stream, split_matrix_kernel, source,
                Planes{{planes[0], planes[1], planes[2]}}, stride, padded_rows);
}

cudaError_t launch_widen_matrix(const Source& source, double* out, cudaStream_t stream) {
  return launch({blocks_in_all(source.rows * source.columns), kThreads}, stream, widen_matrix_kernel, source, out);
}

cudaError_t launch_normalise(double* vectors, int64_t length, int64_t count, double* norms, cudaStream_t stream) {
  return launch({count, kThreads}, stream, normalise_kernel, vectors, length, norms);
}

cudaError_t launch_distance(const double* z, const double* x, const double* norms, int64_t length, int64_t count,
                            double* distances, cudaStream_t stream) {
  return launch({count, kThreads}, stream, distance_kernel, z, x, norms, length, distances);
}

cudaError_t launch_narrow(const Entries& entries, int64_t count, int64_t length, float* vectors, int64_t stride,
                          cudaStream_t stream) {
  return launch({blocks_in_all(count * stride), kThreads}, stream, narrow_kernel, entries, count, length, vectors, stride);
}

}  // namespace threegate::cuda
