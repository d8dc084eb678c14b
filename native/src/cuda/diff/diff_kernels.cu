// Each warp takes units of 64 rows by 256 columns of a matrix in the list. It copies tiles of 4 KB of both sides to shared
// memory, and compares one while the next one is on its way. Three parts follow, of which each runs as rarely as it can:
//
// 1. All pairs: 16-byte comparisons, and the square of the base. A sum of squares that is not finite shows the entries that are
// not.
// 2. Where a lane has differing pairs, it takes them one by one from the tile, and puts them into the queue of the warp.
// 3. Whenever 32 pairs are in the queue, each lane does the arithmetic of tg_diff_result on one of them.
//
// Bytes: 4 a pair of bf16. The ceiling is to be the bandwidth: an H200 brings 4 KB to a multiprocessor in the time in which that
// issues 880 instructions of a warp. Instructions for a tile of 1024 pairs of bf16, counted in the code for compute
// capability 9.0: 198 where nothing differs, 80 more where anything does, 68 for each pair of the lane that has most, 46 for
// every 32 pairs, and 28 for the begin and the end of a unit. That makes 450 with 1 % changed, 940 with 10 % and 4,000 with all
// of them. A square takes one conversion to float64 and one fused multiplication. The conversions fill 29 % of their pipe, which
// has a quarter of the rate of others.
//
// Tried before: arithmetic in place, for each of the 32 pairs of a lane. That was 118 KB of code, which no instruction cache
// holds, 24 instructions a pair without changes, and a warp took the long way wherever one lane had to. Doubles built by integers
// take two instructions more than a conversion, and are wrong for subnormal numbers. Squares of codes fit float32, but their sums
// do not, so that each of them is converted too. With 80 registers a sixth block would fit, and the compiler spills for compute
// capability 10.
#include "cuda/support/changes.h"
#include "cuda/support/instructions.h"
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "diff_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarp;
constexpr int kSumThreads = 128;
constexpr int kEntries = 8;  // neighbouring entries of a row that a lane reads
constexpr int kChunks = 4;   // that a lane takes from each side at a time
constexpr int kStages = 2;   // tiles of a warp: the one in use, and the next one
static_assert(kUnitColumns == kEntries * kWarp);

// What a pair of entries counts as, in the terms of tg_diff_result.
struct Verdict {
  bool changed;
  bool bits;
  bool stored;
  bool finite;
};

__device__ Verdict judge(bool stored, bool both_nan, bool finite, uint16_t code_a, uint16_t code_b) {
  const bool bits = code_a != code_b;
  const bool both_zero = ((code_a | code_b) & kBf16Magnitude) == 0;
  return {bits && !both_zero && !both_nan, bits, stored && !both_nan, finite};
}

// How two plain matrices of one dtype are read.
template <PairKind kKind>
struct PairFormat;

template <>
struct PairFormat<PairKind::kBf16> {
  using Element = uint16_t;
  using Packed = uint32_t;  // both codes of a pair, the base in the low half
  static constexpr bool kIsCoded = true;

  __device__ static Packed pack(uint32_t a, uint32_t b, uint32_t entry) {
    const uint32_t shift = entry % 2 * 16;
    return (a >> shift & 0xffffU) | b >> shift << 16;
  }
  __device__ static double base(Packed pair) { return static_cast<double>(__uint_as_float(pair << 16)); }
  __device__ static double tuned(Packed pair) { return static_cast<double>(__uint_as_float(pair & 0xffff0000U)); }
  __device__ static bool finite(Packed pair) {
    // An exponent of all ones carries into the sign bit.
    return (((pair & 0x7f807f80U) + 0x00800080U) & 0x80008000U) == 0;
  }
  // Codes that differ are numbers that differ, unless both are zeros or both are NaN.
  __device__ static Verdict compare(Packed pair) {
    const bool is_finite = finite(pair);
    bool changed = (pair & 0x7fff7fffU) != 0;
    if (!is_finite) {
      changed = (pair & kBf16Magnitude) <= kBf16Infinity || (pair >> 16 & kBf16Magnitude) <= kBf16Infinity;
    }
    return {changed, true, changed, is_finite};
  }
  // Adds the squares of the entries of a word, whose product is exact.
  __device__ static void add_squares(uint32_t word, double& sum) {
    const auto low = static_cast<double>(__uint_as_float(word << 16));
    const auto high = static_cast<double>(__uint_as_float(word & 0xffff0000U));
    sum += low * low;
    sum += high * high;
  }
};

