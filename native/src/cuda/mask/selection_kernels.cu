// Exact selection by keys: the counts of one digit after the other find the key of the last selected entry, then entries beyond
// it are marked, and of those with that key the first ones.
//
// A pass over a bf16 matrix reads 2 bytes an entry, one 16-byte load for eight. bf16 has 15 bits of key and takes two passes;
// float32 three; float64 five, or fewer once all entries that share the known digits are selected. An entry costs one atomic
// operation in shared memory, where the counters of a digit are (32 KB). Entries of few values collide there: that, not the
// bandwidth, is the ceiling of the first pass. A later pass counts only entries that share the digits found so far.
//
// Reconstructions get here if screening cannot decide, or if the smallest scores are wanted. Their scores are float64 sums in
// tiles of 64 x 64, computed as often as they are needed.
#include "digits.h"
#include "groups.h"
#include "selection_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;
__device__ inline uint32_t key_of(float score) { return bit_cast<uint32_t>(score) & 0x7fffffffU; }
__device__ inline uint64_t key_of(double score) { return bit_cast<uint64_t>(score) & 0x7fffffffffffffffULL; }
__device__ inline bool is_finite(uint32_t key) { return key < 0x7f800000U; }
__device__ inline bool is_finite(uint64_t key) { return key < 0x7ff0000000000000ULL; }

// The keys of a group of columns.
template <int kDtype>
using Key = decltype(key_of(typename ValueOf<kDtype>::Type{}));
template <int kDtype>
__device__ void load_keys(const Entries& entries, int64_t row, int64_t group, int count, Key<kDtype> (&keys)[kGroup]) {
  typename ValueOf<kDtype>::Type values[kGroup];
  load_values<kDtype>(entries, row, group * kGroup, count, values);
#pragma unroll
  for (int i = 0; i < kGroup; ++i) {
    keys[i] = key_of(values[i]);
  }
}

// Counts digits of the keys of the search's interval in shared memory, and adds them to the counters of all blocks. Keys outside
// of the interval go to counters that nobody reads, one of each lane: that is cheaper than a branch.
template <typename T>
class DigitCounter {
 public:
  static constexpr T kNone = ~T{0};  // in place of a key, it is not counted

  __device__ DigitCounter(uint32_t* counts, const Search& search, int shift)
      : counts_(counts),
        low_(static_cast<T>(search.low)),
        most_(static_cast<T>((search.high - search.low) >> shift)),
        outside_(kDigits + threadIdx.x % kWarp),
        shift_(shift) {
    for (unsigned i = threadIdx.x; i < kDigits; i += kThreads) {
      counts_[i] = 0;
    }
    __syncthreads();
  }
  __device__ void check(T key) { largest_ = largest_ > key ? largest_ : key; }
  __device__ void count(T key) {
    const T digit = (key - low_) >> shift_;
    atomicAdd(counts_ + (digit <= most_ ? static_cast<uint32_t>(digit) : outside_), 1U);
  }
  __device__ void finish(Search* search, uint64_t* digits) {
    if (!is_finite(largest_)) {
      atomicOr(&search->not_finite, 1U);
    }
    __syncthreads();
    for (unsigned i = threadIdx.x; i < kDigits; i += kThreads) {
      if (counts_[i] != 0) {
        atomicAdd(reinterpret_cast<unsigned long long*>(digits + i), static_cast<unsigned long long>(counts_[i]));
      }
    }
  }

 private:
  uint32_t* counts_;
  T low_;
  T most_;
  uint32_t outside_;
  int shift_;
  T largest_ = 0;
};
constexpr int kCounters = kDigits + kWarp;

