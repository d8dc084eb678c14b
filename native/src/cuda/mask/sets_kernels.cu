// Set algebra and overlaps of masks. Words are read once. Counts are summed in registers, then in a block, then in global memory.
#include "common/sets.h"
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "sets_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTogether = 4;  // words that a thread processes at a time
constexpr int kBlockWords = kThreads * kTogether;
constexpr int kSide = 4;  // rows and columns of the pairs of a block

__device__ uint32_t sum_of_warp(uint32_t value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kWholeWarp, value, distance);
  }
  return value;
}

__device__ void add_to(uint64_t* counter, uint32_t value) {
  if (value != 0) {
    atomicAdd(reinterpret_cast<unsigned long long*>(counter), static_cast<unsigned long long>(value));
  }
}

// Reads kTogether words of a mask at `at`, and zeros beyond the end.
__device__ void load_words(const DeviceSets& sets, const uint64_t* mask, int64_t at, uint64_t (&words)[kTogether]) {
#pragma unroll
  for (int i = 0; i < kTogether; ++i) {
    const int64_t word = at + i * kThreads;
    words[i] = word < sets.words ? mask[word] : 0;
  }
}

template <int kOperation>
__global__ void __launch_bounds__(kThreads)
    combine_kernel(const __grid_constant__ DeviceSets sets, uint64_t* result, uint64_t* entries) {
  __shared__ uint32_t found;
  if (threadIdx.x == 0) {
    found = 0;
  }
  __syncthreads();
  uint32_t own = 0;
  for (int64_t at = static_cast<int64_t>(blockIdx.x) * kBlockWords + threadIdx.x; at < sets.words;
       at += static_cast<int64_t>(gridDim.x) * kBlockWords) {
    uint64_t combined[kTogether];
    load_words(sets, sets.masks[0], at, combined);
    for (int i = 1; i < sets.count; ++i) {
      uint64_t next[kTogether];
      load_words(sets, sets.masks[i], at, next);
#pragma unroll
      for (int j = 0; j < kTogether; ++j) {
        combined[j] = combine_words(kOperation, combined[j], next[j]);
      }
    }
#pragma unroll
    for (int j = 0; j < kTogether; ++j) {
      const int64_t word = at + j * kThreads;
      if (word < sets.words) {
        if constexpr (kOperation == TG_MASK_COMPLEMENT) {
          const auto at_word = static_cast<uint32_t>(word);
          const bool is_last = at_word >= sets.row_end && (at_word - sets.row_end) % sets.across == 0;
          combined[j] = ~combined[j] & (is_last ? sets.last_word : ~uint64_t{0});
        }
        own += static_cast<uint32_t>(__popcll(combined[j]));
        if (result != nullptr) {
          result[word] = combined[j];
        }
      }
    }
  }
  own = sum_of_warp(own);
  if (threadIdx.x % kWarp == 0) {
    atomicAdd(&found, own);
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    add_to(entries, found);
  }
}

