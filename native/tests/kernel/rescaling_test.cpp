#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "reference/least_squares.h"
#include "support.h"

namespace {

using Values = std::vector<double>;

tg_operand operand(const Values& entries, int64_t rows) {
  const int64_t columns = rows == 0 ? 0 : static_cast<int64_t>(entries.size()) / rows;
  tg_operand result{};
  result.size = sizeof(result);
  result.values = {entries.data(), rows, columns, columns, TG_F64, 0};
  return result;
}

struct Fit {
  tg_rescaling rescaling;
  Values rows;
  Values columns;
};

Fit fit(const Values& base, const Values& tuned, int64_t rows, double tolerance = 1e-12, int threads = 1,
        const char* simd = nullptr, int64_t most_steps = 500) {
  const auto context = support::make_context(threads, simd);
  const tg_operand before = operand(base, rows);
  const tg_operand after = operand(tuned, rows);
  const tg_rescaling_options options{sizeof(options), tolerance, most_steps};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_rescaling_fit_workspace(context.get(), &before, &after, &options, &size))
      << support::error_of(context.get());
  const auto host = support::allocate(size.host_bytes + 8);
  static_cast<uint8_t*>(host.get())[size.host_bytes] = 0x5a;
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  Fit result{{}, Values(static_cast<size_t>(rows)), Values(static_cast<size_t>(before.values.columns))};
  result.rescaling.size = sizeof(tg_rescaling);
  result.rescaling.row_factors = result.rows.data();
  result.rescaling.column_factors = result.columns.data();
  EXPECT_EQ(TG_OK, tg_rescaling_fit(context.get(), &before, &after, &options, &workspace, &result.rescaling));
  EXPECT_EQ(0x5a, static_cast<uint8_t*>(host.get())[size.host_bytes]);
  return result;
}

struct Pair {
  Values base;
  Values tuned;
};

Pair noisy_pair(int64_t rows, int64_t columns, double noise, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  Pair pair;
  for (int64_t i = 0; i < rows * columns; ++i) {
    pair.base.push_back(normal(random));
    pair.tuned.push_back(pair.base.back() + noise * normal(random));
  }
  return pair;
}

// The least sum of squares of D - X f, where X has a column for c, for each row and for each column, if wanted.
double least_squares(const Pair& pair, int64_t rows, bool common, bool by_row, bool by_column) {
  const auto columns = static_cast<int64_t>(pair.base.size()) / rows;
  std::vector<Values> design;
  Values update;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const auto at = static_cast<size_t>(i * columns + j);
      const double w = pair.base[at];
      update.push_back(pair.tuned[at] - w);
      Values line;
      if (common) {
        line.push_back(w);
      }
      for (int64_t k = 0; by_row && k < rows; ++k) {
        line.push_back(k == i ? w : 0);
      }
      for (int64_t k = 0; by_column && k < columns; ++k) {
        line.push_back(k == j ? w : 0);
      }
      design.push_back(line);
    }
  }
  return reference::residual_squares(design, update, Values(update.size(), 1));
}

TEST(Rescaling, IsTheLeastSquaresFit) {
  std::mt19937_64 random(support::seed());
  constexpr int64_t kRows = 9;
  constexpr int64_t kColumns = 7;
  Pair pair = noisy_pair(kRows, kColumns, 0.1, random);
  for (size_t i = 0; i < pair.base.size(); ++i) {
    pair.tuned[i] += (0.3 + 0.1 * static_cast<double>(i / kColumns) - 0.2 * static_cast<double>(i % kColumns)) * pair.base[i];
  }
  const Fit found = fit(pair.base, pair.tuned, kRows);
  const tg_rescaling& result = found.rescaling;
  EXPECT_EQ(TG_OK, result.status);
  EXPECT_EQ(kRows * kColumns, result.entries);
  const double all = least_squares(pair, kRows, true, true, true);
  EXPECT_NEAR(all, result.residual_squares, 1e-12 * result.update_squares);
  EXPECT_NEAR(least_squares(pair, kRows, true, false, true) - all, result.row_term.squares, 1e-11 * result.update_squares);
  EXPECT_NEAR(least_squares(pair, kRows, true, true, false) - all, result.column_term.squares, 1e-11 * result.update_squares);
  EXPECT_NEAR(result.update_squares - least_squares(pair, kRows, true, false, false), result.common_term.squares,
              1e-11 * result.update_squares);
  // The constraints hold, and the factors leave this residual.
  Values row_sums(kRows, 0);
  Values column_sums(kColumns, 0);
  double rest = 0;
  for (size_t i = 0; i < pair.base.size(); ++i) {
    const double w = pair.base[i];
    row_sums[i / kColumns] += w * w;
    column_sums[i % kColumns] += w * w;
    const double r = pair.tuned[i] - w - (result.common + found.rows[i / kColumns] + found.columns[i % kColumns]) * w;
    rest += r * r;
  }
  EXPECT_NEAR(result.residual_squares, rest, 1e-12 * result.update_squares);
  double balance = 0;
  for (size_t i = 0; i < row_sums.size(); ++i) {
    balance += row_sums[i] * found.rows[i];
  }
  EXPECT_NEAR(0, balance, 1e-11 * result.base_squares);
  balance = 0;
  for (size_t j = 0; j < column_sums.size(); ++j) {
    balance += column_sums[j] * found.columns[j];
  }
  EXPECT_NEAR(0, balance, 1e-11 * result.base_squares);
}

