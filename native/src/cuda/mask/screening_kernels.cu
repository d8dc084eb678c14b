// The largest scores of a reconstruction from triplets, without its storage. Tensor cores compute all scores in tiles, three
// times: to count the first and the second digit of their float32 keys, and to mark those beyond an interval that surely contains
// the last selected one. Entries in the interval are scored in float64 as on the CPU, and the last of them is selected exactly.
//
// Factors are sums of two bf16 terms. Three of the four products are computed: 6 k flop an entry and pass. For 4096 x 4096 and
// k = 64 that is 6.4 Gflop a pass, 14 us at 470 Tflop/s. A block keeps its rows of the left factor in shared memory while it
// goes through the columns of a strip, which leaves 4 bytes an entry to be read from the second-level cache. To count an entry
// takes eight instructions and one atomic operation in shared memory, about 9 us a pass. Matrix units are the ceiling; two blocks
// of a multiprocessor overlap one's products with the other's counting, and the copy of the next panel overlaps with both.
//
// What was tried: fused multiplications in float32 take 190 instructions for an entry, where this takes 14. A branch around each
// atomic operation, for keys outside of the interval, took twice the instructions of a counter for them. Three terms would take a
// third off the error and double the products; two leave few enough entries to float64. One term would leave 8 % of all.
#include "cuda/support/instructions.h"
#include "digits.h"
#include "selection_kernels.h"
#include "steps.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kTileRows = 128;    // 16 of each warp
constexpr int kTileColumns = 64;  // one word of a mask
constexpr int kDepth = 64;        // ranks of the factors that are in shared memory at a time
constexpr int kStep = 16;         // ranks of an instruction
constexpr int kChunk = 8;         // bf16 numbers of a 16-byte copy
constexpr int kPieces = kTileColumns / 8;
constexpr int kPrepareThreads = 64;
static_assert(kTileRows == kWarps * 16);

struct Panels {
  uint16_t left[kTerms][size_t{kTileRows} * kDepth];
  uint16_t right[kTerms][size_t{kTileColumns} * kDepth];
};

// The position of a chunk in shared memory. Rows have 128 bytes. Their chunks are permuted so that the same chunk of eight rows
// lies in different banks.
__device__ inline int place(int row, int chunk) { return row * kDepth + (chunk ^ (row & 7)) * kChunk; }

// The tiles of a screening. A strip is a row of tiles that one block processes.
struct Strips {
  Steps steps;
  int64_t rows;
  int64_t columns;
  int64_t rank;  // padded
  int64_t left_length;
  int64_t right_length;
  int32_t tiles;  // of a strip
};

template <int kRows>
__device__ void load_panel(const uint16_t* terms, int64_t length, int64_t rank, int64_t first, int64_t begin,
                           uint16_t (&to)[kTerms][size_t{kRows} * kDepth]) {
  const auto thread = static_cast<int>(threadIdx.x);
  const int chunk = thread % (kDepth / kChunk);
  if (begin + chunk * kChunk >= rank) {
    return;
  }
#pragma unroll
  for (int term = 0; term < kTerms; ++term) {
#pragma unroll
    for (int row = 0; row < kRows; row += kThreads / (kDepth / kChunk)) {
      const int own = row + thread / (kDepth / kChunk);
      copy_16_asynchronously(to[term] + place(own, chunk), terms + (term * length + first + own) * rank + begin + chunk * kChunk);
    }
  }
}

// The numbers of a thread in a tile: 16 x 8 pieces with four numbers each.
struct Sums {
  float of[kPieces][4];
};

__device__ void multiply_panels(const Panels& panels, int steps, Sums& sums) {
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const int first_row = static_cast<int>(threadIdx.x / kWarp) * 16;
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    uint32_t left[kTerms][4];
#pragma unroll
    for (int term = 0; term < kTerms; ++term) {
      load_matrices(left[term], panels.left[term] + place(first_row + lane % 16, 2 * step + lane / 16));
    }
#pragma unroll
    for (int j = 0; j < kPieces; j += 2) {
      uint32_t right[kTerms][4];
#pragma unroll
      for (int term = 0; term < kTerms; ++term) {
        load_matrices(right[term], panels.right[term] + place(8 * j + lane % 8 + lane / 16 * 8, 2 * step + lane / 8 % 2));
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const uint32_t high[2] = {right[0][2 * half], right[0][2 * half + 1]};
        const uint32_t low[2] = {right[1][2 * half], right[1][2 * half + 1]};
        multiply_add_bf16(sums.of[j + half], left[1], high);
        multiply_add_bf16(sums.of[j + half], left[0], low);
        multiply_add_bf16(sums.of[j + half], left[0], high);
      }
    }
  }
}

