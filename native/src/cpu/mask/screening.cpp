#include "screening.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "common/candidates.h"
#include "common/control.h"
#include "common/dtype.h"
#include "cpu/support/blas.h"
#include "narrow_factors.h"
#include "screen.h"
#include "tiles.h"

namespace threegate::mask {
namespace {

// A square tile of float32 scores needs the least packing of factors.
constexpr int64_t kNarrowTile = 512;
static_assert(kNarrowTile * kNarrowTile * sizeof(float) <= kTileRows * kTileColumns * sizeof(double));

// Bins of float32 codes without the sign. A bin is 2^-11 wide relative to the score.
constexpr int kFineShift = 12;
constexpr int64_t kFineBins = int64_t{1} << (31 - kFineShift);

constexpr uint32_t kNarrowInfinity = 0x7f800000U;
constexpr int64_t kMostCandidates = int64_t{1} << 21;
constexpr int64_t kSampled = 512;        // rows and columns of a sample
constexpr double kSampleMargin = 0.015;  // share of the entries on either side of the estimated quantile
constexpr int64_t kLeastSampled = int64_t{1} << 19;

class Screening {
 public:
  Screening(ThreadPool& pool, SimdLevel level, const tg_mask_scores& scores, int64_t count, tg_control* control,
            const std::vector<Scratch>& scratch, uint64_t* mask)
      : pool_(pool),
        level_(level),
        scores_(scores),
        count_(count),
        control_(control),
        scratch_(scratch),
        mask_(mask),
        rows_(scores.rows),
        columns_(scores.columns),
        tiles_(rows_, columns_, kNarrowTile, kNarrowTile),
        narrow_(scores) {}

  // One pass over the scores is enough where a sample tells well enough where the last selected one is. Otherwise it takes two.
  bool run() {
    if (!narrow_.is_usable()) {
      return false;
    }
    Band band{};
    if (rows_ * columns_ >= kLeastSampled &&
        rows_ * columns_ <= kMostCandidates / 2 * static_cast<int64_t>(1 / (2 * kSampleMargin)) && sample(band) && decide(band)) {
      return true;
    }
    std::fill_n(mask_, rows_ * words(), uint64_t{0});
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
    int64_t index;
  };

  [[nodiscard]] int64_t words() const { return (columns_ + 63) / 64; }

  [[nodiscard]] bool cancelled() const { return is_cancelled(control_); }

  // Computes the scores of some rows of both factors.
  void multiply(int64_t rows, const float* left, int64_t columns, const float* right, float* scores) const {
    const lapack_int rank = blas_size(scores_.rank);
    blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rows), blas_size(columns), rank, 1.0F, left, rank,
                       right, rank, 0.0F, scores, blas_size(columns));
  }

  // Runs body(thread, tile, float32 scores) on all tiles, until one returns false.
  template <typename Body>
  bool for_narrow_tiles(Body body) {
    std::atomic<int64_t> next{0};
    std::atomic<bool> fine{true};
    pool_.run(pool_.threads(), [&](int thread) {
      auto* values = reinterpret_cast<float*>(scratch_[static_cast<size_t>(thread)].keys);
      for (int64_t index = next++; index < tiles_.count() && !cancelled() && fine; index = next++) {
        const Tile tile = tiles_.at(index);
        multiply(tile.rows, narrow_.left.data() + tile.row * scores_.rank, tile.columns,
                 narrow_.right.data() + tile.column * scores_.rank, values);
        if (!body(static_cast<size_t>(thread), tile, values)) {
          fine = false;
        }
      }
    });
    return fine && !cancelled();
  }