TEST(Rescaling, IsTheSameAtEveryLevelAndForAnyNumberOfThreads) {
  std::mt19937_64 random(support::seed());
  constexpr int64_t kRows = 301;
  const Pair pair = noisy_pair(kRows, 777, 0.1, random);
  const Fit first = fit(pair.base, pair.tuned, kRows, 1e-10, 1, "scalar");
  EXPECT_LE(first.rescaling.steps, 12);
  for (const std::string& level : support::simd_levels()) {
    for (const int threads : {1, 3}) {
      const Fit other = fit(pair.base, pair.tuned, kRows, 1e-10, threads, level.c_str());
      EXPECT_EQ(first.rows, other.rows) << level;
      EXPECT_EQ(first.columns, other.columns) << level;
      EXPECT_EQ(first.rescaling.residual_squares, other.rescaling.residual_squares) << level;
      EXPECT_EQ(first.rescaling.row_term.deviation, other.rescaling.row_term.deviation) << level;
    }
  }
}

TEST(Rescaling, LeavesOutWhatIsNotFiniteAndWhatIsZero) {
  std::mt19937_64 random(support::seed());
  constexpr int64_t kRows = 8;
  constexpr int64_t kColumns = 6;
  Pair pair = noisy_pair(kRows, kColumns, 0.1, random);
  for (size_t j = 0; j < kColumns; ++j) {
    pair.base[2 * kColumns + j] = 0;  // a row of zeros
  }
  for (size_t i = 0; i < kRows; ++i) {
    pair.base[i * kColumns + 4] = 0;  // and a column
  }
  Pair zeros = pair;
  pair.base[0] = std::numeric_limits<double>::quiet_NaN();
  pair.tuned[9] = std::numeric_limits<double>::infinity();
  for (const size_t at : {size_t{0}, size_t{9}}) {
    zeros.base[at] = zeros.tuned[at] = 0;
  }
  const Fit found = fit(pair.base, pair.tuned, kRows);
  EXPECT_EQ(TG_OK, found.rescaling.status);
  EXPECT_EQ(kRows * kColumns - 2, found.rescaling.entries);
  EXPECT_EQ(0, found.rows[2]);
  EXPECT_EQ(0, found.columns[4]);
  const Fit expected = fit(zeros.base, zeros.tuned, kRows);
  EXPECT_NEAR(expected.rescaling.residual_squares, found.rescaling.residual_squares, 1e-12 * found.rescaling.update_squares);
  for (size_t i = 0; i < kRows; ++i) {
    EXPECT_NEAR(expected.rows[i], found.rows[i], 1e-10);
  }
}

// Blocks on the diagonal have no common constant, so that the equations are singular in more than one direction.
TEST(Rescaling, ConvergesOnBlocksThatShareNothing) {
  std::mt19937_64 random(support::seed());
  constexpr int64_t kSide = 10;
  Pair pair = noisy_pair(kSide, kSide, 0.1, random);
  for (size_t i = 0; i < pair.base.size(); ++i) {
    if ((i / kSide < 5) != (i % kSide < 5)) {
      pair.base[i] = 0;
    }
  }
  const Fit found = fit(pair.base, pair.tuned, kSide, 1e-10);
  EXPECT_EQ(TG_OK, found.rescaling.status);
  EXPECT_NEAR(least_squares(pair, kSide, true, true, true), found.rescaling.residual_squares, 1e-11);
}