template <int kDtype>
__global__ void __launch_bounds__(kThreads)
    count_matrix_kernel(Entries entries, Walk walk, int shift, Search* search, uint64_t* digits) {
  __shared__ uint32_t counts[kCounters];
  if (search->finished != 0) {
    return;
  }
  DigitCounter<Key<kDtype>> counter(counts, *search, shift);
  for_groups<kThreads>(
      walk, blockIdx.x,
      [&](int64_t row, int64_t group) {
        Key<kDtype> keys[kGroup];
        const int count = columns_of_group(walk, group);
        load_keys<kDtype>(entries, row, group, count, keys);
#pragma unroll
        for (int i = 0; i < kGroup; ++i) {
          counter.check(keys[i]);  // those beyond the matrix are 0
        }
        if (count < kGroup) {
#pragma unroll
          for (int i = 0; i < kGroup; ++i) {
            keys[i] = i < count ? keys[i] : counter.kNone;
          }
        }
#pragma unroll
        for (int i = 0; i < kGroup; ++i) {
          counter.count(keys[i]);
        }
      },
      [] {});
  counter.finish(search, digits);
}

// A bit for each key beyond an interval, and for each key within.
template <typename T>
__device__ inline void compare(T key, T low, T high, bool smallest, uint32_t bit, uint32_t& beyond, uint32_t& within) {
  within |= key - low <= high - low ? bit : 0;
  beyond |= (smallest ? key < low : key > high) ? bit : 0;
}

template <int kDtype>
__global__ void __launch_bounds__(kThreads)
    mark_matrix_kernel(Entries entries, Walk walk, bool smallest, const Search* search, uint8_t* beyond, uint8_t* within) {
  const auto low = static_cast<Key<kDtype>>(search->low);
  const auto high = static_cast<Key<kDtype>>(search->high);
  for_groups<kThreads>(
      walk, blockIdx.x,
      [&](int64_t row, int64_t group) {
        Key<kDtype> keys[kGroup];
        const int count = columns_of_group(walk, group);
        load_keys<kDtype>(entries, row, group, count, keys);
        uint32_t beyond_bits = 0;
        uint32_t within_bits = 0;
#pragma unroll
        for (int i = 0; i < kGroup; ++i) {
          compare(keys[i], low, high, smallest, 1U << i, beyond_bits, within_bits);
        }
        const uint32_t valid = (1U << count) - 1;
        const int64_t at = row * walk.words * kGroupsOfWord + group;
        beyond[at] = static_cast<uint8_t>(beyond_bits & valid);
        within[at] = static_cast<uint8_t>(within_bits & valid);
      },
      [] {});
}

// ---------------------------------------------------------------- reconstructions in float64

constexpr int kTile = 64;
constexpr int kEach = 4;   // rows and columns of a thread in a tile
constexpr int kDepth = 8;  // ranks of the factors that are in shared memory at a time
constexpr int kAcross = kTile / kEach;
static_assert(kAcross * kAcross == kThreads);

struct Factors {
  double left[kDepth][kTile];
  double right[kDepth][kTile];
};

// The part of a tile that belongs to a thread: the rows row + i and the columns column + kAcross * j. Neighbouring threads have
// neighbouring columns.
__device__ void score_tile(const Scores& scores, int64_t tile_row, int64_t tile_column, Factors& shared,
                           double (&out)[kEach][kEach]) {
  const auto thread = static_cast<int>(threadIdx.x);
  const int row = thread / kAcross * kEach;
  const int column = thread % kAcross;
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      out[i][j] = 0;
    }
  }
  for (int64_t begin = 0; begin < scores.rank; begin += kDepth) {
    __syncthreads();
    for (int at = thread; at < kDepth * kTile; at += kThreads) {
      const int64_t k = begin + at / kTile;
      const int64_t i = tile_row + at % kTile;
      const int64_t j = tile_column + at % kTile;
      shared.left[at / kTile][at % kTile] = k < scores.rank && i < scores.rows ? scores.left[k * scores.rows + i] : 0;
      shared.right[at / kTile][at % kTile] = k < scores.rank && j < scores.columns ? scores.right[k * scores.columns + j] : 0;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      double a[kEach];
      double b[kEach];
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        a[i] = shared.left[k][row + i];
        b[i] = shared.right[k][column + kAcross * i];
      }
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
#pragma unroll
        for (int j = 0; j < kEach; ++j) {
          out[i][j] = fma(a[i], b[j], out[i][j]);
        }
      }
    }
  }
}

