// The NEON variants. The bf16 one follows block_avx2.cpp: NEON has no compress instruction either. If few entries changed, their
// pairs are fetched one by one. If many changed, a table of byte shuffles moves them together.
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "block.h"
#include "column_counts.h"
#include "compress_table.h"
#include "cpu/support/neon.h"
#include "cpu/support/operand.h"
#include "ulp_histogram.h"

namespace threegate::diff {
namespace {

typedef uint64_t Word2 __attribute__((vector_size(16)));

constexpr int64_t kWidth = 8;    // codes of a vector
constexpr int64_t kGroup = 64;   // pairs whose comparison gives one word of the mask
constexpr int64_t kVectors = 8;  // vectors of a group
constexpr int64_t kQueue = 4096;
constexpr int64_t kPairVectors = 3;  // vectors of eight pairs, with four additions each, before the histogram must be spilled
constexpr int kSparse = 8;           // changed entries of a group up to which they are fetched one by one
constexpr int64_t kPrefetchBytes = 4096;
constexpr int64_t kLine = 64;

[[gnu::always_inline]] inline uint16x8_t load_codes(const void* from) {
  return vreinterpretq_u16_u8(vld1q_u8(static_cast<const uint8_t*>(from)));
}

// The lower and the upper four of eight codes as floats, whose bits they begin.
[[gnu::always_inline]] inline uint32x4_t low_bits(uint16x8_t codes) { return vshll_n_u16(vget_low_u16(codes), 16); }
[[gnu::always_inline]] inline uint32x4_t high_bits(uint16x8_t codes) { return vshll_high_n_u16(codes, 16); }

[[gnu::always_inline]] inline float64x2_t low_doubles(uint32x4_t bits) {
  return vcvt_f64_f32(vget_low_f32(vreinterpretq_f32_u32(bits)));
}
[[gnu::always_inline]] inline float64x2_t high_doubles(uint32x4_t bits) { return vcvt_high_f64_f32(vreinterpretq_f32_u32(bits)); }

// Sums over the differences of pairs, two per vector.
struct DeltaSums2 {
  float64x2_t squares = vdupq_n_f64(0);
  float64x2_t dot = vdupq_n_f64(0);
  float64x2_t max = vdupq_n_f64(0);

  // Returns the bits of |b - a|.
  [[gnu::always_inline]] uint64x2_t add(float64x2_t a, float64x2_t b) {
    const float64x2_t delta = vsubq_f64(b, a);
    const float64x2_t magnitude = vabsq_f64(delta);
    squares = vfmaq_f64(squares, delta, delta);
    dot = vfmaq_f64(dot, delta, a);
    max = vmaxq_f64(max, magnitude);
    return vreinterpretq_u64_f64(magnitude);
  }
};

// The upper halves of four numbers of 64 bits.
[[gnu::always_inline]] inline uint32x4_t upper_halves(uint64x2_t low, uint64x2_t high) {
  return vuzp2q_u32(vreinterpretq_u32_u64(low), vreinterpretq_u32_u64(high));
}

// Sums and bins of pairs, four at a time.
struct PairSums {
  DeltaSums2 low;
  DeltaSums2 high;

  // Makes two additions to the histogram. A pair without a difference comes to bin 0, which is not counted.
  [[gnu::always_inline]] void add(float64x2_t a_low, float64x2_t a_high, float64x2_t b_low, float64x2_t b_high,
                                  UlpHistogram<Word2>& histogram) {
    const uint64x2_t low_magnitude = low.add(a_low, b_low);
    const uint64x2_t high_magnitude = high.add(a_high, b_high);
    const uint64x2_t below = vdupq_n_u64(0xfffffffffffffU);
    const uint32x4_t sums = vaddhn_high_u64(vaddhn_u64(low_magnitude, below), high_magnitude, below);
    const int32x4_t ceiling = vreinterpretq_s32_u32(vshrq_n_u32(sums, 20));
    const uint32x4_t base = upper_halves(vreinterpretq_u64_f64(a_low), vreinterpretq_u64_f64(a_high));
    const uint32x4_t smallest = vdupq_n_u32(static_cast<uint32_t>(kSmallestNormalExponent));
    const int32x4_t exponent = vreinterpretq_s32_u32(vmaxq_u32(vshrq_n_u32(vshlq_n_u32(base, 1), 21), smallest));
    const int32x4_t power = vaddq_s32(vsubq_s32(ceiling, exponent), vdupq_n_s32(10));
    // 1 where there is a difference, even a tiny one.
    const uint32x4_t differs = vcombine_u32(vmovn_u64(vtstq_u64(low_magnitude, low_magnitude)),  //
                                            vmovn_u64(vtstq_u64(high_magnitude, high_magnitude)));
    const int32x4_t least = vreinterpretq_s32_u32(vshrq_n_u32(differs, 31));
    const int32x4_t bin = vminq_s32(vmaxq_s32(power, least), vdupq_n_s32(TG_ULP_BINS - 1));
    const int32x4_t shift = vshlq_n_s32(bin, 2);
    const uint64x2_t one = vdupq_n_u64(1);
    histogram.add(reinterpret_cast<Word2>(vshlq_u64(one, vmovl_s32(vget_low_s32(shift)))));
    histogram.add(reinterpret_cast<Word2>(vshlq_u64(one, vmovl_high_s32(shift))));
  }
};

// The sums of all pairs. There are two sets, so that an addition need not wait for the one before.
struct AllSums {
  PairSums first;
  PairSums second;