template <>
struct PairFormat<PairKind::kFloat> {
  using Element = uint32_t;
  using Packed = uint2;  // the base and the tuned entry
  static constexpr bool kIsCoded = false;

  __device__ static Packed pack(uint32_t a, uint32_t b, uint32_t) { return {a, b}; }
  __device__ static double base(Packed pair) { return static_cast<double>(__uint_as_float(pair.x)); }
  __device__ static double tuned(Packed pair) { return static_cast<double>(__uint_as_float(pair.y)); }
  __device__ static bool finite(Packed pair) { return isfinite(__uint_as_float(pair.x)) && isfinite(__uint_as_float(pair.y)); }
  __device__ static Verdict compare(Packed pair) {
    const float a = __uint_as_float(pair.x);
    const float b = __uint_as_float(pair.y);
    return judge(a != b, isnan(a) && isnan(b), finite(pair), float_to_bf16(a), float_to_bf16(b));
  }
  __device__ static void add_squares(uint32_t word, double& sum) {
    const auto value = static_cast<double>(__uint_as_float(word));
    sum += value * value;
  }
};

// The counts and sums of one lane for a unit.
struct Tally {
  double base_squares = 0;
  double delta_squares = 0;
  double delta_dot_base = 0;
  double max_abs_delta = 0;
  uint32_t verdicts = 0;  // three fields of ten bits, because a lane has at most 512 entries
  uint32_t others = 0;    // entries that are not finite, and flips of signs in the high half
  uint64_t columns = 0;   // changed entries by column, one byte each

  __device__ void count(uint32_t changed_ones, uint32_t differing_codes, uint32_t differing_entries) {
    verdicts += changed_ones + (differing_codes << 10) + (differing_entries << 20);
  }
  __device__ uint32_t changed() const { return verdicts & 0x3ffU; }
  __device__ uint32_t bits() const { return verdicts >> 10 & 0x3ffU; }
  __device__ uint32_t stored() const { return verdicts >> 20; }
  __device__ void count_non_finite() { ++others; }
  __device__ uint32_t non_finite() const { return others & 0xffffU; }
  __device__ uint32_t sign_flips() const { return others >> 16; }

  // Adds finite entries that differ. Equal ones add nothing, except to the bin 0.
  __device__ void add(double a, double b, uint32_t* bins) {
    const double delta = b - a;
    delta_squares += delta * delta;
    delta_dot_base += delta * a;
    max_abs_delta = fabs(delta) > max_abs_delta ? fabs(delta) : max_abs_delta;
    others += (a < 0 && b > 0) || (a > 0 && b < 0) ? 1U << 16 : 0U;
    atomicAdd(&bins[ulp_bin(delta, a)], 1U);
  }
};

// The shared memory of a warp.
template <PairKind kKind>
struct WarpMemory {
  uint4 tiles[kStages][2][kChunks][kWarp];              // of both sides
  typename PairFormat<kKind>::Packed queue[2 * kWarp];  // changed pairs in turn
  uint32_t bins[16];
  DiffPart part;  // here it takes no registers, and no stores of the kernel can change it
};
template <>
struct WarpMemory<PairKind::kAny> {
  uint32_t bins[16];
  DiffPart part;
};

// The place of a unit in its part. `column` is the first column of the lane.
struct Place {
  int64_t first_row;
  int64_t column;
  int64_t column_step;  // between the columns of a lane
};

