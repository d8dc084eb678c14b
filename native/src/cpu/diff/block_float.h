// Comparison of pairs that block_wide.h need not queue, or stage. WideLanes of this instruction set has the vector operations.
//
// A float32 and a bf16 number of the same weight differ in almost every entry, but few differ in bf16. The difference of the
// others is exact in float32 and comes to one of three bins of the histogram, so that they need neither rounding nor a queue.
#ifndef THREEGATE_CPU_DIFF_BLOCK_FLOAT_H
#define THREEGATE_CPU_DIFF_BLOCK_FLOAT_H

#include <immintrin.h>

#include "block_wide.h"

namespace threegate::diff {
namespace {

// Takes groups of float32 pairs of which many differ. Their statistics are computed at once.
class FloatGroups {
 public:
  static constexpr int kLeast = 28;  // pairs that differ, from which on a group takes less time than its queue

  // Returns the bits of the pairs that changed, given those that differ. `squares` may be nullptr.
  uint64_t add(const uint8_t* a, const uint8_t* b, uint64_t differing, WideLanes::Squares* squares, WideCounts& counts) {
    bool opposite = false;
    uint64_t changed = dense_.add64(a, b, squares, opposite);
    int64_t unequal = __builtin_popcountll(differing);
    counts.bits += __builtin_popcountll(changed);
    if (__builtin_expect(opposite, 0)) {
      changed &= ~WideLanes::judge_signs(a, b, counts.flips);
      unequal = __builtin_popcountll(WideLanes::unequal(a, b, float{}));
    }
    counts.stored += unequal;
    equal_ += kWideGroup - unequal;
    return changed;
  }
  void finish(PairQueue<float>& queue) {
    queue.deltas().add(dense_.total());
    dense_.histogram.flush();
    for (int bin = 1; bin < TG_ULP_BINS; ++bin) {
      queue.add(bin, dense_.histogram.bins()[bin]);
    }
    queue.add(1, -equal_);  // where pairs without a difference were counted
  }

 private:
  WideLanes::Dense dense_;
  int64_t equal_ = 0;
};

// The entries of a run of two F16 matrices without scales. Those of equal codes are only squared, in registers.
class HalfRun {
 public:
  using Value = float;

  void read(const BlockInput& input, int64_t row, int64_t begin, int64_t count) {
    base_ = pad(element_address(input.base.operand->values, input.base.row + row, input.base.column + begin), count, base_rest_);
    tuned_ =
        pad(element_address(input.tuned.operand->values, input.tuned.row + row, input.tuned.column + begin), count, tuned_rest_);
  }
  [[nodiscard, gnu::always_inline]] uint64_t differing(int64_t j) const {
    prefetch<kWideGroup * 2>(base_ + 2 * j);
    prefetch<kWideGroup * 2>(tuned_ + 2 * j);
    return WideLanes::differing(base_ + 2 * j, tuned_ + 2 * j, uint16_t{});
  }
  const uint8_t* base(int64_t j) { return widen(base_ + 2 * j, base_wide_); }
  const uint8_t* tuned(int64_t j) { return widen(tuned_ + 2 * j, tuned_wide_); }
  [[gnu::always_inline]] void add_squares(int64_t j, WideLanes::Squares& squares) const { squares.add64_half(base_ + 2 * j); }
  [[gnu::always_inline]] void entry(int64_t place, float& of_base, float& of_tuned) const {
    of_base = _cvtsh_ss(load<uint16_t>(base_ + 2 * place));
    of_tuned = _cvtsh_ss(load<uint16_t>(tuned_ + 2 * place));
  }

 private:
  // Returns the address of a run with zeros behind it up to a whole group.
  static const uint8_t* pad(const uint8_t* from, int64_t count, uint16_t (&rest)[kRun]) {
    if (count % kWideGroup == 0) {
      return from;
    }
    std::memset(rest, 0, sizeof(rest));
    std::memcpy(rest, from, static_cast<size_t>(2 * count));
    return reinterpret_cast<const uint8_t*>(rest);
  }
  static const uint8_t* widen(const uint8_t* from, float (&to)[kWideGroup]) {
    WideLanes::widen_half(from, to);
    return reinterpret_cast<const uint8_t*>(to);
  }

