// Each warp takes units of 64 rows by 256 columns of a matrix in the list. A lane reads eight neighbouring entries of a row from
// both sides, which are 16 bytes of bf16 each. Equal finite entries only need a comparison and their square. The others need the
// arithmetic of tg_diff_result. Counts are kept in fields of registers that cannot overflow within a unit, and are written to
// memory once per unit.
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "diff_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kEntries = 8;  // neighbouring entries of a row that a lane reads
constexpr int kSumThreads = 128;
static_assert(kUnitColumns == kEntries * kWarp);

// Eight entries of a row as they are stored. They are floats or codes if both sides are plain, and doubles otherwise.
template <PairKind kKind>
struct Group;

// The number of rows that are loaded at the same time. It is limited by registers.
template <PairKind kKind>
constexpr unsigned kRowsTogether = kKind == PairKind::kBf16    ? 4
                                   : kKind == PairKind::kFloat ? 2
                                                               : 1;

template <>
struct Group<PairKind::kBf16> {
  uint4 words;
  __device__ void load(const Entries& entries, int64_t row, int64_t column) {
    words = *reinterpret_cast<const uint4*>(entries.data + (row * entries.row_stride + column) * 2);
  }
  __device__ uint32_t word(int i) const { return i == 0 ? words.x : i == 1 ? words.y : i == 2 ? words.z : words.w; }
  __device__ uint16_t code(int i) const { return static_cast<uint16_t>(word(i / 2) >> (i % 2 * 16)); }
  __device__ double value(int i) const { return static_cast<double>(bf16_to_float(code(i))); }
  // Sets bit i if the entries differ as stored, or one of them may not be finite.
  __device__ static uint32_t suspects(const Group& a, const Group& b) {
    uint32_t bits = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint32_t x = a.word(i);
      const uint32_t y = b.word(i);
      // An exponent of all ones carries into the sign bit.
      const uint32_t wrong = (((x & 0x7f807f80U) + 0x00800080U) | ((y & 0x7f807f80U) + 0x00800080U)) & 0x80008000U;
      const uint32_t differ = x ^ y;
      bits |= static_cast<uint32_t>((differ & 0xffffU) != 0 || (wrong & 0x8000U) != 0) << (2 * i);
      bits |= static_cast<uint32_t>((differ >> 16) != 0 || (wrong >> 31) != 0) << (2 * i + 1);
    }
    return bits;
  }
};

template <>
struct Group<PairKind::kFloat> {
  uint4 low;
  uint4 high;
  __device__ void load(const Entries& entries, int64_t row, int64_t column) {
    const auto* at = reinterpret_cast<const uint4*>(entries.data + (row * entries.row_stride + column) * 4);
    low = at[0];
    high = at[1];
  }
  __device__ uint32_t word(int i) const {
    const uint4& half = i < 4 ? low : high;
    const int j = i % 4;
    return j == 0 ? half.x : j == 1 ? half.y : j == 2 ? half.z : half.w;
  }
  __device__ double value(int i) const { return static_cast<double>(__uint_as_float(word(i))); }
  __device__ uint16_t code(int i) const { return float_to_bf16(__uint_as_float(word(i))); }
  __device__ static uint32_t suspects(const Group& a, const Group& b) {
    uint32_t bits = 0;
#pragma unroll
    for (int i = 0; i < kEntries; ++i) {
      bits |= static_cast<uint32_t>(a.word(i) != b.word(i) || (a.word(i) & 0x7f800000U) == 0x7f800000U) << i;
    }
    return bits;
  }
};

template <>
struct Group<PairKind::kAny> {
  double values[kEntries];
  uint16_t codes[kEntries];
  __device__ void load(const Entries& entries, int64_t row, int64_t column) { load(entries, row, column, kEntries); }
  __device__ void load(const Entries& entries, int64_t row, int64_t column, int count) {
#pragma unroll
    for (int i = 0; i < kEntries; ++i) {
      values[i] = i < count ? entry(entries, row, column + i) : 0;
      codes[i] = i < count ? entry_code(entries, row, column + i, values[i]) : static_cast<uint16_t>(0);
    }
  }
  __device__ double value(int i) const { return values[i]; }
  __device__ uint16_t code(int i) const { return codes[i]; }
  __device__ static uint32_t suspects(const Group& a, const Group& b) {
    uint32_t bits = 0;
#pragma unroll
    for (int i = 0; i < kEntries; ++i) {
      const bool same = bit_cast<uint64_t>(a.values[i]) == bit_cast<uint64_t>(b.values[i]) && a.codes[i] == b.codes[i];
      bits |= static_cast<uint32_t>(!same || !isfinite(a.values[i])) << i;
    }
    return bits;
  }
};

