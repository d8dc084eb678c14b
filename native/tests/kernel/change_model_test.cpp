#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "reference/least_squares.h"
#include "support.h"

namespace {

using Values = std::vector<double>;
using Bits = std::vector<uint64_t>;

// A matrix of float64 entries with a few bins of magnitudes, and sets of its entries.
class Model {
 public:
  Model(Values entries, int64_t rows, double smallest, int64_t bin_count)
      : entries_(std::move(entries)),
        rows_(rows),
        columns_(static_cast<int64_t>(entries_.size()) / rows),
        bin_count_(bin_count),
        bins_(TG_MAGNITUDE_CODES) {
    // Bin b holds the magnitudes below smallest * 2^b.
    for (int64_t code = 0; code < TG_MAGNITUDE_CODES; ++code) {
      const auto bits = static_cast<uint32_t>(code) << 16;
      float value = 0;
      std::memcpy(&value, &bits, sizeof(value));
      int32_t bin = 0;
      while (bin < bin_count - 1 && !(static_cast<double>(value) < smallest * std::exp2(bin))) {
        ++bin;
      }
      bins_[static_cast<size_t>(code)] = bin;
    }
    operand_.size = sizeof(operand_);
    operand_.values = {entries_.data(), rows_, columns_, columns_, TG_F64, 0};
  }

  [[nodiscard]] int64_t rows() const { return rows_; }
  [[nodiscard]] int64_t columns() const { return columns_; }
  [[nodiscard]] int64_t bin_count() const { return bin_count_; }
  [[nodiscard]] int64_t words() const { return (columns_ + 63) / 64; }
  [[nodiscard]] size_t bin_of(size_t entry) const {
    const auto value = static_cast<float>(entries_[entry]);
    uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof(bits));
    return static_cast<size_t>(bins_[(bits + 0x7fffU + (bits >> 16 & 1U)) >> 16 & 0x7fffU]);
  }

  // Calls chosen(entry) in order and sets the bits of those chosen.
  template <typename Chosen>
  [[nodiscard]] Bits set(Chosen chosen) const {
    Bits bits(static_cast<size_t>(rows_ * words()), 0);
    for (int64_t i = 0; i < rows_; ++i) {
      for (int64_t j = 0; j < columns_; ++j) {
        if (chosen(static_cast<size_t>(i * columns_ + j))) {
          bits[static_cast<size_t>(i * words() + j / 64)] |= uint64_t{1} << (j % 64);
        }
      }
    }
    return bits;
  }
  [[nodiscard]] bool has(const Bits& bits, size_t entry) const {
    const auto i = static_cast<int64_t>(entry) / columns_;
    const auto j = static_cast<int64_t>(entry) % columns_;
    return (bits[static_cast<size_t>(i * words() + j / 64)] >> (j % 64) & 1U) != 0;
  }
  [[nodiscard]] tg_change_model with(const Bits& changed) const {
    static constexpr int32_t kNoEnd = -1;
    tg_change_model model{sizeof(tg_change_model), &operand_, changed.data(), bins_.data(), bin_count_, nullptr};
    if (struct_size_ != 0) {
      // Programs of an older header have no ends, and whatever follows their struct is not one.
      model.size = struct_size_;
      model.bins = struct_size_ == sizeof(model) ? nullptr : model.bins;
      model.bin_ends = struct_size_ == sizeof(model) ? ends_.data() : &kNoEnd;
    }
    return model;
  }
  // Passes the bins as ranges in a struct of the present size, and as before in one of an older size.
  void use_ranges(int64_t struct_size) {
    struct_size_ = struct_size;
    operand_.values.data = entries_.data();
    for (int64_t code = 1; code <= TG_MAGNITUDE_CODES; ++code) {
      if (code == TG_MAGNITUDE_CODES || bins_[static_cast<size_t>(code)] != bins_[static_cast<size_t>(code - 1)]) {
        ends_.push_back(static_cast<int32_t>(code));
      }
    }
  }
  // Stores the entries as bf16, rounded to nearest.
  void use_bf16() {
    for (const double entry : entries_) {
      const auto value = static_cast<float>(entry);
      uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof(bits));
      codes_.push_back(static_cast<uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16));
    }
    operand_.values = {codes_.data(), rows_, columns_, columns_, TG_BF16, 0};
  }

 private:
  Values entries_;
  std::vector<uint16_t> codes_;
  int64_t rows_;
  int64_t columns_;
  int64_t bin_count_;
  std::vector<int32_t> bins_;
  std::vector<int32_t> ends_;
  int64_t struct_size_ = 0;
  tg_operand operand_{};
};

