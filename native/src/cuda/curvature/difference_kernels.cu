// Finite differences of gradients. The numbers are read once, and each thread processes several at a time.
#include "common/difference.h"
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "difference_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kEach = 4;  // numbers that a thread processes at a time
constexpr int64_t kBlockNumbers = kThreads * kEach;
constexpr int64_t kMostBlocks = 2048;

// Reads a thread's numbers at `at`, and zeros beyond the end.
template <typename T>
__device__ void load_numbers(const T* from, int64_t at, int64_t count, double (&numbers)[kEach]) {
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int64_t own = at + i * kThreads;
    numbers[i] = own < count ? static_cast<double>(from[own]) : 0;
  }
}

// Adds up over the block in a fixed order.
template <size_t kSums>
__device__ void sum_over_block(const double (&own)[kSums], double* partial) {
  __shared__ double of_warps[kThreads / kWarp][kSums];
#pragma unroll
  for (size_t i = 0; i < kSums; ++i) {
    const double sum = sum_over_warp(own[i]);
    if (threadIdx.x % kWarp == 0) {
      of_warps[threadIdx.x / kWarp][i] = sum;
    }
  }
  __syncthreads();
  if (threadIdx.x < kSums) {
    double sum = 0;
    for (const auto& of_warp : of_warps) {
      sum += of_warp[threadIdx.x];
    }
    partial[static_cast<int64_t>(blockIdx.x) * kSums + threadIdx.x] = sum;
  }
}

__device__ int64_t first_number() { return static_cast<int64_t>(blockIdx.x) * kBlockNumbers + threadIdx.x; }
__device__ int64_t stride() { return static_cast<int64_t>(gridDim.x) * kBlockNumbers; }

template <typename T>
__global__ void __launch_bounds__(kThreads)
    displace_kernel(const __grid_constant__ tg_displacement displacement, T* displaced, double* partial) {
  double sums[1] = {};
  const int64_t count = displacement.count;
  for (int64_t at = first_number(); at < count; at += stride()) {
    double point[kEach];
    double direction[kEach];
    load_numbers(static_cast<const T*>(displacement.point), at, count, point);
    load_numbers(static_cast<const T*>(displacement.direction), at, count, direction);
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const T rounded = static_cast<T>(displaced_by(point[i], direction[i], displacement.step));
      const double error = displacement_error(static_cast<double>(rounded), point[i], direction[i], displacement.step);
      sums[0] = fma(error, error, sums[0]);
      if (at + i * kThreads < count) {
        displaced[at + i * kThreads] = rounded;
      }
    }
  }
  sum_over_block(sums, partial);
}

template <typename T, bool kExtrapolates>
__global__ void __launch_bounds__(kThreads)
    difference_kernel(const __grid_constant__ tg_gradient_difference difference, double scale, T* product, double* partial) {
  double sums[kDifferenceSums] = {};
  const int64_t count = difference.count;
  for (int64_t at = first_number(); at < count; at += stride()) {
    double ahead[kEach];
    double behind[kEach];
    double wider[kEach] = {};
    double direction[kEach];
    load_numbers(static_cast<const T*>(difference.ahead), at, count, ahead);
    load_numbers(static_cast<const T*>(difference.behind), at, count, behind);
    if constexpr (kExtrapolates) {
      load_numbers(static_cast<const T*>(difference.wider), at, count, wider);
    }
    load_numbers(static_cast<const T*>(difference.direction), at, count, direction);
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      Difference found = difference_of(ahead[i], behind[i], scale);
      if constexpr (kExtrapolates) {
        found = extrapolated(found, wider[i]);
        sums[2] = fma(found.change, found.change, sums[2]);
      }
      sums[0] = fma(ahead[i], ahead[i], sums[0]);
      sums[1] = fma(behind[i], behind[i], sums[1]);
      sums[3] = fma(found.product, direction[i], sums[3]);
      if (at + i * kThreads < count) {
        product[at + i * kThreads] = static_cast<T>(found.product);
      }
    }
  }
  sum_over_block(sums, partial);
}

template <typename T>
cudaError_t launch_difference_of(const tg_gradient_difference& difference, void* product, double* partial, cudaStream_t stream) {
  const Shape shape{difference_blocks(difference.count), kThreads};
  // The scale is rounded on the host, where it is computed for the CPU as well.
  const double scale = 1 / (2 * difference.step);
  auto* const to = static_cast<T*>(product);
  return difference.wider != nullptr ? launch(shape, stream, difference_kernel<T, true>, difference, scale, to, partial)
                                     : launch(shape, stream, difference_kernel<T, false>, difference, scale, to, partial);
}

}  // namespace

int64_t difference_blocks(int64_t count) {
  const int64_t all = (count + kBlockNumbers - 1) / kBlockNumbers;
  return all < kMostBlocks ? all : kMostBlocks;
}

cudaError_t launch_displace(const tg_displacement& displacement, void* displaced, double* partial, cudaStream_t stream) {
  const Shape shape{difference_blocks(displacement.count), kThreads};
  return displacement.dtype == TG_F32
             ? launch(shape, stream, displace_kernel<float>, displacement, static_cast<float*>(displaced), partial)
             : launch(shape, stream, displace_kernel<double>, displacement, static_cast<double*>(displaced), partial);
}

cudaError_t launch_difference(const tg_gradient_difference& difference, void* product, double* partial, cudaStream_t stream) {
  return difference.dtype == TG_F32 ? launch_difference_of<float>(difference, product, partial, stream)
                                    : launch_difference_of<double>(difference, product, partial, stream);
}

}  // namespace threegate::cuda
