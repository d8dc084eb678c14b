#include "mask.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "common/candidates.h"
#include "common/control.h"
#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/operand.h"
#include "screen.h"

namespace threegate::mask {
namespace {

constexpr int64_t kTileRows = 64;
constexpr int64_t kTileColumns = 2048;  // a tile of float64 scores is 1 MiB: the second-level cache
// In float32, where a square of as many bytes needs the least packing of factors.
constexpr int64_t kNarrowTile = 512;
static_assert(kNarrowTile * kNarrowTile * sizeof(float) <= kTileRows * kTileColumns * sizeof(double));
constexpr int kDigitBits = 16;
constexpr int64_t kDigits = int64_t{1} << kDigitBits;
constexpr uint64_t kInfinity = 0x7ff0000000000000ULL;

// One rectangle of scores as bits of their absolute values: ordered as the scores are.
struct Tile {
  int64_t row;
  int64_t rows;
  int64_t column;
  int64_t columns;
};

// Memory of one thread.
struct Scratch {
  Scratch(Arena& arena, int64_t rank)
      : keys(arena.take<uint64_t>(kTileRows * kTileColumns)),
        factor(arena.take<double>(rank * kTileRows)),
        digits(arena.take<int64_t>(kDigits)) {}
  uint64_t* keys;
  double* factor;   // rank x rows of the tile: values times left vectors
  int64_t* digits;  // counts of the digit in question
};

int64_t rank_of(const tg_mask_scores& scores) { return scores.matrix != nullptr ? 0 : scores.rank; }

void scores_of_matrix(const tg_operand& matrix, const Tile& tile, double* out) {
  for (int64_t i = 0; i < tile.rows; ++i) {
    for (int64_t j = 0; j < tile.columns; j += kRun) {
      stage_double(matrix, tile.row + i, tile.column + j, std::min(kRun, tile.columns - j), out + i * tile.columns + j,
                   convert_f16_plain);
    }
  }
}

void scores_of_triplets(const tg_mask_scores& scores, const Tile& tile, double* factor, double* out) {
  for (int64_t k = 0; k < scores.rank; ++k) {
    for (int64_t i = 0; i < tile.rows; ++i) {
      factor[k * tile.rows + i] = scores.values[k] * scores.left[k * scores.rows + tile.row + i];
    }
  }
  blas().wide.gemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_size(tile.rows), blas_size(tile.columns), blas_size(scores.rank),
                   1.0, factor, blas_size(tile.rows), scores.right + tile.column, blas_size(scores.columns), 0.0, out,
                   blas_size(tile.columns));
}

void fill_keys(const tg_mask_scores& scores, const Tile& tile, const Scratch& scratch) {
  auto* values = reinterpret_cast<double*>(scratch.keys);
  if (scores.matrix != nullptr) {
    scores_of_matrix(*scores.matrix, tile, values);
  } else {
    scores_of_triplets(scores, tile, scratch.factor, values);
  }
  for (int64_t i = 0; i < tile.rows * tile.columns; ++i) {
    scratch.keys[i] = bit_cast<uint64_t>(values[i]) & 0x7fffffffffffffffULL;
  }
}

// Screening in float32: bins of float codes without the sign, 2^-11 wide relative to the score.
constexpr int kFineShift = 12;
constexpr int64_t kFineBins = int64_t{1} << (31 - kFineShift);
constexpr uint32_t kNarrowInfinity = 0x7f800000U;
constexpr int64_t kMostCandidates = int64_t{1} << 21;
constexpr int64_t kSampled = 512;        // rows and columns of a sample
constexpr double kSampleMargin = 0.015;  // share of entries on either side of its quantile
constexpr int64_t kLeastSampled = int64_t{1} << 19;

// Factors of the reconstruction in float32, and how far a float32 score may lie from the exact one: rounding of the factors and
// of a sum of `rank` products, (rank + 8) units of rounding times the largest norms of both factors (Cauchy and Schwarz).
struct Narrow {
  Narrow(const tg_mask_scores& scores, int64_t rows, int64_t columns)
      : left(static_cast<size_t>(scores.rank * rows)), right(static_cast<size_t>(scores.rank * columns)) {
    const double norms = std::sqrt(take(scores, scores.left, scores.values, rows, left.data()) *
                                   take(scores, scores.right, nullptr, columns, right.data()));
    constexpr double kUnit = std::numeric_limits<float>::epsilon() / 2;
    error = (static_cast<double>(scores.rank) + kOthers) * kUnit * norms;
  }
  // Away from the ends of float32's range, where rounding is no longer relative. False for what is not finite.
  [[nodiscard]] bool is_usable() const { return error > 1e-25 && error < 1e25; }