// Calls body(i, j, key) for a thread's entries of a tile, where i and j are indices in the tile.
template <typename Body>
__device__ void for_keys(const Scores& scores, int64_t tile_row, int64_t tile_column, Factors& shared, Body body) {
  const auto thread = static_cast<int>(threadIdx.x);
  double values[kEach][kEach];
  score_tile(scores, tile_row, tile_column, shared, values);
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      const int row = thread / kAcross * kEach + i;
      const int column = thread % kAcross + kAcross * j;
      if (tile_row + row < scores.rows && tile_column + column < scores.columns) {
        body(row, column, key_of(values[i][j]));
      }
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    count_triplets_kernel(Scores scores, Steps steps, int shift, Search* search, uint64_t* digits) {
  __shared__ Factors shared;
  __shared__ uint32_t counts[kCounters];
  if (search->finished != 0) {
    return;
  }
  DigitCounter<uint64_t> counter(counts, *search, shift);
  for_units(steps, blockIdx.x, [&](int64_t down, uint32_t across) {
    for_keys(scores, down * kTile, int64_t{across} * kTile, shared, [&](int, int, uint64_t key) {
      counter.check(key);
      counter.count(key);
    });
  });
  counter.finish(search, digits);
}

__global__ void __launch_bounds__(kThreads, 1)
    mark_triplets_kernel(Scores scores, Steps steps, bool smallest, const Search* search, uint64_t* beyond, uint64_t* within) {
  // Each word of the mask is one row of a tile.
  __shared__ Factors shared;
  __shared__ uint32_t beyond_bits[kTile][2];
  __shared__ uint32_t within_bits[kTile][2];
  const auto thread = static_cast<int>(threadIdx.x);
  if (thread < 2 * kTile) {
    beyond_bits[thread / 2][thread % 2] = 0;
    within_bits[thread / 2][thread % 2] = 0;
  }
  __syncthreads();
  const uint64_t low = search->low;
  const uint64_t high = search->high;
  for_units(steps, blockIdx.x, [&](int64_t down, uint32_t across) {
    for_keys(scores, down * kTile, int64_t{across} * kTile, shared, [&](int row, int column, uint64_t key) {
      uint32_t own_beyond = 0;
      uint32_t own_within = 0;
      compare(key, low, high, smallest, 1U << (column % 32), own_beyond, own_within);
      if ((own_beyond | own_within) != 0) {
        atomicOr(own_within != 0 ? &within_bits[row][column / 32] : &beyond_bits[row][column / 32], own_beyond | own_within);
      }
    });
    __syncthreads();
    const int64_t row = down * kTile + thread;
    if (thread < kTile) {
      if (row < scores.rows) {
        const int64_t at = row * steps.across + across;
        beyond[at] = beyond_bits[thread][0] | static_cast<uint64_t>(beyond_bits[thread][1]) << 32;
        within[at] = within_bits[thread][0] | static_cast<uint64_t>(within_bits[thread][1]) << 32;
      }
      beyond_bits[thread][0] = beyond_bits[thread][1] = 0;
      within_bits[thread][0] = within_bits[thread][1] = 0;
    }
    __syncthreads();
  });
}

// ---------------------------------------------------------------- the search

__global__ void begin_kernel(Search* search, uint64_t high, uint64_t count) {
  if (threadIdx.x == 0) {
    *search = {};
    search->high = high;
    search->left = count;
  }
}

__global__ void __launch_bounds__(kSearchThreads) find_digit_kernel(Search* search, uint64_t* digits, int shift, bool smallest) {
  __shared__ DigitSearch shared;
  const Search before = *search;
  __syncthreads();  // all threads have read the state
  if ((before.finished | before.not_finite) != 0) {
    if (threadIdx.x == 0) {
      search->finished = 1;
    }
    return;
  }
  const FoundDigit found = find_digit(shared, before.left, smallest, [&](int digit) { return digits[digit]; });
  for (unsigned i = threadIdx.x; i < kDigits; i += kSearchThreads) {
    digits[i] = 0;
  }
  if (threadIdx.x == 0) {
    search->low = before.low + (found.digit << shift);
    search->high = search->low + ((uint64_t{1} << shift) - 1);
    search->left = found.left;
    search->finished = found.left == found.sharing ? 1 : 0;
  }
}

// ---------------------------------------------------------------- the first entries

// The sum over the block, in all threads.
__device__ uint64_t sum_over_block(uint64_t value, uint64_t* sums) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kWholeWarp, value, distance);
  }
  __syncthreads();
  if (threadIdx.x % kWarp == 0) {
    sums[threadIdx.x / kWarp] = value;
  }
  __syncthreads();
  uint64_t sum = 0;
  for (int i = 0; i < kThreads / kWarp; ++i) {
    sum += sums[i];
  }
  return sum;
}

