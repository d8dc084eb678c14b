#include "selection.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <vector>

#include "common/control.h"
#include "cpu/support/arena.h"
#include "screening.h"
#include "tiles.h"

namespace threegate::mask {
namespace {

class Selection {
 public:
  Selection(ThreadPool& pool, SimdLevel level, const tg_mask_scores& scores, const tg_mask_options& options, tg_control* control,
            void* workspace, uint64_t* mask)
      : pool_(pool),
        level_(level),
        scores_(scores),
        options_(options),
        control_(control),
        mask_(mask),
        rows_(rows_of(scores)),
        columns_(columns_of(scores)),
        tiles_(rows_, columns_, kTileRows, kTileColumns) {
    Arena arena(workspace);
    for (int thread = 0; thread < (has_few_entries(scores) ? 1 : pool.threads()); ++thread) {
      scratch_.emplace_back(arena, scores);
    }
    if (scores.matrix == nullptr) {
      narrow_.emplace(arena, scores);
    }
  }

  Outcome run() {
    std::fill_n(mask_, rows_ * words(), uint64_t{0});
    if (has_few_entries(scores_)) {
      return select_at_once();
    }
    if (options_.count == 0) {
      return finite_pass();
    }
    if (narrow_.has_value() && options_.smallest == 0 &&
        select_by_screening(pool_, level_, scores_, options_.count, control_, *narrow_, mask_)) {
      return Outcome::kDone;
    }
    if (cancelled()) {
      return Outcome::kCancelled;
    }
    std::fill_n(mask_, rows_ * words(), uint64_t{0});
    // Finds the key of the last selected entry digit by digit. `left` is the number of selected entries among those that share
    // the digits found so far.
    uint64_t prefix = 0;
    int64_t left = options_.count;
    for (int shift = 64 - kDigitBits; shift >= 0; shift -= kDigitBits) {
      const Outcome outcome = count_digits(prefix, shift);
      if (outcome != Outcome::kDone) {
        return outcome;
      }
      int64_t sharing = 0;
      prefix |= static_cast<uint64_t>(take_digit(left, sharing)) << shift;
      if (sharing == left || shift == 0) {
        return mark(prefix, shift, left);
      }
    }
    return Outcome::kDone;
  }

 private:
  [[nodiscard]] int64_t words() const { return (columns_ + 63) / 64; }

  [[nodiscard]] bool cancelled() const { return is_cancelled(control_); }

  // Runs body(thread, tile) on all tiles, several at the same time. The keys of a tile are in the scratch memory of its thread.
  template <typename Body>
  Outcome for_tiles(Body body) {
    std::atomic<int64_t> next{0};
    std::atomic<bool> finite{true};
    pool_.run(pool_.threads(), [&](int thread) {
      const Scratch& scratch = scratch_[static_cast<size_t>(thread)];
      for (int64_t index = next++; index < tiles_.count() && !cancelled() && finite; index = next++) {
        const Tile tile = tiles_.at(index);
        fill_keys(scores_, tile, scratch);
        if (!body(thread, tile)) {
          finite = false;
        }
        add_done(control_, tile.rows * tile.columns);
      }
    });
    if (cancelled()) {
      return Outcome::kCancelled;
    }
    return finite ? Outcome::kDone : Outcome::kNotFinite;
  }

  // Stores all keys, and finds the last selected one in a copy of them.
  Outcome select_at_once() {
    const int64_t entries = rows_ * columns_;
    if (cancelled()) {
      return Outcome::kCancelled;
    }
    Scratch scratch = scratch_[0];
    uint64_t* const keys = scratch.keys;
    // A stripe of whole rows lies in the order of the matrix.
    for (int64_t row = 0; row < rows_; row += kTileRows, scratch.keys += kTileRows * columns_) {
      fill_keys(scores_, {row, std::min(kTileRows, rows_ - row), 0, columns_}, scratch);
    }
    add_done(control_, entries);
    if (!std::all_of(keys, keys + entries, [](uint64_t key) { return key < kInfinity; })) {
      return Outcome::kNotFinite;
    }
    if (options_.count == 0) {
      return Outcome::kDone;
    }
    std::copy_n(keys, entries, scratch.sorted);
    const bool smallest = options_.smallest != 0;
    const int64_t at = smallest ? options_.count - 1 : entries - options_.count;
    std::nth_element(scratch.sorted, scratch.sorted + at, scratch.sorted + entries);
    const uint64_t last = scratch.sorted[at];
    const auto beyond = [&](uint64_t key) { return smallest ? key < last : key > last; };
    int64_t left = options_.count - std::count_if(keys, keys + entries, beyond);
    for (int64_t i = 0; i < rows_; ++i) {
      for (int64_t j = 0; j < columns_; ++j) {
        const uint64_t key = keys[i * columns_ + j];
        const bool shares = key == last && left > 0;
        left -= shares ? 1 : 0;
        if (shares || beyond(key)) {
          set(i, j);
        }
      }
    }
    return Outcome::kDone;
  }