// Adds the counts by column for rows of one band of the map, and resets them.
__device__ void flush_columns(const DiffPart& part, const Place& place, uint64_t band, Tally& tally) {
  for (int i = 0; tally.columns != 0; ++i) {
    const auto count = static_cast<unsigned long long>(tally.columns & 0xffU);
    tally.columns >>= 8;
    if (count == 0) {
      continue;
    }
    const auto j = static_cast<uint64_t>(part.column + place.column + i * place.column_step);
    if (part.column_changed != nullptr) {
      atomicAdd(reinterpret_cast<unsigned long long*>(part.column_changed + j), count);
    }
    if (part.map != nullptr) {
      const uint64_t cell = scaled_index(j, static_cast<uint64_t>(part.map_columns), static_cast<uint64_t>(part.all_columns),
                                         part.map_columns_of_one);
      atomicAdd(reinterpret_cast<unsigned long long*>(part.map + band * static_cast<uint64_t>(part.map_columns) + cell), count);
    }
  }
}

// Moves bit i to byte i.
__device__ uint64_t spread(uint32_t bits) {
  constexpr uint32_t kCopies = 0x00204081U;
  constexpr uint32_t kLowest = 0x01010101U;
  return static_cast<uint64_t>((bits >> 4) * kCopies & kLowest) << 32 | ((bits & 0xfU) * kCopies & kLowest);
}

__device__ uint32_t lowest_bit(uint32_t bits) { return static_cast<uint32_t>(__ffs(static_cast<int>(bits)) - 1); }

__device__ void add_to_row(const DiffPart& part, int64_t row, uint32_t count) {
  if (count != 0) {
    atomicAdd(reinterpret_cast<unsigned long long*>(part.row_changed + part.row + row), static_cast<unsigned long long>(count));
  }
}

// Adds changed entries to the mask and to the counts by row and column. Byte i of `changed` has those of the lane in row `row` +
// i.
template <int kRows>
__device__ void record_changes(const DiffPart& part, const Place& place, int row, int end, uint32_t changed, int lane,
                               Tally& tally) {
  if (part.column_changed != nullptr || part.map != nullptr) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      tally.columns += spread(changed >> (8 * i) & 0xffU);
    }
  }
  if (part.mask != nullptr && changed != 0) {
    uint8_t* const mask = part.mask + (place.first_row + row) * part.mask_stride + place.column / 8;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (row + i < end) {
        mask[i * part.mask_stride] = static_cast<uint8_t>(changed >> (8 * i));
      }
    }
  }
  if (part.row_changed != nullptr) {
    uint32_t counts = changed - (changed >> 1 & 0x55555555U);
    counts = (counts & 0x33333333U) + (counts >> 2 & 0x33333333U);
    counts = (counts + (counts >> 4)) & 0x0f0f0f0fU;  // of each byte, which is a row
    const uint32_t even = __reduce_add_sync(kWholeWarp, counts & 0x00ff00ffU);
    const uint32_t odd = __reduce_add_sync(kWholeWarp, counts >> 8 & 0x00ff00ffU);
    if (lane < kRows) {
      add_to_row(part, place.first_row + row + lane, (lane % 2 == 0 ? even : odd) >> (lane / 2 * 16) & 0xffffU);
    }
  }
}

