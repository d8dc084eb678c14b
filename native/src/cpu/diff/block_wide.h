// Comparison of any pair of dtypes and operands. Entries are staged in the first-level cache as float32, or as float64 where an
// operand needs it, and compared 64 at a time. For equal entries only the base is squared. Pairs that differ are collected in a
// queue, and all arithmetic on them uses full vectors of that queue. WideLanes has the vector operations of an instruction set,
// and is defined before this is included.
#ifndef THREEGATE_CPU_DIFF_BLOCK_WIDE_H
#define THREEGATE_CPU_DIFF_BLOCK_WIDE_H

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "stage.h"

namespace threegate::diff {
namespace {

constexpr int64_t kWideGroup = 64;
constexpr int64_t kWideQueue = 1024;
constexpr int kWideFew = 4;    // entries of a group that differ, up to which they are judged one by one
constexpr int kWideMost = 48;  // and from which on the whole group is queued, because equal pairs add nothing

// The pairs that differ, in the order of the entries.
template <typename V>
class PairQueue {
 public:
  [[gnu::always_inline]] void push(V a, V b) {
    base_[size_] = a;
    tuned_[size_] = b;
    ++size_;
  }

  // Appends the marked ones of 64 pairs.
  [[gnu::always_inline]] void push(const uint8_t* a, const uint8_t* b, uint64_t marked, int count) {
    if (count >= kWideMost) {
      std::memcpy(base_ + size_, a, kWideGroup * sizeof(V));
      std::memcpy(tuned_ + size_, b, kWideGroup * sizeof(V));
      size_ += kWideGroup;
    } else {
      WideLanes::compress(a, marked, base_ + size_);
      WideLanes::compress(b, marked, tuned_ + size_);
      size_ += count;
    }
  }

  // Empties the queue if it has no room for another group.
  [[gnu::always_inline]] void drain_when_full() {
    if (__builtin_expect(size_ > kWideQueue - kWideGroup, 0)) {
      drain();
    }
  }

  void finish(BlockResult& result) {
    drain();
    histogram_.flush(bins_);
    copy_bins(bins_, result);
    deltas_.finish(result);
  }

 private:
  [[gnu::noinline]] void drain() {
    // The rest of the last vector is filled with pairs of zeros, which add nothing.
    std::fill_n(base_ + size_, 8, V{0});
    std::fill_n(tuned_ + size_, 8, V{0});
    WideLanes::Deltas deltas = deltas_;
    WideLanes::Histogram histogram = histogram_;
    for (int64_t i = 0; i < size_;) {
      const int64_t end = std::min(size_, i + 8 * WideLanes::kVectorsPerSpill);
      for (; i < end; i += 8) {
        deltas.add8(base_ + i, tuned_ + i, histogram);
      }
      histogram.spill(bins_);
    }
    deltas_ = deltas;
    histogram_ = histogram;
    size_ = 0;
  }

  WideLanes::Deltas deltas_;
  WideLanes::Histogram histogram_;
  int64_t bins_[16] = {};
  int64_t size_ = 0;
  alignas(64) V base_[kWideQueue + 2 * kWideGroup];
  alignas(64) V tuned_[kWideQueue + 2 * kWideGroup];
};

// Counts of a block.
struct WideCounts {
  int64_t bits = 0;
  int64_t stored = 0;
  int64_t flips = 0;

  // Judges one pair. Returns whether it changed.
  template <typename V>
  [[gnu::always_inline]] uint64_t judge(V a, V b) {
    const uint32_t a_code = code(a);
    const uint32_t b_code = code(b);
    const bool differ = a_code != b_code;
    bits += differ ? 1 : 0;
    stored += a != b ? 1 : 0;
    flips += (a < 0) != (b < 0) && a != 0 && b != 0 ? 1 : 0;
    return differ && ((a_code | b_code) & kBf16Magnitude) != 0 ? 1U : 0U;
  }