__device__ inline void add(const Sums& part, Sums& sums) {
#pragma unroll
  for (int j = 0; j < kPieces; ++j) {
#pragma unroll
    for (int l = 0; l < 4; ++l) {
      sums.of[j][l] += part.of[j][l];
    }
  }
}

// Calls body(tile_row, tile_column, sums) for the tiles of this block.
template <typename Body>
__device__ void for_tiles(const Screen& screen, const Strips& strips, Panels& panels, Body body) {
  const int64_t chunks = (strips.rank + kDepth - 1) / kDepth;
  const int64_t across = (strips.columns + kTileColumns - 1) / kTileColumns;
  for_units(strips.steps, blockIdx.x, [&](int64_t down, uint32_t strip) {
    const int64_t row = down * kTileRows;
    const int64_t begin = static_cast<int64_t>(strip) * strips.tiles;
    const int64_t end = smaller(begin + strips.tiles, across);
    const auto load = [&](int64_t tile, int64_t chunk) {
      if (tile < end) {
        // With a single chunk the left factor stays.
        if (tile == begin || chunks > 1) {
          load_panel<kTileRows>(screen.left_terms, strips.left_length, strips.rank, row, chunk * kDepth, panels.left);
        }
        load_panel<kTileColumns>(screen.right_terms, strips.right_length, strips.rank, tile * kTileColumns, chunk * kDepth,
                                 panels.right);
      }
      commit_copies();
    };
    load(begin, 0);
    for (int64_t tile = begin; tile < end; ++tile) {
      Sums sums{};
      for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        wait_for_copies<0>();
        __syncthreads();
        const int steps = static_cast<int>(smaller(strips.rank - chunk * kDepth, kDepth)) / kStep;
        if (chunk == 0) {
          multiply_panels(panels, steps, sums);
        } else {
          Sums part{};
          multiply_panels(panels, steps, part);
          add(part, sums);
        }
        __syncthreads();
        // No thread uses the panels any more.
        const bool last = chunk + 1 == chunks;
        load(last ? tile + 1 : tile, last ? 0 : chunk + 1);
      }
      body(row, tile * kTileColumns, sums);
    }
    wait_for_copies<0>();
  });
}

__device__ inline uint32_t key_of(float score) { return bit_cast<uint32_t>(score) & 0x7fffffffU; }

__device__ inline bool is_over(const Search& search) { return search.undecided != 0; }

// Entries of the padding have the key 0. They are counted behind all others, where no search for the largest gets.
__global__ void __launch_bounds__(kThreads, 2) count_screened_kernel(Screen screen, Strips strips, int shift, uint64_t* digits) {
  auto* panels = dynamic_shared<Panels>();
  auto* counts = reinterpret_cast<uint32_t*>(panels + 1);
  if (is_over(*screen.search)) {
    return;
  }
  for (unsigned i = threadIdx.x; i < kDigits; i += kThreads) {
    counts[i] = 0;
  }
  __syncthreads();
  // Keys outside of the interval go to counters that nobody reads, one of each lane: that is cheaper than a branch.
  const auto low = static_cast<uint32_t>(screen.search->low);
  const uint32_t outside = kDigits + threadIdx.x % kWarp;
  uint32_t largest = 0;
  for_tiles(screen, strips, *panels, [&](int64_t, int64_t, const Sums& sums) {
#pragma unroll
    for (int j = 0; j < kPieces; ++j) {
#pragma unroll
      for (int l = 0; l < 4; ++l) {
        const uint32_t key = key_of(sums.of[j][l]);
        const uint32_t digit = (key - low) >> shift;
        largest = largest > key ? largest : key;
        atomicAdd(counts + (digit < outside ? digit : outside), 1U);
      }
    }
  });
  if (largest >= 0x7f800000U) {
    atomicOr(&screen.search->not_finite, 1U);
  }
  __syncthreads();
  for (unsigned i = threadIdx.x; i < kDigits; i += kThreads) {
    if (counts[i] != 0) {
      atomicAdd(reinterpret_cast<unsigned long long*>(digits + i), static_cast<unsigned long long>(counts[i]));
    }
  }
}