struct Fit {
  tg_change_logits logits{};
  Values rows;
  Values columns;
  Values bins;
  std::vector<tg_change_score_result> scores;
};

Fit fit(const Model& model, const Bits& changed, const std::vector<Bits>& sets, int threads = 1, const char* simd = nullptr,
        double tolerance = 1e-4, int64_t most_steps = 60) {
  const auto context = support::make_context(threads, simd);
  const tg_change_model with = model.with(changed);
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_change_workspace(context.get(), &with, &size)) << support::error_of(context.get());
  const auto host = support::allocate(size.host_bytes + 8);
  static_cast<uint8_t*>(host.get())[size.host_bytes] = 0x5a;
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  const tg_change_options options{sizeof(options), tolerance, most_steps};
  Fit result;
  result.rows.resize(static_cast<size_t>(model.rows()));
  result.columns.resize(static_cast<size_t>(model.columns()));
  result.bins.resize(static_cast<size_t>(model.bin_count()));
  result.logits.size = sizeof(tg_change_logits);
  result.logits.rows = result.rows.data();
  result.logits.columns = result.columns.data();
  result.logits.bins = result.bins.data();
  EXPECT_EQ(TG_OK, tg_change_fit(context.get(), &with, &options, &workspace, &result.logits)) << support::error_of(context.get());
  if (!sets.empty()) {
    std::vector<const uint64_t*> addresses;
    for (const Bits& set : sets) {
      addresses.push_back(set.data());
    }
    result.scores.resize(sets.size());
    EXPECT_EQ(TG_OK, tg_change_score(context.get(), &with, &result.logits, addresses.data(), static_cast<int64_t>(sets.size()),
                                     &workspace, result.scores.data()));
  }
  EXPECT_EQ(0x5a, static_cast<uint8_t*>(host.get())[size.host_bytes]);
  return result;
}

double probability(double logit) { return 1 / (1 + std::exp(-logit)); }

// Profiles of changes as they are seen: a few rows and columns change far more than others.
struct Truth {
  Values rows;
  Values columns;
  Values bins;
  [[nodiscard]] double logit(const Model& model, size_t entry) const {
    const auto columns_of = static_cast<size_t>(model.columns());
    return rows[entry / columns_of] + columns[entry % columns_of] + bins[model.bin_of(entry)];
  }
};

// Magnitudes go with the rows, and if `column_scales` is large with the columns.
Model random_model(int64_t rows, int64_t columns, std::mt19937_64& random, double column_scales = 0) {
  std::normal_distribution<double> normal;
  Values entries;
  Values of_rows;
  Values of_columns;
  for (int64_t i = 0; i < rows; ++i) {
    of_rows.push_back(std::exp(0.3 * normal(random)));
  }
  for (int64_t j = 0; j < columns && column_scales > 0; ++j) {
    of_columns.push_back(std::exp(column_scales * normal(random)));
  }
  for (int64_t i = 0; i < rows * columns; ++i) {
    const double scale = column_scales > 0 ? of_columns[static_cast<size_t>(i % columns)] : 1;
    entries.push_back(0.02 * scale * of_rows[static_cast<size_t>(i / columns)] * normal(random));
  }
  return {entries, rows, 0.002, 5};
}

Truth random_truth(const Model& model, double level, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  Truth truth;
  for (int64_t i = 0; i < model.rows(); ++i) {
    truth.rows.push_back(level + 0.7 * normal(random));
  }
  for (int64_t j = 0; j < model.columns(); ++j) {
    truth.columns.push_back(0.7 * normal(random));
  }
  for (int64_t b = 0; b < model.bin_count(); ++b) {
    truth.bins.push_back(-0.6 * static_cast<double>(b));
  }
  return truth;
}

