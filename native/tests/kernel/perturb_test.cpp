#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "common/dtype.h"
#include "reference/svd_reference.h"
#include "support.h"

namespace {

tg_operand operand(const std::vector<float>& entries, int64_t rows) {
  const auto columns = static_cast<int64_t>(entries.size()) / rows;
  tg_operand result{};
  result.size = sizeof(result);
  result.values = {entries.data(), rows, columns, columns, TG_F32, 0};
  return result;
}

tg_perturb_options gaussian(double deviation, int64_t seed = 7, int64_t draw = 0) {
  return {sizeof(tg_perturb_options), TG_PERTURB_GAUSSIAN, TG_F32, seed, draw, deviation};
}

std::vector<float> perturb(const std::vector<float>& base, int64_t rows, const tg_perturb_options& options,
                           const char* simd = nullptr, int threads = 1) {
  const auto context = support::make_context(threads, simd);
  const tg_operand matrix = operand(base, rows);
  std::vector<float> result(base.size() + 1, -7);
  EXPECT_EQ(TG_OK, tg_perturb(context.get(), &matrix, nullptr, &options, nullptr, result.data()))
      << support::error_of(context.get());
  EXPECT_EQ(-7, result.back());
  result.pop_back();
  return result;
}

TEST(Perturb, NormalNumbersHaveTheirMomentsAndAreIndependent) {
  const int64_t count = int64_t{1} << 20;
  const std::vector<float> zero(count);
  const std::vector<float> numbers = perturb(zero, 1024, gaussian(1));
  const std::vector<float> others = perturb(zero, 1024, gaussian(1, 7, 1));
  double moments[5] = {};
  double across = 0;
  for (size_t i = 0; i < numbers.size(); ++i) {
    double power = 1;
    for (double& moment : moments) {
      moment += power / static_cast<double>(count);
      power *= static_cast<double>(numbers[i]);
    }
    across += static_cast<double>(numbers[i]) * static_cast<double>(others[i]) / static_cast<double>(count);
  }
  const double error = 5 / std::sqrt(static_cast<double>(count));
  EXPECT_NEAR(0, moments[1], error);
  EXPECT_NEAR(1, moments[2], error * std::sqrt(2.0));
  EXPECT_NEAR(0, moments[3], error * std::sqrt(15.0));
  EXPECT_NEAR(3, moments[4], error * std::sqrt(96.0));
  EXPECT_NEAR(0, across, error);
  for (const size_t lag : {size_t{1}, size_t{16}, size_t{32}, size_t{64}, size_t{1024}}) {
    double sum = 0;
    for (size_t i = lag; i < numbers.size(); ++i) {
      sum += static_cast<double>(numbers[i]) * static_cast<double>(numbers[i - lag]) / static_cast<double>(count);
    }
    EXPECT_NEAR(0, sum, error) << lag;
  }
}

TEST(Perturb, NormalNumbersFollowTheirDistribution) {
  const std::vector<float> zero(int64_t{1} << 20);
  std::vector<float> numbers = perturb(zero, 1, gaussian(1, 11));
  std::sort(numbers.begin(), numbers.end());
  double largest = 0;  // the statistic of Kolmogorov and Smirnov
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double expected = 0.5 * std::erfc(-static_cast<double>(numbers[i]) / std::sqrt(2.0));
    largest = std::max(largest, std::abs(expected - static_cast<double>(i) / static_cast<double>(numbers.size())));
  }
  EXPECT_LT(largest, 2 / std::sqrt(static_cast<double>(numbers.size())));
}

TEST(Perturb, EveryInstructionSetGivesTheSameBits) {
  std::vector<float> base(37 * 1000);
  std::mt19937_64 random(support::seed());
  for (float& entry : base) {
    entry = std::normal_distribution<float>(0, 0.02F)(random);
  }
  const std::vector<float> expected = perturb(base, 37, gaussian(1e-3));
  for (const std::string& level : support::simd_levels()) {
    EXPECT_EQ(expected, perturb(base, 37, gaussian(1e-3), level.c_str())) << level;
  }
  EXPECT_NE(expected, perturb(base, 37, gaussian(1e-3, 8)));
  EXPECT_NE(expected, perturb(base, 37, gaussian(1e-3, 7, 1)));
  EXPECT_EQ(base, perturb(base, 37, gaussian(0)));
}

