#include "mask.h"

#include <emmintrin.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/control.h"
#include "cpu/support/lanes.h"
#include "cpu/support/operand.h"

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
    std::vector<double> row_squares(static_cast<size_t>(rows), 0.0);
    std::vector<double> column_squares(static_cast<size_t>(columns), 0.0);
    for (int64_t k = 0; k < scores.rank; ++k) {
      for (int64_t i = 0; i < rows; ++i) {
        const double entry = scores.values[k] * scores.left[k * rows + i];
        left[static_cast<size_t>(k * rows + i)] = static_cast<float>(entry);
        row_squares[static_cast<size_t>(i)] += entry * entry;
      }
      for (int64_t j = 0; j < columns; ++j) {
        const double entry = scores.right[k * columns + j];
        right[static_cast<size_t>(k * columns + j)] = static_cast<float>(entry);
        column_squares[static_cast<size_t>(j)] += entry * entry;
      }
    }
    const double norms = std::sqrt(*std::max_element(row_squares.begin(), row_squares.end()) *
                                   *std::max_element(column_squares.begin(), column_squares.end()));
    constexpr double kUnit = std::numeric_limits<float>::epsilon() / 2;
    error = static_cast<double>(scores.rank + 8) * kUnit * norms;
  }
  // Away from the ends of float32's range, where rounding is no longer relative. False for what is not finite.
  [[nodiscard]] bool is_usable() const { return error > 1e-25 && error < 1e25; }

  std::vector<float> left;   // rank x rows, values included
  std::vector<float> right;  // rank x columns
  double error = 0;
};

// Where up to 64 scores lie, a bit each.
struct Compared {
  uint64_t above;
  uint64_t between;
  bool finite;
};