Bits draw(const Model& model, const Truth& truth, std::mt19937_64& random, const Bits* set = nullptr, double log_odds = 0) {
  std::uniform_real_distribution<double> uniform(0, 1);
  return model.set([&](size_t entry) {
    const double more = set != nullptr && model.has(*set, entry) ? log_odds : 0;
    return uniform(random) < probability(truth.logit(model, entry) + more);
  });
}

// The larger the scales of columns, the more columns and bins are coupled, up to where steps that leave that out gain nothing.
class ChangeModelOfScales : public testing::TestWithParam<double> {};
INSTANTIATE_TEST_SUITE_P(ChangeModel, ChangeModelOfScales, testing::Values(0.0, 0.5, 2.0));

TEST_P(ChangeModelOfScales, ExpectsTheObservedMargins) {
  std::mt19937_64 random(support::seed());
  const Model model = random_model(70, 150, random, GetParam());
  const Truth truth = random_truth(model, -0.5, random);
  const Bits changed = draw(model, truth, random);
  const Fit found = fit(model, changed, {}, 1, nullptr, 1e-5);
  ASSERT_EQ(TG_OK, found.logits.status);
  EXPECT_LE(found.logits.imbalance, 1e-5);
  EXPECT_GT(found.logits.free_entries, GetParam() < 1 ? 60 * 130 : 60 * 100);
  Values rows(70, 0);
  Values columns(150, 0);
  Values bins(5, 0);
  Values row_weights(70, 0);
  for (size_t entry = 0; entry < size_t{70 * 150}; ++entry) {
    const double p = probability(found.rows[entry / 150] + found.columns[entry % 150] + found.bins[model.bin_of(entry)]);
    if (std::isnan(p) || p == 0 || p == 1) {
      continue;  // without information
    }
    const double difference = (model.has(changed, entry) ? 1 : 0) - p;
    rows[entry / 150] += difference;
    columns[entry % 150] += difference;
    bins[model.bin_of(entry)] += difference;
  }
  // The tolerance times the largest standard deviations, and the rounding of float32 probabilities.
  for (const Values* sums : {&rows, &columns, &bins}) {
    for (const double sum : *sums) {
      EXPECT_NEAR(0, sum, 1e-5 * 60 + 1e-6 * 5000);
    }
  }
}

TEST(ChangeModel, TheScoreIsThatOfTheWholeDesign) {
  std::mt19937_64 random(support::seed());
  const Model model = random_model(20, 24, random);
  const Bits changed = draw(model, random_truth(model, 0.6, random), random);
  // A set that goes with rows, columns and magnitudes.
  const Bits set =
      model.set([&](size_t entry) { return random() % 10 < 2 + entry / 24 / 5 + entry % 24 / 12 + model.bin_of(entry) / 2; });
  const Fit found = fit(model, changed, {set}, 2);
  ASSERT_EQ(TG_OK, found.logits.status);
  std::vector<Values> design;
  Values target;
  Values weights;
  double score = 0;
  double expected = 0;
  int64_t observed = 0;
  for (size_t entry = 0; entry < size_t{20 * 24}; ++entry) {
    const size_t bin = model.bin_of(entry);
    const double logit = found.rows[entry / 24] + found.columns[entry % 24] + found.bins[bin];
    if (!std::isfinite(logit)) {
      continue;
    }
    const double p = probability(logit);
    Values line(20 + 24 + 5, 0);
    line[entry / 24] = line[20 + entry % 24] = line[44 + bin] = 1;
    design.push_back(line);
    const bool in_set = model.has(set, entry);
    target.push_back(in_set ? 1 : 0);
    weights.push_back(p * (1 - p));
    score += in_set ? (model.has(changed, entry) ? 1 : 0) - p : 0;
    expected += in_set ? p : 0;
    observed += in_set && model.has(changed, entry) ? 1 : 0;
  }
  const tg_change_score_result& result = found.scores[0];
  EXPECT_EQ(TG_OK, result.status);
  const double information = reference::residual_squares(design, target, weights);
  EXPECT_NEAR(information, result.information, 1e-5 * information);
  EXPECT_NEAR(score, result.score, 1e-3 * std::sqrt(information));
  EXPECT_NEAR(expected, result.expected, 1e-5 * expected);
  EXPECT_EQ(observed, result.observed);
  EXPECT_EQ(static_cast<int64_t>(design.size()), found.logits.free_entries);
  EXPECT_GT(result.total, result.information);
}