TEST(Perturb, AnyNumberOfThreadsGivesTheSameBits) {
  const int64_t rows = 390;
  std::vector<float> base(static_cast<size_t>(rows * 1111));
  std::vector<float> tuned(base.size());
  std::mt19937_64 random(support::seed());
  for (size_t i = 0; i < base.size(); ++i) {
    base[i] = std::normal_distribution<float>(0, 0.02F)(random);
    tuned[i] = base[i] + 1e-3F * static_cast<float>(i % 13);
  }
  const std::vector<float> expected = perturb(base, rows, gaussian(1e-3));
  const tg_perturb_options permuted{sizeof(permuted), TG_PERTURB_PERMUTED, TG_F32, 7, 1, 0};
  std::vector<float> shuffled;
  for (const int threads : {1, 2, 5}) {
    EXPECT_EQ(expected, perturb(base, rows, gaussian(1e-3), nullptr, threads));
    const auto context = support::make_context(threads);
    const tg_operand left = operand(base, rows);
    const tg_operand right = operand(tuned, rows);
    std::vector<float> result(base.size());
    ASSERT_EQ(TG_OK, tg_perturb(context.get(), &left, &right, &permuted, nullptr, result.data()));
    if (threads == 1) {
      shuffled = result;
    }
    EXPECT_EQ(shuffled, result);
  }
}

TEST(Perturb, RoundsToBf16) {
  std::vector<float> base(5 * 700);
  std::mt19937_64 random(support::seed());
  for (float& entry : base) {
    entry = std::normal_distribution<float>(0, 0.02F)(random);
  }
  const auto context = support::make_context();
  const tg_operand matrix = operand(base, 5);
  tg_perturb_options options = gaussian(1e-4);
  const std::vector<float> wide = perturb(base, 5, options);
  options.dtype = TG_BF16;
  std::vector<uint16_t> codes(base.size());
  ASSERT_EQ(TG_OK, tg_perturb(context.get(), &matrix, nullptr, &options, nullptr, codes.data()));
  for (size_t i = 0; i < codes.size(); ++i) {
    // Rounding through float32 may round a tie the other way. No other difference is allowed.
    EXPECT_LE(std::abs(codes[i] - threegate::float_to_bf16(wide[i])), 1) << i;
    EXPECT_NEAR(static_cast<double>(wide[i]), static_cast<double>(threegate::bf16_to_float(codes[i])),
                std::abs(static_cast<double>(wide[i])) / 256 + 1e-30);
  }
}

TEST(Perturb, APermutedUpdateKeepsItsEntriesAndForgetsTheirPlaces) {
  const int64_t rows = 600;
  const int64_t columns = 1000;  // enough for several buckets
  std::vector<float> base(static_cast<size_t>(rows * columns), 0);
  std::vector<float> tuned(base.size());
  for (size_t i = 0; i < tuned.size(); ++i) {
    tuned[i] = static_cast<float>(i);
  }
  const auto context = support::make_context();
  const tg_operand before = operand(base, rows);
  const tg_operand after = operand(tuned, rows);
  const tg_perturb_options options{sizeof(options), TG_PERTURB_PERMUTED, TG_F32, 3, 0, 0};
  std::vector<float> result(base.size());
  ASSERT_EQ(TG_OK, tg_perturb(context.get(), &before, &after, &options, nullptr, result.data()));
  // Every position is equally likely for every entry: positions are not correlated, and quarters mix.
  const auto count = static_cast<double>(result.size());
  double correlation = 0;
  int64_t stayed = 0;
  int64_t first_to_first = 0;
  for (size_t i = 0; i < result.size(); ++i) {
    const double from = static_cast<double>(result[i]) / count - 0.5;
    correlation += from * (static_cast<double>(i) / count - 0.5) * 12 / count;
    stayed += result[i] == tuned[i] ? 1 : 0;
    first_to_first += i < result.size() / 4 && from < -0.25 ? 1 : 0;
  }
  EXPECT_NEAR(0, correlation, 5 / std::sqrt(count));
  EXPECT_LE(stayed, 10);
  EXPECT_NEAR(count / 16, static_cast<double>(first_to_first), 5 * std::sqrt(count / 16));
  std::sort(result.begin(), result.end());
  EXPECT_EQ(tuned, result);
}

struct Core {
  int64_t rows;
  std::vector<double> entries;
};