  void finish(BlockResult& result) const {
    result.delta_squares = total(&DeltaSums2::squares);
    result.delta_dot_base = total(&DeltaSums2::dot);
    result.max_abs_delta =
        vmaxvq_f64(vmaxq_f64(vmaxq_f64(first.low.max, first.high.max), vmaxq_f64(second.low.max, second.high.max)));
  }

 private:
  [[nodiscard]] double total(float64x2_t DeltaSums2::*field) const {
    return vaddvq_f64(
        vaddq_f64(vaddq_f64(first.low.*field, first.high.*field), vaddq_f64(second.low.*field, second.high.*field)));
  }
};

// The queue of pairs that differ. The number of waiting pairs is a local variable of the caller, because a member would go
// through memory.
class ChangedQueue {
 public:
  // Appends the marked ones of eight pairs. Returns the new number of waiting pairs.
  [[gnu::always_inline]] int64_t push(int64_t size, uint32_t lanes, uint16x8_t base, uint16x8_t tuned) {
    const uint8x16_t shuffle = vld1q_u8(kCompress.shuffle[lanes]);
    vst1q_u16(base_ + size, vreinterpretq_u16_u8(vqtbl1q_u8(vreinterpretq_u8_u16(base), shuffle)));
    vst1q_u16(tuned_ + size, vreinterpretq_u16_u8(vqtbl1q_u8(vreinterpretq_u8_u16(tuned), shuffle)));
    return size + __builtin_popcount(lanes);
  }

  [[gnu::always_inline]] int64_t push_one(int64_t size, uint16_t base, uint16_t tuned) {
    base_[size] = base;
    tuned_[size] = tuned;
    return size + 1;
  }

  // Empties the queue if it has no room for another group.
  [[gnu::always_inline]] int64_t drain_when_full(int64_t size) {
    if (__builtin_expect(size <= kQueue - kGroup, 1)) {
      return size;
    }
    drain(size);
    return 0;
  }

  void finish(int64_t size, BlockResult& result) {
    drain(size);
    result.sign_flips = sign_flips_;
    copy_bins(bins_, result);
    sums_.finish(result);
  }

 private:
  [[gnu::noinline]] void drain(int64_t size) {
    // The rest of the last vector is filled with pairs of zeros, which add nothing.
    std::fill_n(base_ + size, kWidth * kPairVectors, uint16_t{0});
    std::fill_n(tuned_ + size, kWidth * kPairVectors, uint16_t{0});
    AllSums sums = sums_;
    UlpHistogram<Word2> histogram;
    uint16x8_t flips = vdupq_n_u16(0);  // of up to kQueue / kWidth pairs a lane
    for (int64_t i = 0; i < size; i += kWidth * kPairVectors) {
      for (int64_t j = i; j < i + kWidth * kPairVectors; j += kWidth) {
        const uint16x8_t a = load_codes(base_ + j);
        const uint16x8_t b = load_codes(tuned_ + j);
        const uint16x8_t magnitude = vdupq_n_u16(0x7fff);
        const uint16x8_t opposite = vcltzq_s16(vreinterpretq_s16_u16(veorq_u16(a, b)));
        const uint16x8_t nonzero = vandq_u16(vtstq_u16(a, magnitude), vtstq_u16(b, magnitude));
        flips = vsubq_u16(flips, vandq_u16(opposite, nonzero));
        add(low_bits(a), low_bits(b), sums.first, histogram);
        add(high_bits(a), high_bits(b), sums.second, histogram);
      }
      histogram.spill(bins_);
    }
    histogram.flush(bins_);
    sums_ = sums;
    sign_flips_ += vaddlvq_u16(flips);
  }