// Sets that do not matter: z is standard normal, although they go with the rows and columns that change most. Sets that matter:
// the log odds ratio comes back.
TEST(ChangeModel, IsCalibrated) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  constexpr int kDraws = 200;
  for (const auto& [rows, columns, level] : {std::array<double, 3>{48, 80, -0.5}, {90, 40, -2}}) {
    const Model model = random_model(static_cast<int64_t>(rows), static_cast<int64_t>(columns), random);
    const Truth truth = random_truth(model, level, random);
    Values z;
    double score = 0;
    double information = 0;
    constexpr double kPlanted = 0.25;
    for (int round = 0; round < kDraws; ++round) {
      const Bits set = model.set([&](size_t entry) { return normal(random) < 0.5 * truth.logit(model, entry); });
      const Fit null = fit(model, draw(model, truth, random), {set});
      ASSERT_EQ(TG_OK, null.logits.status) << round << ", imbalance " << null.logits.imbalance;
      z.push_back(null.scores[0].score / std::sqrt(null.scores[0].information));
      if (round < 25) {
        const Fit planted = fit(model, draw(model, truth, random, &set, kPlanted), {set});
        score += planted.scores[0].score;
        information += planted.scores[0].information;
      }
    }
    double mean = 0;
    double squares = 0;
    for (const double value : z) {
      mean += value / kDraws;
      squares += value * value / kDraws;
    }
    // Four standard errors of 200 draws.
    EXPECT_NEAR(0, mean, 4 / std::sqrt(kDraws)) << rows;
    EXPECT_NEAR(1, squares, 4 * std::sqrt(2.0 / kDraws)) << rows;
    std::sort(z.begin(), z.end());
    double distance = 0;  // Kolmogorov's
    for (size_t i = 0; i < z.size(); ++i) {
      const double normal_share = std::erfc(-z[i] / std::sqrt(2.0)) / 2;
      distance = std::max(
          {distance, normal_share - static_cast<double>(i) / kDraws, static_cast<double>(i + 1) / kDraws - normal_share});
    }
    EXPECT_LT(distance, 1.95 / std::sqrt(kDraws)) << rows;  // the quantile of 0.1 %
    // One step from 0 gives between b and exp(b) - 1 for a log odds ratio b, with four standard errors.
    EXPECT_NEAR((kPlanted + std::expm1(kPlanted)) / 2, score / information, 0.02 + 4 / std::sqrt(information)) << rows;
  }
}

TEST(ChangeModel, IsTheSameAtEveryLevelAndForAnyNumberOfThreads) {
  std::mt19937_64 random(support::seed());
  const Model model = random_model(350, 333, random);
  const Bits changed = draw(model, random_truth(model, -1, random), random);
  const Bits set = model.set([&](size_t) { return random() % 2 == 0; });
  const Fit first = fit(model, changed, {set}, 1, "scalar");
  for (const std::string& level : support::simd_levels()) {
    for (const int threads : {1, 3}) {
      const Fit other = fit(model, changed, {set}, threads, level.c_str());
      EXPECT_EQ(first.rows, other.rows) << level;
      EXPECT_EQ(first.columns, other.columns) << level;
      EXPECT_EQ(first.bins, other.bins) << level;
      EXPECT_EQ(first.scores[0].score, other.scores[0].score) << level;
      EXPECT_EQ(first.scores[0].information, other.scores[0].information) << level;
    }
  }
}

