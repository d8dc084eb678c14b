// Exact selection by keys: the counts of one digit after the other find the key of the last selected entry, then entries beyond
// it are marked, and of those with that key the first ones.
//
// Keys of plain operands are their stored bits, in any format: nothing is converted. A pass over 16-bit entries reads 2 bytes an
// entry, one 16-byte load for eight. float8 has 7 bits of key and takes one pass; float16 and bf16 have 15 bits and take two;
// float32 three; float64 five, or fewer once all entries that share the known digits are selected. An entry costs one atomic
// operation in shared memory, where the counters of a digit are (32 KB). Entries of few values collide there: that, not the
// bandwidth, is the ceiling of the first pass of 16 bits and more. A digit of up to 256 values has a counter for each lane
// instead, in its own bank. A later pass counts only entries that share the digits found so far.
//
// Marks compare several keys of 7 or 15 bits by one subtraction in a word: a key's free highest bit takes the borrow.
//
// Tried before: keys of float32 numbers, to which integers widened float16 and float8. That was 20 to 30 instructions an
// entry, and 19 to 71 % of the bandwidth.
//
// Reconstructions get here if screening cannot decide, or if the smallest scores are wanted. Their scores are float64 sums in
// tiles of 64 x 64, computed as often as they are needed.
#include "cuda/support/instructions.h"
#include "digits.h"
#include "groups.h"
#include "selection_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;
constexpr uint64_t kInfinity = 0x7ff0000000000000ULL;  // as the key of a float64 number
__device__ inline uint64_t key_of(double score) { return bit_cast<uint64_t>(score) & 0x7fffffffffffffffULL; }

// Counts digits of the keys of the search's interval in shared memory, and adds them to the counters of all blocks. An interval
// has all keys with the same higher bits. Keys outside of it go to counters that nobody reads: that is cheaper than a branch.
template <typename Key, int kKeyBits>
class DigitCounter {
 public:
  __device__ DigitCounter(uint32_t* counts, const Search& search, int shift)
      : counts_(counts),
        low_(static_cast<Key>(search.low)),
        most_(static_cast<Key>((search.high - search.low) >> shift)),
        shift_(shift),
        copies_bits_(kHasOneDigit || most_ < kDigits / kWarp ? kWarpBits : 0),
        step_(kCounterBytes << copies_bits_),
        own_(shared_counters(counts + (threadIdx.x & ((1U << copies_bits_) - 1)))) {
    for (unsigned i = threadIdx.x; i < kDigits; i += kThreads) {
      counts_[i] = 0;
    }
    __syncthreads();
  }
  __device__ void count(Key key) {
    if constexpr (kHasOneDigit) {
      add_to_counter(own_, key * (kWarp * kCounterBytes), 1);
    } else {
      const Key digit = (key ^ low_) >> shift_;
      if constexpr (kKeyBits == 15) {
        // The first digit of 13 bits has no keys outside of the interval, and the second one of two bits has a counter for each
        // lane.
        const Key beyond = most_ + 1;
        add_to_counter(own_, (digit < beyond ? digit : beyond) * step_, 1);
      } else {
        const uint32_t outside = (kDigits + threadIdx.x % kWarp) * kCounterBytes;
        add_to_counter(own_, digit <= most_ ? static_cast<uint32_t>(digit) * step_ : outside, 1);
      }
    }
  }
  __device__ void finish(uint64_t* digits) {
    __syncthreads();
    for (unsigned i = threadIdx.x; i < kDigits; i += kThreads) {
      uint32_t found = counts_[i];
      if (copies_bits_ != 0) {
        found = __reduce_add_sync(kWholeWarp, found);
        found = threadIdx.x % kWarp == 0 ? found : 0;
      }
      const unsigned digit = i >> copies_bits_;
      if (found != 0 && digit <= most_) {
        atomicAdd(reinterpret_cast<unsigned long long*>(digits + digit), static_cast<unsigned long long>(found));
      }
    }
  }

 private:
  static constexpr bool kHasOneDigit = kKeyBits < kDigitBits;
  static constexpr int kWarpBits = 5;
  static constexpr uint32_t kCounterBytes = sizeof(uint32_t);
  uint32_t* counts_;
  Key low_;
  Key most_;
  int shift_;
  int copies_bits_;
  uint32_t step_;       // bytes between the counters of digits
  SharedCounters own_;  // of the lane, if each has counters
};
constexpr int kCounters = kDigits + 2 * kWarp;

