// Comparison of any pair of dtypes and operands. Entries are staged in the first-level cache as float32, or as float64 where an
// operand needs it, and processed sixteen at a time. One translation unit per instruction set includes this.
#ifndef THREEGATE_CPU_DIFF_BLOCK_WIDE_H
#define THREEGATE_CPU_DIFF_BLOCK_WIDE_H

#include <algorithm>
#include <cmath>

#include "stage.h"
#include "wide_vector.h"

namespace threegate::diff {
namespace {

// Eight entries of a stage.
template <bool kDouble>
[[gnu::always_inline]] inline Double8 values(const Stage& stage, int64_t i) {
  if constexpr (kDouble) {
    return load_vector<Double8>(stage.wide + i);
  } else {
    return __builtin_convertvector(load_vector<Float8>(stage.narrow + i), Double8);
  }
}

[[gnu::always_inline]] inline Word16 bf16_codes(const Word16& bits) { return (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16; }

inline int64_t sum_lanes(const Integer16& v) {
  int64_t sum = 0;
  for (int lane = 0; lane < 16; ++lane) {
    sum += v[lane];
  }
  return sum;
}

// One-hot fields of the bins of eight pairs. A pair without a difference has no field.
[[gnu::always_inline]] inline Word8 one_hot_bins(const Word8& magnitude, const Double8& a) {
  const Word8 smallest = Word8{} + static_cast<uint64_t>(kSmallestNormalExponent);
  const Word8 exponent = max_words(magnitude_bits(a) >> 52, smallest);
  const Word8 bin = clamp_small(ceiling_exponent(magnitude) - exponent + 10, 1, TG_ULP_BINS - 1);
  const Integer8 differs = magnitude != 0;
  return (load_vector<Word8>(&differs) & 1U) << (bin << 2);
}

template <bool kDouble>
bool block_wide(const BlockInput& input, BlockResult& result) {
  result.clear(input.rows, input.columns);
  Stage base;
  Stage tuned;
  DeltaSums sums;
  UlpHistogram<Word8> histogram;
  int64_t bins[16] = {};
  Double8 base_squares_low{};
  Double8 base_squares_high{};
  for (int64_t i = 0; i < input.rows; ++i) {
    const int64_t row = input.row + i;
    Integer16 changed_count{};  // each lane counts down, because a true comparison is -1
    Integer16 bits_count{};
    Integer16 stored_count{};
    Integer16 hidden_count{};
    Integer16 flip_count{};
    for (int64_t begin = 0; begin < input.columns; begin += kRun) {
      const int64_t count = std::min(kRun, input.columns - begin);
      base.read<kDouble>(*input.base, row, input.column + begin, count, 16);
      tuned.read<kDouble>(*input.tuned, row, input.column + begin, count, 16);
      alignas(64) int32_t flags[kRun];
      for (int64_t j = 0; j < count; j += 16) {
        const auto a = load_vector<Word16>(base.narrow + j);
        const auto b = load_vector<Word16>(tuned.narrow + j);
        const Word16 a_code = bf16_codes(a);
        const Word16 b_code = bf16_codes(b);
        const Integer16 bits = a_code != b_code;
        const Integer16 changed = bits & (((a_code | b_code) & 0x7fffU) != 0U);
        const Double8 a_low = values<kDouble>(base, j);
        const Double8 a_high = values<kDouble>(base, j + 8);
        const Double8 b_low = values<kDouble>(tuned, j);
        const Double8 b_high = values<kDouble>(tuned, j + 8);
        Integer16 stored;
        if constexpr (kDouble) {
          store_vector(&stored, __builtin_convertvector(a_low != b_low, Narrow8));
          store_vector(reinterpret_cast<uint8_t*>(&stored) + sizeof(Narrow8), __builtin_convertvector(a_high != b_high, Narrow8));
        } else {
          stored = load_vector<Float16>(base.narrow + j) != load_vector<Float16>(tuned.narrow + j);
        }
        const Integer16 opposite = ((a ^ b) & 0x80000000U) != 0U;
        const Integer16 nonzero = ((a & 0x7fffffffU) != 0U) & ((b & 0x7fffffffU) != 0U);
        changed_count += changed;
        bits_count += bits;
        stored_count += stored;
        hidden_count += stored & ~changed;
        flip_count += opposite & nonzero;
        uint16_t* columns = result.column_changed + begin + j;
        store_vector(columns, load_vector<Short16>(columns) - __builtin_convertvector(changed, Short16));
        store_vector(flags + j, changed);
        base_squares_low += a_low * a_low;
        base_squares_high += a_high * a_high;
        histogram.add(one_hot_bins(sums.add(a_low, b_low), a_low));
        histogram.add(one_hot_bins(sums.add(a_high, b_high), a_high));
        if (j % 112 == 96) {  // after seven vectors with two additions each
          histogram.spill(bins);
        }
      }
      histogram.spill(bins);
      if (input.mask != nullptr) {
        for (int64_t j = 0; j < count; j += 64) {
          uint64_t word = 0;
          for (int64_t k = j; k < std::min(j + 64, count); ++k) {
            word |= static_cast<uint64_t>(flags[k] & 1) << (k - j);
          }
          input.mask[row * input.mask_stride + (input.column + begin + j) / 64] = word;
        }
      }
    }
    const int64_t changed = -sum_lanes(changed_count);
    result.row_changed[i] = static_cast<uint32_t>(changed);
    result.changed += changed;
    result.changed_bits -= sum_lanes(bits_count);
    result.changed_stored -= sum_lanes(stored_count);
    result.hidden -= sum_lanes(hidden_count);
    result.sign_flips -= sum_lanes(flip_count);
  }
  histogram.flush(bins);
  copy_bins(bins, result);
  sums.finish(result);
  result.base_squares = sum_lanes(base_squares_low) + sum_lanes(base_squares_high);
  return std::isfinite(result.base_squares) && std::isfinite(result.delta_squares);
}

inline bool block_wide_any(const BlockInput& input, BlockResult& result) {
  return is_double(*input.base) || is_double(*input.tuned) ? block_wide<true>(input, result) : block_wide<false>(input, result);
}

}  // namespace
}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_BLOCK_WIDE_H