// Columns beside and within whole vectors, words and tiles, and a column that changed everywhere, so that entries are counted
// again.
TEST(ChangeModel, IsTheSameForCodesAndForStagedEntries) {
  std::mt19937_64 random(support::seed());
  for (const int64_t columns : {5, 64, 131, 256, 259, 515}) {
    const Model model = random_model(90, columns, random);
    const Bits drawn = draw(model, random_truth(model, -0.5, random), random);
    const Bits changed =
        model.set([&](size_t entry) { return entry % static_cast<size_t>(columns) == 3 || model.has(drawn, entry); });
    const Bits set = model.set([&](size_t) { return random() % 3 == 0; });
    const Fit staged = fit(model, changed, {set, drawn});
    EXPECT_EQ(std::numeric_limits<double>::infinity(), staged.columns[3]);
    Model stored = model;
    stored.use_bf16();
    for (const std::string& level : support::simd_levels()) {
      const Fit read = fit(stored, changed, {set, drawn}, 1, level.c_str());
      EXPECT_EQ(staged.logits.free_entries, read.logits.free_entries) << columns << ' ' << level;
      EXPECT_EQ(staged.rows, read.rows) << columns << ' ' << level;
      EXPECT_EQ(staged.columns, read.columns) << columns << ' ' << level;
      EXPECT_EQ(staged.bins, read.bins) << columns << ' ' << level;
      EXPECT_EQ(0, std::memcmp(staged.scores.data(), read.scores.data(), 2 * sizeof(staged.scores[0]))) << columns;
    }
  }
}

TEST(ChangeModel, SetsHaveTheSameScoreTogetherAndAlone) {
  std::mt19937_64 random(support::seed());
  const Model model = random_model(37, 131, random);
  const Bits changed = draw(model, random_truth(model, 0.6, random), random);
  std::vector<Bits> sets;
  for (unsigned share = 1; share <= 7; ++share) {
    sets.push_back(model.set([&](size_t) { return random() % 16 < share; }));
  }
  sets[2] = model.set([](size_t) { return false; });  // nothing to project
  const std::vector<tg_change_score_result> alone = [&] {
    std::vector<tg_change_score_result> scores;
    for (const Bits& set : sets) {
      scores.push_back(fit(model, changed, {set}).scores[0]);
    }
    return scores;
  }();
  for (size_t count = 2; count <= sets.size(); ++count) {
    const Fit together = fit(model, changed, {sets.begin(), sets.begin() + static_cast<std::ptrdiff_t>(count)}, 2);
    EXPECT_EQ(0, std::memcmp(alone.data(), together.scores.data(), count * sizeof(alone[0]))) << count;
  }
}

TEST(ChangeModel, FixesRowsAndColumnsThatCarryNoInformation) {
  std::mt19937_64 random(support::seed());
  const Model model = random_model(30, 70, random);
  const Bits random_set = draw(model, random_truth(model, -0.5, random), random);
  // Row 3 has no change and row 4 nothing else. Column 5 changed in row 4 alone, so that it has none once that row is removed.
  const Bits changed = model.set([&](size_t entry) {
    const size_t row = entry / 70;
    return row != 3 && (row == 4 || (entry % 70 != 5 && model.has(random_set, entry)));
  });
  const Bits set = model.set([](size_t entry) { return entry % 3 == 0; });
  const Fit found = fit(model, changed, {set});
  EXPECT_EQ(TG_OK, found.logits.status);
  EXPECT_EQ(-std::numeric_limits<double>::infinity(), found.rows[3]);
  EXPECT_EQ(std::numeric_limits<double>::infinity(), found.rows[4]);
  EXPECT_EQ(-std::numeric_limits<double>::infinity(), found.columns[5]);
  EXPECT_LE(found.logits.free_entries, 28 * 69);
  EXPECT_LE(found.scores[0].entries, found.logits.free_entries);
  EXPECT_TRUE(std::isfinite(found.scores[0].score));
  // Nothing changed, and everything did: no information at all.
  for (const bool all : {false, true}) {
    const Fit nothing = fit(model, model.set([all](size_t) { return all; }), {set});
    EXPECT_EQ(TG_OK, nothing.logits.status);
    EXPECT_EQ(0, nothing.logits.free_entries);
    EXPECT_EQ(0, nothing.scores[0].information);
    EXPECT_EQ(0, nothing.scores[0].score);
  }
}

// Nothing else is fixed, so that the first count alone finds the bin.
TEST(ChangeModel, FixesABinThatCarriesNoInformation) {
  std::mt19937_64 random(support::seed());
  const Model model = random_model(60, 70, random);
  const Bits drawn = draw(model, random_truth(model, 0.6, random), random);
  for (const bool all : {false, true}) {
    const Bits changed = model.set([&](size_t entry) { return model.bin_of(entry) == 3 ? all : model.has(drawn, entry); });
    const Fit found = fit(model, changed, {});
    const double infinity = std::numeric_limits<double>::infinity();
    EXPECT_EQ(all ? infinity : -infinity, found.bins[3]);
    for (const size_t bin : {size_t{0}, size_t{1}, size_t{2}, size_t{4}}) {
      EXPECT_TRUE(std::isfinite(found.bins[bin])) << bin;
    }
    EXPECT_EQ(TG_OK, found.logits.status);
  }
}