template <typename Kind>
__global__ void __launch_bounds__(kThreads, 3)
    count_matrix_kernel(Entries entries, Walk walk, int shift, const Search* search, uint64_t* digits) {
  __shared__ uint32_t counts[kCounters];
  if (search->finished != 0) {
    return;
  }
  DigitCounter<typename Kind::Key, Kind::kKeyBits> counter(counts, *search, shift);
  for_groups<kThreads>(
      walk, blockIdx.x,
      [&](int64_t row, int64_t group) {
        for_keys<Kind>(entries, row, group * Kind::kEach, columns_of_group<Kind::kEach>(walk, group),
                       [&](int, typename Kind::Key key) { counter.count(key); });
      },
      [] {});
  counter.finish(digits);
}

// Bit i tells whether key i of a group reaches `least`, which is at most one more than the largest key.
template <typename Kind>
__device__ inline uint32_t reaching(const uint32_t (&words)[size_t{Kind::kWords}], typename Kind::Key least) {
  uint32_t bits = 0;
  if constexpr (Kind::kKeyBits == 15) {
    const uint32_t of_word = least * 0x00010001U;
#pragma unroll
    for (int i = 0; i < Kind::kWords; ++i) {
      // The even entries of words have their bits in the lower half, and the odd ones in the upper half.
      bits |= ((words[i] | 0x80008000U) - of_word) >> (15 - 2 * i) & (0x00010001U << (2 * i));
    }
    return (bits | bits >> 15) & 0xffU;
  } else if constexpr (Kind::kKeyBits == 7) {
    const uint32_t of_word = least * 0x01010101U;
#pragma unroll
    for (int i = 0; i < Kind::kWords; ++i) {
      // The product moves the highest bits of the bytes to the highest four bits. No two of its terms meet.
      const uint32_t reached = ((words[i] | 0x80808080U) - of_word) & 0x80808080U;
      bits |= (reached * 0x00204081U) >> 28 << (4 * i);
    }
  } else {
#pragma unroll
    for (int i = 0; i < Kind::kEach; ++i) {
      bits |= Kind::key(words, i) >= least ? 1U << i : 0U;
    }
  }
  return bits;
}

