#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "common/dtype.h"
#include "reference/svd_reference.h"
#include "support.h"

namespace {

struct Perturbed {
  std::vector<double> values;
  std::vector<std::vector<double>> long_angles;
  std::vector<std::vector<double>> short_angles;
  std::vector<double> energies;
  double total;
  double mixing;
  double boundary_mixing;
};

Perturbed perturb(const std::vector<double>& base, const std::vector<float>& core, const std::vector<int64_t>& ranks,
                  const char* simd = nullptr) {
  const auto context = support::make_context(1, simd);
  const auto count = static_cast<int64_t>(base.size());
  const tg_perturbation_options options{sizeof(options), count,        static_cast<int64_t>(core.size()) / count, base.data(),
                                        core.data(),     ranks.data(), static_cast<int64_t>(ranks.size())};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_svd_perturb_workspace(context.get(), &options, &size)) << support::error_of(context.get());
  const auto host = support::allocate(size.host_bytes + 8);
  static_cast<uint8_t*>(host.get())[size.host_bytes] = 0x5a;
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  size_t angles = 0;
  for (const int64_t rank : ranks) {
    angles += static_cast<size_t>(rank);
  }
  std::vector<double> long_angles(angles + 1, -7);
  std::vector<double> short_angles(angles + 1, -7);
  Perturbed result{std::vector<double>(base.size() + 1, -7), {}, {}, std::vector<double>(3 * ranks.size() + 1, -7), 0, 0, 0};
  tg_perturbation_result out{
      sizeof(out), result.values.data(), long_angles.data(), short_angles.data(), result.energies.data(), 0, 0, 0};
  EXPECT_EQ(TG_OK, tg_svd_perturb(context.get(), &options, &workspace, &out)) << support::error_of(context.get());
  EXPECT_EQ(0x5a, static_cast<uint8_t*>(host.get())[size.host_bytes]);
  for (std::vector<double>* array : {&result.values, &long_angles, &short_angles, &result.energies}) {
    EXPECT_EQ(-7, array->back());
    array->pop_back();
  }
  auto from = static_cast<std::ptrdiff_t>(0);
  for (const int64_t rank : ranks) {
    result.long_angles.emplace_back(long_angles.begin() + from, long_angles.begin() + from + rank);
    result.short_angles.emplace_back(short_angles.begin() + from, short_angles.begin() + from + rank);
    from += rank;
  }
  result.total = out.total;
  result.mixing = out.mixing;
  result.boundary_mixing = out.boundary_mixing;
  return result;
}

std::vector<double> sum(const std::vector<double>& base, const std::vector<float>& core) {
  std::vector<double> all(core.begin(), core.end());
  for (size_t i = 0; i < base.size(); ++i) {
    all[i * base.size() + i] += base[i];
  }
  return all;
}

// The angles between the span of `vectors` and that of as many unit vectors, ascending.
std::vector<double> angles_with_units(const std::vector<std::vector<double>>& vectors, size_t rank) {
  std::vector<double> outside;
  for (size_t i = 0; i < rank; ++i) {
    outside.insert(outside.end(), vectors[i].begin() + static_cast<std::ptrdiff_t>(rank), vectors[i].end());
  }
  const auto rows = static_cast<int64_t>(rank);
  std::vector<double> sines = reference::singular_values(outside, rows, static_cast<int64_t>(outside.size()) / rows).sigma;
  std::reverse(sines.begin(), sines.end());
  std::vector<double> angles(rank - sines.size(), 0.0);
  for (const double sine : sines) {
    angles.push_back(std::asin(std::min(sine, 1.0)));
  }
  return angles;
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    squares += (a[i] - b[i]) * (a[i] - b[i]);
  }
  return std::sqrt(squares);
}

std::vector<float> noise(size_t entries, double deviation, std::mt19937_64& random) {
  std::normal_distribution<double> normal(0, deviation);
  std::vector<float> core(entries);
  for (float& entry : core) {
    entry = static_cast<float>(normal(random));
  }
  return core;
}