// The counts and sums of one lane for a unit.
struct Tally {
  double base_squares = 0;
  double delta_squares = 0;
  double delta_dot_base = 0;
  double max_abs_delta = 0;
  uint64_t counts[2] = {};
  uint64_t bins[4] = {};
  uint64_t columns = 0;  // changed entries by column, one byte each

  __device__ void count(int which, bool yes) {
    const auto one = static_cast<uint64_t>(yes);
    counts[which / 4] += one << (which % 4 * 16);
  }

  // Adds one entry as tg_diff_result defines. Returns whether it changed.
  __device__ bool add(double a, double b, uint16_t code_a, uint16_t code_b) {
    const bool both_nan = isnan(a) && isnan(b);
    const bool both_zero = ((code_a | code_b) & kBf16Magnitude) == 0;
    const bool bits = code_a != code_b;
    const bool changed = bits && !both_zero && !both_nan;
    const bool stored = a != b && !both_nan;
    count(0, changed);
    count(1, bits);
    count(2, stored);
    count(3, stored && !changed);
    if (!isfinite(a) || !isfinite(b)) {
      count(4, true);
      return changed;
    }
    const double delta = b - a;
    base_squares += a * a;
    delta_squares += delta * delta;
    delta_dot_base += delta * a;
    max_abs_delta = fmax(max_abs_delta, fabs(delta));
    count(5, (a < 0 && b > 0) || (a > 0 && b < 0));
    const int bin = ulp_bin(delta, a);
    const uint64_t one = static_cast<uint64_t>(bin != 0) << (bin % 4 * 16);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      bins[i] += bin / 4 == i ? one : 0;
    }
    return changed;
  }

  // Adds eight entries, of which `count` exist. Returns the changed ones as bits.
  template <PairKind kKind>
  __device__ uint32_t add(const Group<kKind>& a, const Group<kKind>& b, int count) {
    const uint32_t suspects = Group<kKind>::suspects(a, b);
    uint32_t changed = 0;
#pragma unroll
    for (int i = 0; i < kEntries; ++i) {
      const double value = a.value(i);
      if ((suspects >> i & 1U) == 0) {
        base_squares += value * value;
      } else if (i < count) {
        changed |= static_cast<uint32_t>(add(value, b.value(i), a.code(i), b.code(i))) << i;
      }
    }
    if (changed != 0) {
      // Moves bit i to byte i.
      uint64_t bytes = (static_cast<uint64_t>(changed & 0xfU) * 0x00204081U & 0x01010101U) |
                       (static_cast<uint64_t>((changed >> 4) * 0x00204081U & 0x01010101U) << 32);
      columns += bytes;
    }
    return changed;
  }
};

// Adds the counts by column for rows of one band of the map, and resets them.
__device__ void flush_columns(const DiffPart& part, int64_t column, uint64_t band, Tally& tally) {
  if (tally.columns == 0) {
    return;
  }
  for (int i = 0; i < kEntries; ++i) {
    const auto count = static_cast<uint32_t>(tally.columns >> (8 * i) & 0xffU);
    if (count == 0) {
      continue;
    }
    const auto j = static_cast<uint64_t>(part.column + column + i);
    if (part.column_changed != nullptr) {
      atomicAdd(reinterpret_cast<unsigned long long*>(part.column_changed + j), static_cast<unsigned long long>(count));
    }
    if (part.map != nullptr) {
      const uint64_t cell = scaled_index(j, static_cast<uint64_t>(part.map_columns), static_cast<uint64_t>(part.all_columns));
      atomicAdd(reinterpret_cast<unsigned long long*>(part.map + band * static_cast<uint64_t>(part.map_columns) + cell),
                static_cast<unsigned long long>(count));
    }
  }
  tally.columns = 0;
}