// `units` times the norms bounds the error of a score.
__global__ void __launch_bounds__(kSearchThreads)
    find_screened_digit_kernel(Search* search, uint64_t* digits, int shift, const uint64_t* norms, double units, bool last) {
  __shared__ DigitSearch shared;
  const Search before = *search;
  if (is_over(before)) {
    return;
  }
  __syncthreads();  // all threads have read the state
  if (before.not_finite != 0) {
    if (threadIdx.x == 0) {
      search->undecided = 1;
    }
    return;
  }
  const FoundDigit found = find_digit(shared, before.left, false, [&](int digit) { return digits[digit]; });
  for (unsigned i = threadIdx.x; i < kDigits; i += kSearchThreads) {
    digits[i] = 0;
  }
  if (threadIdx.x != 0) {
    return;
  }
  uint64_t low = before.low + (found.digit << shift);
  uint64_t high = low + ((uint64_t{1} << shift) - 1);
  search->left = found.left;
  if (last) {
    const auto left_square = bit_cast<double>(norms[0]);
    const auto right_square = bit_cast<double>(norms[1]);
    const double error = units * sqrt(left_square) * sqrt(right_square);
    const auto fits = [](double square) { return square > 1e-36 && square < 1e36; };
    if (!(error > 1e-25 && error < 1e25 && fits(left_square) && fits(right_square))) {
      search->undecided = 1;
      return;
    }
    // The score of the last selected entry lies in [low, high], and its exact score within the error of that. An entry whose
    // score is further away than twice the error is decided. The interval is rounded outwards by one key on either side.
    const auto value = [](uint64_t key) { return static_cast<double>(bit_cast<float>(static_cast<uint32_t>(key))); };
    const double below = value(low) - 2 * error;
    low = below <= 0 ? 0 : key_of(static_cast<float>(below));
    low -= low > 0 ? 1 : 0;
    high = key_of(static_cast<float>(value(high + 1) + 2 * error)) + uint64_t{1};
  }
  search->low = low;
  search->high = high;
}

// Appends the candidates of a warp. A thread has those of two rows.
__device__ void append(const Screen& screen, int64_t row, int64_t column, const uint64_t (&within)[2]) {
  const uint32_t own = static_cast<uint32_t>(__popcll(within[0]) + __popcll(within[1]));
  if (__any_sync(kWholeWarp, own != 0 ? 1 : 0) == 0) {
    return;
  }
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  uint32_t until = own;
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const uint32_t other = __shfl_up_sync(kWholeWarp, until, static_cast<unsigned>(distance));
    until += lane >= distance ? other : 0;
  }
  unsigned long long first = 0;
  if (lane == kWarp - 1) {
    first = atomicAdd(reinterpret_cast<unsigned long long*>(&screen.search->candidates), static_cast<unsigned long long>(until));
  }
  uint64_t at = __shfl_sync(kWholeWarp, first, kWarp - 1) + until - own;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    for (uint64_t bits = within[i]; bits != 0 && at < kMostCandidates; bits &= bits - 1) {
      screen.candidates[at++] = {static_cast<uint32_t>(row + 8 * i),
                                 static_cast<uint32_t>(column) + static_cast<uint32_t>(__popcll(~bits & (bits - 1)))};
    }
  }
}

// Moves pairs of bits apart, from every second place to every eighth.
__device__ inline uint32_t spread(uint32_t pairs) {
  pairs = (pairs | pairs << 12) & 0x000f000fU;
  return (pairs | pairs << 6) & 0x03030303U;
}

