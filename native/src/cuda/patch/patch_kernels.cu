// Changed elements are counted tile by tile, and then written after those of the tiles before. Both passes read the pair, which
// takes up to twice as long as reading it once. In a single pass blocks would have to wait for each other.
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "patch_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kEach = 16;  // elements of a thread in a tile
constexpr int64_t kTile = kThreads * kEach;

// The element of a thread in a round. Neighbouring threads have neighbouring elements.
__device__ int64_t element_at(int round) {
  return static_cast<int64_t>(blockIdx.x) * kTile + static_cast<int64_t>(round) * kThreads + threadIdx.x;
}

template <typename Element>
__device__ bool differs(const tg_patch_pair& pair, int64_t element) {
  return element < pair.count &&
         static_cast<const Element*>(pair.before)[element] != static_cast<const Element*>(pair.after)[element];
}

template <typename Element>
__global__ void __launch_bounds__(kThreads) count_kernel(const __grid_constant__ tg_patch_pair pair, uint32_t* changed) {
  __shared__ uint32_t of_warps[kWarps];
  uint32_t own = 0;
#pragma unroll
  for (int round = 0; round < kEach; ++round) {
    own += static_cast<uint32_t>(__popc(__ballot_sync(kWholeWarp, differs<Element>(pair, element_at(round)) ? 1 : 0)));
  }
  if (threadIdx.x % kWarp == 0) {
    of_warps[threadIdx.x / kWarp] = own;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    uint32_t sum = 0;
    for (const uint32_t of_warp : of_warps) {
      sum += of_warp;
    }
    changed[blockIdx.x] = sum;
  }
}

template <typename Element>
__global__ void __launch_bounds__(kThreads) write_kernel(const __grid_constant__ tg_patch_pair pair, const int64_t* offsets,
                                                         const __grid_constant__ tg_patch_entries entries) {
  __shared__ uint32_t of_warps[kWarps];
  const unsigned warp = threadIdx.x / kWarp;
  const unsigned lane = threadIdx.x % kWarp;
  int64_t at = offsets[blockIdx.x];
  for (int round = 0; round < kEach; ++round) {
    const int64_t element = element_at(round);
    const bool changed = differs<Element>(pair, element);
    const unsigned bits = __ballot_sync(kWholeWarp, changed ? 1 : 0);
    if (lane == 0) {
      of_warps[warp] = static_cast<uint32_t>(__popc(bits));
    }
    __syncthreads();
    uint32_t before = 0;
    uint32_t all = 0;
#pragma unroll
    for (unsigned i = 0; i < kWarps; ++i) {
      before += i < warp ? of_warps[i] : 0;
      all += of_warps[i];
    }
    if (changed) {
      const int64_t place = at + before + __popc(bits & ((1U << lane) - 1));
      auto value = static_cast<const Element*>(pair.after)[element];
      if (pair.form == TG_PATCH_XOR) {
        value = static_cast<Element>(value ^ static_cast<const Element*>(pair.before)[element]);
      }
      entries.positions[place] = static_cast<uint32_t>(pair.first + element);
      static_cast<Element*>(entries.values)[place] = value;
    }
    at += all;
    // The counts of the next round overwrite these.
    __syncthreads();
  }
}

__global__ void __launch_bounds__(kThreads)
    misplaced_kernel(const __grid_constant__ tg_patch_entries entries, int64_t count, int64_t* first) {
  __shared__ int64_t of_warps[kWarps];
  int64_t own = entries.count;
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kTile;
  for (int round = kEach - 1; round >= 0; --round) {
    const int64_t entry = begin + static_cast<int64_t>(round) * kThreads + threadIdx.x;
    if (entry < entries.count) {
      const uint32_t position = entries.positions[entry];
      const bool ascends = entry == 0 || entries.positions[entry - 1] < position;
      own = ascends && static_cast<int64_t>(position) < count ? own : entry;
    }
  }
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    own = smaller(own, __shfl_xor_sync(kWholeWarp, own, distance));
  }
  if (threadIdx.x % kWarp == 0) {
    of_warps[threadIdx.x / kWarp] = own;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (const int64_t of_warp : of_warps) {
      own = smaller(own, of_warp);
    }
    first[blockIdx.x] = own;
  }
}