  static constexpr double kOthers = 8;  // roundings beside those of the sum

  std::vector<float> left;   // rows x rank, values included
  std::vector<float> right;  // columns x rank
  double error = 0;

 private:
  // rank x length becomes length x rank; the largest squared norm of a row of that.
  static double take(const tg_mask_scores& scores, const double* factors, const double* values, int64_t length, float* out) {
    constexpr int64_t kTogether = 16;  // of as many cache lines that are written two are read
    double largest = 0;
    for (int64_t begin = 0; begin < length; begin += kTogether) {
      const int64_t count = std::min(kTogether, length - begin);
      double squares[kTogether] = {};
      for (int64_t k = 0; k < scores.rank; ++k) {
        const double value = values == nullptr ? 1 : values[k];
        for (int64_t j = 0; j < count; ++j) {
          const double entry = value * factors[k * length + begin + j];
          out[(begin + j) * scores.rank + k] = static_cast<float>(entry);
          squares[j] += entry * entry;
        }
      }
      largest = std::max(largest, *std::max_element(squares, squares + count));
    }
    return largest;
  }
};

// Tiles in row-major order; their columns are a multiple of 64 so that no word of a mask belongs to two.
class Tiles {
 public:
  Tiles(int64_t rows, int64_t columns, int64_t tile_rows, int64_t tile_columns)
      : rows_(rows), columns_(columns), tile_rows_(tile_rows), tile_columns_(tile_columns) {}
  [[nodiscard]] int64_t across() const { return (columns_ + tile_columns_ - 1) / tile_columns_; }
  [[nodiscard]] int64_t count() const { return (rows_ + tile_rows_ - 1) / tile_rows_ * across(); }
  [[nodiscard]] Tile at(int64_t index) const {
    const int64_t row = index / across() * tile_rows_;
    const int64_t column = index % across() * tile_columns_;
    return {row, std::min(tile_rows_, rows_ - row), column, std::min(tile_columns_, columns_ - column)};
  }

 private:
  int64_t rows_;
  int64_t columns_;
  int64_t tile_rows_;
  int64_t tile_columns_;
};

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
        tiles_(rows_, columns_, kTileRows, kTileColumns),
        narrow_tiles_(rows_, columns_, kNarrowTile, kNarrowTile) {
    Arena arena(workspace);
    for (int thread = 0; thread < pool.threads(); ++thread) {
      scratch_.emplace_back(arena, rank_of(scores));
    }
  }