__global__ void __launch_bounds__(kThreads, 2) mark_screened_kernel(Screen screen, Strips strips, uint64_t* mask) {
  auto* panels = dynamic_shared<Panels>();
  if (is_over(*screen.search)) {
    return;
  }
  const auto low = static_cast<uint32_t>(screen.search->low);
  const auto high = static_cast<uint32_t>(screen.search->high);
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const int64_t words = (strips.columns + kTileColumns - 1) / kTileColumns;
  uint32_t sure = 0;
  for_tiles(screen, strips, *panels, [&](int64_t tile_row, int64_t tile_column, const Sums& sums) {
    // Bits of 16 entries of two rows. A difference of keys has 32 bits, and its sign is the comparison.
    uint32_t beyond[2] = {};
    uint32_t below[2] = {};
#pragma unroll
    for (int j = kPieces - 1; j >= 0; --j) {
#pragma unroll
      for (int l = 3; l >= 0; --l) {
        const uint32_t key = key_of(sums.of[j][l]);
        beyond[l / 2] = beyond[l / 2] << 1 | (high - key) >> 31;
        below[l / 2] = below[l / 2] << 1 | (key - low) >> 31;
      }
    }
    const int64_t columns = strips.columns - tile_column;
    const uint64_t valid = columns >= kTileColumns ? ~uint64_t{0} : (uint64_t{1} << columns) - 1;
    const int64_t row = tile_row + static_cast<int64_t>(threadIdx.x / kWarp) * 16 + lane / 4;
    uint64_t own_within[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const bool inside = row + 8 * i < strips.rows;
      const auto word_of = [&](uint32_t bits) {
        const uint64_t word = spread(bits & 0xffU) | static_cast<uint64_t>(spread(bits >> 8 & 0xffU)) << 32;
        return inside ? word << (lane % 4 * 2) & valid : 0;
      };
      own_within[i] = word_of(~(beyond[i] | below[i]));
      uint64_t word = word_of(beyond[i]);
      sure += static_cast<uint32_t>(__popcll(word));
      // Four lanes have the bits of a row.
      word |= __shfl_xor_sync(kWholeWarp, word, 1);
      word |= __shfl_xor_sync(kWholeWarp, word, 2);
      if (inside && lane % 4 == 0) {
        mask[(row + 8 * i) * words + tile_column / kTileColumns] = word;
      }
    }
    append(screen, row, tile_column, own_within);
  });
  sure = __reduce_add_sync(kWholeWarp, sure);
  if (lane == 0) {
    atomicAdd(reinterpret_cast<unsigned long long*>(&screen.search->sure), static_cast<unsigned long long>(sure));
  }
}

// The number of candidates, or 0 if there is nothing to do with them.
__device__ inline uint32_t open_candidates(const Search& search) {
  return search.undecided != 0 || search.candidates > kMostCandidates ? 0 : static_cast<uint32_t>(search.candidates);
}

// The sum of common/lanes.h: eight partial sums, without fused operations.
__global__ void __launch_bounds__(kThreads) score_candidates_kernel(Screen screen) {
  constexpr int kLanes = 8;
  const uint32_t count = open_candidates(*screen.search);
  for (uint32_t i = blockIdx.x * kThreads + threadIdx.x; i < count; i += gridDim.x * kThreads) {
    const Candidate candidate = screen.candidates[i];
    const double* left = screen.left + candidate.row;
    const double* right = screen.right + candidate.column;
    double lanes[kLanes] = {};
    for (int64_t begin = 0; begin < screen.rank; begin += kLanes) {
#pragma unroll
      for (int lane = 0; lane < kLanes; ++lane) {
        const int64_t k = begin + lane;
        if (k < screen.rank) {
          lanes[lane] = __dadd_rn(lanes[lane], __dmul_rn(left[k * screen.rows], right[k * screen.columns]));
        }
      }
    }
#pragma unroll
    for (int width = kLanes / 2; width > 0; width /= 2) {
#pragma unroll
      for (int lane = 0; lane < width; ++lane) {
        lanes[lane] = __dadd_rn(lanes[lane], lanes[lane + width]);
      }
    }
    screen.keys[i] = bit_cast<uint64_t>(lanes[0]) & 0x7fffffffffffffffULL;
  }
}

// The least and the largest key of those that have the digits of the last selected one.
struct Interval {
  uint64_t low;
  uint64_t high;
  uint64_t left;  // selected ones of them
  bool all;       // all of them are selected
};

struct Settling {
  uint32_t counts[kDigits];
  DigitSearch search;
};

// Selects `wanted` of the candidates with selects(i), by key_at(i), with the threads of one block.
template <typename KeyAt, typename Selects>
__device__ Interval find_among(Settling& shared, uint32_t count, uint64_t wanted, bool smallest, KeyAt key_at, Selects selects) {
  Interval interval{0, (uint64_t{1} << 63) - 1, wanted, false};
  for (int above = 63; above > 0 && !interval.all;) {
    const int shift = above > kDigitBits ? above - kDigitBits : 0;
    for (unsigned i = threadIdx.x; i < kDigits; i += kSearchThreads) {
      shared.counts[i] = 0;
    }
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < count; i += kSearchThreads) {
      const uint64_t key = key_at(i);
      if (selects(i) && key - interval.low <= interval.high - interval.low) {
        atomicAdd(shared.counts + ((key - interval.low) >> shift), 1U);
      }
    }
    __syncthreads();
    const FoundDigit found =
        find_digit(shared.search, interval.left, smallest, [&](int digit) { return uint64_t{shared.counts[digit]}; });
    interval.low += found.digit << shift;
    interval.high = interval.low + ((uint64_t{1} << shift) - 1);
    interval.left = found.left;
    interval.all = found.left == found.sharing;
    above = shift;
  }
  return interval;
}

