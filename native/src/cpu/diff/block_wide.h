// Comparison of any pair of dtypes and operands. Entries are staged in the first-level cache as float32, or as float64 where an
// operand needs it, and compared 64 at a time. For equal entries only the base is squared. A few pairs of a group that differ are
// collected in a queue, and all arithmetic on them uses full vectors of that queue. If many differ, the statistics of the whole
// group are computed at once.
//
// WideLanes has the vector operations of an instruction set, and is defined before this is included.
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

// The distance of the prefetch from the current entries. It keeps the memory busy while entries that differ are judged.
constexpr int64_t kWidePrefetch = 8192;

template <int64_t kBytes>
[[gnu::always_inline]] inline void prefetch(const uint8_t* address) {
  for (int64_t line = 0; line < kBytes; line += 64) {
    __builtin_prefetch(address + kWidePrefetch + line, 0, 0);  // of no use to other data
  }
}

// The pairs that differ, in the order of the entries.
template <typename V>
class PairQueue {
 public:
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

  // The sums, and an addition to a bin, for pairs that do not go through the queue.
  [[nodiscard]] WideLanes::Deltas& deltas() { return deltas_; }
  void add(int bin, int64_t count) { bins_[bin] += count; }

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
};

// Judges 64 pairs, of which several differ, and queues those. Returns the bits of the pairs that changed.
template <typename V>
[[gnu::always_inline]] inline uint64_t queue_group(const uint8_t* a, const uint8_t* b, uint64_t differing, PairQueue<V>& queue,
                                                   WideCounts& counts) {
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
  queue.drain_when_full();
  queue.push(a, b, differing, __builtin_popcountll(differing));
  return changed;
}

// Adds changed entries to the counts of their lines and places. Those of a line follow each other, and are added at once, because
// an addition in memory waits for the one before it.
template <typename OfLine, typename OfPlace>
[[gnu::always_inline]] inline void count_lines(uint64_t changed, int64_t count, const uint16_t* lines, const uint16_t* places,
                                               OfLine* of_lines, OfPlace* of_places) {
  uint64_t sum = 0;
  int64_t line = lines[0];
  for (int64_t n = 0; n < count; ++n) {
    if (lines[n] != line) {
      of_lines[line] = static_cast<OfLine>(of_lines[line] + sum);
      line = lines[n];
      sum = 0;
    }
    const uint64_t own = changed >> n & 1;
    sum += own;
    of_places[places[n]] = static_cast<OfPlace>(of_places[places[n]] + own);
  }
  if (count > 0) {
    of_lines[line] = static_cast<OfLine>(of_lines[line] + sum);
  }
}

// Entries that differ, from groups with few of them. They are judged 64 at a time, of any rows of the block.
template <typename V>
class NotedEntries {
 public:
  // Notes the marked ones of a group that begins at `begin` of a run. Always runs to the largest possible count, because a loop
  // to the actual one would be mispredicted too often.
  [[gnu::always_inline]] void note(int64_t begin, uint64_t marked, int count) {
    for (int k = 0; k < kWideFew; ++k) {
      places_[noted_ + k] = static_cast<uint16_t>(begin + WideLanes::trailing_zeros(marked));
      marked &= marked - 1;
    }
    noted_ += count;
  }

  // Fetches the entries that were noted in a run, which entry(place, a, b) writes to a pair. `row` and `column` are those of its
  // first entry, in the block. Fetches eight at a time for the same reason.
  template <typename Entry>
  [[gnu::always_inline]] void fetch(Entry entry, int64_t row, int64_t column) {
    constexpr int64_t kStep = 8;
    const int64_t noted = noted_;
    for (int64_t k = 0; k < kStep; ++k) {
      places_[noted + k] = 0;
    }
    for (int64_t n = 0; n < noted; n += kStep) {
      const int64_t to = waiting_ + n;
      for (int64_t k = 0; k < kStep; ++k) {
        entry(places_[n + k], base_[to + k], tuned_[to + k]);
      }
      std::fill_n(rows_ + to, kStep, static_cast<uint16_t>(row));
      for (int64_t k = 0; k < kStep; ++k) {
        columns_[to + k] = static_cast<uint16_t>(places_[n + k] + column);
      }
    }
    waiting_ += noted;
    noted_ = 0;
  }

