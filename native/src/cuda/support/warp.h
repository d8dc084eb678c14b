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

// index * parts / all, rounded down, for parts <= all and index < all. The product may need more than 64 bits.
__device__ inline uint64_t scaled_index(uint64_t index, uint64_t parts, uint64_t all) {
  if ((index | parts) < (uint64_t{1} << 32)) {
    return index * parts / all;
  }
  uint64_t quotient = 0;
  uint64_t remainder = 0;
  // Long division, bit by bit of `index`. Remainders stay below `all`.
  for (int bit = 63; bit >= 0; --bit) {
    quotient *= 2;
    const bool carries = remainder >= all - remainder;
    remainder = carries ? remainder - (all - remainder) : 2 * remainder;
    quotient += carries;
    if ((index >> bit & 1U) != 0) {
      const bool more = remainder >= all - parts;
      remainder = more ? remainder - (all - parts) : remainder + parts;
      quotient += more;
    }
  }
  return quotient;
}

// The smallest index with scaled_index(index, parts, all) >= part.
__device__ inline int64_t first_index(uint64_t part, uint64_t parts, uint64_t all) {
  if (part >= parts) {
    return static_cast<int64_t>(all);
  }
  if ((part | all) < (uint64_t{1} << 32)) {
    return static_cast<int64_t>((part * all + parts - 1) / parts);
  }
  uint64_t low = 0;
  uint64_t high = all;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (scaled_index(middle, parts, all) >= part) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return static_cast<int64_t>(low);
}

}  // namespace
#endif
}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SUPPORT_WARP_H