// Four at a time: every x86-64 processor can.
Compared compare(const float* values, int64_t count, float low, float high) {
  Compared result{0, 0, true};
  int64_t l = 0;
  const __m128 sign = _mm_set1_ps(-0.0F);
  const __m128 infinity = _mm_set1_ps(std::numeric_limits<float>::infinity());
  __m128 wrong = _mm_setzero_ps();
  for (; l + 4 <= count; l += 4) {
    const __m128 score = _mm_andnot_ps(sign, _mm_loadu_ps(values + l));
    wrong = _mm_or_ps(wrong, _mm_cmpnlt_ps(score, infinity));
    result.above |= static_cast<uint64_t>(_mm_movemask_ps(_mm_cmpgt_ps(score, _mm_set1_ps(high)))) << l;
    result.between |= static_cast<uint64_t>(_mm_movemask_ps(_mm_cmpge_ps(score, _mm_set1_ps(low)))) << l;
  }
  result.finite = _mm_movemask_ps(wrong) == 0;
  for (; l < count; ++l) {
    const float score = std::abs(values[l]);
    result.finite = result.finite && score < std::numeric_limits<float>::infinity();
    result.above |= static_cast<uint64_t>(score > high) << l;
    result.between |= static_cast<uint64_t>(score >= low) << l;
  }
  result.between &= ~result.above;
  return result;
}

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
  Selection(ThreadPool& pool, const tg_mask_scores& scores, const tg_mask_options& options, tg_control* control, void* workspace,
            uint64_t* mask)
      : pool_(pool),
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

  // Runs body(thread, tile, float32 scores) on all tiles, until one returns false.
  template <typename Body>
  bool for_narrow_tiles(const Narrow& narrow, Body body) {
    std::atomic<int64_t> next{0};
    std::atomic<bool> fine{true};
    pool_.run(pool_.threads(), [&](int thread) {
      auto* values = reinterpret_cast<float*>(scratch_[static_cast<size_t>(thread)].keys);
      for (int64_t index = next++; index < narrow_tiles_.count() && !cancelled() && fine; index = next++) {
        const Tile tile = narrow_tiles_.at(index);
        blas().single.gemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_size(tile.rows), blas_size(tile.columns),
                           blas_size(scores_.rank), 1.0F, narrow.left.data() + tile.row, blas_size(rows_),
                           narrow.right.data() + tile.column, blas_size(columns_), 0.0F, values, blas_size(tile.columns));
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
    for (int64_t k = 0; k < rank; ++k) {
      for (int64_t i = 0; i < rows; ++i) {
        left[static_cast<size_t>(k * rows + i)] = narrow.left[static_cast<size_t>(k * rows_ + i * rows_ / rows)];
      }
      for (int64_t j = 0; j < columns; ++j) {
        right[static_cast<size_t>(k * columns + j)] = narrow.right[static_cast<size_t>(k * columns_ + j * columns_ / columns)];
      }
    }
    std::vector<float> values(static_cast<size_t>(rows * columns));
    blas().single.gemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_size(rows), blas_size(columns), blas_size(rank), 1.0F,
                       left.data(), blas_size(rows), right.data(), blas_size(columns), 0.0F, values.data(), blas_size(columns));
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
              const Compared compared = compare(values + i * tile.columns + j, count, low, high);
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
    std::vector<Near> all;
    for (const auto& own : near) {
      all.insert(all.end(), own.begin(), own.end());
    }
    const int64_t wanted = options_.count - sure;
    if (wanted < 1 || wanted > static_cast<int64_t>(all.size())) {
      return false;
    }
    const auto last = all.begin() + (wanted - 1);
    std::nth_element(all.begin(), last, all.end(), [](const Near& a, const Near& b) { return a.score > b.score; });
    const auto threshold = static_cast<double>(last->score);
    if (threshold + 2 * narrow.error > band.high || threshold - 2 * narrow.error < band.low) {
      return false;
    }
    std::vector<int64_t> candidates;
    int64_t certain = 0;
    for (const Near& entry : all) {
      const double beyond = static_cast<double>(entry.score) - threshold;
      if (beyond > 2 * narrow.error) {
        set(entry.index / columns_, entry.index % columns_);
        ++certain;
      } else if (beyond >= -2 * narrow.error) {
        candidates.push_back(entry.index);
      }
    }
    return take_candidates(candidates, wanted - certain);
  }

  // Sets the bits of the `wanted` largest candidates, of equal ones those with the lower index.
  bool take_candidates(std::vector<int64_t>& candidates, int64_t wanted) {
    if (wanted < 0 || wanted > static_cast<int64_t>(candidates.size())) {
      return false;
    }
    std::sort(candidates.begin(), candidates.end());
    const auto rank = static_cast<size_t>(scores_.rank);
    std::vector<double> across(static_cast<size_t>(columns_) * rank);  // right vectors, those of a column together
    for (size_t k = 0; k < rank; ++k) {
      for (int64_t j = 0; j < columns_; ++j) {
        across[static_cast<size_t>(j) * rank + k] = scores_.right[static_cast<int64_t>(k) * columns_ + j];
      }
    }
    struct Scored {
      double score;
      int64_t index;
    };
    std::vector<Scored> scored;
    scored.reserve(candidates.size());
    std::vector<double> factor(rank);
    int64_t row = -1;
    for (const int64_t index : candidates) {
      if (index / columns_ != row) {
        row = index / columns_;
        for (size_t k = 0; k < rank; ++k) {
          factor[k] = scores_.values[k] * scores_.left[static_cast<int64_t>(k) * rows_ + row];
        }
      }
      const double* column = across.data() + static_cast<size_t>(index % columns_) * rank;
      const double score = sum_in_lanes(scores_.rank, [&](int64_t k) { return factor[static_cast<size_t>(k)] * column[k]; });
      scored.push_back({std::abs(score), index});
    }
    std::nth_element(scored.begin(), scored.begin() + wanted, scored.end(), [](const Scored& a, const Scored& b) {
      return a.score > b.score || (a.score == b.score && a.index < b.index);
    });
    for (int64_t i = 0; i < wanted; ++i) {
      const int64_t index = scored[static_cast<size_t>(i)].index;
      set(index / columns_, index % columns_);
    }
    return true;
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

Outcome select(ThreadPool& pool, const tg_mask_scores& scores, const tg_mask_options& options, tg_control* control,
               void* workspace, uint64_t* mask) {
  return Selection(pool, scores, options, control, workspace, mask).run();
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