  [[nodiscard]] bool is_full() const { return waiting_ >= kWideGroup; }

  // Judges those that wait, or 64 of them.
  void judge(const BlockInput& input, PairQueue<V>& queue, WideCounts& counts, BlockResult& result) {
    const int64_t count = std::min(waiting_, kWideGroup);
    std::fill(base_ + count, base_ + kWideGroup, V{0});
    std::fill(tuned_ + count, tuned_ + kWideGroup, V{0});
    const auto* a = reinterpret_cast<const uint8_t*>(base_);
    const auto* b = reinterpret_cast<const uint8_t*>(tuned_);
    const uint64_t changed = queue_group<V>(a, b, ~uint64_t{0}, queue, counts);
    count_lines(changed, count, rows_, columns_, result.row_changed, result.column_changed);
    for (int64_t n = 0; input.mask != nullptr && n < count; ++n) {
      const int64_t at = input.column + columns_[n];
      input.mask[(input.row + rows_[n]) * input.mask_stride + at / kWideGroup] |= (changed >> n & 1) << (at % kWideGroup);
    }
    waiting_ -= count;
    std::copy_n(base_ + count, waiting_, base_);
    std::copy_n(tuned_ + count, waiting_, tuned_);
    std::copy_n(rows_ + count, waiting_, rows_);
    std::copy_n(columns_ + count, waiting_, columns_);
  }

 private:
  static constexpr int64_t kMost = kRun / kWideGroup * kWideFew;  // of a run

  int64_t noted_ = 0;
  int64_t waiting_ = 0;
  uint16_t places_[kMost + 8];
  uint16_t rows_[kWideGroup + kMost + 8];
  uint16_t columns_[kWideGroup + kMost + 8];
  alignas(64) V base_[kWideGroup + kMost + 8];
  alignas(64) V tuned_[kWideGroup + kMost + 8];
};

inline void finish_counts(const WideCounts& counts, int64_t rows, BlockResult& result) {
  for (int64_t i = 0; i < rows; ++i) {
    result.changed += result.row_changed[i];
  }
  result.changed_bits = counts.bits;
  result.changed_stored = counts.stored;
  result.hidden = counts.stored - result.changed;  // every entry that changed differs as it is stored, too
  result.sign_flips = counts.flips;
}

inline bool is_finite(const BlockResult& result) {
  return std::isfinite(result.base_squares) && std::isfinite(result.delta_squares);
}

// Calls run(row of the block, first column, count, words of the mask) for parts of all rows. It returns the number of entries
// that changed.
template <typename Run>
[[gnu::always_inline]] inline void for_runs(const BlockInput& input, BlockResult& result, Run run) {
  uint64_t unused[kRun / kWideGroup];
  for (int64_t i = 0; i < input.rows; ++i) {
    uint64_t* words =
        input.mask == nullptr ? nullptr : input.mask + (input.row + i) * input.mask_stride + input.column / kWideGroup;
    int64_t changed = 0;
    for (int64_t begin = 0; begin < input.columns; begin += kRun) {
      const int64_t count = std::min(kRun, input.columns - begin);
      changed += run(i, begin, count, words == nullptr ? unused : words + begin / kWideGroup);
    }
    result.row_changed[i] += static_cast<uint32_t>(changed);
  }
}

// The entries of a run of both sides, staged as V.
template <typename V>
class StagedRun {
 public:
  using Value = V;