__global__ void __launch_bounds__(kThreads)
    count_within_kernel(const uint64_t* within, int64_t words, int64_t each, uint64_t* sums) {
  __shared__ uint64_t of_warps[kThreads / kWarp];
  const int64_t end = smaller(words, (blockIdx.x + 1) * each);
  uint64_t own = 0;
  for (int64_t i = blockIdx.x * each + threadIdx.x; i < end; i += kThreads) {
    own += static_cast<uint64_t>(__popcll(within[i]));
  }
  own = sum_over_block(own, of_warps);
  if (threadIdx.x == 0) {
    sums[blockIdx.x] = own;
  }
}

__global__ void __launch_bounds__(kThreads) take_first_kernel(const Search* search, const uint64_t* within, int64_t words,
                                                              int64_t each, const uint64_t* sums, uint64_t* mask) {
  __shared__ uint64_t of_warps[kThreads / kWarp];
  uint64_t before = 0;
  for (unsigned i = threadIdx.x; i < blockIdx.x; i += kThreads) {
    before += sums[i];
  }
  before = sum_over_block(before, of_warps);
  const uint64_t left = search->left;
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const int64_t end = smaller(words, (blockIdx.x + 1) * each);
  for (int64_t begin = blockIdx.x * each; begin < end && before < left; begin += kThreads) {
    const int64_t at = begin + threadIdx.x;
    uint64_t bits = at < end ? within[at] : 0;
    const auto own = static_cast<uint64_t>(__popcll(bits));
    uint64_t until = own;
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const uint64_t other = __shfl_up_sync(kWholeWarp, until, static_cast<unsigned>(distance));
      until += lane >= distance ? other : 0;
    }
    __syncthreads();
    if (lane == kWarp - 1) {
      of_warps[threadIdx.x / kWarp] = until;
    }
    __syncthreads();
    uint64_t all = 0;
    for (unsigned i = 0; i < kThreads / kWarp; ++i) {
      until += i < threadIdx.x / kWarp ? of_warps[i] : 0;
      all += of_warps[i];
    }
    const uint64_t first = before + until - own;  // the rank of the word's first entry
    if (bits != 0 && first < left) {
      if (first + own > left) {
        // Only one word of the mask is taken in part.
        uint64_t beyond = bits;
        for (uint64_t i = first; i < left; ++i) {
          beyond &= beyond - 1;
        }
        bits ^= beyond;
      }
      mask[at] |= bits;
    }
    before += all;
  }
}

// ---------------------------------------------------------------- launches

template <typename... Expected, typename... Actual>
cudaError_t launch_walk(const Scores& scores, int multiprocessors, cudaStream_t stream,
                        void (*kernel)(Entries, Walk, Expected...), Actual... arguments) {
  int64_t blocks = 0;
  const cudaError_t error = resident_blocks(kernel, kThreads, 0, multiprocessors, blocks);
  if (error != cudaSuccess) {
    return error;
  }
  const Walk walk = make_walk(scores.rows, scores.columns, kThreads, blocks);
  return launch({blocks, kThreads}, stream, kernel, scores.entries, walk, arguments...);
}