// Selects the largest candidates in float64, and of equal ones those with the lower index.
__global__ void __launch_bounds__(kSearchThreads) settle_kernel(Screen screen, uint64_t count, uint32_t* mask) {
  __shared__ Settling shared;
  const Search search = *screen.search;
  __syncthreads();  // all threads have read the state
  const uint64_t wanted = count - search.sure;
  if (search.undecided != 0 || search.candidates > kMostCandidates || count < search.sure || wanted > search.candidates) {
    if (threadIdx.x == 0) {
      screen.search->undecided = 1;
    }
    return;
  }
  if (wanted == 0) {
    return;
  }
  const auto candidates = static_cast<uint32_t>(search.candidates);
  const auto index_at = [&](uint32_t i) {
    return static_cast<uint64_t>(screen.candidates[i].row) * static_cast<uint64_t>(screen.columns) + screen.candidates[i].column;
  };
  const auto key_at = [&](uint32_t i) { return screen.keys[i]; };
  const Interval keys = find_among(shared, candidates, wanted, false, key_at, [](uint32_t) { return true; });
  Interval indices{0, ~uint64_t{0}, 0, true};
  if (!keys.all) {
    indices = find_among(shared, candidates, keys.left, true, index_at, [&](uint32_t i) { return key_at(i) == keys.low; });
  }
  const auto words = static_cast<uint64_t>((screen.columns + 63) / 64) * 2;
  for (uint32_t i = threadIdx.x; i < candidates; i += kSearchThreads) {
    const uint64_t key = screen.keys[i];
    if (key > keys.high || (key >= keys.low && index_at(i) <= indices.high)) {
      const Candidate candidate = screen.candidates[i];
      atomicOr(mask + candidate.row * words + candidate.column / 32, 1U << (candidate.column % 32));
    }
  }
}

// ---------------------------------------------------------------- factors

// A thread has one row of the result: all terms of a vector of the factor.
__global__ void __launch_bounds__(kPrepareThreads)
    prepare_factor_kernel(const double* values, int64_t rank, int64_t all_ranks, int64_t length, int64_t all, const double* from,
                          double* scaled, uint16_t* terms, uint64_t* norm) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kPrepareThreads + threadIdx.x;
  double square = 0;
  for (int64_t begin = 0; begin < all_ranks && i < all; begin += kChunk) {
    uint32_t packed[kTerms][kChunk / 2] = {};
#pragma unroll
    for (int j = 0; j < kChunk; ++j) {
      const int64_t k = begin + j;
      if (k >= rank || i >= length) {
        continue;
      }
      double rest = (values == nullptr ? 1 : values[k]) * from[k * length + i];
      if (scaled != nullptr) {
        scaled[k * length + i] = rest;
      }
      square += rest * rest;
#pragma unroll
      for (int term = 0; term < kTerms; ++term) {
        const uint16_t code = double_to_bf16(rest);
        rest -= static_cast<double>(bf16_to_float(code));
        packed[term][j / 2] |= static_cast<uint32_t>(code) << (j % 2 * 16);
      }
    }
#pragma unroll
    for (int term = 0; term < kTerms; ++term) {
      *reinterpret_cast<uint4*>(terms + (term * all + i) * all_ranks + begin) =
          uint4{packed[term][0], packed[term][1], packed[term][2], packed[term][3]};
    }
  }
  // The bits of numbers that are not negative are ordered as the numbers are, and a NaN is above all of them.
  auto largest = bit_cast<uint64_t>(square);
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const uint64_t other = __shfl_xor_sync(kWholeWarp, largest, distance);
    largest = largest > other ? largest : other;
  }
  if (threadIdx.x % kWarp == 0) {
    atomicMax(reinterpret_cast<unsigned long long*>(norm), static_cast<unsigned long long>(largest));
  }
}