template <typename Element>
__global__ void __launch_bounds__(kThreads) apply_kernel(const __grid_constant__ tg_patch_entries entries, Element* target) {
  const int64_t entry = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (entry < entries.count) {
    const uint32_t position = entries.positions[entry];
    const Element value = static_cast<const Element*>(entries.values)[entry];
    target[position] = entries.form == TG_PATCH_XOR ? static_cast<Element>(target[position] ^ value) : value;
  }
}

// The sum over a block, in its first thread. `of_warps` has room for one number per warp.
template <typename Number>
__device__ Number sum_over_block(Number own, Number* of_warps) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    own += __shfl_xor_sync(kWholeWarp, own, distance);
  }
  if (threadIdx.x % kWarp == 0) {
    of_warps[threadIdx.x / kWarp] = own;
  }
  __syncthreads();
  Number sum = 0;
  for (int i = 0; i < kWarps && threadIdx.x == 0; ++i) {
    sum += of_warps[i];
  }
  return sum;
}

template <typename Element>
__global__ void __launch_bounds__(kThreads)
    verify_kernel(const __grid_constant__ tg_patch_entries entries, const Element* target, uint32_t* differing) {
  __shared__ uint32_t of_warps[kWarps];
  uint32_t own = 0;
  for (int round = 0; round < kEach; ++round) {
    const int64_t entry = element_at(round);
    if (entry < entries.count) {
      own += target[entries.positions[entry]] != static_cast<const Element*>(entries.values)[entry] ? 1 : 0;
    }
  }
  const uint32_t sum = sum_over_block(own, of_warps);
  if (threadIdx.x == 0) {
    differing[blockIdx.x] = sum;
  }
}

__global__ void __launch_bounds__(kThreads)
    gaps_kernel(const uint32_t* positions, int64_t count, int64_t previous, uint32_t* gaps) {
  const int64_t entry = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (entry < count) {
    const int64_t before = entry == 0 ? previous : static_cast<int64_t>(positions[entry - 1]);
    gaps[entry] = static_cast<uint32_t>(static_cast<int64_t>(positions[entry]) - before - 1);
  }
}

__global__ void __launch_bounds__(kThreads) sum_gaps_kernel(const uint32_t* gaps, int64_t count, uint64_t* sums) {
  __shared__ unsigned long long of_warps[kWarps];
  unsigned long long own = 0;
  for (int round = 0; round < kEach; ++round) {
    const int64_t entry = element_at(round);
    own += entry < count ? gaps[entry] + 1ULL : 0ULL;
  }
  const unsigned long long sum = sum_over_block(own, of_warps);
  if (threadIdx.x == 0) {
    sums[blockIdx.x] = sum;
  }
}

// Sums are below 2^32 + 1. Positions are one less and fit 32 bits.
__global__ void __launch_bounds__(kThreads) positions_kernel(uint32_t* gaps, int64_t count, const uint64_t* begins) {
  __shared__ uint32_t of_warps[kWarps];
  const unsigned warp = threadIdx.x / kWarp;
  const unsigned lane = threadIdx.x % kWarp;
  auto begin = static_cast<uint32_t>(begins[blockIdx.x]);
  for (int round = 0; round < kEach; ++round) {
    const int64_t entry = element_at(round);
    uint32_t sum = entry < count ? gaps[entry] + 1 : 0;
    for (unsigned distance = 1; distance < kWarp; distance *= 2) {
      const uint32_t below = __shfl_up_sync(kWholeWarp, sum, distance);
      sum += lane >= distance ? below : 0;
    }
    if (lane == kWarp - 1) {
      of_warps[warp] = sum;
    }
    __syncthreads();
    uint32_t before = begin;
#pragma unroll
    for (unsigned i = 0; i < kWarps; ++i) {
      before += i < warp ? of_warps[i] : 0;
      begin += of_warps[i];
    }
    if (entry < count) {
      gaps[entry] = before + sum - 1;
    }
    // The sums of the next round overwrite these.
    __syncthreads();
  }
}

template <typename Element>
__global__ void __launch_bounds__(kThreads) planes_kernel(const Element* from, int64_t count, uint8_t* to) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index < count) {
    const uint64_t own = from[index];
    for (int plane = 0; plane < static_cast<int>(sizeof(Element)); ++plane) {
      to[plane * count + index] = static_cast<uint8_t>(own >> (8 * plane));
    }
  }
}