  Outcome finite_pass() {
    return for_tiles([&](int thread, const Tile& tile) {
      const uint64_t* keys = scratch_[static_cast<size_t>(thread)].keys;
      return std::all_of(keys, keys + tile.rows * tile.columns, [](uint64_t key) { return key < kInfinity; });
    });
  }

  // Adds the counts of all threads in the counters of the first one.
  Outcome count_digits(uint64_t prefix, int shift) {
    for (Scratch& scratch : scratch_) {
      std::fill_n(scratch.digits, kDigits, int64_t{0});
    }
    // A shift by 64 is undefined, and the first digit has no prefix.
    const bool first = shift == 64 - kDigitBits;
    const int above = first ? 0 : shift + kDigitBits;
    const Outcome outcome = for_tiles([&](int thread, const Tile& tile) {
      const Scratch& scratch = scratch_[static_cast<size_t>(thread)];
      bool finite = true;
      for (int64_t i = 0; i < tile.rows * tile.columns; ++i) {
        const uint64_t key = scratch.keys[i];
        finite = finite && key < kInfinity;
        if (first || key >> above == prefix >> above) {
          ++scratch.digits[(key >> shift) & (kDigits - 1)];
        }
      }
      return finite;
    });
    for (size_t thread = 1; thread < scratch_.size(); ++thread) {
      for (int64_t digit = 0; digit < kDigits; ++digit) {
        scratch_[0].digits[digit] += scratch_[thread].digits[digit];
      }
    }
    return outcome;
  }

  // Returns the digit of the last selected entry. Subtracts the entries beyond it from `left`, and writes the number of those
  // that share it to `sharing`.
  int64_t take_digit(int64_t& left, int64_t& sharing) const {
    const int64_t* digits = scratch_[0].digits;
    int64_t digit = options_.smallest != 0 ? 0 : kDigits - 1;
    const int64_t step = options_.smallest != 0 ? 1 : -1;
    while (digits[digit] < left) {
      left -= digits[digit];
      digit += step;
    }
    sharing = digits[digit];
    return digit;
  }

  // Sets the bits of all keys beyond the digits of `prefix` down to `shift`, and of the first `left` keys that share them.
  Outcome mark(uint64_t prefix, int shift, int64_t left) {
    std::vector<int64_t> sharing;  // for each row of each tile the number of such keys, and later the number before it
    const int64_t across = tiles_.count() == 0 ? 0 : tiles_.across();
    sharing.assign(static_cast<size_t>(rows_ * across), 0);
    const uint64_t last = prefix >> shift;
    const auto beyond = [&](uint64_t digits) { return options_.smallest != 0 ? digits < last : digits > last; };
    Outcome outcome = for_tiles([&](int thread, const Tile& tile) {
      const uint64_t* keys = scratch_[static_cast<size_t>(thread)].keys;
      for (int64_t i = 0; i < tile.rows; ++i) {
        int64_t same = 0;
        for (int64_t j = 0; j < tile.columns; ++j) {
          const uint64_t digits = keys[i * tile.columns + j] >> shift;
          same += digits == last ? 1 : 0;
          if (beyond(digits)) {
            set(tile.row + i, tile.column + j);
          }
        }
        sharing[static_cast<size_t>((tile.row + i) * across + tile.column / kTileColumns)] = same;
      }
      return true;
    });
    int64_t before = 0;
    for (int64_t& count : sharing) {
      const int64_t own = count;
      count = before;
      before += own;
    }
    if (outcome != Outcome::kDone) {
      return outcome;
    }
    return for_tiles([&](int thread, const Tile& tile) {
      const uint64_t* keys = scratch_[static_cast<size_t>(thread)].keys;
      for (int64_t i = 0; i < tile.rows; ++i) {
        int64_t index = sharing[static_cast<size_t>((tile.row + i) * across + tile.column / kTileColumns)];
        for (int64_t j = 0; j < tile.columns && index < left; ++j) {
          if (keys[i * tile.columns + j] >> shift == last) {
            set(tile.row + i, tile.column + j);
            ++index;
          }
        }
      }
      return true;
    });
  }

  void set(int64_t row, int64_t column) { mask_[row * words() + column / 64] |= uint64_t{1} << (column % 64); }

  ThreadPool& pool_;
  SimdLevel level_;
  const tg_mask_scores& scores_;
  const tg_mask_options& options_;
  tg_control* control_;
  uint64_t* mask_;
  int64_t rows_;
  int64_t columns_;
  Tiles tiles_;
  std::vector<Scratch> scratch_;
  std::optional<NarrowFactors::Memory> narrow_;  // of triplets
};

}  // namespace

int64_t workspace_bytes(const tg_mask_scores& scores, int threads) {
  Arena arena;
  for (int thread = 0; thread < (has_few_entries(scores) ? 1 : threads); ++thread) {
    Scratch(arena, scores);
  }
  if (scores.matrix == nullptr) {
    NarrowFactors::Memory(arena, scores);
  }
  return arena.used();
}

Outcome select(ThreadPool& pool, SimdLevel level, const tg_mask_scores& scores, const tg_mask_options& options,
               tg_control* control, void* workspace, uint64_t* mask) {
  return Selection(pool, level, scores, options, control, workspace, mask).run();
}

}  // namespace threegate::mask
