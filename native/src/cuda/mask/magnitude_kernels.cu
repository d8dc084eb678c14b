// Histograms and sums by the magnitude code of entries.
//
// Kernels look at codes of at most 15 bits: the stored ones of 8 and 16 bits, and otherwise those of entries rounded to bf16, for
// which devices have an instruction. What a code stands for is looked up once for each code, not for each entry.
//
// Tried before: each entry widened to float32 and rounded to bf16, by integers. That was 35 to 51 instructions an entry, and 11
// to 35 % of the bandwidth.
#include "cuda/support/changes.h"
#include "cuda/support/instructions.h"
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

// The code of a key, below 2^15.
template <typename Kind>
__device__ inline uint32_t code_of(typename Kind::Key key) {
  if constexpr (Kind::kKeyBits <= 15) {
    return key;
  } else if constexpr (Kind::kKeyBits == 31) {
    return round_two_to_bf16(bit_cast<float>(key), 0);
  } else {
    return round_two_to_bf16(double_to_float_odd(bit_cast<double>(key)), 0);
  }
}

// The dtype of codes.
template <typename Kind>
tg_dtype dtype_of_codes(const Entries& matrix) {
  return Kind::kKeyBits <= 15 ? matrix.dtype : TG_BF16;
}

// The bf16 magnitude code of the number that a code stands for.
__device__ inline uint32_t magnitude_of(tg_dtype dtype, uint32_t code) {
  switch (dtype) {
    case TG_F16:
      return bf16_magnitude_code(float_to_bf16(Format<TG_F16>::widen(static_cast<uint16_t>(code))));
    case TG_F8_E4M3:
      return bf16_magnitude_code(float_to_bf16(Format<TG_F8_E4M3>::widen(static_cast<uint8_t>(code))));
    case TG_F8_E5M2:
      return bf16_magnitude_code(float_to_bf16(Format<TG_F8_E5M2>::widen(static_cast<uint8_t>(code))));
    default:
      return bf16_magnitude_code(static_cast<uint16_t>(code));
  }
}

__device__ inline void add_to(uint64_t* counts, tg_dtype dtype, uint32_t code, uint32_t count) {
  if (count != 0) {
    atomicAdd(reinterpret_cast<unsigned long long*>(counts + magnitude_of(dtype, code)), static_cast<unsigned long long>(count));
  }
}

// The histogram: a counter of 16 bits for each code takes 64 KB of shared memory. That fits every device, where 99 KB are the
// least, and three blocks run on a multiprocessor of an H200. Codes that differ in their highest bit share a word. A block often
// moves counts of kFull to the counters of all blocks, before any counter can overflow. That takes one instruction an entry.
//
// One launch counts four times: all entries, those in each mask, and those in both. Blocks share the four. Each count is an
// atomic operation in shared memory, and each block adds its counters to global memory once. The matrix is read four times,
// mostly from the second-level cache: 8 bytes an entry of bf16. One pass with the masked entries in global memory was tried: half
// of the entries then go to a few hundred addresses there, which serialises them. So was a look at each result of an atomic
// operation for counters that are full: four instructions an entry.
constexpr int kHistogramThreads = 512;
constexpr int kClasses = 4;
constexpr uint32_t kFull = 0x8000;
constexpr unsigned kHistogramWords = TG_MAGNITUDE_CODES / 2;
constexpr unsigned kCounterBytes = sizeof(uint32_t);
constexpr int kUnitEntries = kHistogramThreads * 8;
constexpr int kUnitsBetweenMoves = kFull / kUnitEntries - 1;
static_assert(kFull - 1 + kUnitsBetweenMoves * kUnitEntries < 0x10000);

// Moves counts of kFull. All threads call this between barriers.
__device__ inline void move_full_counters(uint32_t* own, tg_dtype dtype, uint64_t* all) {
  constexpr uint32_t kFullHalves = kFull << 16 | kFull;
  for (unsigned i = threadIdx.x; i < kHistogramWords / kChunkWords; i += kHistogramThreads) {
    const uint4 chunk = reinterpret_cast<const uint4*>(own)[i];
    if (((chunk.x | chunk.y | chunk.z | chunk.w) & kFullHalves) != 0) {
#pragma unroll 1
      for (unsigned word = kChunkWords * i; word < kChunkWords * (i + 1); ++word) {
        const uint32_t full = own[word] & kFullHalves;
        own[word] ^= full;
        add_to(all, dtype, word, full & 0xffffU);
        add_to(all, dtype, word + kHistogramWords, full >> 16);
      }
    }
  }
}