template <typename Element>
__global__ void __launch_bounds__(kThreads) elements_kernel(const uint8_t* from, int64_t count, Element* to) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index < count) {
    uint64_t own = 0;
    for (int plane = 0; plane < static_cast<int>(sizeof(Element)); ++plane) {
      own |= static_cast<uint64_t>(from[plane * count + index]) << (8 * plane);
    }
    to[index] = static_cast<Element>(own);
  }
}

// Calls body(element) with a number of the width.
template <typename Body>
cudaError_t with_width(int32_t width, Body body) {
  switch (width) {
    case 1:
      return body(uint8_t{});
    case 2:
      return body(uint16_t{});
    case 4:
      return body(uint32_t{});
    default:
      return body(uint64_t{});
  }
}

}  // namespace

int64_t patch_tiles(int64_t count) { return (count + kTile - 1) / kTile; }

int64_t patch_blocks(int64_t entries) { return patch_tiles(entries); }

cudaError_t launch_count_changed(const tg_patch_pair& pair, uint32_t* changed, cudaStream_t stream) {
  return with_width(pair.width, [&](auto element) {
    return launch(Shape{patch_tiles(pair.count), kThreads}, stream, count_kernel<decltype(element)>, pair, changed);
  });
}

cudaError_t launch_write_changed(const tg_patch_pair& pair, const int64_t* offsets, const tg_patch_entries& entries,
                                 cudaStream_t stream) {
  return with_width(pair.width, [&](auto element) {
    return launch(Shape{patch_tiles(pair.count), kThreads}, stream, write_kernel<decltype(element)>, pair, offsets, entries);
  });
}

cudaError_t launch_find_misplaced(const tg_patch_entries& entries, int64_t count, int64_t* first, cudaStream_t stream) {
  return launch(Shape{patch_blocks(entries.count), kThreads}, stream, misplaced_kernel, entries, count, first);
}

cudaError_t launch_apply(const tg_patch_entries& entries, void* target, cudaStream_t stream) {
  return with_width(entries.width, [&](auto element) {
    using Element = decltype(element);
    return launch(Shape{(entries.count + kThreads - 1) / kThreads, kThreads}, stream, apply_kernel<Element>, entries,
                  static_cast<Element*>(target));
  });
}

int64_t patch_block_entries() { return kTile; }

cudaError_t launch_verify(const tg_patch_entries& entries, const void* target, uint32_t* differing, cudaStream_t stream) {
  return with_width(entries.width, [&](auto element) {
    using Element = decltype(element);
    return launch(Shape{patch_blocks(entries.count), kThreads}, stream, verify_kernel<Element>, entries,
                  static_cast<const Element*>(target), differing);
  });
}

cudaError_t launch_gaps(const uint32_t* positions, int64_t count, int64_t previous, uint32_t* gaps, cudaStream_t stream) {
  return launch(Shape{(count + kThreads - 1) / kThreads, kThreads}, stream, gaps_kernel, positions, count, previous, gaps);
}

cudaError_t launch_sum_gaps(const uint32_t* gaps, int64_t count, uint64_t* sums, cudaStream_t stream) {
  return launch(Shape{patch_blocks(count), kThreads}, stream, sum_gaps_kernel, gaps, count, sums);
}

cudaError_t launch_positions(uint32_t* gaps, int64_t count, const uint64_t* begins, cudaStream_t stream) {
  return launch(Shape{patch_blocks(count), kThreads}, stream, positions_kernel, gaps, count, begins);
}

cudaError_t launch_planes(const void* from, int64_t count, int32_t width, void* to, cudaStream_t stream) {
  return with_width(width, [&](auto element) {
    using Element = decltype(element);
    return launch(Shape{(count + kThreads - 1) / kThreads, kThreads}, stream, planes_kernel<Element>,
                  static_cast<const Element*>(from), count, static_cast<uint8_t*>(to));
  });
}

cudaError_t launch_elements(const void* from, int64_t count, int32_t width, void* to, cudaStream_t stream) {
  return with_width(width, [&](auto element) {
    using Element = decltype(element);
    return launch(Shape{(count + kThreads - 1) / kThreads, kThreads}, stream, elements_kernel<Element>,
                  static_cast<const uint8_t*>(from), count, static_cast<Element*>(to));
  });
}

}  // namespace threegate::cuda