template <typename Kind>
__global__ void __launch_bounds__(kThreads) mark_matrix_kernel(Entries entries, Walk walk, bool smallest, const Search* search,
                                                               GroupBits<Kind>* beyond, GroupBits<Kind>* within) {
  using Key = typename Kind::Key;
  const auto low = static_cast<Key>(search->low);
  const Key after = static_cast<Key>(search->high) + 1;
  for_groups<kThreads>(
      walk, blockIdx.x,
      [&](int64_t row, int64_t group) {
        const int count = columns_of_group<Kind::kEach>(walk, group);
        const int64_t column = group * Kind::kEach;
        uint32_t from_low = 0;
        uint32_t from_after = 0;
        uint32_t words[size_t{Kind::kWords}];
        if (Kind::load_words(entries, row, column, count, words)) {
          from_low = reaching<Kind>(words, low);
          from_after = reaching<Kind>(words, after);
        } else {
#pragma unroll 1
          for (int i = 0; i < count; ++i) {
            const Key key = Kind::key(entries, row, column + i);
            from_low |= (key >= low ? 1U : 0U) << i;
            from_after |= (key >= after ? 1U : 0U) << i;
          }
        }
        const uint32_t valid = (1U << count) - 1;
        const int64_t at = row * walk.groups + group;
        beyond[at] = static_cast<GroupBits<Kind>>((smallest ? ~from_low : from_after) & valid);
        within[at] = static_cast<GroupBits<Kind>>((from_low ^ from_after) & valid);
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
#pragma unroll 2
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
__device__ void for_scores(const Scores& scores, int64_t tile_row, int64_t tile_column, Factors& shared, Body body) {
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

__global__ void __launch_bounds__(kThreads, 2)
    count_triplets_kernel(Scores scores, Steps steps, int shift, const Search* search, uint64_t* digits) {
  __shared__ Factors shared;
  __shared__ uint32_t counts[kCounters];
  if (search->finished != 0) {
    return;
  }
  DigitCounter<uint64_t, Sums::kKeyBits> counter(counts, *search, shift);
  for_units(steps, blockIdx.x, [&](int64_t down, uint32_t across) {
    for_scores(scores, down * kTile, int64_t{across} * kTile, shared, [&](int, int, uint64_t key) { counter.count(key); });
  });
  counter.finish(digits);
}

__global__ void __launch_bounds__(kThreads, 2)
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
    for_scores(scores, down * kTile, int64_t{across} * kTile, shared, [&](int row, int column, uint64_t key) {
      const bool is_within = low <= key && key <= high;
      if (is_within || (smallest ? key < low : key > high)) {
        atomicOr(is_within ? &within_bits[row][column / 32] : &beyond_bits[row][column / 32], 1U << (column % 32));
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

// Digits from `infinite` on are those of keys that are not finite. Only the first digit tells, whose counts are those of all
// keys.
__global__ void __launch_bounds__(kSearchThreads)
    find_digit_kernel(Search* search, uint64_t* digits, int shift, bool smallest, unsigned infinite) {
  __shared__ DigitSearch shared;
  const Search before = *search;
  __syncthreads();  // all threads have read the state
  if ((before.finished | before.not_finite) != 0) {
    if (threadIdx.x == 0) {
      search->finished = 1;
    }
    return;
  }
  for (unsigned i = infinite + threadIdx.x; i < kDigits; i += kSearchThreads) {
    if (digits[i] != 0) {
      atomicOr(&search->not_finite, 1U);
    }
  }
  if (before.left == 0) {
    return;  // nothing is to be found
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
cudaError_t launch_walk(const Scores& scores, int multiprocessors, cudaStream_t stream, int each,
                        void (*kernel)(Entries, Walk, Expected...), Actual... arguments) {
  int64_t blocks = 0;
  const cudaError_t error = resident_blocks(kernel, kThreads, 0, multiprocessors, blocks);
  if (error != cudaSuccess) {
    return error;
  }
  const Walk walk = make_walk(scores.rows, scores.columns, each, kThreads, blocks);
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

Keys keys_of(const Scores& scores) {
  if (scores.of_triplets) {
    return {Sums::kKeyBits, kInfinity};
  }
  return with_kind(scores.entries, [&](auto kind) -> Keys {
    constexpr int kBits = decltype(kind)::kKeyBits;
    switch (kBits) {
      case 63:
        return {kBits, kInfinity};
      case 31:
        return {kBits, 0x7f800000U};
      case 15:
        return {kBits, scores.entries.dtype == TG_F16 ? 0x7c00U : kBf16Infinity};
      default:
        return {kBits, scores.entries.dtype == TG_F8_E4M3 ? 0x7fU : 0x7cU};  // E4M3 has no infinity, and this is NaN
    }
  });
}

cudaError_t launch_begin(Search* search, uint64_t* digits, int bits, int64_t count, cudaStream_t stream) {
  const cudaError_t error = cudaMemsetAsync(digits, 0, kDigits * sizeof(uint64_t), stream);
  if (error != cudaSuccess) {
    return error;
  }
  return launch({1, kWarp}, stream, begin_kernel, search, (uint64_t{1} << bits) - 1, static_cast<uint64_t>(count));
}

cudaError_t launch_find_digit(Search* search, uint64_t* digits, const Keys& keys, int shift, bool smallest, cudaStream_t stream) {
  const bool is_first = shift + kDigitBits >= keys.bits;
  const auto infinite = is_first ? static_cast<unsigned>(keys.infinity >> shift) : unsigned{kDigits};
  return launch({1, kSearchThreads}, stream, find_digit_kernel, search, digits, shift, smallest, infinite);
}

cudaError_t launch_count_digits(const Scores& scores, int shift, const Search* search, uint64_t* digits, int multiprocessors,
                                cudaStream_t stream) {
  if (scores.of_triplets) {
    return launch_tiles(scores, multiprocessors, stream, count_triplets_kernel, shift, search, digits);
  }
  return with_kind(scores.entries, [&](auto kind) {
    using Kind = decltype(kind);
    return launch_walk(scores, multiprocessors, stream, Kind::kEach, count_matrix_kernel<Kind>, shift, search, digits);
  });
}

cudaError_t launch_mark(const Scores& scores, bool smallest, const Search* search, uint64_t* beyond, uint64_t* within,
                        int multiprocessors, cudaStream_t stream) {
  if (scores.of_triplets) {
    return launch_tiles(scores, multiprocessors, stream, mark_triplets_kernel, smallest, search, beyond, within);
  }
  return with_kind(scores.entries, [&](auto kind) {
    using Kind = decltype(kind);
    return launch_walk(scores, multiprocessors, stream, Kind::kEach, mark_matrix_kernel<Kind>, smallest, search,
                       reinterpret_cast<GroupBits<Kind>*>(beyond), reinterpret_cast<GroupBits<Kind>*>(within));
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