template <typename Kind>
__global__ void __launch_bounds__(kHistogramThreads)
    magnitude_histogram_kernel(Entries matrix, Walk walk, tg_dtype dtype, const GroupBits<Kind>* first,
                               const GroupBits<Kind>* second, uint64_t* counts) {
  static_assert(Kind::kEach * kHistogramThreads == kUnitEntries);
  uint32_t* own = dynamic_shared<uint32_t>();
  for (unsigned i = threadIdx.x; i < kHistogramWords; i += kHistogramThreads) {
    own[i] = 0;
  }
  __syncthreads();
  const uint32_t masks = blockIdx.x % kClasses;  // 1 for the first mask, 2 for the second one
  uint64_t* all = counts + static_cast<size_t>(masks) * TG_MAGNITUDE_CODES;
  const SharedCounters counters = shared_counters(own);
  int units = 0;
  for_groups<kHistogramThreads>(
      walk, blockIdx.x / kClasses,
      [&](int64_t row, int64_t group) {
        const int64_t at = row * walk.groups + group;
        const int columns = columns_of_group<Kind::kEach>(walk, group);
        uint32_t bits = (1U << columns) - 1;
        bits &= (masks & 1U) != 0 ? first[at] : bits;
        bits &= (masks & 2U) != 0 ? second[at] : bits;
        if (bits == 0) {
          return;
        }
        for_keys<Kind>(matrix, row, group * Kind::kEach, columns, [&](int i, typename Kind::Key key) {
          const uint32_t code = code_of<Kind>(key);
          if ((bits >> i & 1U) != 0) {
            add_to_counter(counters, code % kHistogramWords * kCounterBytes, code < kHistogramWords ? 1U : 0x10000U);
          }
        });
      },
      [&] {
        if (++units == kUnitsBetweenMoves) {
          __syncthreads();
          move_full_counters(own, dtype, all);
          __syncthreads();
          units = 0;
        }
      });
  __syncthreads();
  for (unsigned i = threadIdx.x; i < kHistogramWords; i += kHistogramThreads) {
    add_to(all, dtype, i, own[i] & 0xffffU);
    add_to(all, dtype, i + kHistogramWords, own[i] >> 16);
  }
}

// The histogram of float8 counts all four classes in one pass, because it has 128 codes. Each lane has counters of 32 bits in its
// own bank, so that none of them wait for each other. A counter's index is made of bytes: the code with the bit of the first mask
// above it, and the bit of the second mask.
constexpr unsigned kByteCodes = 128;
constexpr unsigned kByteCounters = kClasses * kByteCodes;
static_assert(kByteCounters * kWarp == kHistogramWords);

__global__ void __launch_bounds__(kHistogramThreads)
    byte_histogram_kernel(Entries matrix, Walk walk, const uint16_t* first, const uint16_t* second, uint64_t* counts) {
  using Kind = Stored<uint8_t>;
  constexpr uint32_t kCopies = 0x00204081U;  // of a bit, to the lowest one of each byte
  constexpr uint32_t kLowest = 0x01010101U;
  uint32_t* const own = dynamic_shared<uint32_t>();
  for (unsigned i = threadIdx.x; i < kHistogramWords; i += kHistogramThreads) {
    own[i] = 0;
  }
  __syncthreads();
  uint32_t* const of_lane = own + threadIdx.x % kWarp;
  const SharedCounters counters = shared_counters(of_lane);
  for_groups<kHistogramThreads>(
      walk, blockIdx.x,
      [&](int64_t row, int64_t group) {
        const int64_t at = row * walk.groups + group;
        const int columns = columns_of_group<Kind::kEach>(walk, group);
        const uint32_t in_first = first[at];
        const uint32_t in_second = second[at];
        uint32_t words[size_t{Kind::kWords}];
        if (Kind::load_words(matrix, row, group * Kind::kEach, columns, words)) {
#pragma unroll
          for (int i = 0; i < Kind::kWords; ++i) {
            const uint32_t firsts = ((in_first >> (4 * i) & 0xfU) * (kCopies << 7)) & (kLowest << 7);
            const uint32_t seconds = (in_second >> (4 * i) & 0xfU) * kCopies & kLowest;
            const uint32_t low = (words[i] & 0x7f7f7f7fU) | firsts;
#pragma unroll
            for (uint32_t j = 0; j < 4; ++j) {
              // The upper bytes are the highest bit of a byte of `seconds`, which is 0.
              const uint32_t index = permuted_bytes(low, seconds, 0xcc40U + 0x1111U * j);
              add_to_counter(counters, index * (kWarp * kCounterBytes), 1);
            }
          }
          return;
        }
#pragma unroll 1
        for (int i = 0; i < columns; ++i) {
          const uint32_t classes = (in_first >> i & 1U) | (in_second >> i & 1U) << 1;
          const uint32_t code = Kind::key(matrix, row, group * Kind::kEach + i);
          add_to_counter(counters, (classes * kByteCodes + code) * (kWarp * kCounterBytes), 1);
        }
      },
      [] {});
  __syncthreads();
  // A warp sums the counters of an index. An entry in both masks is in all four classes, and one in none in the first one only.
  for (unsigned index = threadIdx.x / kWarp; index < kByteCounters; index += kHistogramThreads / kWarp) {
    const uint32_t found = __reduce_add_sync(kWholeWarp, of_lane[index * kWarp]);
    const unsigned masks = index / kByteCodes;
    const unsigned lane = threadIdx.x % kWarp;
    if (lane < kClasses && (lane & masks) == lane) {
      add_to(counts + static_cast<size_t>(lane) * TG_MAGNITUDE_CODES, matrix.dtype, index % kByteCodes, found);
    }
  }
}