  // Adds four pairs of floats.
  [[gnu::always_inline]] static void add(uint32x4_t a, uint32x4_t b, PairSums& sums, UlpHistogram<Word2>& histogram) {
    sums.add(low_doubles(a), high_doubles(a), low_doubles(b), high_doubles(b), histogram);
  }

  AllSums sums_;
  int64_t bins_[16] = {};
  int64_t sign_flips_ = 0;
  alignas(64) uint16_t base_[kQueue + kWidth * kPairVectors];
  alignas(64) uint16_t tuned_[kQueue + kWidth * kPairVectors];
};

// The squares of the even and odd entries of eight bf16 codes, each in two vectors of doubles.
struct BaseSquares {
  float64x2_t sum[4] = {vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f64(0)};

  [[gnu::always_inline]] void add(uint16x8_t codes) {
    const uint32x4_t even = vshlq_n_u32(vreinterpretq_u32_u16(codes), 16);
    const uint32x4_t odd = vandq_u32(vreinterpretq_u32_u16(codes), vdupq_n_u32(0xffff0000U));
    const float64x2_t values[4] = {low_doubles(even), high_doubles(even), low_doubles(odd), high_doubles(odd)};
    for (int i = 0; i < 4; ++i) {
      sum[i] = vfmaq_f64(sum[i], values[i], values[i]);
    }
  }
  [[nodiscard]] double total() const { return vaddvq_f64(vaddq_f64(vaddq_f64(sum[0], sum[1]), vaddq_f64(sum[2], sum[3]))); }
};

// 64 pairs.
struct Group {
  uint16x8_t base[kVectors];
  uint16x8_t tuned[kVectors];

  [[gnu::always_inline]] void load(const uint8_t* base_codes, const uint8_t* tuned_codes) {
    for (int64_t k = 0; k < kVectors; ++k) {
      base[k] = load_codes(base_codes + 2 * kWidth * k);
      tuned[k] = load_codes(tuned_codes + 2 * kWidth * k);
    }
  }
};

// The vector operations of block_wide.h. Addresses are those of 64 entries, of any alignment.
struct WideLanes {
  static constexpr int64_t kVectorsPerSpill = kPairVectors;

  // 64 for 0.
  [[gnu::always_inline]] static int64_t trailing_zeros(uint64_t bits) { return bits == 0 ? 64 : __builtin_ctzll(bits); }

  // One bit for each entry whose bits differ.
  [[gnu::always_inline]] static uint64_t differing(const uint8_t* a, const uint8_t* b, float /*type*/) {
    uint32x4_t same[16];
    for (int64_t k = 0; k < 16; ++k) {
      same[k] = vceqq_u32(load4(a + 16 * k), load4(b + 16 * k));
    }
    return ~lane_bits(same);
  }
  [[gnu::always_inline]] static uint64_t differing(const uint8_t* a, const uint8_t* b, double /*type*/) {
    uint64x2_t same[32];
    for (int64_t k = 0; k < 32; ++k) {
      same[k] = vceqq_u64(vreinterpretq_u64_u8(vld1q_u8(a + 16 * k)), vreinterpretq_u64_u8(vld1q_u8(b + 16 * k)));
    }
    return ~lane_bits(same);
  }

  // One bit for each entry whose numbers differ, which those of zeros do not.
  [[gnu::always_inline]] static uint64_t unequal(const uint8_t* a, const uint8_t* b, float /*type*/) {
    uint32x4_t same[16];
    for (int64_t k = 0; k < 16; ++k) {
      same[k] = vceqq_f32(vreinterpretq_f32_u32(load4(a + 16 * k)), vreinterpretq_f32_u32(load4(b + 16 * k)));
    }
    return ~lane_bits(same);
  }
  [[gnu::always_inline]] static uint64_t unequal(const uint8_t* a, const uint8_t* b, double /*type*/) {
    uint64x2_t same[32];
    for (int64_t k = 0; k < 32; ++k) {
      same[k] = vceqq_f64(load2<double>(a + 16 * k), load2<double>(b + 16 * k));
    }
    return ~lane_bits(same);
  }

  // double_to_float_odd of 64 entries, which is an instruction here.
  static void narrow(const uint8_t* wide, float* out) {
    for (int64_t k = 0; k < 16; ++k) {
      const float32x2_t low = vcvtx_f32_f64(load2<double>(wide + 32 * k));
      vst1q_f32(out + 4 * k, vcvtx_high_f32_f64(low, load2<double>(wide + 32 * k + 16)));
    }
  }