__device__ uint64_t warp_sum(uint64_t value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kWholeWarp, static_cast<unsigned long long>(value), distance);
  }
  return value;
}
__device__ double warp_max(double value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = fmax(value, __shfl_xor_sync(kWholeWarp, value, distance));
  }
  return value;
}

template <PairKind kKind>
__device__ void load_group(Group<kKind>& group, const Entries& entries, int64_t row, int64_t column, int count) {
  if constexpr (kKind == PairKind::kAny) {
    group.load(entries, row, column, count);
  } else {
    // A lane has all eight entries or none, because columns are a multiple of eight.
    if (count == kEntries) {
      group.load(entries, row, column);
    } else {
      group = {};
    }
  }
}

template <PairKind kKind>
__device__ void run_unit(const DiffPart& part, int64_t unit, int lane) {
  const int64_t strips = (part.columns + kUnitColumns - 1) / kUnitColumns;
  const int64_t first_row = unit / strips * kUnitRows;
  const int64_t column = unit % strips * kUnitColumns + lane * kEntries;
  const int64_t rows = smaller(kUnitRows, part.rows - first_row);
  const auto count = static_cast<int>(larger(0, smaller(kEntries, part.columns - column)));
  constexpr unsigned kRowsAtOnce = kRowsTogether<kKind>;
  Tally tally;
  uint32_t row_counts[kUnitRows / kWarp] = {};
  uint64_t band = 0;
  int64_t band_end = kUnitRows;
  if (part.map != nullptr) {
    band = scaled_index(static_cast<uint64_t>(part.row + first_row), static_cast<uint64_t>(part.map_rows),
                        static_cast<uint64_t>(part.all_rows));
    band_end =
        first_index(band + 1, static_cast<uint64_t>(part.map_rows), static_cast<uint64_t>(part.all_rows)) - part.row - first_row;
  }
  for (int64_t i = 0; i < rows; i += kRowsAtOnce) {
    Group<kKind> a[kRowsAtOnce];
    Group<kKind> b[kRowsAtOnce];
#pragma unroll
    for (unsigned k = 0; k < kRowsAtOnce; ++k) {
      const int there = i + k < rows ? count : 0;
      load_group(a[k], part.base, first_row + i + k, column, there);
      load_group(b[k], part.tuned, first_row + i + k, column, there);
    }
#pragma unroll
    for (unsigned k = 0; k < kRowsAtOnce; ++k) {
      if (i + k >= band_end) {
        flush_columns(part, column, band, tally);
        ++band;
        band_end = first_index(band + 1, static_cast<uint64_t>(part.map_rows), static_cast<uint64_t>(part.all_rows)) - part.row -
                   first_row;
      }
      const uint32_t changed = tally.add(a[k], b[k], i + k < rows ? count : 0);
      if (part.mask != nullptr && i + k < rows && count > 0) {
        part.mask[(first_row + i + k) * part.mask_stride + column / 8] = static_cast<uint8_t>(changed);
      }
      if (part.row_changed != nullptr) {
        const uint32_t sum = __reduce_add_sync(kWholeWarp, static_cast<uint32_t>(__popc(changed)));
        const auto at = static_cast<int>(i + k);
#pragma unroll
        for (int half = 0; half < kUnitRows / kWarp; ++half) {
          row_counts[half] += at == half * kWarp + lane ? sum : 0;
        }
      }
    }
  }
  if (part.column_changed != nullptr || part.map != nullptr) {
    flush_columns(part, column, band, tally);
  }
  if (part.row_changed != nullptr) {
#pragma unroll
    for (int half = 0; half < kUnitRows / kWarp; ++half) {
      if (row_counts[half] != 0) {
        atomicAdd(reinterpret_cast<unsigned long long*>(part.row_changed + part.row + first_row + half * kWarp + lane),
                  static_cast<unsigned long long>(row_counts[half]));
      }
    }
  }
  UnitResult result{};
  result.base_squares = sum_over_warp(tally.base_squares);
  result.delta_squares = sum_over_warp(tally.delta_squares);
  result.delta_dot_base = sum_over_warp(tally.delta_dot_base);
  result.max_abs_delta = warp_max(tally.max_abs_delta);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    result.counts[i] = warp_sum(tally.counts[i]);
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    result.bins[i] = warp_sum(tally.bins[i]);
  }
  if (lane == 0) {
    const int64_t all_strips = (part.all_columns + kUnitColumns - 1) / kUnitColumns;
    part.units[((part.row + first_row) / kUnitRows) * all_strips + part.column / kUnitColumns + unit % strips] = result;
  }
}

