#include "screening.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "candidates.h"
#include "common/control.h"
#include "common/dtype.h"
#include "narrow_factors.h"
#include "screen.h"
#include "tiles.h"

namespace threegate::mask {
namespace {

// A thread computes this many rows with columns whose factors stay in a part of its second-level cache.
constexpr int64_t kRowsOfTile = 20 * kBlockRows;
constexpr int64_t kCachedFactors = int64_t{1} << 16;

// Bins of float32 codes without the sign. A bin is 2^-11 wide relative to the score.
constexpr int kFineShift = 12;
constexpr int64_t kFineBins = int64_t{1} << (31 - kFineShift);

constexpr uint32_t kNarrowInfinity = 0x7f800000U;
// Bins of the codes of a sample, which are fewer.
constexpr int kSampleShift = 14;
constexpr size_t kSampleBins = size_t{1} << (31 - kSampleShift);

constexpr int64_t kMostCandidates = int64_t{1} << 21;
constexpr int64_t kLeastSampled = int64_t{1} << 16;
constexpr int64_t kMostSampled = int64_t{1} << 20;
constexpr int64_t kSampledShare = 64;  // of as many scores, one is sampled
constexpr double kDeviations = 6;      // from the estimated quantile to the ends of the band, for independent scores

// The bits of a score that is not negative. They are ordered as the scores are.
uint32_t code_of(float score) { return bit_cast<uint32_t>(score); }

// The bin of a histogram that has the k-th largest entry, for 1 <= k <= the sum of the bins. Subtracts the entries above it from
// k.
template <typename Bins>
size_t bin_of(int64_t& k, const Bins& bins) {
  size_t bin = bins.size() - 1;
  for (; static_cast<int64_t>(bins[bin]) < k; --bin) {
    k -= static_cast<int64_t>(bins[bin]);
  }
  return bin;
}

// The k-th largest of scores that are not negative, for 1 <= k <= their number.
float largest(int64_t k, const std::vector<float>& scores) {
  uint32_t least = kNarrowInfinity;
  uint32_t most = 0;
  for (const float score : scores) {
    least = std::min(least, code_of(score));
    most = std::max(most, code_of(score));
  }
  std::array<uint32_t, 4096> bins{};
  int shift = 0;
  while (((most - least) >> shift) >= bins.size()) {
    ++shift;
  }
  for (const float score : scores) {
    ++bins[(code_of(score) - least) >> shift];
  }
  const size_t bin = bin_of(k, bins);
  std::vector<float> close(bins[bin] + 1);
  size_t found = 0;
  for (const float score : scores) {
    close[found] = score;
    found += static_cast<size_t>(((code_of(score) - least) >> shift) == bin);
  }
  const auto at = close.begin() + (k - 1);
  std::nth_element(close.begin(), at, close.end() - 1, std::greater<>());
  return *at;
}

class Screening {
 public:
  Screening(ThreadPool& pool, SimdLevel level, const tg_mask_scores& scores, int64_t count, tg_control* control,
            const NarrowFactors::Memory& memory, uint64_t* mask)
      : pool_(pool),
        level_(level),
        scores_(scores),
        count_(count),
        control_(control),
        mask_(mask),
        rows_(scores.rows),
        columns_(scores.columns),
        words_((scores.columns + kBlockColumns - 1) / kBlockColumns),
        tiles_(rows_, columns_, kRowsOfTile,
               std::clamp(kCachedFactors / std::max<int64_t>(1, scores.rank) / kBlockColumns, int64_t{1}, int64_t{8}) *
                   kBlockColumns),
        narrow_(scores, panel_columns(level), memory) {}

  // One pass over the scores is enough where a sample tells well enough where the last selected one is. Otherwise it takes two.
  bool run() {
    if (!narrow_.is_usable() || std::max(rows_, columns_) > std::numeric_limits<int32_t>::max()) {
      return false;
    }
    Band band{};
    if (rows_ * columns_ >= 4 * kLeastSampled && sample(band) && decide(band)) {
      return true;
    }
    std::fill_n(mask_, rows_ * words_, uint64_t{0});
    return !cancelled() && count_bins(band) && decide(band);
  }

 private:
  // An interval of float32 scores that should contain the last selected one.
  struct Band {
    double low;
    double high;
  };

  // An entry whose float32 score lies in the band.
  struct Near {
    float score;
    int32_t row;
    int32_t column;
  };