// The numbers of a table by magnitude code, by the codes of a dtype.
__global__ void __launch_bounds__(kThreads) arrange_table_kernel(tg_dtype dtype, const double* table, double* of_codes) {
  const uint32_t code = blockIdx.x * kThreads + threadIdx.x;
  of_codes[code] = table[magnitude_of(dtype, code)];
}

// Each warp sums rows, in a fixed order. The numbers of float8 codes are in shared memory, with a copy for each of sixteen lanes
// in its own banks.
template <typename Kind>
__global__ void __launch_bounds__(kThreads, 4)
    row_profile_kernel(Entries matrix, int64_t rows, int64_t columns, const double* of_codes, double* row_sums) {
  constexpr bool kIsShared = Kind::kKeyBits == 7;
  constexpr unsigned kCopies = kIsShared ? kWarp / 2 : 1;
  __shared__ double shared[kIsShared ? kByteCodes * kCopies : 1];
  const double* table = of_codes;
  if constexpr (kIsShared) {
    for (unsigned i = threadIdx.x; i < kByteCodes * kCopies; i += kThreads) {
      shared[i] = of_codes[i / kCopies];
    }
    __syncthreads();
    table = shared + threadIdx.x % kCopies;
  }
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  constexpr int64_t kWarps = kThreads / kWarp;
  for (int64_t row = blockIdx.x * kWarps + threadIdx.x / kWarp; row < rows; row += gridDim.x * kWarps) {
    double sum = 0;
    for (int64_t column = lane * Kind::kEach; column < columns; column += kWarp * Kind::kEach) {
      for_keys<Kind>(matrix, row, column, static_cast<int>(smaller(columns - column, Kind::kEach)),
                     [&](int, typename Kind::Key key) { sum += table[code_of<Kind>(key) * kCopies]; });
    }
    sum = sum_over_warp(sum);
    if (lane == 0) {
      row_sums[row] = sum;
    }
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
  return with_kind(matrix, [&](auto kind) {
    using Kind = decltype(kind);
    const auto* const first_bits = reinterpret_cast<const GroupBits<Kind>*>(first);
    const auto* const second_bits = reinterpret_cast<const GroupBits<Kind>*>(second);
    if constexpr (Kind::kKeyBits == 7) {
      int64_t blocks = kBlocksEach * multiprocessors;
      const Walk walk = make_walk(rows, columns, Kind::kEach, kHistogramThreads, blocks);
      return launch({blocks, kHistogramThreads, kBytes}, stream, byte_histogram_kernel, matrix, walk, first_bits, second_bits,
                    counts);
    } else {
      int64_t blocks = quotient(kBlocksEach * multiprocessors, kClasses);
      const Walk walk = make_walk(rows, columns, Kind::kEach, kHistogramThreads, blocks);
      return launch({kClasses * blocks, kHistogramThreads, kBytes}, stream, magnitude_histogram_kernel<Kind>, matrix, walk,
                    dtype_of_codes<Kind>(matrix), first_bits, second_bits, counts);
    }
  });
}

cudaError_t launch_magnitude_profile(const Entries& matrix, int64_t rows, int64_t columns, const double* table, double* of_codes,
                                     double* row_sums, double* partial_sums, double* column_sums, int multiprocessors,
                                     cudaStream_t stream) {
  cudaError_t error = with_kind(matrix, [&](auto kind) {
    using Kind = decltype(kind);
    int64_t blocks = 0;
    cudaError_t own = resident_blocks(row_profile_kernel<Kind>, kThreads, 0, multiprocessors, blocks);
    if (own == cudaSuccess) {
      own = launch({TG_MAGNITUDE_CODES / kThreads, kThreads}, stream, arrange_table_kernel, dtype_of_codes<Kind>(matrix), table,
                   of_codes);
    }
    if (own == cudaSuccess) {
      const int64_t needed = quotient(rows, kThreads / kWarp);
      own = launch({needed < blocks ? needed : blocks, kThreads}, stream, row_profile_kernel<Kind>, matrix, rows, columns,
                   of_codes, row_sums);
    }
    return own;
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