TEST(SvdPerturb, SolvesPairsExactly) {
  // Levels 0 and 1 nearly coincide, levels 2 and 3 change places, and level 4 is isolated and shrinks to zero.
  const std::vector<double> base{5, 4.9999, 2, 1.9, 0.5};
  std::vector<float> core(25, 0.0F);
  const auto set = [&](size_t i, size_t j, double value) { core[i * 5 + j] = static_cast<float>(value); };
  set(0, 1, 0.01);
  set(1, 0, -0.03);
  set(2, 2, -0.25);
  set(3, 3, 0.25);
  set(2, 3, 0.125);
  set(4, 4, -0.75);
  const Perturbed result = perturb(base, core, {1, 3});
  const reference::Svd exact = reference::singular_values(sum(base, core), 5, 5);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(exact.sigma[i], result.values[i], 1e-7 * 5) << i;
  }
  for (size_t index = 0; index < 2; ++index) {
    const size_t rank = index == 0 ? 1 : 3;
    const std::vector<double> left = angles_with_units(exact.left, rank);
    const std::vector<double> right = angles_with_units(exact.right, rank);
    for (size_t i = 0; i < rank; ++i) {
      EXPECT_NEAR(left[i], result.long_angles[index][i], 1e-12) << rank << ' ' << i;
      EXPECT_NEAR(right[i], result.short_angles[index][i], 1e-12) << rank << ' ' << i;
    }
  }
  EXPECT_EQ(0, result.mixing);
  EXPECT_EQ(0, result.boundary_mixing);
}

TEST(SvdPerturb, SwappedLevelsWithoutCouplingTurnByARightAngle) {
  const std::vector<double> base{2, 1};
  const Perturbed result = perturb(base, {-1.5F, 0, 0, 1}, {1});
  EXPECT_EQ((std::vector<double>{2, 0.5}), result.values);
  EXPECT_NEAR(std::acos(0.0), result.long_angles[0][0], 1e-12);
  EXPECT_NEAR(std::acos(0.0), result.short_angles[0][0], 1e-12);
}

TEST(SvdPerturb, AgreesWithADecompositionOfTheSum) {
  std::mt19937_64 random(support::seed());
  SCOPED_TRACE(support::seed());
  const size_t n = 120;
  for (const size_t rows : {n, n + 17, 2 * n}) {
    std::vector<double> base(n);
    // Levels of weights repel each other. Here they keep at least a quarter of their mean distance.
    std::uniform_real_distribution<double> place(0.125, 0.875);
    for (size_t i = 0; i < n; ++i) {
      base[i] = 2 - 1.95 * (static_cast<double>(i) + place(random)) / static_cast<double>(n);
    }
    base[0] = 20;
    for (const double deviation : {1e-6, 1e-4, 1e-3}) {
      const std::vector<float> core = noise(rows * n, deviation, random);
      const Perturbed result = perturb(base, core, {5, 60, static_cast<int64_t>(n)});
      const reference::Svd exact =
          reference::singular_values(sum(base, core), static_cast<int64_t>(rows), static_cast<int64_t>(n));
      const double moved = distance(exact.sigma, base);
      // The neglected terms are of third order. Relative to the shifts they have the size of the angles, and they average out.
      EXPECT_LE(distance(result.values, exact.sigma), moved * std::max(std::sqrt(result.mixing), 1e-4))
          << rows << ' ' << deviation;
      EXPECT_NEAR(moved, distance(result.values, base), moved * std::max(result.mixing, 1e-4)) << rows << ' ' << deviation;
      for (size_t index = 0; index < 2; ++index) {
        const size_t rank = index == 0 ? 5 : 60;
        const std::vector<double> left = angles_with_units(exact.left, rank);
        const std::vector<double> right = angles_with_units(exact.right, rank);
        for (size_t i = 0; i < rank; ++i) {
          const double allowed = left.back() * (3 * left.back() + 2 * std::sqrt(result.boundary_mixing));
          EXPECT_NEAR(left[i], result.long_angles[index][i], allowed) << rank << ' ' << i;
          EXPECT_NEAR(right[i], result.short_angles[index][i], allowed) << rank << ' ' << i;
        }
      }
      EXPECT_EQ(std::vector<double>(n, 0.0), result.short_angles[2]);
      if (rows == n) {
        EXPECT_EQ(std::vector<double>(n, 0.0), result.long_angles[2]);
      }
    }
  }
}