  // What a thread found.
  struct Found {
    std::vector<Near> near;  // the first `count` ones
    int64_t count = 0;
    int64_t counted = 0;  // those of earlier tiles
    int64_t above = 0;
    bool finite = true;

    void reserve(int64_t more) {
      if (static_cast<int64_t>(near.size()) < count + more + kAtOnce) {
        near.resize(static_cast<size_t>(2 * (count + more + kAtOnce)));
      }
    }

    // Appends the entries of a row of a block that have a bit in `between`. There is room for all.
    void append(uint64_t between, const float* scores, int64_t row, int64_t column) {
      // How many there are cannot be predicted, except that there are seldom more than this many.
      Near* to = near.data() + count;
      count += __builtin_popcountll(between);
      do {
        for (int64_t i = 0; i < kAtOnce; ++i, between &= between - 1) {
          const int64_t j = __builtin_ctzll(between | uint64_t{1} << (kBlockColumns - 1));
          *to++ = {std::abs(scores[j]), static_cast<int32_t>(row), static_cast<int32_t>(column + j)};
        }
      } while (between != 0);
    }

    static constexpr int64_t kAtOnce = 4;
  };

  // Scores of up to kBlockRows x kBlockColumns entries, with kBlockColumns numbers in a row.
  struct Block {
    int64_t row;
    int64_t rows;
    int64_t column;
    int64_t columns;
    const float* scores;
  };

  // An interval that contains the exact score of the last selected entry.
  struct Last {
    double low;
    double high;
  };

  [[nodiscard]] bool cancelled() const { return is_cancelled(control_); }

  // Computes the block of an entry. `scores` has room for it.
  [[nodiscard]] Block block(int64_t row, int64_t column, float* scores) const {
    multiply(level_, narrow_.left(row), narrow_.right(column), scores_.rank, scores);
    return {row, std::min(kBlockRows, rows_ - row), column, std::min(kBlockColumns, columns_ - column), scores};
  }

  // Runs body(thread, block) on all blocks. After each tile, stops unless ended(thread, tile) returns true.
  template <typename Body, typename Ended>
  bool for_blocks(Body body, Ended ended) {
    std::atomic<int64_t> next{0};
    std::atomic<bool> fine{true};
    pool_.run(pool_.threads(), [&](int thread) {
      alignas(64) float scores[kBlockRows * kBlockColumns];
      for (int64_t index = next++; index < tiles_.count() && !cancelled() && fine; index = next++) {
        const Tile tile = tiles_.at(index);
        for (int64_t row = tile.row; row < tile.row + tile.rows; row += kBlockRows) {
          for (int64_t column = tile.column; column < tile.column + tile.columns; column += kBlockColumns) {
            body(static_cast<size_t>(thread), block(row, column, scores));
          }
        }
        if (!ended(static_cast<size_t>(thread), tile)) {
          fine = false;
        }
      }
    });
    return fine && !cancelled();
  }

  // Estimates the band from blocks that are spread evenly over rows and columns.
  bool sample(Band& band) const {
    const int64_t wanted = std::clamp(rows_ * columns_ / kSampledShare, kLeastSampled, kMostSampled);
    const int64_t down = (rows_ + kBlockRows - 1) / kBlockRows;
    // Groups of rows, such as heads, may differ. Each block of rows is sampled where that does not cost too much.
    constexpr int64_t kBlock = kBlockRows * kBlockColumns;
    const int64_t blocks = std::min(std::max((wanted - 1) / kBlock + 1, std::min(down, kMostSampled / kBlock)), down * words_);
    const int64_t step = stride(words_);
    alignas(64) float scores[kBlockRows * kBlockColumns];
    std::vector<uint32_t> bins(kSampleBins, 0);
    int64_t all = 0;
    uint32_t most = 0;
    for (int64_t i = 0; i < blocks; ++i) {
      const Block own = block(i * down / blocks * kBlockRows, i * step % words_ * kBlockColumns, scores);
      all += own.rows * own.columns;
      for (int64_t r = 0; r < own.rows; ++r) {
        for (int64_t j = 0; j < own.columns; ++j) {
          const uint32_t code = code_of(std::abs(own.scores[r * kBlockColumns + j]));
          most = std::max(most, code);
          ++bins[code >> kSampleShift];
        }
      }
    }
    if (most >= kNarrowInfinity) {
      return false;
    }
    const double share = static_cast<double>(count_) / (static_cast<double>(rows_) * static_cast<double>(columns_));
    const double margin = kDeviations * 0.5 / std::sqrt(static_cast<double>(all));
    const auto bin_at = [&](double above) {
      int64_t k = std::max<int64_t>(1, static_cast<int64_t>(above * static_cast<double>(all)));
      return static_cast<int64_t>(bin_of(k, bins));
    };
    band.high = share > margin ? edge(bin_at(share - margin) + 1, kSampleShift) : std::numeric_limits<double>::infinity();
    band.low = share < 1 - margin ? edge(bin_at(share + margin), kSampleShift) : -1;
    return true;
  }