  // Estimates the band from rows and columns that are spread evenly.
  bool sample(Band& band) const {
    const int64_t rows = std::min(kSampled, rows_);
    const int64_t columns = std::min(kSampled, columns_);
    const auto rank = scores_.rank;
    std::vector<float> left(static_cast<size_t>(rank * rows));
    std::vector<float> right(static_cast<size_t>(rank * columns));
    for (int64_t i = 0; i < rows; ++i) {
      std::copy_n(narrow_.left.data() + i * rows_ / rows * rank, rank, left.data() + i * rank);
    }
    for (int64_t j = 0; j < columns; ++j) {
      std::copy_n(narrow_.right.data() + j * columns_ / columns * rank, rank, right.data() + j * rank);
    }
    std::vector<float> values(static_cast<size_t>(rows * columns));
    multiply(rows, left.data(), columns, right.data(), values.data());
    for (float& value : values) {
      value = std::abs(value);
      if (!(value < std::numeric_limits<float>::infinity())) {
        return false;
      }
    }
    const double share = static_cast<double>(count_) / (static_cast<double>(rows_) * static_cast<double>(columns_));
    const auto quantile = [&](double above) {
      const auto last = static_cast<double>(values.size() - 1);
      const auto at = static_cast<std::ptrdiff_t>(std::clamp((1 - above) * last, 0.0, last));
      std::nth_element(values.begin(), values.begin() + at, values.end());
      return static_cast<double>(values[static_cast<size_t>(at)]);
    };
    band.high = share > kSampleMargin ? quantile(share - kSampleMargin) : std::numeric_limits<double>::infinity();
    band.low = share < 1 - kSampleMargin ? quantile(share + kSampleMargin) : -1;
    return true;
  }

  // Finds the band from the leading bits of all scores.
  bool count_bins(Band& band) {
    std::vector<std::vector<int64_t>> counts(scratch_.size(), std::vector<int64_t>(static_cast<size_t>(kFineBins), 0));
    if (!for_narrow_tiles([&](size_t thread, const Tile& tile, const float* values) {
          int64_t* own = counts[thread].data();
          uint32_t largest = 0;
          for (int64_t i = 0; i < tile.rows * tile.columns; ++i) {
            const uint32_t key = bit_cast<uint32_t>(values[i]) & 0x7fffffffU;
            largest = std::max(largest, key);
            ++own[key >> kFineShift];
          }
          return largest < kNarrowInfinity;
        })) {
      return false;
    }
    int64_t bin = kFineBins;
    for (int64_t left = count_; left > 0;) {
      --bin;
      for (const auto& own : counts) {
        left -= own[static_cast<size_t>(bin)];
      }
    }
    const auto edge = [](int64_t at) { return static_cast<double>(bit_cast<float>(static_cast<uint32_t>(at << kFineShift))); };
    band = {edge(bin) - 4 * narrow_.error, edge(bin + 1) + 4 * narrow_.error};
    return true;
  }

  // Sets the bits of the largest scores if the last of them is well within the band. Let t be its float32 score. The exact score
  // lies within the error of t, and each entry's exact score lies within the error of its float32 score. An entry that is more
  // than twice the error above or below t is therefore decided.
  bool decide(const Band& band) {
    const auto low = static_cast<float>(band.low);
    const auto high = static_cast<float>(band.high);
    std::vector<std::vector<Near>> near(scratch_.size());
    for (auto& own : near) {
      own.reserve(static_cast<size_t>(static_cast<double>(std::min(rows_ * columns_, kMostCandidates)) /
                                      static_cast<double>(near.size())));
    }
    std::atomic<int64_t> found{0};
    std::atomic<int64_t> sure{0};
    if (!for_narrow_tiles([&](size_t thread, const Tile& tile, const float* values) {
          std::vector<Near>& own = near[thread];
          const size_t before = own.size();
          int64_t above = 0;
          bool finite = true;
          for (int64_t i = 0; i < tile.rows; ++i) {
            uint64_t* row = mask_ + (tile.row + i) * words();
            for (int64_t j = 0; j < tile.columns; j += 64) {
              const int64_t count = std::min<int64_t>(64, tile.columns - j);
              const Compared compared = compare(level_, values + i * tile.columns + j, count, low, high);
              finite = finite && compared.finite;
              const uint64_t bits = compared.above;
              uint64_t between = compared.between;
              row[(tile.column + j) / 64] = bits;
              above += __builtin_popcountll(bits);
              for (; between != 0; between &= between - 1) {
                const int64_t column = j + __builtin_ctzll(between);
                own.push_back({std::abs(values[i * tile.columns + column]), (tile.row + i) * columns_ + tile.column + column});
              }
            }
          }
          sure += above;
          add_done(control_, tile.rows * tile.columns);
          return (found += static_cast<int64_t>(own.size() - before)) <= kMostCandidates && finite;
        })) {
      return false;
    }
    std::vector<Near> all = std::move(near[0]);
    for (size_t thread = 1; thread < near.size(); ++thread) {
      all.insert(all.end(), near[thread].begin(), near[thread].end());
    }
    int64_t wanted = count_ - sure;
    if (wanted < 1 || wanted > static_cast<int64_t>(all.size())) {
      return false;
    }
    const double threshold = score_of(wanted, all);
    if (threshold + 2 * narrow_.error > band.high || threshold - 2 * narrow_.error < band.low) {
      return false;
    }
    settle(all, wanted, threshold, narrow_.error);
    refine(all, wanted);
    take(all, wanted);
    return true;
  }