  const uint8_t* base_ = nullptr;
  const uint8_t* tuned_ = nullptr;
  alignas(64) float base_wide_[kWideGroup];
  alignas(64) float tuned_wide_[kWideGroup];
  alignas(64) uint16_t base_rest_[kRun];
  alignas(64) uint16_t tuned_rest_[kRun];
};

// A bf16 matrix without scales, and any other one that is staged as float32.
template <bool kWideIsBase>
bool block_close(const BlockInput& input, BlockResult& result) {
  result.clear(input.rows, input.columns);
  const BlockSide& wide_side = kWideIsBase ? input.base : input.tuned;
  const BlockSide& narrow_side = kWideIsBase ? input.tuned : input.base;
  PairQueue<float> queue;
  FloatGroups groups;
  WideCounts counts;
  WideLanes::Squares squares;
  WideLanes::Close close;
  NotedEntries<float> noted;
  int64_t close_count = 0;
  bool many = false;  // whether many entries of the group before changed
  Stage<float> stage;
  alignas(64) uint8_t codes_rest[kWideGroup * sizeof(uint16_t)];
  alignas(64) float widened[kWideGroup];
  alignas(64) float others[kWideGroup];
  for_runs(
      input, result, [&](int64_t i, int64_t begin, int64_t count, uint64_t * words) __attribute__((always_inline)) {
        const uint8_t* w = stage.read(*wide_side.operand, wide_side.row + i, wide_side.column + begin, count);
        const uint8_t* c = element_address(narrow_side.operand->values, narrow_side.row + i, narrow_side.column + begin);
        uint16_t* columns = result.column_changed + begin;
        int64_t changed_count = 0;
        for (int64_t j = 0; j < count; j += kWideGroup) {
          const uint8_t* x = w + 4 * j;
          const uint8_t* y = c + 2 * j;
          prefetch<kWideGroup * 4>(x);
          prefetch<kWideGroup * 2>(y);
          if (__builtin_expect(count - j < kWideGroup, 0)) {
            std::memset(codes_rest, 0, sizeof(codes_rest));
            std::memcpy(codes_rest, y, static_cast<size_t>(2 * (count - j)));
            y = codes_rest;
          }
          uint64_t word = 0;
          if (many) {
            WideLanes::widen(y, widened);
            const auto* z = reinterpret_cast<const uint8_t*>(widened);
            const uint64_t differing = WideLanes::differing(x, z, float{});
            word = kWideIsBase ? groups.add(x, z, differing, &squares, counts) : groups.add(z, x, differing, &squares, counts);
          } else {
            const uint64_t left = close.template add64<kWideIsBase>(x, y);
            const int left_count = __builtin_popcountll(left);
            close_count += kWideGroup - left_count;
            if (__builtin_expect(left_count <= kWideFew, 1)) {
              noted.note(j, left, left_count);
              words[j / kWideGroup] = 0;
              continue;
            }
            // Pairs that were added stand for pairs without a difference.
            WideLanes::widen(y, widened);
            if constexpr (kWideIsBase) {
              WideLanes::keep_marked(widened, x, left);
              word = groups.add(x, reinterpret_cast<const uint8_t*>(widened), left, nullptr, counts);
            } else {
              std::memcpy(others, x, sizeof(others));
              WideLanes::keep_marked(others, reinterpret_cast<const uint8_t*>(widened), left);
              word = groups.add(reinterpret_cast<const uint8_t*>(widened), reinterpret_cast<const uint8_t*>(others), left,
                                nullptr, counts);
            }
          }
          const int word_count = __builtin_popcountll(word);
          many = word_count > kWideFew;
          WideLanes::count_columns(columns + j, word);
          changed_count += word_count;
          words[j / kWideGroup] = word;
        }
        const auto entry = [&](int64_t place, float& of_base, float& of_tuned) __attribute__((always_inline)) {
          (kWideIsBase ? of_base : of_tuned) = load<float>(w + 4 * place);
          (kWideIsBase ? of_tuned : of_base) = bf16_to_float(load<uint16_t>(c + 2 * place));
        };
        noted.fetch(entry, i, begin);
        if (__builtin_expect(noted.is_full(), 0)) {
          noted.judge(input, queue, counts, result);
        }
        return changed_count;
      });
  noted.judge(input, queue, counts, result);
  CloseTotals totals{};
  close.finish(totals);
  const int64_t unequal = close_count - totals.same;
  counts.stored += unequal;
  queue.add(1, unequal - totals.far);
  queue.add(2, totals.far);
  groups.finish(queue);
  queue.finish(result);
  finish_counts(counts, input.rows, result);
  result.base_squares = squares.total() + totals.base_squares;
  result.delta_squares += totals.delta_squares;
  result.delta_dot_base += totals.dot;
  result.max_abs_delta = std::max(result.max_abs_delta, totals.max);
  return is_finite(result);
}

inline bool block_wide_any(const BlockInput& input, BlockResult& result) {
  const tg_operand& base = *input.base.operand;
  const tg_operand& tuned = *input.tuned.operand;
  const auto is = [](const tg_operand& operand, tg_dtype dtype) { return operand.values.dtype == dtype && is_plain(operand); };
  if (is(base, TG_F16) && is(tuned, TG_F16)) {
    return block_wide<HalfRun, FloatGroups>(input, result);
  }
  if (is(tuned, TG_BF16) && !is_double(base)) {
    return block_close<true>(input, result);
  }
  if (is(base, TG_BF16) && !is_double(tuned)) {
    return block_close<false>(input, result);
  }
  return block_staged<FloatGroups>(input, result);
}

}  // namespace
}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_BLOCK_FLOAT_H