  // Returns one bit for each entry whose bf16 codes differ, except where both are zeros. `bits` receives the number of entries
  // whose codes differ, and `flips` that of the entries with opposite signs of which neither is 0.
  [[gnu::always_inline]] static uint64_t compare_codes(const uint8_t* a, const uint8_t* b, int64_t& bits, int64_t& flips) {
    uint32x4_t changed[16];
    uint32x4_t differ_count = vdupq_n_u32(0);
    uint32x4_t flip_count = vdupq_n_u32(0);
    for (int64_t k = 0; k < 16; ++k) {
      const uint32x4_t x = load4(a + 16 * k);
      const uint32x4_t y = load4(b + 16 * k);
      const uint32x4_t x_code = code(x);
      const uint32x4_t y_code = code(y);
      const uint32x4_t differ = vmvnq_u32(vceqq_u32(x_code, y_code));
      changed[k] = vandq_u32(differ, vtstq_u32(vorrq_u32(x_code, y_code), vdupq_n_u32(0x7fff)));
      const uint32x4_t magnitude = vdupq_n_u32(0x7fffffff);
      const uint32x4_t opposite = vcltzq_s32(vreinterpretq_s32_u32(veorq_u32(x, y)));
      const uint32x4_t nonzero = vandq_u32(vtstq_u32(x, magnitude), vtstq_u32(y, magnitude));
      // A true comparison is -1.
      differ_count = vsubq_u32(differ_count, differ);
      flip_count = vsubq_u32(flip_count, vandq_u32(opposite, nonzero));
    }
    bits += vaddvq_u32(differ_count);
    flips += vaddvq_u32(flip_count);
    return lane_bits(changed);
  }

  // Adds the bits of a word to 64 counters.
  [[gnu::always_inline]] static void count_columns(uint16_t* columns, uint64_t changed) {
    const uint16_t powers[kWidth] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16x8_t places = vld1q_u16(powers);
    for (int64_t k = 0; k < kVectors; ++k) {
      const uint16x8_t minus = vtstq_u16(vdupq_n_u16(static_cast<uint16_t>(changed >> (kWidth * k))), places);
      vst1q_u16(columns + kWidth * k, vsubq_u16(vld1q_u16(columns + kWidth * k), minus));
    }
  }

  // Appends the marked ones of 64 entries to a queue, which may be written up to 64 entries beyond its new end.
  template <typename V>
  [[gnu::always_inline]] static void compress(const uint8_t* from, uint64_t marked, V* to) {
    for (; marked != 0; marked &= marked - 1) {
      std::memcpy(to++, from + static_cast<int64_t>(sizeof(V)) * __builtin_ctzll(marked), sizeof(V));
    }
  }

  // The sum of squares of all entries.
  struct Squares {
    float64x2_t sum[4] = {vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f64(0)};

    template <typename V>
    [[gnu::always_inline]] void add64(const uint8_t* a) {
      for (int64_t k = 0; k < 32; ++k) {
        const float64x2_t v = load2<V>(a + static_cast<int64_t>(2 * sizeof(V)) * k);
        sum[k % 4] = vfmaq_f64(sum[k % 4], v, v);
      }
    }
    [[nodiscard]] double total() const { return vaddvq_f64(vaddq_f64(vaddq_f64(sum[0], sum[1]), vaddq_f64(sum[2], sum[3]))); }
  };

  // The sums over the differences of pairs, eight at a time.
  struct Deltas {
    AllSums sums;

    // Makes four additions to the histogram.
    template <typename V>
    [[gnu::always_inline]] void add8(const V* a, const V* b, UlpHistogram<Word2>& histogram) {
      sums.first.add(of(a), of(a + 2), of(b), of(b + 2), histogram);
      sums.second.add(of(a + 4), of(a + 6), of(b + 4), of(b + 6), histogram);
    }
    void finish(BlockResult& result) const { sums.finish(result); }
  };
  using Histogram = UlpHistogram<Word2>;

 private:
  [[gnu::always_inline]] static uint32x4_t load4(const uint8_t* address) { return vreinterpretq_u32_u8(vld1q_u8(address)); }
  template <typename V>
  [[gnu::always_inline]] static float64x2_t load2(const uint8_t* address) {
    if constexpr (sizeof(V) == sizeof(double)) {
      return vreinterpretq_f64_u8(vld1q_u8(address));
    } else {
      return vcvt_f64_f32(vreinterpret_f32_u8(vld1_u8(address)));
    }
  }
  template <typename V>
  [[gnu::always_inline]] static float64x2_t of(const V* values) {
    return load2<V>(reinterpret_cast<const uint8_t*>(values));
  }
  // Rounds to bf16, to nearest and ties to even, as float_to_bf16 does. A NaN need not be right.
  [[gnu::always_inline]] static uint32x4_t code(uint32x4_t bits) {
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    return vshrq_n_u32(vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd), 16);
  }
};

}  // namespace
}  // namespace threegate::diff