TEST(Rescaling, SaysThatItDidNotConverge) {
  std::mt19937_64 random(support::seed());
  const Pair pair = noisy_pair(12, 9, 0.1, random);
  const Fit found = fit(pair.base, pair.tuned, 12, 1e-14, 1, nullptr, 1);
  EXPECT_EQ(TG_NOT_CONVERGED, found.rescaling.status);
  EXPECT_GT(found.rescaling.imbalance, 1e-14);
  EXPECT_EQ(1, found.rescaling.steps);
  Values huge(4, 1e200);
  EXPECT_EQ(TG_NOT_CONVERGED, fit(huge, Values(4, 0), 2).rescaling.status);
}

TEST(Rescaling, OfNothing) {
  const Values none;
  EXPECT_EQ(TG_OK, fit(none, none, 0).rescaling.status);
  const Values ones(6, 1);
  const Fit same = fit(ones, ones, 2);
  EXPECT_EQ(TG_OK, same.rescaling.status);
  EXPECT_EQ(0, same.rescaling.common);
  EXPECT_EQ(0, same.rescaling.update_squares);
}

// For noise whose size depends on the row, the column and the weight, the shares agree with their expectation and their
// deviation.
TEST(Rescaling, TermsOfNoiseAgreeWithTheirMoments) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  constexpr int64_t kRows = 150;
  constexpr int64_t kColumns = 200;
  constexpr int kDraws = 200;
  std::array<Values, 3> z;
  for (int draw = 0; draw < kDraws; ++draw) {
    Pair pair = noisy_pair(kRows, kColumns, 0, random);
    for (size_t i = 0; i < pair.base.size(); ++i) {
      const double size =
          std::exp(0.5 * std::sin(static_cast<double>(i / kColumns)) + 0.3 * static_cast<double>(i % kColumns % 3));
      pair.tuned[i] += 0.01 * size * (1 + std::abs(pair.base[i])) * normal(random);
    }
    const tg_rescaling result = fit(pair.base, pair.tuned, kRows, 1e-10).rescaling;
    int at = 0;
    for (const tg_rescaling_term& term : {result.common_term, result.row_term, result.column_term}) {
      z[static_cast<size_t>(at++)].push_back((term.squares - term.noise) / term.deviation);
    }
  }
  for (size_t term = 0; term < 3; ++term) {
    double mean = 0;
    double squares = 0;
    for (const double value : z[term]) {
      mean += value / kDraws;
      squares += value * value / kDraws;
    }
    // The mean of 200 has the standard error 0.07. Large squares come with large deviations, which bends z downwards.
    EXPECT_NEAR(0, mean, 0.4) << term;
    // The deviation is estimated from the squares themselves, which makes it too large by about the inverse root of the number of
    // factors. One degree of freedom is far from normal.
    EXPECT_NEAR(0.9, std::sqrt(squares), term == 0 ? 0.6 : 0.25) << term;
  }
}

TEST(Rescaling, ChecksItsArguments) {
  const auto context = support::make_context();
  const Values entries(6, 1);
  const tg_operand first = operand(entries, 2);
  const tg_operand second = operand(entries, 3);
  tg_rescaling_options options{sizeof(options), 1e-9, 10};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_rescaling_fit_workspace(context.get(), &first, &second, &options, &size));
  EXPECT_EQ("tuned is 3 x 2; it must have the shape of base", support::error_of(context.get()));
  options.tolerance = 0;
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_rescaling_fit_workspace(context.get(), &first, &first, &options, &size));
  EXPECT_EQ("options.tolerance is 0.000000; it must be above 0 and below 1", support::error_of(context.get()));
  options = {sizeof(options), 1e-9, 0};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_rescaling_fit_workspace(context.get(), &first, &first, &options, &size));
  tg_dtype_change_result result{};
  result.size = sizeof(result);
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_dtype_change(context.get(), &first, &first, TG_F64, &result));
  EXPECT_EQ("dtype is 1; allowed are TG_F32 (2) to TG_F8_E5M2 (6)", support::error_of(context.get()));
}

