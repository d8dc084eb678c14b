// Functions that kernels share: sums over warps, and scaled indices.
#ifndef THREEGATE_CUDA_SUPPORT_WARP_H
#define THREEGATE_CUDA_SUPPORT_WARP_H

#include <cuda_runtime.h>

#include <cstdint>

namespace threegate::cuda {

constexpr int kWarp = 32;
constexpr unsigned kWholeWarp = 0xffffffffU;

#if defined(__CUDACC__) || defined(THREEGATE_HOST_EMULATION)
namespace {

__device__ inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
__device__ inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// The shared memory of the block whose size the launch specified.
template <typename T>
__device__ inline T* dynamic_shared() {
#if defined(THREEGATE_HOST_EMULATION)
  return static_cast<T*>(emulation::dynamic_shared_memory());
#else
  extern __shared__ __align__(128) unsigned char dynamic_shared_bytes[];
  return reinterpret_cast<T*>(dynamic_shared_bytes);
#endif
}

// Gives the same bits in every lane, because a butterfly adds the same pairs everywhere.
__device__ inline double sum_over_warp(double value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kWholeWarp, value, distance);
  }
  return value;
}

// dividend / divisor, rounded down, where `near` is less than 1 from the quotient with its fraction. It takes no division of
// 64-bit integers, which is a call. The dividend may lack its bits from 2^64 on, because the rest does not need them. Divisors
// are below 2^62.
__device__ inline uint64_t quotient_near(double near, uint64_t dividend, uint64_t divisor) {
  const auto quotient = static_cast<int64_t>(near);
  const auto rest = static_cast<int64_t>(dividend - static_cast<uint64_t>(quotient) * divisor);
  const int64_t correction = static_cast<int64_t>(rest >= static_cast<int64_t>(divisor)) - static_cast<int64_t>(rest < 0);
  return static_cast<uint64_t>(quotient + correction);
}

// index * parts / all, rounded down, for parts <= all and index < all. Indices and results are below 2^50, so that `near` is
// right to a half. The ratio is parts / all.
__device__ inline uint64_t scaled_index(uint64_t index, uint64_t parts, uint64_t all, double ratio) {
  return quotient_near(static_cast<double>(index) * ratio, index * parts, all);
}

// The smallest index with scaled_index(index, parts, all) >= part, for part <= parts.
__device__ inline uint64_t first_index(uint64_t part, uint64_t parts, uint64_t all, double inverse_ratio) {
  return quotient_near(static_cast<double>(part) * inverse_ratio + 0.5, part * all + parts - 1, parts);
}

}  // namespace
#endif
}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SUPPORT_WARP_H