  // Sets the bits of entries that are certainly among the `wanted` largest, and keeps the undecided ones. `threshold` is the
  // smallest score that would be selected, and `error` bounds the error of the scores.
  void settle(std::vector<Near>& entries, int64_t& wanted, double threshold, double error) {
    size_t kept = 0;
    for (const Near& entry : entries) {
      const double beyond = static_cast<double>(entry.score) - threshold;
      if (beyond > 2 * error) {
        set(entry.index / columns_, entry.index % columns_);
        --wanted;
      } else if (beyond >= -2 * error) {
        entries[kept++] = entry;
      }
    }
    entries.resize(kept);
  }

  // The smallest of the `wanted` largest scores.
  static double score_of(int64_t wanted, const std::vector<Near>& entries) {
    std::vector<float> scores(entries.size());
    std::transform(entries.begin(), entries.end(), scores.begin(), [](const Near& entry) { return entry.score; });
    const auto last = scores.begin() + (wanted - 1);
    std::nth_element(scores.begin(), last, scores.end(), std::greater<>());
    return static_cast<double>(*last);
  }

  // Recomputes scores from the float32 factors with sums in float64. Only the rounding of the two factors and of the score
  // remains.
  void refine(std::vector<Near>& entries, int64_t& wanted) {
    if (wanted == 0 || wanted == static_cast<int64_t>(entries.size())) {
      return;
    }
    const int64_t rank = scores_.rank;
    const float* left = narrow_.left.data();
    const float* right = narrow_.right.data();
    for (Near& entry : entries) {
      entry.score = static_cast<float>(
          std::abs(dot(level_, left + entry.index / columns_ * rank, right + entry.index % columns_ * rank, rank)));
    }
    constexpr double kRoundings = 4;
    const double share = kRoundings / (static_cast<double>(rank) + NarrowFactors::kOthers);
    settle(entries, wanted, score_of(wanted, entries), narrow_.error * share);
  }

  // Sets the bits of the `wanted` largest entries by their scores in float64. Of equal scores those with the lower index are
  // taken.
  void take(const std::vector<Near>& entries, int64_t wanted) {
    std::vector<Candidate> candidates;
    candidates.reserve(entries.size());
    for (const Near& entry : entries) {
      candidates.push_back(score_exactly(scores_, entry.index / columns_, entry.index % columns_));
    }
    take_largest(scores_, candidates, wanted, [&](int64_t row, int64_t column) { set(row, column); });
  }

  void set(int64_t row, int64_t column) { mask_[row * words() + column / 64] |= uint64_t{1} << (column % 64); }

  ThreadPool& pool_;
  SimdLevel level_;
  const tg_mask_scores& scores_;
  int64_t count_;
  tg_control* control_;
  const std::vector<Scratch>& scratch_;
  uint64_t* mask_;
  int64_t rows_;
  int64_t columns_;
  Tiles tiles_;
  NarrowFactors narrow_;
};

}  // namespace

bool select_by_screening(ThreadPool& pool, SimdLevel level, const tg_mask_scores& scores, int64_t count, tg_control* control,
                         const std::vector<Scratch>& scratch, uint64_t* mask) {
  return Screening(pool, level, scores, count, control, scratch, mask).run();
}

}  // namespace threegate::mask