// Compares rows of a unit whose entries are read in chunks.
template <PairKind kKind>
__device__ void compare_rows(const DiffPart& part, const Place& place, int begin, int end, WarpMemory<kKind>& memory, int lane,
                             Tally& tally) {
  using Own = PairFormat<kKind>;
  using Element = typename Own::Element;
  constexpr unsigned kEach = kChunkElements<Element>;
  constexpr int kRowChunks = kEntries / static_cast<int>(kEach);  // of a lane in a row
  constexpr int kRows = kChunks / kRowChunks;                     // in a tile
  constexpr uint32_t kPairs = kRows * kEntries;                   // of a lane in a tile
  // A lane has all eight columns or none, because columns are a multiple of eight.
  const bool has_columns = place.column < part.columns;
  const int64_t base_step = part.base.row_stride * static_cast<int64_t>(sizeof(Element));
  const int64_t tuned_step = part.tuned.row_stride * static_cast<int64_t>(sizeof(Element));
  const int64_t bytes = place.column * static_cast<int64_t>(sizeof(Element));
  const uint8_t* base = part.base.data + (place.first_row + begin) * base_step + bytes;
  const uint8_t* tuned = part.tuned.data + (place.first_row + begin) * tuned_step + bytes;
  const auto start_copies = [&](int stage, int row) {
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const bool copies = has_columns && row + chunk / kRowChunks < end;
      copy_16_or_zeros_asynchronously(&memory.tiles[stage][0][chunk][lane], base + chunk % kRowChunks * kChunkBytes, copies);
      copy_16_or_zeros_asynchronously(&memory.tiles[stage][1][chunk][lane], tuned + chunk % kRowChunks * kChunkBytes, copies);
      if (chunk % kRowChunks == kRowChunks - 1) {
        base += base_step;
        tuned += tuned_step;
      }
    }
    commit_copies();
  };
  uint32_t pushed = 0;
  uint32_t worked_off = 0;
  const auto work_off = [&](uint32_t count) {
    __syncwarp();
    const auto at = (worked_off + static_cast<uint32_t>(lane)) % (2 * kWarp);
    const typename Own::Packed pair = static_cast<uint32_t>(lane) < count ? memory.queue[at] : typename Own::Packed{};
    worked_off += count;
    tally.add(Own::base(pair), Own::tuned(pair), memory.bins);
    __syncwarp();
  };
  start_copies(0, begin);
  int stage = 0;
  for (int row = begin; row < end; row += kRows, stage ^= 1) {
    start_copies(stage ^ 1, row + kRows);
    wait_for_copies<1>();
    const auto& tile = memory.tiles[stage];
    uint4 a[kChunks];
    uint4 b[kChunks];
    double squares[2] = {0, 0};
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      a[chunk] = tile[0][chunk][lane];
      b[chunk] = tile[1][chunk][lane];
    }
#pragma unroll
    for (int i = 0; i < kChunks * kChunkWords; ++i) {
      Own::add_squares(word_of(a[i / kChunkWords], i % kChunkWords), squares[i % 2]);
    }
    double sum = squares[0] + squares[1];
    // Squares of finite entries are finite in float64.
    bool spoiled = !isfinite(sum);
    const auto pair_at = [&](uint32_t i) {
      constexpr uint32_t kWordEntries = 4 / sizeof(Element);
      const auto* const x = reinterpret_cast<const uint32_t*>(&tile[0][i / kEach][lane]);
      const auto* const y = reinterpret_cast<const uint32_t*>(&tile[1][i / kEach][lane]);
      const uint32_t word = i % kEach / kWordEntries;
      return Own::pack(x[word], y[word], i);
    };
    const uint32_t differ = differing<Element>(a, b);
    const auto differing_pairs = static_cast<uint32_t>(__popc(differ));
    const unsigned most = __reduce_max_sync(kWholeWarp, differing_pairs);
    if (most != 0) {
      uint32_t changed = differ;
      uint32_t rest = differ;
      for (unsigned turn = 0; turn < most; ++turn) {
        bool pushes = false;
        typename Own::Packed pair{};
        if (rest != 0) {
          const uint32_t i = lowest_bit(rest);
          rest &= rest - 1;
          pair = pair_at(i);
          const Verdict verdict = Own::compare(pair);
          spoiled = spoiled || !verdict.finite;
          pushes = verdict.stored && verdict.finite;
          if (!verdict.changed) {
            changed ^= 1U << i;
          }
          if constexpr (!Own::kIsCoded) {
            tally.count(0, verdict.bits ? 1 : 0, verdict.stored ? 1 : 0);
          }
        }
        const unsigned pushing = __ballot_sync(kWholeWarp, pushes ? 1 : 0);
        if (pushes) {
          memory.queue[(pushed + static_cast<uint32_t>(__popc(pushing & ((1U << lane) - 1)))) % (2 * kWarp)] = pair;
        }
        pushed += static_cast<uint32_t>(__popc(pushing));
        if (pushed - worked_off >= kWarp) {
          work_off(kWarp);
        }
      }
      const auto found = static_cast<uint32_t>(__popc(changed));
      tally.count(found, Own::kIsCoded ? differing_pairs : 0, Own::kIsCoded ? found : 0);
      record_changes<kRows>(part, place, row, end, changed, lane, tally);
    }
    if (spoiled) {
      sum = 0;
#pragma unroll 1
      for (uint32_t i = 0; i < kPairs; ++i) {
        const typename Own::Packed pair = pair_at(i);
        if (Own::finite(pair)) {
          sum += Own::base(pair) * Own::base(pair);
        } else {
          tally.count_non_finite();
        }
      }
    }
    tally.base_squares += sum;
  }
  wait_for_copies<0>();
  if (pushed != worked_off) {
    work_off(pushed - worked_off);
  }
}

