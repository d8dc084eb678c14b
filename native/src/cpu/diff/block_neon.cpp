// The NEON variants. The bf16 one follows block_avx2.cpp: NEON has no compress instruction either. If few entries changed, their
// pairs are fetched one by one. If many changed, a table of byte shuffles moves them together.
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "compress_table.h"
#include "cpu/support/neon.h"
#include "stage.h"
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

// Four entries of a stage, as float32 that rounds to the same bf16 and as they are.
struct Entries {
  uint32x4_t bits;
  float64x2_t low;
  float64x2_t high;

  template <bool kDouble>
  [[gnu::always_inline]] static Entries of(const Stage& stage, int64_t i) {
    const uint32x4_t bits = vreinterpretq_u32_f32(vld1q_f32(stage.narrow + i));
    if constexpr (kDouble) {
      return {bits, vld1q_f64(stage.wide + i), vld1q_f64(stage.wide + i + 2)};
    } else {
      return {bits, low_doubles(bits), high_doubles(bits)};
    }
  }

  // Rounds to bf16, to nearest and ties to even, as float_to_bf16 does. A NaN need not be right.
  [[nodiscard, gnu::always_inline]] uint32x4_t codes() const {
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    return vshrq_n_u32(vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd), 16);
  }
};

// Counts in 32-bit lanes over a row.
struct Counts {
  uint32x4_t bits = vdupq_n_u32(0);
  uint32x4_t stored = vdupq_n_u32(0);
  uint32x4_t hidden = vdupq_n_u32(0);
  uint32x4_t flips = vdupq_n_u32(0);

  // Returns the lanes of the entries that changed.
  template <bool kDouble>
  [[gnu::always_inline]] uint32x4_t add(const Entries& a, const Entries& b) {
    const uint32x4_t a_codes = a.codes();
    const uint32x4_t b_codes = b.codes();
    const uint32x4_t differ = vmvnq_u32(vceqq_u32(a_codes, b_codes));
    const uint32x4_t changed = vandq_u32(differ, vtstq_u32(vorrq_u32(a_codes, b_codes), vdupq_n_u32(0x7fff)));
    uint32x4_t same;
    if constexpr (kDouble) {
      same = vcombine_u32(vmovn_u64(vceqq_f64(a.low, b.low)), vmovn_u64(vceqq_f64(a.high, b.high)));
    } else {
      same = vceqq_f32(vreinterpretq_f32_u32(a.bits), vreinterpretq_f32_u32(b.bits));
    }
    const uint32x4_t magnitude = vdupq_n_u32(0x7fffffff);
    const uint32x4_t opposite = vcltzq_s32(vreinterpretq_s32_u32(veorq_u32(a.bits, b.bits)));
    const uint32x4_t nonzero = vandq_u32(vtstq_u32(a.bits, magnitude), vtstq_u32(b.bits, magnitude));
    // A true comparison is -1.
    bits = vsubq_u32(bits, differ);
    stored = vsubq_u32(stored, vmvnq_u32(same));
    hidden = vsubq_u32(hidden, vmvnq_u32(vorrq_u32(same, changed)));
    flips = vsubq_u32(flips, vandq_u32(opposite, nonzero));
    return changed;
  }

  void finish(BlockResult& result) const {
    result.changed_bits += vaddvq_u32(bits);
    result.changed_stored += vaddvq_u32(stored);
    result.hidden += vaddvq_u32(hidden);
    result.sign_flips += vaddvq_u32(flips);
  }
};

// Compares any pair of dtypes and operands, as block_wide.h does.
template <bool kDouble>
bool block_wide(const BlockInput& input, BlockResult& result) {
  result.clear(input.rows, input.columns);
  Stage base;
  Stage tuned;
  AllSums sums;
  UlpHistogram<Word2> histogram;
  int64_t bins[16] = {};
  float64x2_t squares[2] = {vdupq_n_f64(0), vdupq_n_f64(0)};
  for (int64_t i = 0; i < input.rows; ++i) {
    const int64_t row = input.row + i;
    Counts counts;
    int64_t changed_count = 0;
    for (int64_t begin = 0; begin < input.columns; begin += kRun) {
      const int64_t count = std::min(kRun, input.columns - begin);
      base.read<kDouble>(*input.base, row, input.column + begin, count, kGroup);
      tuned.read<kDouble>(*input.tuned, row, input.column + begin, count, kGroup);
      for (int64_t j = 0; j < count; j += kGroup) {
        uint16x8_t lanes[kVectors];
        for (int64_t k = 0; k < kVectors; ++k) {
          uint32x4_t changed[2];
          for (int64_t half = 0; half < 2; ++half) {
            const auto a = Entries::of<kDouble>(base, j + kWidth * k + 4 * half);
            const auto b = Entries::of<kDouble>(tuned, j + kWidth * k + 4 * half);
            changed[half] = counts.add<kDouble>(a, b);
            squares[0] = vfmaq_f64(squares[0], a.low, a.low);
            squares[1] = vfmaq_f64(squares[1], a.high, a.high);
            (half == 0 ? sums.first : sums.second).add(a.low, a.high, b.low, b.high, histogram);
          }
          if (k % kPairVectors == kPairVectors - 1) {
            histogram.spill(bins);
          }
          lanes[k] = vuzp1q_u16(vreinterpretq_u16_u32(changed[0]), vreinterpretq_u16_u32(changed[1]));
          uint16_t* columns = result.column_changed + begin + j + kWidth * k;
          vst1q_u16(columns, vsubq_u16(vld1q_u16(columns), lanes[k]));
        }
        histogram.spill(bins);
        const uint64_t word = lane_bits(lanes);
        changed_count += __builtin_popcountll(word);
        if (input.mask != nullptr) {
          input.mask[row * input.mask_stride + (input.column + begin + j) / kGroup] = word;
        }
      }
    }
    counts.finish(result);
    result.row_changed[i] = static_cast<uint32_t>(changed_count);
    result.changed += changed_count;
  }
  histogram.flush(bins);
  copy_bins(bins, result);
  sums.finish(result);
  result.base_squares = vaddvq_f64(vaddq_f64(squares[0], squares[1]));
  return std::isfinite(result.base_squares) && std::isfinite(result.delta_squares);
}

}  // namespace

bool block_wide_neon(const BlockInput& input, BlockResult& result) {
  return is_double(*input.base) || is_double(*input.tuned) ? block_wide<true>(input, result) : block_wide<false>(input, result);
}

bool block_bf16_neon(const BlockInput& input, BlockResult& result) {
  result.clear(input.rows, input.columns);
  ChangedQueue queue;
  BaseSquares squares;
  int64_t waiting = 0;
  for (int64_t i = 0; i < input.rows; ++i) {
    const int64_t row = input.row + i;
    const uint8_t* base = element_address(input.base->values, row, input.column);
    const uint8_t* tuned = element_address(input.tuned->values, row, input.column);
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

}  // namespace threegate::diff