TEST(SvdPerturb, SaysWhenTheUpdateIsTooLarge) {
  std::mt19937_64 random(support::seed());
  SCOPED_TRACE(support::seed());
  const size_t n = 100;
  std::vector<double> base(n);
  for (size_t i = 0; i < n; ++i) {
    base[i] = 1 - 0.005 * static_cast<double>(i);
  }
  const Perturbed small = perturb(base, noise(n * n, 1e-4, random), {10});
  EXPECT_LT(small.mixing, 0.01);
  EXPECT_LT(small.boundary_mixing, 0.01);
  const Perturbed large = perturb(base, noise(n * n, 1e-2, random), {10});
  EXPECT_GT(large.mixing, 0.3);
  EXPECT_GT(large.boundary_mixing, 0.3);
  // All levels coincide, so that the directions are not determined.
  const Perturbed degenerate = perturb(std::vector<double>(n, 0.0), noise(n * n, 1e-9, random), {10});
  EXPECT_GT(degenerate.mixing, 1);
}

TEST(SvdPerturb, EnergiesAreThoseOfTheBlocks) {
  std::mt19937_64 random(support::seed());
  SCOPED_TRACE(support::seed());
  const size_t n = 9;
  const size_t rows = 13;
  const std::vector<float> core = noise(rows * n, 1, random);
  const std::vector<int64_t> ranks{4, 9, 1};
  const Perturbed result = perturb(std::vector<double>(n, 100), core, ranks);
  double total = 0;
  for (const float entry : core) {
    total += static_cast<double>(entry) * static_cast<double>(entry);
  }
  EXPECT_NEAR(total, result.total, 1e-12 * total);
  for (size_t index = 0; index < ranks.size(); ++index) {
    const auto rank = static_cast<size_t>(ranks[index]);
    double expected[3] = {};
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j < n; ++j) {
        const double square = static_cast<double>(core[i * n + j]) * static_cast<double>(core[i * n + j]);
        expected[0] += i < rank ? square : 0;
        expected[1] += j < rank ? square : 0;
        expected[2] += i < rank && j < rank ? square : 0;
      }
    }
    for (size_t part = 0; part < 3; ++part) {
      EXPECT_NEAR(expected[part], result.energies[3 * index + part], 1e-12 * total) << rank << ' ' << part;
    }
  }
}

TEST(SvdPerturb, EveryInstructionSetGivesTheSameBits) {
  std::mt19937_64 random(support::seed());
  SCOPED_TRACE(support::seed());
  const size_t n = 150;
  std::vector<double> base(n);
  for (size_t i = 0; i < n; ++i) {
    base[i] = 1 / (1 + 0.01 * static_cast<double>(i));
  }
  const std::vector<float> core = noise(n * (n + 3), 1e-3, random);
  const Perturbed expected = perturb(base, core, {20}, "scalar");
  for (const std::string& level : support::simd_levels()) {
    const Perturbed result = perturb(base, core, {20}, level.c_str());
    EXPECT_EQ(expected.values, result.values) << level;
    EXPECT_EQ(expected.mixing, result.mixing) << level;
    EXPECT_EQ(expected.long_angles, result.long_angles) << level;
    EXPECT_EQ(expected.short_angles, result.short_angles) << level;
  }
}

TEST(SvdPerturb, RefusesWhatItCannotDo) {
  const auto context = support::make_context();
  const std::vector<double> base{2, 1};
  std::vector<float> core(4, 0.0F);
  const int64_t rank = 1;
  const int64_t wrong = 3;
  const tg_perturbation_options good{sizeof(good), 2, 2, base.data(), core.data(), &rank, 1};
  const auto refused = [&](const tg_perturbation_options& options, const char* text) {
    tg_workspace_size size{sizeof(size), 0, 0};
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_svd_perturb_workspace(context.get(), &options, &size));
    EXPECT_NE(std::string::npos, support::error_of(context.get()).find(text)) << support::error_of(context.get());
  };
  tg_perturbation_options options = good;
  options.count = 0;
  refused(options, "options.count");
  options = good;
  options.core_rows = 5;
  refused(options, "options.core_rows");
  options = good;
  options.ranks = &wrong;
  refused(options, "options.ranks");
  options = good;
  options.rank_count = 0;
  refused(options, "options.rank_count");
  options = good;
  options.core = nullptr;
  refused(options, "options");
  core[1] = std::numeric_limits<float>::quiet_NaN();
  tg_workspace_size size{sizeof(size), 0, 0};
  ASSERT_EQ(TG_OK, tg_svd_perturb_workspace(context.get(), &good, &size));
  const auto host = support::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  double numbers[7] = {};
  tg_perturbation_result result{sizeof(result), numbers, numbers + 2, numbers + 3, numbers + 4, 0, 0, 0};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_svd_perturb(context.get(), &good, &workspace, &result));
  EXPECT_NE(std::string::npos, support::error_of(context.get()).find("finite"));
}