// Compares rows of a unit of any operands, 32 neighbouring columns at a time.
template <>
__device__ void compare_rows<PairKind::kAny>(const DiffPart& part, const Place& place, int begin, int end,
                                             WarpMemory<PairKind::kAny>& memory, int lane, Tally& tally) {
  for (int64_t row = place.first_row + begin; row < place.first_row + end; ++row) {
    uint32_t of_row = 0;
#pragma unroll 1
    for (int i = 0; i < kEntries; ++i) {
      const int64_t column = place.column + i * kWarp;
      Verdict verdict{};
      if (column < part.columns) {
        const double a = entry(part.base, row, column);
        const double b = entry(part.tuned, row, column);
        verdict = judge(a != b, isnan(a) && isnan(b), isfinite(a) && isfinite(b), entry_code(part.base, row, column, a),
                        entry_code(part.tuned, row, column, b));
        tally.count(verdict.changed ? 1 : 0, verdict.bits ? 1 : 0, verdict.stored ? 1 : 0);
        if (!verdict.finite) {
          tally.count_non_finite();
        } else {
          tally.base_squares += a * a;
          if (verdict.stored) {
            tally.add(a, b, memory.bins);
          }
        }
      }
      const unsigned changed = __ballot_sync(kWholeWarp, verdict.changed ? 1 : 0);
      tally.columns += static_cast<uint64_t>(verdict.changed) << (8 * i);
      of_row += static_cast<uint32_t>(__popc(changed));
      if (part.mask != nullptr && changed != 0 && lane == 0) {
        *reinterpret_cast<uint32_t*>(part.mask + row * part.mask_stride + column / 8) = changed;
      }
    }
    if (part.row_changed != nullptr && lane == 0) {
      add_to_row(part, row, of_row);
    }
  }
}

__device__ double warp_max(double value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = fmax(value, __shfl_xor_sync(kWholeWarp, value, distance));
  }
  return value;
}

// Writes the sums over the lanes.
__device__ void write_result(UnitResult& result, const Tally& tally, const uint32_t* bins, int lane) {
  const double base_squares = sum_over_warp(tally.base_squares);
  const double delta_squares = sum_over_warp(tally.delta_squares);
  const double delta_dot_base = sum_over_warp(tally.delta_dot_base);
  const double max_abs_delta = warp_max(tally.max_abs_delta);
  const uint32_t counts[kDiffCounts] = {tally.changed(),    tally.bits(),      tally.stored(), tally.stored() - tally.changed(),
                                        tally.non_finite(), tally.sign_flips()};
  uint32_t sums[kDiffCounts];
#pragma unroll
  for (int i = 0; i < kDiffCounts; ++i) {
    sums[i] = __reduce_add_sync(kWholeWarp, counts[i]);
  }
  __syncwarp();
  if (lane == 0) {
    result.base_squares = base_squares;
    result.delta_squares = delta_squares;
    result.delta_dot_base = delta_dot_base;
    result.max_abs_delta = max_abs_delta;
#pragma unroll
    for (int i = 0; i < kDiffCounts; ++i) {
      result.counts[i] = static_cast<uint16_t>(sums[i]);
    }
  }
  if (lane < TG_ULP_BINS) {
    result.bins[lane] = static_cast<uint16_t>(bins[lane]);
  }
}