  // The least score of a bin of codes.
  static double edge(int64_t bin, int shift) { return static_cast<double>(bit_cast<float>(static_cast<uint32_t>(bin << shift))); }

  // A step that visits all of `count` places before the first one again, far from the one before.
  static int64_t stride(int64_t count) {
    constexpr double kGolden = 0.618;
    auto step = std::max<int64_t>(1, static_cast<int64_t>(kGolden * static_cast<double>(count)));
    while (std::gcd(step, count) != 1) {
      ++step;
    }
    return step;
  }

  // Finds the band from the leading bits of all scores.
  bool count_bins(Band& band) {
    struct Counts {
      std::vector<int64_t> bins = std::vector<int64_t>(static_cast<size_t>(kFineBins), 0);
      uint32_t largest = 0;
    };
    std::vector<Counts> counts(static_cast<size_t>(pool_.threads()));
    if (!for_blocks(
            [&](size_t thread, const Block& own) {
              Counts& to = counts[thread];
              for (int64_t i = 0; i < own.rows; ++i) {
                for (int64_t j = 0; j < own.columns; ++j) {
                  const uint32_t key = code_of(std::abs(own.scores[i * kBlockColumns + j]));
                  to.largest = std::max(to.largest, key);
                  ++to.bins[key >> kFineShift];
                }
              }
            },
            [&](size_t thread, const Tile&) { return counts[thread].largest < kNarrowInfinity; })) {
      return false;
    }
    std::vector<int64_t>& sums = counts[0].bins;
    for (size_t thread = 1; thread < counts.size(); ++thread) {
      std::transform(sums.begin(), sums.end(), counts[thread].bins.begin(), sums.begin(), std::plus<>());
    }
    int64_t k = count_;
    const auto bin = static_cast<int64_t>(bin_of(k, sums));
    band = {edge(bin, kFineShift) - 4 * narrow_.error(), edge(bin + 1, kFineShift) + 4 * narrow_.error()};
    return true;
  }

  // Sets the bits of the largest scores if the last of them is well within the band. Let t be its float32 score. The exact score
  // lies within the error of t, and each entry's exact score lies within the error of its float32 score. An entry that is more
  // than twice the error above or below t is therefore decided.
  bool decide(const Band& band) {
    const auto low = static_cast<float>(band.low);
    const auto high = static_cast<float>(band.high);
    std::vector<Found> all(static_cast<size_t>(pool_.threads()));
    std::atomic<int64_t> candidates{0};
    if (!for_blocks(
            [&](size_t thread, const Block& own) {
              Found& found = all[thread];
              found.reserve(kBlockRows * kBlockColumns);
              for (int64_t i = 0; i < own.rows; ++i) {
                const float* scores = own.scores + i * kBlockColumns;
                const Compared compared = compare(level_, scores, own.columns, low, high);
                found.finite = found.finite && compared.finite;
                found.above += __builtin_popcountll(compared.above);
                word(own.row + i, own.column) = compared.above;
                found.append(compared.between, scores, own.row + i, own.column);
              }
            },
            [&](size_t thread, const Tile& tile) {
              add_done(control_, tile.rows * tile.columns);
              Found& found = all[thread];
              candidates += found.count - found.counted;
              found.counted = found.count;
              return candidates <= kMostCandidates && found.finite;
            })) {
      return false;
    }
    std::vector<Near> near = std::move(all[0].near);
    near.resize(static_cast<size_t>(all[0].count));
    int64_t wanted = count_ - all[0].above;
    for (size_t thread = 1; thread < all.size(); ++thread) {
      near.insert(near.end(), all[thread].near.begin(), all[thread].near.begin() + all[thread].count);
      wanted -= all[thread].above;
    }
    if (wanted < 1 || wanted > static_cast<int64_t>(near.size())) {
      return false;
    }
    const double error = narrow_.error();
    const double threshold = score_of(wanted, near);
    if (threshold + 2 * error > band.high || threshold - 2 * error < band.low) {
      return false;
    }
    const auto own_error = [&](const Near& entry) { return narrow_.error(entry.row, entry.column); };
    settle(near, wanted, {threshold - error, threshold + error}, own_error);
    settle(near, wanted, last(wanted, near, own_error), own_error);
    refine(near, wanted);
    take(near, wanted);
    return true;
  }