TEST(ShuffleUpdate, MovesRowsOfTheSquarePartAndColumns) {
  const auto context = support::make_context();
  const int64_t n = 40;
  const int64_t rows = 50;
  std::vector<float> core(static_cast<size_t>(rows * n));
  for (size_t i = 0; i < core.size(); ++i) {
    core[i] = static_cast<float>(i);
  }
  std::vector<int64_t> first_places(static_cast<size_t>(n), 0);
  const int draws = 400;
  for (int draw = 0; draw < draws; ++draw) {
    const tg_shuffle_options options{sizeof(options), n, rows, 3, draw};
    std::vector<float> shuffled(core.size() + 1, -7);
    ASSERT_EQ(TG_OK, tg_shuffle_update(context.get(), &options, core.data(), shuffled.data()))
        << support::error_of(context.get());
    EXPECT_EQ(-7, shuffled.back());
    std::vector<bool> row_seen(static_cast<size_t>(rows), false);
    for (int64_t i = 0; i < rows; ++i) {
      const auto at = [&](int64_t row, int64_t column) {
        return static_cast<int64_t>(shuffled[static_cast<size_t>(row * n + column)]);
      };
      const int64_t from = at(i, 0) / n;
      EXPECT_TRUE(i < n ? from < n : from == i);
      EXPECT_FALSE(row_seen[static_cast<size_t>(from)]);
      row_seen[static_cast<size_t>(from)] = true;
      for (int64_t j = 0; j < n; ++j) {
        EXPECT_EQ(from * n + at(0, j) % n, at(i, j));
      }
    }
    first_places[static_cast<size_t>(shuffled[0]) % static_cast<size_t>(n)] += 1;
  }
  for (const int64_t count : first_places) {
    EXPECT_NEAR(draws / static_cast<double>(n), static_cast<double>(count), 5 * std::sqrt(draws / static_cast<double>(n)));
  }
  tg_shuffle_options wrong{sizeof(wrong), n, 2 * n + 1, 3, 0};
  std::vector<float> out(core.size());
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_shuffle_update(context.get(), &wrong, core.data(), out.data()));
  wrong.core_rows = rows;
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_shuffle_update(context.get(), &wrong, core.data(), core.data()));
}

TEST(NormalUpdate, EntriesHaveTheirVariances) {
  const auto context = support::make_context();
  const int64_t n = 60;
  std::vector<double> values(n);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = 2 - 0.02 * static_cast<double>(i);
  }
  for (const int64_t m : {int64_t{60}, int64_t{75}, int64_t{120}, int64_t{1000}}) {
    // Two leading directions, the mean of the others, and the slope.
    const std::vector<double> variances{1, 2, 3, 0.5, 4, 5, 6, -1, 7, 8, 9, 1, 0.5, 1, -0.5, 0.25};
    const auto place = [&](int64_t i, int64_t side) {
      double mean = 0;
      double squares = 0;
      for (int64_t l = 2; l < side; ++l) {
        const double square = l < n ? std::pow(values[static_cast<size_t>(l)], 2) : 0;
        mean += square / static_cast<double>(side - 2);
        squares += square * square / static_cast<double>(side - 2);
      }
      return ((i < n ? std::pow(values[static_cast<size_t>(i)], 2) : 0) - mean) / std::sqrt(squares - mean * mean);
    };
    const auto variance = [&](int64_t i, int64_t j) {
      const double by_row[2] = {1, i < 2 ? 0 : place(i, m)};
      const double by_column[2] = {1, j < 2 ? 0 : place(j, n)};
      double sum = 0;
      for (int64_t c = 0; c < 2; ++c) {
        for (int64_t d = 0; d < 2; ++d) {
          sum += by_row[c] * by_column[d] *
                 variances[static_cast<size_t>(4 * (std::min<int64_t>(i, 2) + c) + std::min<int64_t>(j, 2) + d)];
        }
      }
      return std::max(sum, 0.0);
    };
    const int64_t rows = n + std::min(n, m - n);
    // Sums over quarters of the square part, and over the rows below it.
    double actual[5] = {};
    double expected[5] = {};
    double count[5] = {};
    const int draws = 50;
    for (int draw = 0; draw < draws; ++draw) {
      const tg_normal_options options{sizeof(options), n, m, 2, 5, draw, values.data(), variances.data()};
      std::vector<float> core(static_cast<size_t>(rows * n) + 1, -7);
      ASSERT_EQ(TG_OK, tg_normal_update(context.get(), &options, core.data())) << support::error_of(context.get());
      EXPECT_EQ(-7, core.back());
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          const auto entry = static_cast<double>(core[static_cast<size_t>(i * n + j)]);
          actual[i < n ? i / 30 * 2 + j / 30 : 4] += entry * entry / draws;
          if (i < 2 && j < 2) {
            EXPECT_LT(std::abs(entry), 6 * std::sqrt(variance(i, j)));
          }
        }
      }
    }
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const int64_t part = i < n ? i / 30 * 2 + j / 30 : 4;
        expected[part] += variance(i, j);
        count[part] += 1;
      }
    }
    for (int64_t part = 0; part < (m > n ? 5 : 4); ++part) {
      EXPECT_NEAR(expected[part], actual[part], 8 * expected[part] * std::sqrt(2 / (count[part] * draws))) << m << ' ' << part;
    }
  }
}