template <PairKind kKind>
__device__ void run_unit(const DiffPart& listed, int64_t unit, WarpMemory<kKind>& memory, int lane) {
  constexpr int kPartWords = sizeof(DiffPart) / sizeof(uint64_t);
  __syncwarp();
  for (int i = lane; i < kPartWords; i += kWarp) {
    reinterpret_cast<uint64_t*>(&memory.part)[i] = reinterpret_cast<const uint64_t*>(&listed)[i];
  }
  if (lane < 16) {
    memory.bins[lane] = 0;
  }
  __syncwarp();
  const DiffPart& part = memory.part;
  unit -= part.first_unit;
  const int64_t strips = (part.columns + kUnitColumns - 1) / kUnitColumns;
  const int64_t strip = unit % strips;
  constexpr bool kInChunks = kKind != PairKind::kAny;
  const Place place{unit / strips * kUnitRows, strip * kUnitColumns + (kInChunks ? lane * kEntries : lane),
                    kInChunks ? 1 : kWarp};
  const auto rows = static_cast<int>(smaller(kUnitRows, part.rows - place.first_row));
  Tally tally;
  // Rows of one band of the map share the counts by column.
  for (int begin = 0; begin < rows;) {
    int end = rows;
    uint64_t band = 0;
    if (part.map != nullptr) {
      band = scaled_index(static_cast<uint64_t>(part.row + place.first_row + begin), static_cast<uint64_t>(part.map_rows),
                          static_cast<uint64_t>(part.all_rows), part.map_rows_of_one);
      const auto next = static_cast<int64_t>(first_index(band + 1, static_cast<uint64_t>(part.map_rows),
                                                         static_cast<uint64_t>(part.all_rows), part.rows_of_map_row));
      end = static_cast<int>(smaller(rows, next - part.row - place.first_row));
    }
    compare_rows<kKind>(part, place, begin, end, memory, lane, tally);
    if (part.column_changed != nullptr || part.map != nullptr) {
      flush_columns(part, place, band, tally);
    }
    begin = end;
  }
  const int64_t all_strips = (part.all_columns + kUnitColumns - 1) / kUnitColumns;
  UnitResult& result = part.units[(part.row + place.first_row) / kUnitRows * all_strips + part.column / kUnitColumns + strip];
  write_result(result, tally, memory.bins, lane);
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

// The blocks of a multiprocessor for which the compiler leaves registers.
template <PairKind kKind>
constexpr int kBlocks = kKind == PairKind::kAny ? 4 : 5;

template <PairKind kKind>
__global__ void __launch_bounds__(kThreads, kBlocks<kKind>)
    diff_kernel(const DiffPart* parts, int64_t part_count, int64_t units) {
  __shared__ WarpMemory<kKind> memory[kWarps];
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const int64_t warps = static_cast<int64_t>(gridDim.x) * kWarps;
  for (int64_t unit = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp; unit < units; unit += warps) {
    run_unit<kKind>(parts[find_part(parts, part_count, unit)], unit, memory[threadIdx.x / kWarp], lane);
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
      own.counts[j] += unit.counts[j];
    }
#pragma unroll
    for (int j = 0; j < TG_ULP_BINS; ++j) {
      own.bins[j] += unit.bins[j];
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
  const int64_t needed = (units + kWarps - 1) / kWarps;
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