  // The smallest of the `wanted` largest scores.
  static double score_of(int64_t wanted, const std::vector<Near>& entries) {
    std::vector<float> scores(entries.size());
    std::transform(entries.begin(), entries.end(), scores.begin(), [](const Near& entry) { return entry.score; });
    return static_cast<double>(largest(wanted, scores));
  }

  // Bounds the exact score of the last of the `wanted` largest entries. error(entry) bounds the error of an entry's score.
  template <typename Error>
  static Last last(int64_t wanted, const std::vector<Near>& entries, Error error) {
    if (wanted == 0 || entries.empty()) {
      return {0, 0};
    }
    const auto bound = [&](double sign) {
      std::vector<double> scores(entries.size());
      std::transform(entries.begin(), entries.end(), scores.begin(),
                     [&](const Near& entry) { return static_cast<double>(entry.score) + sign * error(entry); });
      const auto at = scores.begin() + (wanted - 1);
      std::nth_element(scores.begin(), at, scores.end(), std::greater<>());
      return *at;
    };
    return {bound(-1), bound(1)};
  }

  // Sets the bits of entries that are certainly among the `wanted` largest, and keeps the undecided ones.
  template <typename Error>
  void settle(std::vector<Near>& entries, int64_t& wanted, Last last, Error error) {
    if (wanted == 0) {
      entries.clear();
    }
    size_t kept = 0;
    for (const Near& entry : entries) {
      // Which of these it is cannot be predicted, so there are no branches.
      const auto score = static_cast<double>(entry.score);
      const double own = error(entry);
      const auto above = static_cast<uint64_t>(score - own > last.high);
      word(entry.row, entry.column) |= above << (entry.column % kBlockColumns);
      wanted -= static_cast<int64_t>(above);
      entries[kept] = entry;
      kept += static_cast<uint64_t>(score + own >= last.low) & ~above;
    }
    entries.resize(kept);
  }

  // Recomputes scores from the float32 factors with sums in float64. Only the rounding of the two factors and of the score
  // remains.
  void refine(std::vector<Near>& entries, int64_t& wanted) {
    if (wanted == 0 || wanted == static_cast<int64_t>(entries.size())) {
      return;
    }
    // Columns lie in panels. Each is copied once.
    std::sort(entries.begin(), entries.end(), [](const Near& a, const Near& b) { return a.column < b.column; });
    std::vector<float> right(static_cast<size_t>(scores_.rank));
    int64_t copied = -1;
    for (Near& entry : entries) {
      if (entry.column != copied) {
        narrow_.copy_right(entry.column, right.data());
        copied = entry.column;
      }
      entry.score = static_cast<float>(std::abs(dot(level_, narrow_.left(entry.row), right.data(), scores_.rank)));
    }
    const auto error = [&](const Near& entry) { return narrow_.rounding(entry.row, entry.column); };
    settle(entries, wanted, last(wanted, entries, error), error);
  }

  // Sets the bits of the `wanted` largest entries by their scores in float64. Of equal scores those with the lower index are
  // taken.
  void take(const std::vector<Near>& entries, int64_t wanted) {
    if (wanted == 0) {
      return;
    }
    std::vector<Candidate> candidates;
    candidates.reserve(entries.size());
    for (const Near& entry : entries) {
      candidates.push_back(score_exactly(scores_, entry.row, entry.column));
    }
    take_largest(scores_, candidates, wanted,
                 [&](int64_t row, int64_t column) { word(row, column) |= uint64_t{1} << (column % kBlockColumns); });
  }

  uint64_t& word(int64_t row, int64_t column) { return mask_[row * words_ + column / kBlockColumns]; }

  ThreadPool& pool_;
  SimdLevel level_;
  const tg_mask_scores& scores_;
  int64_t count_;
  tg_control* control_;
  uint64_t* mask_;
  int64_t rows_;
  int64_t columns_;
  int64_t words_;
  Tiles tiles_;
  NarrowFactors narrow_;
};

}  // namespace

bool select_by_screening(ThreadPool& pool, SimdLevel level, const tg_mask_scores& scores, int64_t count, tg_control* control,
                         const NarrowFactors::Memory& memory, uint64_t* mask) {
  return Screening(pool, level, scores, count, control, memory, mask).run();
}

}  // namespace threegate::mask