template <typename... Expected, typename... Actual>
cudaError_t launch_tiles(const Scores& scores, int multiprocessors, cudaStream_t stream,
                         void (*kernel)(Scores, Steps, Expected...), Actual... arguments) {
  int64_t blocks = 0;
  const cudaError_t error = resident_blocks(kernel, kThreads, 0, multiprocessors, blocks);
  if (error != cudaSuccess) {
    return error;
  }
  const Steps steps = make_steps(quotient(scores.rows, kTile), quotient(scores.columns, kTile), blocks);
  return launch({blocks, kThreads}, stream, kernel, scores, steps, arguments...);
}

}  // namespace

KeyBits key_bits(const Scores& scores) {
  KeyBits bits{0, 63};
  if (!scores.of_triplets) {
    with_kind(scores.entries, [&](auto kind) {
      constexpr int kDtype = decltype(kind)::kValue;
      if (kDtype != TG_F64 && kDtype != kWithTerms) {
        const bool plain = scores.entries.block_scale == nullptr;
        constexpr int kUnused = kDtype == TG_BF16 ? 16 : kDtype == TG_F16 ? 13 : kDtype == TG_F8_E4M3 ? 20 : 21;
        bits = {plain && kDtype != TG_F32 ? kUnused : 0, 31};
      }
      return cudaSuccess;
    });
  }
  return bits;
}

cudaError_t launch_begin(Search* search, uint64_t* digits, int bits, int64_t count, cudaStream_t stream) {
  const cudaError_t error = cudaMemsetAsync(digits, 0, kDigits * sizeof(uint64_t), stream);
  if (error != cudaSuccess) {
    return error;
  }
  return launch({1, kWarp}, stream, begin_kernel, search, (uint64_t{1} << bits) - 1, static_cast<uint64_t>(count));
}

cudaError_t launch_find_digit(Search* search, uint64_t* digits, int shift, bool smallest, cudaStream_t stream) {
  return launch({1, kSearchThreads}, stream, find_digit_kernel, search, digits, shift, smallest);
}

cudaError_t launch_count_digits(const Scores& scores, int shift, Search* search, uint64_t* digits, int multiprocessors,
                                cudaStream_t stream) {
  if (scores.of_triplets) {
    return launch_tiles(scores, multiprocessors, stream, count_triplets_kernel, shift, search, digits);
  }
  return with_kind(scores.entries, [&](auto kind) {
    return launch_walk(scores, multiprocessors, stream, count_matrix_kernel<decltype(kind)::kValue>, shift, search, digits);
  });
}

cudaError_t launch_mark(const Scores& scores, bool smallest, const Search* search, uint64_t* beyond, uint64_t* within,
                        int multiprocessors, cudaStream_t stream) {
  if (scores.of_triplets) {
    return launch_tiles(scores, multiprocessors, stream, mark_triplets_kernel, smallest, search, beyond, within);
  }
  return with_kind(scores.entries, [&](auto kind) {
    return launch_walk(scores, multiprocessors, stream, mark_matrix_kernel<decltype(kind)::kValue>, smallest, search,
                       reinterpret_cast<uint8_t*>(beyond), reinterpret_cast<uint8_t*>(within));
  });
}

cudaError_t launch_take_first(const Search* search, const uint64_t* within, int64_t words, uint64_t* sums, uint64_t* mask,
                              cudaStream_t stream) {
  const int64_t each = quotient(quotient(words, kMostChunks), kThreads) * kThreads;
  const int64_t chunks = quotient(words, each);
  const cudaError_t error = launch({chunks, kThreads}, stream, count_within_kernel, within, words, each, sums);
  if (error != cudaSuccess) {
    return error;
  }
  return launch({chunks, kThreads}, stream, take_first_kernel, search, within, words, each, sums, mask);
}

}  // namespace threegate::cuda