// Each block processes kSide x kSide pairs, and every `blocks`-th part of their words.
__global__ void __launch_bounds__(kThreads)
    common_kernel(const __grid_constant__ DeviceSets sets, int32_t blocks, uint64_t* common) {
  __shared__ uint32_t found[kSide * kSide];
  const auto thread = static_cast<int>(threadIdx.x);
  if (thread < kSide * kSide) {
    found[thread] = 0;
  }
  __syncthreads();
  // Tiles of the upper triangle, row by row.
  const int side = (sets.count + kSide - 1) / kSide;
  auto tile = static_cast<int>(blockIdx.x / static_cast<unsigned>(blocks));
  int row = 0;
  while (tile >= side - row) {
    tile -= side - row;
    ++row;
  }
  const int column = row + tile;
  uint32_t counts[kSide][kSide] = {};
  for (int64_t at = static_cast<int64_t>(blockIdx.x % static_cast<unsigned>(blocks)) * kThreads + thread; at < sets.words;
       at += static_cast<int64_t>(blocks) * kThreads) {
    uint64_t left[kSide];
    uint64_t right[kSide];
#pragma unroll
    for (int i = 0; i < kSide; ++i) {
      left[i] = row * kSide + i < sets.count ? sets.masks[row * kSide + i][at] : 0;
      right[i] = column * kSide + i < sets.count ? sets.masks[column * kSide + i][at] : 0;
    }
#pragma unroll
    for (int i = 0; i < kSide; ++i) {
#pragma unroll
      for (int j = 0; j < kSide; ++j) {
        // The condition is the same for all threads: it selects the pairs of this tile that are counted once.
        if (row * kSide + i <= column * kSide + j && column * kSide + j < sets.count) {
          counts[i][j] += static_cast<uint32_t>(__popcll(left[i] & right[j]));
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kSide; ++i) {
#pragma unroll
    for (int j = 0; j < kSide; ++j) {
      const uint32_t sum = sum_of_warp(counts[i][j]);
      if (thread % kWarp == 0) {
        atomicAdd(&found[i * kSide + j], sum);
      }
    }
  }
  __syncthreads();
  if (thread < kSide * kSide) {
    const int i = row * kSide + thread / kSide;
    const int j = column * kSide + thread % kSide;
    if (i <= j && j < sets.count) {
      add_to(common + static_cast<int64_t>(i) * sets.count + j, found[thread]);
    }
  }
}

template <unsigned kPlanes>
__global__ void __launch_bounds__(kThreads) memberships_kernel(const __grid_constant__ DeviceSets sets, uint64_t* memberships) {
  __shared__ uint32_t found[1U << kPlanes];
  for (int i = static_cast<int>(threadIdx.x); i < 1 << kPlanes; i += kThreads) {
    found[i] = 0;
  }
  __syncthreads();
  // All lanes of a warp stay until the last one is done, because their counts are added together.
  for (int64_t begin = static_cast<int64_t>(blockIdx.x) * kThreads; begin < sets.words;
       begin += static_cast<int64_t>(gridDim.x) * kThreads) {
    const int64_t at = begin + threadIdx.x;
    MembershipPlanes<kPlanes> planes;
    for (int i = 0; i < sets.count; ++i) {
      planes.add(at < sets.words ? sets.masks[i][at] : 0);
    }
    for (int i = 1; i <= sets.count; ++i) {
      const uint32_t sum = sum_of_warp(static_cast<uint32_t>(__popcll(planes.in_exactly(static_cast<unsigned>(i)))));
      if (threadIdx.x % kWarp == 0 && sum != 0) {
        atomicAdd(&found[i], sum);
      }
    }
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i <= sets.count; i += kThreads) {
    add_to(memberships + i, found[i]);
  }
}

int64_t blocks_for(const DeviceSets& sets, int64_t words_each, int multiprocessors) {
  constexpr int64_t kBlocksEach = 8;  // blocks of a multiprocessor
  const int64_t all = (sets.words + words_each - 1) / words_each;
  const int64_t most = kBlocksEach * multiprocessors;
  return all < most ? all : most;
}

}  // namespace

cudaError_t launch_combine(const DeviceSets& sets, int32_t operation, uint64_t* result, uint64_t* entries, int multiprocessors,
                           cudaStream_t stream) {
  const Shape shape{blocks_for(sets, kBlockWords, multiprocessors), kThreads};
  switch (operation) {
    case TG_MASK_INTERSECTION:
      return launch(shape, stream, combine_kernel<TG_MASK_INTERSECTION>, sets, result, entries);
    case TG_MASK_UNION:
      return launch(shape, stream, combine_kernel<TG_MASK_UNION>, sets, result, entries);
    case TG_MASK_DIFFERENCE:
      return launch(shape, stream, combine_kernel<TG_MASK_DIFFERENCE>, sets, result, entries);
    case TG_MASK_SYMMETRIC_DIFFERENCE:
      return launch(shape, stream, combine_kernel<TG_MASK_SYMMETRIC_DIFFERENCE>, sets, result, entries);
    default:
      return launch(shape, stream, combine_kernel<TG_MASK_COMPLEMENT>, sets, result, entries);
  }
}

cudaError_t launch_common(const DeviceSets& sets, uint64_t* common, int multiprocessors, cudaStream_t stream) {
  const int64_t side = (sets.count + kSide - 1) / kSide;
  const auto blocks = static_cast<int32_t>(blocks_for(sets, kThreads, multiprocessors));
  return launch({side * (side + 1) / 2 * blocks, kThreads}, stream, common_kernel, sets, blocks, common);
}

cudaError_t launch_memberships(const DeviceSets& sets, uint64_t* memberships, int multiprocessors, cudaStream_t stream) {
  const Shape shape{blocks_for(sets, kThreads, multiprocessors), kThreads};
  constexpr unsigned kFew = 2;
  constexpr unsigned kSome = 4;
  if (sets.count < 1 << kFew) {
    return launch(shape, stream, memberships_kernel<kFew>, sets, memberships);
  }
  if (sets.count < 1 << kSome) {
    return launch(shape, stream, memberships_kernel<kSome>, sets, memberships);
  }
  return launch(shape, stream, memberships_kernel<kMostPlanes>, sets, memberships);
}

}  // namespace threegate::cuda