// A triangle loses one row and one column at a time, and is then perfectly explained.
TEST(ChangeModel, ATriangleCarriesNoInformation) {
  const Model model(Values(40 * 40, 1), 40, 0.5, 1);
  const Fit found = fit(model, model.set([](size_t entry) { return entry % 40 <= entry / 40; }), {});
  EXPECT_EQ(TG_OK, found.logits.status);
  EXPECT_EQ(0, found.logits.free_entries);
  // More rounds than are tried.
  const Model large(Values(400 * 400, 1), 400, 0.5, 1);
  EXPECT_EQ(TG_NOT_CONVERGED, fit(large, large.set([](size_t entry) { return entry % 400 <= entry / 400; }), {}).logits.status);
}

TEST(ChangeModel, RangesOfCodesAreBins) {
  std::mt19937_64 random(support::seed());
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{16, 16}, {40, 50}, {210, 300}}) {
    const Model model = random_model(rows, columns, random);
    const Bits changed = draw(model, random_truth(model, -1, random), random);
    const Bits set = model.set([&](size_t) { return random() % 3 == 0; });
    const Fit by_code = fit(model, changed, {set});
    for (const int64_t struct_size : {int64_t{sizeof(tg_change_model)}, int64_t{40}}) {
      Model other = model;
      other.use_ranges(struct_size);
      const Fit by_range = fit(other, changed, {set});
      EXPECT_EQ(by_code.rows, by_range.rows);
      EXPECT_EQ(by_code.columns, by_range.columns);
      EXPECT_EQ(by_code.bins, by_range.bins);
      EXPECT_EQ(0, std::memcmp(by_code.scores.data(), by_range.scores.data(), sizeof(tg_change_score_result)));
    }
  }
}

TEST(ChangeModel, SaysThatItDidNotConverge) {
  std::mt19937_64 random(support::seed());
  const Model model = random_model(40, 50, random);
  const Bits changed = draw(model, random_truth(model, -1, random), random);
  const Fit found = fit(model, changed, {}, 1, nullptr, 1e-5, 1);
  EXPECT_EQ(TG_NOT_CONVERGED, found.logits.status);
  EXPECT_GT(found.logits.imbalance, 1e-5);
}

TEST(ChangeModel, ChecksItsArguments) {
  const auto context = support::make_context();
  const Model model(Values(6, 1), 2, 0.5, 1);
  const Bits none(2, 0);
  tg_change_model with = model.with(none);
  tg_workspace_size size{sizeof(size), 0, 0};
  with.bin_count = 0;
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_change_workspace(context.get(), &with, &size));
  EXPECT_EQ("model.bin_count is 0; allowed are 1 to TG_MAGNITUDE_CODES", support::error_of(context.get()));
  with = model.with(none);
  std::vector<int32_t> bins(TG_MAGNITUDE_CODES, 0);
  bins[7] = 1;
  with.bins = bins.data();
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_change_workspace(context.get(), &with, &size));
  EXPECT_EQ("model.bins is 1; each must be 0 to bin_count - 1", support::error_of(context.get()));
  with.bins = nullptr;
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_change_workspace(context.get(), &with, &size));
  for (const std::vector<int32_t>& ends : {std::vector<int32_t>{0, TG_MAGNITUDE_CODES},
                                           {9, 9, TG_MAGNITUDE_CODES},
                                           {9, 10},
                                           {TG_MAGNITUDE_CODES, TG_MAGNITUDE_CODES},
                                           {-4}}) {
    with.bin_ends = ends.data();
    with.bin_count = static_cast<int64_t>(ends.size());
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_change_workspace(context.get(), &with, &size));
  }
  EXPECT_EQ("model.bin_ends is -4; they must ascend, and the last must be TG_MAGNITUDE_CODES", support::error_of(context.get()));
  with.size = 39;
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_change_workspace(context.get(), &with, &size));
}

}  // namespace