TEST(NormalUpdate, AnyNumberOfThreadsGivesTheSameBits) {
  const int64_t n = 150;
  std::vector<double> values(n);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = 2 - 0.01 * static_cast<double>(i);
  }
  const std::vector<double> variances{1, 2, 3, 0.5, 4, 5, 6, -1, 7, 8, 9, 1, 0.5, 1, -0.5, 0.25};
  const tg_normal_options options{sizeof(options), n, 1000, 2, 5, 3, values.data(), variances.data()};
  std::vector<std::vector<float>> cores;
  for (const int threads : {1, 2, 5}) {
    const auto context = support::make_context(threads);
    std::vector<float> core(2 * n * n, -7);
    ASSERT_EQ(TG_OK, tg_normal_update(context.get(), &options, core.data())) << support::error_of(context.get());
    cores.push_back(core);
  }
  EXPECT_EQ(cores[0], cores[1]);
  EXPECT_EQ(cores[0], cores[2]);
}

TEST(NormalUpdate, RefusesWhatItCannotDo) {
  const auto context = support::make_context();
  const std::vector<double> variances{1, 0, 0, 0};
  const std::vector<double> values{2, 1};
  float core[4] = {};
  const auto refused = [&](tg_normal_options options, const char* text) {
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_normal_update(context.get(), &options, core));
    EXPECT_NE(std::string::npos, support::error_of(context.get()).find(text)) << support::error_of(context.get());
  };
  const std::vector<double> infinite{HUGE_VAL, 0, 0, 0};
  const auto size = static_cast<int64_t>(sizeof(tg_normal_options));
  refused({size, 3, 2, 0, 0, 0, values.data(), variances.data()}, "options.count");
  refused({size, 2, 2, 3, 0, 0, values.data(), variances.data()}, "options.leading");
  refused({size, 2, 2, 0, 0, -1, values.data(), variances.data()}, "options.draw");
  refused({size, 2, 2, 0, 0, 0, nullptr, variances.data()}, "options.values");
  refused({size, 2, 2, 0, 0, 0, values.data(), infinite.data()}, "options.variances");
}

// The squares of the entries of singular vectors: the leading ones, the mean over the others, and the slope in their squared
// values.
std::vector<std::vector<double>> squares_of(const std::vector<std::vector<double>>& vectors, const std::vector<double>& sigma,
                                            size_t rank, size_t length) {
  std::vector<std::vector<double>> squares(rank + 2, std::vector<double>(length, 0.0));
  const auto others = static_cast<double>(length - rank);
  double mean = 0;
  double variance = 0;
  for (size_t i = rank; i < sigma.size(); ++i) {
    mean += sigma[i] * sigma[i] / others;
    variance += std::pow(sigma[i], 4) / others;
  }
  variance -= mean * mean;
  for (size_t a = 0; a < length; ++a) {
    double rest = 1;
    double moment = 0;
    for (size_t i = 0; i < sigma.size(); ++i) {
      const double square = vectors[i][a] * vectors[i][a];
      rest -= i < rank ? square : 0;
      moment += i < rank ? 0 : sigma[i] * sigma[i] * square / others;
      if (i < rank) {
        squares[i][a] = square;
      }
    }
    if (others > 0) {
      squares[rank][a] = rest / others;
      squares[rank + 1][a] = variance > 1e-12 * mean * mean ? (moment - squares[rank][a] * mean) / std::sqrt(variance) : 0;
    }
  }
  return squares;
}