  void read(const BlockInput& input, int64_t row, int64_t begin, int64_t count) {
    base_ = base_stage_.read(*input.base.operand, input.base.row + row, input.base.column + begin, count);
    tuned_ = tuned_stage_.read(*input.tuned.operand, input.tuned.row + row, input.tuned.column + begin, count);
  }
  // Of the group that begins at `j`: one bit for each pair whose bits differ, the entries, and the squares of the base.
  [[nodiscard, gnu::always_inline]] uint64_t differing(int64_t j) const {
    prefetch<kWideGroup * kSize>(base_ + kSize * j);
    prefetch<kWideGroup * kSize>(tuned_ + kSize * j);
    return WideLanes::differing(base_ + kSize * j, tuned_ + kSize * j, V{});
  }
  [[nodiscard]] const uint8_t* base(int64_t j) const { return base_ + kSize * j; }
  [[nodiscard]] const uint8_t* tuned(int64_t j) const { return tuned_ + kSize * j; }
  [[gnu::always_inline]] void add_squares(int64_t j, WideLanes::Squares& squares) const {
    squares.template add64<V>(base_ + kSize * j);
  }
  [[gnu::always_inline]] void entry(int64_t place, V& of_base, V& of_tuned) const {
    of_base = load<V>(base_ + kSize * place);
    of_tuned = load<V>(tuned_ + kSize * place);
  }

 private:
  static constexpr auto kSize = static_cast<int64_t>(sizeof(V));
  Stage<V> base_stage_;
  Stage<V> tuned_stage_;
  const uint8_t* base_ = nullptr;
  const uint8_t* tuned_ = nullptr;
};

// Takes no groups. All pairs that differ are queued.
struct NoGroups {
  static constexpr int kLeast = kWideGroup + 1;

  static uint64_t add(const uint8_t* /*a*/, const uint8_t* /*b*/, uint64_t /*differing*/, WideLanes::Squares* /*squares*/,
                      WideCounts& /*counts*/) {
    return 0;
  }
  template <typename V>
  static void finish(PairQueue<V>& /*queue*/) {}
};

template <typename Entries, typename Groups>
bool block_wide(const BlockInput& input, BlockResult& result) {
  using V = typename Entries::Value;
  result.clear(input.rows, input.columns);
  Entries entries;
  PairQueue<V> queue;
  Groups groups;
  WideCounts counts;
  WideLanes::Squares squares;
  NotedEntries<V> noted;
  for_runs(
      input, result, [&](int64_t i, int64_t begin, int64_t count, uint64_t * words) __attribute__((always_inline)) {
        entries.read(input, i, begin, count);
        uint16_t* columns = result.column_changed + begin;
        int64_t changed_count = 0;
        for (int64_t j = 0; j < count; j += kWideGroup) {
          const uint64_t differing = entries.differing(j);
          const int differing_count = __builtin_popcountll(differing);
          uint64_t word = 0;
          if (__builtin_expect(differing_count > kWideFew, 0)) {
            const uint8_t* x = entries.base(j);
            const uint8_t* y = entries.tuned(j);
            if (differing_count >= Groups::kLeast) {
              word = groups.add(x, y, differing, &squares, counts);
            } else {
              squares.template add64<V>(x);
              word = queue_group<V>(x, y, differing, queue, counts);
            }
            WideLanes::count_columns(columns + j,
                                     word);  // also if none changed, because a branch would be mispredicted too often
            changed_count += __builtin_popcountll(word);
          } else {
            entries.add_squares(j, squares);
            noted.note(j, differing, differing_count);
          }
          words[j / kWideGroup] = word;
        }
        noted.fetch(
            [&](int64_t place, V & a, V & b) __attribute__((always_inline)) { entries.entry(place, a, b); }, i, begin);
        if (__builtin_expect(noted.is_full(), 0)) {
          noted.judge(input, queue, counts, result);
        }
        return changed_count;
      });
  noted.judge(input, queue, counts, result);
  groups.finish(queue);
  queue.finish(result);
  finish_counts(counts, input.rows, result);
  result.base_squares = squares.total();
  return is_finite(result);
}

// Compares entries that are staged. `Groups` takes groups of float32 in which many pairs differ.
template <typename Groups>
bool block_staged(const BlockInput& input, BlockResult& result) {
  return is_double(*input.base.operand) || is_double(*input.tuned.operand)
             ? block_wide<StagedRun<double>, NoGroups>(input, result)
             : block_wide<StagedRun<float>, Groups>(input, result);
}

}  // namespace
}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_BLOCK_WIDE_H