// Rounding by search among all values of an 8-bit format, where the code with the even fraction wins a tie.
TEST(DtypeChange, RoundsToTheNearestValueOfTheFormat) {
  const auto context = support::make_context(2);
  std::mt19937_64 random(support::seed());
  std::uniform_real_distribution<double> exponents(-20, 17);
  for (const tg_dtype dtype : {TG_F8_E4M3, TG_F8_E5M2}) {
    std::vector<uint8_t> codes;
    for (int code = 0; code < 128; ++code) {
      codes.push_back(static_cast<uint8_t>(code));
    }
    tg_operand all{};
    all.size = sizeof(all);
    all.values = {codes.data(), 1, 128, 128, dtype, 0};
    const Values zeros(128, 0);
    const tg_operand none = operand(zeros, 1);
    const tg_residual residual{sizeof(residual), &none, &all, 0, nullptr, nullptr};
    std::vector<float> formats(128);
    const tg_sign_flip_options copy{sizeof(copy), 0, 0, TG_F32, 0};
    ASSERT_EQ(TG_OK, tg_sign_flip(context.get(), &residual, &copy, formats.data()));  // values, and 0 for those not finite
    const int largest = dtype == TG_F8_E4M3 ? 126 : 123;
    for (int round = 0; round < 3000; ++round) {
      double value = std::exp2(exponents(random));
      if (round % 3 == 0) {  // halfway between two values
        const auto code = static_cast<size_t>(random() % static_cast<uint64_t>(largest));
        value = (static_cast<double>(formats[code]) + static_cast<double>(formats[code + 1])) / 2;
      }
      size_t best = 0;
      for (size_t code = 0; code <= static_cast<size_t>(largest); ++code) {
        const double old = std::abs(static_cast<double>(formats[best]) - value);
        const double now = std::abs(static_cast<double>(formats[code]) - value);
        if (now < old || (now == old && code % 2 == 0)) {
          best = code;
        }
      }
      const Values base{-value};
      const Values tuned{-static_cast<double>(formats[best])};
      const tg_operand before = operand(base, 1);
      const tg_operand after = operand(tuned, 1);
      tg_dtype_change_result result{};
      result.size = sizeof(result);
      ASSERT_EQ(TG_OK, tg_dtype_change(context.get(), &before, &after, dtype, &result));
      const double last = static_cast<double>(formats[static_cast<size_t>(largest)]);
      const double step = last - static_cast<double>(formats[static_cast<size_t>(largest) - 1]);
      const bool overflows = value >= last + step / 2;
      EXPECT_EQ(overflows ? 1 : 0, result.tuned_differs) << value;
      EXPECT_EQ(1, result.entries);
      if (!overflows) {
        EXPECT_EQ(0, result.beyond_half) << value;
      }
    }
  }
}

TEST(DtypeChange, CountsWhatRoundingDoesNotExplain) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<float> normal;
  constexpr int64_t kRows = 90;
  constexpr int64_t kColumns = 700;
  std::vector<float> base;
  std::vector<uint16_t> tuned;
  for (int64_t i = 0; i < kRows * kColumns; ++i) {
    base.push_back(normal(random));
    uint32_t bits = 0;
    std::memcpy(&bits, &base.back(), sizeof(bits));
    tuned.push_back(static_cast<uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16));
  }
  const auto count = [&](tg_dtype dtype) {
    const auto context = support::make_context(3);
    tg_operand before{};
    before.size = sizeof(before);
    before.values = {base.data(), kRows, kColumns, kColumns, TG_F32, 0};
    tg_operand after = before;
    after.values = {tuned.data(), kRows, kColumns, kColumns, TG_BF16, 0};
    tg_dtype_change_result result{};
    result.size = sizeof(result);
    EXPECT_EQ(TG_OK, tg_dtype_change(context.get(), &before, &after, dtype, &result));
    return result;
  };
  tg_dtype_change_result result = count(TG_BF16);
  EXPECT_EQ(kRows * kColumns, result.entries);
  EXPECT_EQ(0, result.beyond_half);
  EXPECT_EQ(0, result.tuned_differs);
  EXPECT_GT(result.base_differs, 0);
  tuned[5] = static_cast<uint16_t>(tuned[5] + 2);
  base[9] = std::numeric_limits<float>::infinity();
  result = count(TG_BF16);
  EXPECT_EQ(kRows * kColumns - 1, result.entries);
  EXPECT_EQ(1, result.beyond_half);
  EXPECT_EQ(1, result.tuned_differs);
  EXPECT_GT(count(TG_F16).tuned_differs, 0);
}

}  // namespace