// In units of the largest norms of both factors, for all scores (Cauchy and Schwarz). Terms of a number leave 2^-18 of it, and so
// does the product that is left out. A chunk is twelve instructions; each aligns 17 numbers to the largest and truncates them at
// 24 bits. Sums of chunks are rounded. The factor covers products of errors.
double error_units(int64_t rank) {
  constexpr double kTermUnits = 3 * 0x1p-18;
  constexpr double kChunkUnits = kDepth / kStep * 3 * 17 * 0x1p-23;
  constexpr double kMargin = 1.1;
  return kMargin * (kTermUnits + kChunkUnits + static_cast<double>(quotient(rank, kDepth)) * 0x1p-23);
}

int64_t padded(int64_t length, int64_t multiple) { return quotient(length, multiple) * multiple; }

}  // namespace

int64_t padded_rank(int64_t rank) { return padded(rank, kStep); }
int64_t padded_rows(int64_t rows) { return padded(rows, kTileRows); }
int64_t padded_columns(int64_t columns) { return padded(columns, kTileColumns); }

cudaError_t launch_prepare_factors(const double* values, int64_t rank, int64_t rows, double* left, uint16_t* left_terms,
                                   int64_t columns, const double* right, uint16_t* right_terms, uint64_t* norms,
                                   cudaStream_t stream) {
  const int64_t all_rows = padded_rows(rows);
  const int64_t all_columns = padded_columns(columns);
  const cudaError_t error = launch({quotient(all_rows, kPrepareThreads), kPrepareThreads}, stream, prepare_factor_kernel, values,
                                   rank, padded_rank(rank), rows, all_rows, left, left, left_terms, norms);
  if (error != cudaSuccess) {
    return error;
  }
  return launch({quotient(all_columns, kPrepareThreads), kPrepareThreads}, stream, prepare_factor_kernel, nullptr, rank,
                padded_rank(rank), columns, all_columns, right, nullptr, right_terms, norms + 1);
}

cudaError_t launch_screening(const Screen& screen, int64_t count, uint64_t* digits, uint64_t* mask, int multiprocessors,
                             cudaStream_t stream) {
  constexpr auto kPanelBytes = static_cast<int64_t>(sizeof(Panels));
  constexpr int64_t kCountBytes = kPanelBytes + (kDigits + kWarp) * static_cast<int64_t>(sizeof(uint32_t));
  constexpr int64_t kBlocksEach = 2;  // by registers and shared memory
  constexpr int64_t kStripsEach = 4;  // so that the last ones do not leave blocks idle for long
  constexpr int64_t kMostTiles = 32;
  int64_t blocks = kBlocksEach * multiprocessors;
  const int64_t down = quotient(screen.rows, kTileRows);
  const int64_t tiles = quotient(screen.columns, kTileColumns);
  const int64_t wanted = quotient(down * tiles, blocks * kStripsEach);
  const int64_t each = wanted < kMostTiles ? wanted : kMostTiles;
  const Steps steps = make_steps(down, quotient(tiles, each), blocks);
  const Strips strips{steps,
                      screen.rows,
                      screen.columns,
                      padded_rank(screen.rank),
                      padded_rows(screen.rows),
                      padded_columns(screen.columns),
                      static_cast<int32_t>(each)};
  const double units = error_units(screen.rank);
  cudaError_t error = cudaSuccess;
  constexpr int kDigitsOfScreen = 2;
  for (int i = 1; i <= kDigitsOfScreen && error == cudaSuccess; ++i) {
    const int shift = kScreenedBits - i * kDigitBits;
    error = launch({blocks, kThreads, kCountBytes}, stream, count_screened_kernel, screen, strips, shift, digits);
    if (error == cudaSuccess) {
      error = launch({1, kSearchThreads}, stream, find_screened_digit_kernel, screen.search, digits, shift, screen.norms, units,
                     i == kDigitsOfScreen);
    }
  }
  if (error == cudaSuccess) {
    error = launch({blocks, kThreads, kPanelBytes}, stream, mark_screened_kernel, screen, strips, mask);
  }
  if (error == cudaSuccess) {
    error = launch({4 * int64_t{multiprocessors}, kThreads}, stream, score_candidates_kernel, screen);
  }
  if (error == cudaSuccess) {
    error = launch({1, kSearchThreads}, stream, settle_kernel, screen, static_cast<uint64_t>(count),
                   reinterpret_cast<uint32_t*>(mask));
  }
  return error;
}

}  // namespace threegate::cuda