 private:
  [[gnu::always_inline]] static uint32_t code(float value) {
    const auto own = bit_cast<uint32_t>(value);
    return (own + 0x7fffU + ((own >> 16) & 1U)) >> 16;  // a NaN need not be right
  }
  [[gnu::always_inline]] static uint32_t code(double value) { return code(double_to_float_odd(value)); }
};

// Judges 64 pairs, of which many differ. Returns the bits of those that changed.
template <typename V>
[[gnu::always_inline]] inline uint64_t judge_group(const uint8_t* a, const uint8_t* b, uint64_t differing, PairQueue<V>& queue,
                                                   WideCounts& counts, uint16_t* columns) {
  uint64_t changed = 0;
  if constexpr (std::is_same_v<V, double>) {
    alignas(64) float a_narrow[kWideGroup];
    alignas(64) float b_narrow[kWideGroup];
    WideLanes::narrow(a, a_narrow);
    WideLanes::narrow(b, b_narrow);
    changed = WideLanes::compare_codes(reinterpret_cast<const uint8_t*>(a_narrow), reinterpret_cast<const uint8_t*>(b_narrow),
                                       counts.bits, counts.flips);
  } else {
    changed = WideLanes::compare_codes(a, b, counts.bits, counts.flips);
  }
  counts.stored += __builtin_popcountll(WideLanes::unequal(a, b, V{}));
  WideLanes::count_columns(columns, changed);  // also if none changed, because a branch would be mispredicted too often
  queue.drain_when_full();
  queue.push(a, b, differing, __builtin_popcountll(differing));
  return changed;
}

// Places in a run of entries that differ, from groups with few of them.
class NotedPlaces {
 public:
  // Notes the marked ones of a group. Always runs to the largest possible count, because a loop to the actual one would be
  // mispredicted too often.
  [[gnu::always_inline]] void note(int64_t begin, uint64_t marked, int count) {
    for (int k = 0; k < kWideFew; ++k) {
      places_[count_ + k] = static_cast<uint16_t>(begin + WideLanes::trailing_zeros(marked));
      marked &= marked - 1;
    }
    count_ += count;
  }
  void clear() { count_ = 0; }
  [[nodiscard]] const uint16_t* begin() const { return places_; }
  [[nodiscard]] const uint16_t* end() const { return places_ + count_; }

 private:
  int64_t count_ = 0;
  uint16_t places_[kRun / kWideGroup * kWideFew + kWideFew];
};

template <typename V>
bool block_wide(const BlockInput& input, BlockResult& result) {
  result.clear(input.rows, input.columns);
  Stage<V> base_stage;
  Stage<V> tuned_stage;
  PairQueue<V> queue;
  WideCounts counts;
  WideLanes::Squares squares;
  NotedPlaces noted;
  uint64_t unused[kRun / kWideGroup];
  for (int64_t i = 0; i < input.rows; ++i) {
    const int64_t row = input.row + i;
    uint64_t* words = input.mask == nullptr ? nullptr : input.mask + row * input.mask_stride + input.column / kWideGroup;
    int64_t changed_count = 0;
    for (int64_t begin = 0; begin < input.columns; begin += kRun) {
      const int64_t count = std::min(kRun, input.columns - begin);
      const uint8_t* a = base_stage.read(*input.base.operand, input.base.row + i, input.base.column + begin, count);
      const uint8_t* b = tuned_stage.read(*input.tuned.operand, input.tuned.row + i, input.tuned.column + begin, count);
      uint16_t* columns = result.column_changed + begin;
      uint64_t* run_words = words == nullptr ? unused : words + begin / kWideGroup;
      noted.clear();
      for (int64_t j = 0; j < count; j += kWideGroup) {
        const uint8_t* x = a + static_cast<int64_t>(sizeof(V)) * j;
        const uint8_t* y = b + static_cast<int64_t>(sizeof(V)) * j;
        squares.template add64<V>(x);
        const uint64_t differing = WideLanes::differing(x, y, V{});
        const int differing_count = __builtin_popcountll(differing);
        uint64_t word = 0;
        if (__builtin_expect(differing_count > kWideFew, 0)) {
          word = judge_group<V>(x, y, differing, queue, counts, columns + j);
          changed_count += __builtin_popcountll(word);
        } else {
          noted.note(j, differing, differing_count);
        }
        run_words[j / kWideGroup] = word;
      }
      queue.drain_when_full();
      for (const uint16_t place : noted) {
        const auto x = load<V>(a + static_cast<int64_t>(sizeof(V)) * place);
        const auto y = load<V>(b + static_cast<int64_t>(sizeof(V)) * place);
        const uint64_t changed = counts.judge(x, y);
        changed_count += static_cast<int64_t>(changed);
        columns[place] = static_cast<uint16_t>(columns[place] + changed);
        run_words[place / kWideGroup] |= changed << (place % kWideGroup);
        queue.push(x, y);
      }
    }
    result.row_changed[i] = static_cast<uint32_t>(changed_count);
    result.changed += changed_count;
  }
  queue.finish(result);
  result.changed_bits = counts.bits;
  result.changed_stored = counts.stored;
  result.hidden = counts.stored - result.changed;  // every entry that changed differs as it is stored, too
  result.sign_flips = counts.flips;
  result.base_squares = squares.total();
  return std::isfinite(result.base_squares) && std::isfinite(result.delta_squares);
}

inline bool block_wide_any(const BlockInput& input, BlockResult& result) {
  return is_double(*input.base.operand) || is_double(*input.tuned.operand) ? block_wide<double>(input, result)
                                                                           : block_wide<float>(input, result);
}

}  // namespace
}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_BLOCK_WIDE_H