// The last part whose first unit is not beyond `unit`.
__device__ int64_t find_part(const DiffPart* parts, int64_t count, int64_t unit) {
  int64_t low = 0;
  int64_t high = count;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (parts[middle].first_unit <= unit) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

template <PairKind kKind>
__global__ void __launch_bounds__(kThreads) diff_kernel(const DiffPart* parts, int64_t part_count, int64_t units) {
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const int64_t warps = static_cast<int64_t>(gridDim.x) * (kThreads / kWarp);
  for (int64_t unit = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp; unit < units; unit += warps) {
    const DiffPart& part = parts[find_part(parts, part_count, unit)];
    run_unit<kKind>(part, unit - part.first_unit, lane);
  }
}

__global__ void __launch_bounds__(kSumThreads) diff_sums_kernel(const UnitRange* ranges, MatrixResult* results) {
  __shared__ MatrixResult parts[kSumThreads];
  const UnitRange range = ranges[blockIdx.x];
  MatrixResult own{};
  for (int64_t i = threadIdx.x; i < range.count; i += kSumThreads) {
    const UnitResult& unit = range.units[i];
    own.base_squares += unit.base_squares;
    own.delta_squares += unit.delta_squares;
    own.delta_dot_base += unit.delta_dot_base;
    own.max_abs_delta = fmax(own.max_abs_delta, unit.max_abs_delta);
#pragma unroll
    for (int j = 0; j < kDiffCounts; ++j) {
      own.counts[j] += static_cast<int64_t>(unit.counts[j / 4] >> (j % 4 * 16) & 0xffffU);
    }
#pragma unroll
    for (int j = 0; j < TG_ULP_BINS; ++j) {
      own.bins[j] += static_cast<int64_t>(unit.bins[j / 4] >> (j % 4 * 16) & 0xffffU);
    }
  }
  parts[threadIdx.x] = own;
  for (unsigned half = kSumThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      MatrixResult& mine = parts[threadIdx.x];
      const MatrixResult& other = parts[threadIdx.x + half];
      mine.base_squares += other.base_squares;
      mine.delta_squares += other.delta_squares;
      mine.delta_dot_base += other.delta_dot_base;
      mine.max_abs_delta = fmax(mine.max_abs_delta, other.max_abs_delta);
      for (int j = 0; j < kDiffCounts; ++j) {
        mine.counts[j] += other.counts[j];
      }
      for (int j = 0; j < TG_ULP_BINS; ++j) {
        mine.bins[j] += other.bins[j];
      }
    }
  }
  if (threadIdx.x == 0) {
    results[blockIdx.x] = parts[0];
  }
}

template <PairKind kKind>
cudaError_t launch_kind(const DiffPart* parts, int64_t part_count, int64_t units, int multiprocessors, cudaStream_t stream) {
  int resident = 1;
  const cudaError_t error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, diff_kernel<kKind>, kThreads, 0);
  if (error != cudaSuccess) {
    return error;
  }
  const int64_t needed = (units + kThreads / kWarp - 1) / (kThreads / kWarp);
  const int64_t blocks = needed < int64_t{multiprocessors} * resident ? needed : int64_t{multiprocessors} * resident;
  return launch({blocks, kThreads}, stream, diff_kernel<kKind>, parts, part_count, units);
}

}  // namespace

cudaError_t launch_diff(PairKind kind, const DiffPart* parts, int64_t part_count, int64_t units, int multiprocessors,
                        cudaStream_t stream) {
  switch (kind) {
    case PairKind::kBf16:
      return launch_kind<PairKind::kBf16>(parts, part_count, units, multiprocessors, stream);
    case PairKind::kFloat:
      return launch_kind<PairKind::kFloat>(parts, part_count, units, multiprocessors, stream);
    default:
      return launch_kind<PairKind::kAny>(parts, part_count, units, multiprocessors, stream);
  }
}

cudaError_t launch_diff_sums(const UnitRange* ranges, int64_t matrices, MatrixResult* results, cudaStream_t stream) {
  return launch({matrices, kSumThreads}, stream, diff_sums_kernel, ranges, results);
}

}  // namespace threegate::cuda