// after the lanes
#include "block_wide.h"

namespace threegate::diff {

bool block_wide_neon(const BlockInput& input, BlockResult& result) { return block_staged<NoGroups>(input, result); }

bool block_bf16_neon(const BlockInput& input, BlockResult& result) {
  result.clear(input.rows, input.columns);
  ChangedQueue queue;
  BaseSquares squares;
  int64_t waiting = 0;
  for (int64_t i = 0; i < input.rows; ++i) {
    const int64_t row = input.row + i;
    const uint8_t* base = element_address(input.base.operand->values, input.base.row + i, input.base.column);
    const uint8_t* tuned = element_address(input.tuned.operand->values, input.tuned.row + i, input.tuned.column);
    int64_t changed_count = 0;
    uint16x8_t bits_count = vdupq_n_u16(0);  // of up to kBlockColumns / kWidth pairs a lane
    const auto step = [&](int64_t j, const Group& group) __attribute__((always_inline)) {
      uint16x8_t lanes[kVectors];
      for (int64_t k = 0; k < kVectors; ++k) {
        const uint16x8_t equal = vceqq_u16(group.base[k], group.tuned[k]);
        const uint16x8_t nonzero = vtstq_u16(vorrq_u16(group.base[k], group.tuned[k]), vdupq_n_u16(0x7fff));
        squares.add(group.base[k]);
        bits_count = vsubq_u16(bits_count, vmvnq_u16(equal));
        lanes[k] = vbicq_u16(nonzero, equal);
      }
      const uint64_t changed = lane_bits(lanes);
      const int count = __builtin_popcountll(changed);
      changed_count += count;
      if (count <= kSparse) {
        for (uint64_t left = changed; left != 0; left &= left - 1) {
          const int64_t column = j + __builtin_ctzll(left);
          // The operands have any alignment.
          waiting = queue.push_one(waiting, load<uint16_t>(base + 2 * column), load<uint16_t>(tuned + 2 * column));
          ++result.column_changed[column];
        }
      } else {
        for (int64_t k = 0; k < kVectors; ++k) {
          uint16_t* columns = result.column_changed + j + kWidth * k;
          vst1q_u16(columns, vsubq_u16(vld1q_u16(columns), lanes[k]));
          waiting = queue.push(waiting, static_cast<uint32_t>(changed >> (kWidth * k)) & 0xffU, group.base[k], group.tuned[k]);
        }
      }
      waiting = queue.drain_when_full(waiting);
      return changed;
    };
    uint64_t* words = input.mask == nullptr ? nullptr : input.mask + row * input.mask_stride + input.column / kGroup;
    for (int64_t j = 0; j < input.columns; j += kGroup) {
      for (int64_t line = 0; line < 2 * kGroup; line += kLine) {
        __builtin_prefetch(base + 2 * j + kPrefetchBytes + line, 0, 0);
        __builtin_prefetch(tuned + 2 * j + kPrefetchBytes + line, 0, 0);
      }
      Group group;
      const int64_t left = input.columns - j;
      if (__builtin_expect(left >= kGroup, 1)) {
        group.load(base + 2 * j, tuned + 2 * j);
      } else {
        uint8_t a[2 * kGroup] = {};
        uint8_t b[2 * kGroup] = {};
        std::memcpy(a, base + 2 * j, static_cast<size_t>(2 * left));
        std::memcpy(b, tuned + 2 * j, static_cast<size_t>(2 * left));
        group.load(a, b);
      }
      const uint64_t word = step(j, group);
      if (words != nullptr) {
        words[j / kGroup] = word;
      }
    }
    result.row_changed[i] = static_cast<uint32_t>(changed_count);
    result.changed += changed_count;
    result.changed_bits += vaddlvq_u16(bits_count);
  }
  queue.finish(waiting, result);
  result.changed_stored = result.changed;
  result.base_squares = squares.total();
  return std::isfinite(result.base_squares) && std::isfinite(result.delta_squares);
}

const ColumnCounts kColumnCounts_neon = kOwnColumnCounts;

}  // namespace threegate::diff