TEST(ProjectedVariances, AreThoseOfTheDefinition) {
  std::mt19937_64 random(support::seed());
  SCOPED_TRACE(support::seed());
  const auto context = support::make_context();
  std::vector<double> table(TG_MAGNITUDE_CODES, 0.0);
  for (size_t code = 0; code < table.size(); ++code) {
    table[code] = 1e-9 * static_cast<double>(code % 97);
  }
  for (const auto& shape : {std::pair<int64_t, int64_t>{40, 25}, {25, 40}, {300, 7}, {6, 6}}) {
    const int64_t rows = shape.first;
    const int64_t columns = shape.second;
    const int64_t rank = std::min<int64_t>(6, columns);
    std::vector<uint16_t> codes(static_cast<size_t>(rows * columns));
    std::vector<double> entries;
    for (size_t i = 0; i < codes.size(); ++i) {
      // Magnitudes between 1/8 and 8. Every third row is a quarter of that.
      const auto less = static_cast<uint64_t>(i / static_cast<size_t>(columns) % 3 == 0 ? 0x100 : 0);
      codes[i] = static_cast<uint16_t>((random() % 2) << 15 | (0x3e00 + random() % 0x300 - less));
      entries.push_back(static_cast<double>(threegate::bf16_to_float(codes[i])));
    }
    const reference::Svd svd = reference::singular_values(entries, rows, columns);
    std::vector<double> left;
    std::vector<double> right;
    for (size_t i = 0; i < static_cast<size_t>(rank); ++i) {
      left.insert(left.end(), svd.left[i].begin(), svd.left[i].end());
      right.insert(right.end(), svd.right[i].begin(), svd.right[i].end());
    }
    tg_operand matrix{};
    matrix.size = sizeof(matrix);
    matrix.values = {codes.data(), rows, columns, columns, TG_BF16, 0};
    const tg_matrix left_matrix{left.data(), rank, rows, rows, TG_F64, 0};
    const tg_matrix right_matrix{right.data(), rank, columns, columns, TG_F64, 0};
    tg_workspace_size size{sizeof(size), 0, 0};
    ASSERT_EQ(TG_OK, tg_projected_variances_workspace(context.get(), &matrix, &left_matrix, &right_matrix, &size))
        << support::error_of(context.get());
    const auto host = support::allocate(size.host_bytes + 8);
    static_cast<uint8_t*>(host.get())[size.host_bytes] = 0x5a;
    const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
    const auto classes = static_cast<size_t>(rank + 2);
    std::vector<double> variances(classes * classes + 1, -7);
    const auto run = [&] {
      return tg_projected_variances(context.get(), &matrix, table.data(), svd.sigma.data(), &left_matrix, &right_matrix,
                                    &workspace, variances.data());
    };
    ASSERT_EQ(TG_OK, run()) << support::error_of(context.get());
    EXPECT_EQ(0x5a, static_cast<uint8_t*>(host.get())[size.host_bytes]);
    EXPECT_EQ(-7, variances.back());
    const auto of_rows = squares_of(svd.left, svd.sigma, static_cast<size_t>(rank), static_cast<size_t>(rows));
    const auto of_columns = squares_of(svd.right, svd.sigma, static_cast<size_t>(rank), static_cast<size_t>(columns));
    for (size_t i = 0; i < classes; ++i) {
      for (size_t j = 0; j < classes; ++j) {
        double expected = 0;
        for (size_t a = 0; a < static_cast<size_t>(rows); ++a) {
          for (size_t b = 0; b < static_cast<size_t>(columns); ++b) {
            expected += of_rows[i][a] * of_columns[j][b] * table[codes[a * static_cast<size_t>(columns) + b] & 0x7fffU];
          }
        }
        EXPECT_NEAR(expected, variances[i * classes + j], 1e-5 * 97e-9) << rows << ' ' << columns << ' ' << i << ' ' << j;
      }
    }
    table[3] = -1;
    EXPECT_EQ(TG_INVALID_ARGUMENT, run());
    table[3] = 0;
    matrix.values.dtype = TG_F16;
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_projected_variances_workspace(context.get(), &matrix, &left_matrix, &right_matrix, &size));
  }
}

}  // namespace