Core rotate(const std::vector<double>& update, int64_t long_side, int64_t draw) {
  const auto context = support::make_context();
  const auto count = static_cast<int64_t>(update.size());
  const tg_rotation_options options{sizeof(options), count, long_side, 5, draw, update.data()};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_rotate_update_workspace(context.get(), &options, &size)) << support::error_of(context.get());
  const auto host = support::allocate(size.host_bytes + 8);
  static_cast<uint8_t*>(host.get())[size.host_bytes] = 0x5a;
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  const int64_t rows = count + std::min(count, long_side - count);
  std::vector<float> core(static_cast<size_t>(rows * count) + 1, -7);
  EXPECT_EQ(TG_OK, tg_rotate_update(context.get(), &options, &workspace, core.data())) << support::error_of(context.get());
  EXPECT_EQ(-7, core.back());
  EXPECT_EQ(0x5a, static_cast<uint8_t*>(host.get())[size.host_bytes]);
  return {rows, std::vector<double>(core.begin(), core.end() - 1)};
}

TEST(RotateUpdate, TheUpdateKeepsItsSingularValues) {
  for (const int64_t long_side : {6, 7, 9, 12, 40, 100000}) {
    const std::vector<double> values{3, 2, 1.5, 0.25, 1e-3, 0};
    const Core core = rotate(values, long_side, 0);
    const reference::Svd svd = reference::singular_values(core.entries, core.rows, 6);
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(values[i], svd.sigma[i], 1e-6) << long_side << ' ' << i;
    }
  }
}

TEST(RotateUpdate, DirectionsAreHaarDistributed) {
  // |U_k^T P s|^2 has the mean k / m and, for one direction, the variance of a Beta number. The same holds on the right side.
  const int64_t r = 4;
  for (const int64_t m : {4, 5, 8, 50}) {
    const int draws = 4000;
    double left = 0;
    double left_squares = 0;
    double right = 0;
    for (int draw = 0; draw < draws; ++draw) {
      const Core core = rotate({1, 0, 0, 0}, m, draw);
      double first_row = 0;
      double first_column = 0;
      for (int64_t j = 0; j < r; ++j) {
        first_row += core.entries[static_cast<size_t>(j)] * core.entries[static_cast<size_t>(j)];
      }
      for (int64_t i = 0; i < core.rows; ++i) {
        first_column += core.entries[static_cast<size_t>(i * r)] * core.entries[static_cast<size_t>(i * r)];
      }
      left += first_row / draws;
      left_squares += first_row * first_row / draws;
      right += first_column / draws;
    }
    const auto beta_deviation = [](double n) { return std::sqrt(2 * (n - 1) / (n * n * (n + 2))); };
    const auto n = static_cast<double>(m);
    EXPECT_NEAR(1 / n, left, 5 * beta_deviation(n) / std::sqrt(draws)) << m;
    EXPECT_NEAR(3 / (n * (n + 2)), left_squares, 0.15 * 3 / (n * (n + 2))) << m;
    EXPECT_NEAR(0.25, right, 5 * beta_deviation(4) / std::sqrt(draws)) << m;
  }
}

TEST(Perturb, RefusesWhatItCannotDo) {
  const auto context = support::make_context();
  const std::vector<float> base(6);
  const tg_operand matrix = operand(base, 2);
  std::vector<float> out(6);
  const auto refused = [&](tg_perturb_options options, const tg_operand* tuned, const char* text) {
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_perturb(context.get(), &matrix, tuned, &options, nullptr, out.data()));
    EXPECT_NE(std::string::npos, support::error_of(context.get()).find(text)) << support::error_of(context.get());
  };
  tg_perturb_options options = gaussian(1);
  options.kind = 3;
  refused(options, nullptr, "options.kind");
  options = gaussian(1);
  options.dtype = TG_F16;
  refused(options, nullptr, "options.dtype");
  options = gaussian(1, 0, -1);
  refused(options, nullptr, "options.draw");
  refused(gaussian(NAN), nullptr, "options.deviation");
  options = gaussian(0);
  options.kind = TG_PERTURB_PERMUTED;
  refused(options, nullptr, "tuned");
  const tg_operand other = operand(base, 3);
  refused(options, &other, "tuned");
  options.dtype = TG_BF16;
  refused(options, &matrix, "options.dtype");
  tg_control control{sizeof(control), 1, 0, 0, 0};
  const tg_perturb_options fine = gaussian(1);
  EXPECT_EQ(TG_CANCELLED, tg_perturb(context.get(), &matrix, nullptr, &fine, &control, out.data()));
  const double values[1] = {1};
  tg_rotation_options rotation{sizeof(rotation), 2, 1, 0, 0, values};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_rotate_update_workspace(context.get(), &rotation, &size));
  rotation.count = 1;
  rotation.update_values = nullptr;
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_rotate_update_workspace(context.get(), &rotation, &size));
}

}  // namespace