  Outcome run() {
    std::fill_n(mask_, rows_ * words(), uint64_t{0});
    if (options_.count == 0) {
      return finite_pass();
    }
    if (scores_.matrix == nullptr && options_.smallest == 0 && screen()) {
      return Outcome::kDone;
    }
    if (cancelled()) {
      return Outcome::kCancelled;
    }
    std::fill_n(mask_, rows_ * words(), uint64_t{0});
    // The key of the last entry that is selected, digit by digit; `left` is how many of the entries that share the digits
    // found so far belong to the selection.
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

  // Runs body(thread, tile) on all tiles, several at once; their keys are in the thread's scratch.
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

  // Scores of rows of both factors.
  void multiply(int64_t rows, const float* left, int64_t columns, const float* right, float* scores) const {
    const lapack_int rank = blas_size(scores_.rank);
    blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rows), blas_size(columns), rank, 1.0F, left, rank,
                       right, rank, 0.0F, scores, blas_size(columns));
  }

  // Runs body(thread, tile, float32 scores) on all tiles, until one returns false.
  template <typename Body>
  bool for_narrow_tiles(const Narrow& narrow, Body body) {
    std::atomic<int64_t> next{0};
    std::atomic<bool> fine{true};
    pool_.run(pool_.threads(), [&](int thread) {
      auto* values = reinterpret_cast<float*>(scratch_[static_cast<size_t>(thread)].keys);
      for (int64_t index = next++; index < narrow_tiles_.count() && !cancelled() && fine; index = next++) {
        const Tile tile = narrow_tiles_.at(index);
        multiply(tile.rows, narrow.left.data() + tile.row * scores_.rank, tile.columns,
                 narrow.right.data() + tile.column * scores_.rank, values);
        if (!body(static_cast<size_t>(thread), tile, values)) {
          fine = false;
        }
      }
    });
    return fine && !cancelled();
  }

  // An interval of float32 scores that the last selected one is thought to lie in.
  struct Band {
    double low;
    double high;
  };

  // An entry whose float32 score lies in the band.
  struct Near {
    float score;
    int64_t index;
  };

  // Selects the largest scores of triplets, of which float32 decides all but those about as large as the last selected one: in
  // one pass when a sample says well enough where that is, else in two. False when that does not do: many equal scores, or no
  // float32 numbers.
  bool screen() {
    const Narrow narrow(scores_, rows_, columns_);
    if (!narrow.is_usable()) {
      return false;
    }
    Band band{};
    if (rows_ * columns_ >= kLeastSampled &&
        rows_ * columns_ <= kMostCandidates / 2 * static_cast<int64_t>(1 / (2 * kSampleMargin)) && sample(narrow, band) &&
        decide(narrow, band)) {
      return true;
    }
    std::fill_n(mask_, rows_ * words(), uint64_t{0});
    return !cancelled() && count_bins(narrow, band) && decide(narrow, band);
  }

  // From some rows and columns, spread evenly.
  bool sample(const Narrow& narrow, Band& band) const {
    const int64_t rows = std::min(kSampled, rows_);
    const int64_t columns = std::min(kSampled, columns_);
    const auto rank = scores_.rank;
    std::vector<float> left(static_cast<size_t>(rank * rows));
    std::vector<float> right(static_cast<size_t>(rank * columns));
    for (int64_t i = 0; i < rows; ++i) {
      std::copy_n(narrow.left.data() + i * rows_ / rows * rank, rank, left.data() + i * rank);
    }
    for (int64_t j = 0; j < columns; ++j) {
      std::copy_n(narrow.right.data() + j * columns_ / columns * rank, rank, right.data() + j * rank);
    }
    std::vector<float> values(static_cast<size_t>(rows * columns));
    multiply(rows, left.data(), columns, right.data(), values.data());
    for (float& value : values) {
      value = std::abs(value);
      if (!(value < std::numeric_limits<float>::infinity())) {
        return false;
      }
    }
    const double share = static_cast<double>(options_.count) / (static_cast<double>(rows_) * static_cast<double>(columns_));
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

  // From all scores, by their leading bits.
  bool count_bins(const Narrow& narrow, Band& band) {
    std::vector<std::vector<int64_t>> counts(scratch_.size(), std::vector<int64_t>(static_cast<size_t>(kFineBins), 0));
    if (!for_narrow_tiles(narrow, [&](size_t thread, const Tile& tile, const float* values) {
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
    for (int64_t left = options_.count; left > 0;) {
      --bin;
      for (const auto& own : counts) {
        left -= own[static_cast<size_t>(bin)];
      }
    }
    const auto edge = [](int64_t at) { return static_cast<double>(bit_cast<float>(static_cast<uint32_t>(at << kFineShift))); };
    band = {edge(bin) - 4 * narrow.error, edge(bin + 1) + 4 * narrow.error};
    return true;
  }

  // Sets the bits of the largest scores if the last of them is well within the band. Where t is its float32 score, the exact one
  // lies within the error of t, and so does each entry's from its own: beyond t by twice the error an entry is selected or not
  // for certain.
  bool decide(const Narrow& narrow, const Band& band) {
    const auto low = static_cast<float>(band.low);
    const auto high = static_cast<float>(band.high);
    std::vector<std::vector<Near>> near(scratch_.size());
    for (auto& own : near) {
      own.reserve(static_cast<size_t>(static_cast<double>(std::min(rows_ * columns_, kMostCandidates)) /
                                      static_cast<double>(near.size())));
    }
    std::atomic<int64_t> found{0};
    std::atomic<int64_t> sure{0};
    if (!for_narrow_tiles(narrow, [&](size_t thread, const Tile& tile, const float* values) {
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
    int64_t wanted = options_.count - sure;
    if (wanted < 1 || wanted > static_cast<int64_t>(all.size())) {
      return false;
    }
    const double threshold = score_of(wanted, all);
    if (threshold + 2 * narrow.error > band.high || threshold - 2 * narrow.error < band.low) {
      return false;
    }
    settle(all, wanted, threshold, narrow.error);
    refine(narrow, all, wanted);
    take(all, wanted);
    return true;
  }

  // Sets the bits of entries that are among the `wanted` largest for certain, and keeps those of which that is not known.
  // `threshold` is the smallest score that would be selected, and scores are right to `error`.
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

  // Once more from the float32 factors, but summed in float64: what is left is the rounding of the two factors and of the score.
  void refine(const Narrow& narrow, std::vector<Near>& entries, int64_t& wanted) {
    if (wanted == 0 || wanted == static_cast<int64_t>(entries.size())) {
      return;
    }
    const int64_t rank = scores_.rank;
    const float* left = narrow.left.data();
    const float* right = narrow.right.data();
    for (Near& entry : entries) {
      entry.score = static_cast<float>(
          std::abs(dot(level_, left + entry.index / columns_ * rank, right + entry.index % columns_ * rank, rank)));
    }
    constexpr double kRoundings = 4;
    const double share = kRoundings / (static_cast<double>(rank) + Narrow::kOthers);
    settle(entries, wanted, score_of(wanted, entries), narrow.error * share);
  }

  // Sets the bits of the `wanted` largest entries, of equal ones those with the lower index, by their scores in float64.
  void take(const std::vector<Near>& entries, int64_t wanted) {
    std::vector<Candidate> candidates;
    candidates.reserve(entries.size());
    for (const Near& entry : entries) {
      candidates.push_back(score_exactly(scores_, entry.index / columns_, entry.index % columns_));
    }
    take_largest(scores_, candidates, wanted, [&](int64_t row, int64_t column) { set(row, column); });
  }

  Outcome finite_pass() {
    return for_tiles([&](int thread, const Tile& tile) {
      const uint64_t* keys = scratch_[static_cast<size_t>(thread)].keys;
      return std::all_of(keys, keys + tile.rows * tile.columns, [](uint64_t key) { return key < kInfinity; });
    });
  }

  // Into the first thread's counters.
  Outcome count_digits(uint64_t prefix, int shift) {
    for (Scratch& scratch : scratch_) {
      std::fill_n(scratch.digits, kDigits, int64_t{0});
    }
    // A shift by 64 is undefined: the first digit has no prefix.
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

  // The digit of the last selected entry; takes those beyond it from `left` and says how many share it.
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

  // Sets the bits of all keys beyond `prefix` (in its digits down to `shift`), and of the first `left` that share it.
  Outcome mark(uint64_t prefix, int shift, int64_t left) {
    std::vector<int64_t> sharing;  // how many in each row of each tile, then the number before it
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
  Tiles narrow_tiles_;
  std::vector<Scratch> scratch_;
};

}  // namespace

int64_t rows_of(const tg_mask_scores& scores) { return scores.matrix != nullptr ? scores.matrix->values.rows : scores.rows; }
int64_t columns_of(const tg_mask_scores& scores) {
  return scores.matrix != nullptr ? scores.matrix->values.columns : scores.columns;
}

int64_t workspace_bytes(const tg_mask_scores& scores, int threads) {
  Arena arena;
  const Scratch scratch(arena, rank_of(scores));
  return threads * arena.used();
}

Outcome select(ThreadPool& pool, SimdLevel level, const tg_mask_scores& scores, const tg_mask_options& options,
               tg_control* control, void* workspace, uint64_t* mask) {
  return Selection(pool, level, scores, options, control, workspace, mask).run();
}

namespace {

// Calls body(row, column, code) for each entry.
template <typename Body>
void for_codes(const tg_operand& matrix, Body body) {
  double run[kRun];
  const bool plain = matrix.values.dtype == TG_BF16 && is_plain(matrix);
  for (int64_t i = 0; i < matrix.values.rows; ++i) {
    for (int64_t j = 0; j < matrix.values.columns; j += kRun) {
      const int64_t count = std::min(kRun, matrix.values.columns - j);
      if (plain) {
        const uint8_t* codes = element_address(matrix.values, i, j);
        for (int64_t k = 0; k < count; ++k) {
          body(i, j + k, bf16_magnitude_code(load<uint16_t>(codes + 2 * k)));
        }
        continue;
      }
      stage_double(matrix, i, j, count, run, convert_f16_plain);
      for (int64_t k = 0; k < count; ++k) {
        body(i, j + k, bf16_magnitude_code(double_to_bf16(run[k])));
      }
    }
  }
}

}  // namespace

void magnitude_histogram(const tg_operand& matrix, const uint64_t* first, const uint64_t* second, const Histogram& histogram) {
  for (int64_t* counts : {histogram.all, histogram.first, histogram.second, histogram.both}) {
    std::fill_n(counts, TG_MAGNITUDE_CODES, int64_t{0});
  }
  const int64_t words = (matrix.values.columns + 63) / 64;
  for_codes(matrix, [&](int64_t row, int64_t column, uint32_t code) {
    const auto a = static_cast<int64_t>(first[row * words + column / 64] >> (column % 64) & 1U);
    const auto b = static_cast<int64_t>(second[row * words + column / 64] >> (column % 64) & 1U);
    ++histogram.all[code];
    histogram.first[code] += a;
    histogram.second[code] += b;
    histogram.both[code] += a & b;
  });
}

void magnitude_profile(const tg_operand& matrix, const double* table, double* row_sums, double* column_sums) {
  std::fill_n(row_sums, matrix.values.rows, 0.0);
  std::fill_n(column_sums, matrix.values.columns, 0.0);
  for_codes(matrix, [&](int64_t row, int64_t column, uint32_t code) {
    row_sums[row] += table[code];
    column_sums[column] += table[code];
  });
}

}  // namespace threegate::mask
