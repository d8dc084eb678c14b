#include <cmath>
#include <random>

#include "support.h"

namespace {

using support::orthonormal;
using support::Rows;
using Values = std::vector<double>;

Values flat(const Rows& rows) {
  Values entries;
  for (const auto& row : rows) {
    entries.insert(entries.end(), row.begin(), row.end());
  }
  return entries;
}

tg_operand operand(const Values& entries, int64_t rows) {
  const int64_t columns = static_cast<int64_t>(entries.size()) / rows;
  tg_operand result{};
  result.size = sizeof(result);
  result.values = {entries.data(), rows, columns, columns, TG_F64, 0};
  return result;
}

using Moments = std::vector<tg_sign_flip_moments>;

Moments moments_of(const tg_residual& residual, const Rows& left, const Rows& right, const std::vector<int64_t>& ranks,
                   int threads = 1, double tolerance = 0) {
  const auto context = support::make_context(threads);
  const Values u = flat(left);
  const Values v = flat(right);
  const auto matrix = [](const Values& entries, const Rows& rows) {
    const auto count = static_cast<int64_t>(rows.size());
    const auto length = static_cast<int64_t>(rows[0].size());
    return tg_matrix{entries.data(), count, length, length, TG_F64, 0};
  };
  const tg_matrix of_left = matrix(u, left);
  const tg_matrix of_right = matrix(v, right);
  const tg_sign_flip_energy_options options{sizeof(options), ranks.data(), static_cast<int64_t>(ranks.size()), tolerance, 5};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_sign_flip_energy_workspace(context.get(), &residual, &of_left, &of_right, &options, &size))
      << support::error_of(context.get());
  const auto host = support::allocate(size.host_bytes + 8);
  static_cast<uint8_t*>(host.get())[size.host_bytes] = 0x5a;
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  Moments moments(ranks.size());
  EXPECT_EQ(TG_OK, tg_sign_flip_energy(context.get(), &residual, &of_left, &of_right, &options, &workspace, moments.data()));
  EXPECT_EQ(0x5a, static_cast<uint8_t*>(host.get())[size.host_bytes]);
  return moments;
}

double energy(const Values& entries, const Rows& left, const Rows& right, size_t rank) {
  const size_t columns = right[0].size();
  double sum = 0;
  for (size_t a = 0; a < rank; ++a) {
    Values image(columns, 0);
    for (size_t i = 0; i < left[0].size(); ++i) {
      for (size_t j = 0; j < columns; ++j) {
        image[j] += left[a][i] * entries[i * columns + j];
      }
    }
    for (size_t b = 0; b < rank; ++b) {
      double product = 0;
      for (size_t j = 0; j < columns; ++j) {
        product += image[j] * right[b][j];
      }
      sum += product * product;
    }
  }
  return sum;
}

TEST(SignFlip, MomentsAreThoseOfAllPatternsOfSigns) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{3, 4}, {4, 3}, {1, 6}, {2, 2}}) {
    const auto count = static_cast<size_t>(rows * columns);
    const auto most = static_cast<size_t>(std::min(rows, columns));
    const Rows left = orthonormal(static_cast<int64_t>(most), rows, random);
    const Rows right = orthonormal(static_cast<int64_t>(most), columns, random);
    const Values zeros(count, 0);
    Values entries;
    for (size_t i = 0; i < count; ++i) {
      entries.push_back(std::exp(normal(random)) * 1e-3);
    }
    const tg_operand base = operand(zeros, rows);
    const tg_operand tuned = operand(entries, rows);
    const tg_residual residual{sizeof(residual), &base, &tuned, 0, nullptr, nullptr};
    for (size_t rank = 1; rank <= most; ++rank) {
      double mean = 0;
      double squares = 0;
      for (size_t pattern = 0; pattern < size_t{1} << count; ++pattern) {
        Values flipped = entries;
        for (size_t i = 0; i < count; ++i) {
          flipped[i] = (pattern >> i & 1U) != 0 ? -entries[i] : entries[i];
        }
        const double of_pattern = energy(flipped, left, right, rank);
        mean += of_pattern;
        squares += of_pattern * of_pattern;
      }
      const auto patterns = static_cast<double>(size_t{1} << count);
      mean /= patterns;
      const double variance = squares / patterns - mean * mean;
      const tg_sign_flip_moments found = moments_of(residual, left, right, {static_cast<int64_t>(rank)})[0];
      EXPECT_NEAR(energy(entries, left, right, rank), found.energy, 1e-12 * found.energy + 1e-20);
      EXPECT_NEAR(mean, found.mean, 1e-12 * mean);
      // Float32 products of the first sum, from which the second one is subtracted.
      EXPECT_NEAR(variance, found.variance, 2e-6 * mean * mean) << rows << " x " << columns << ", rank " << rank;
    }
  }
}

// The formulas in float64, entry by entry.
struct Expected {
  double mean;
  double variance;
};

Expected formulas(const Values& entries, const Rows& left, const Rows& right, size_t rank) {
  const auto overlaps = [rank](const Rows& basis) {
    const size_t length = basis[0].size();
    Rows result(length, Values(length, 0));
    for (size_t i = 0; i < length; ++i) {
      for (size_t j = 0; j < length; ++j) {
        for (size_t a = 0; a < rank; ++a) {
          result[i][j] += basis[a][i] * basis[a][j];
        }
      }
    }
    return result;
  };
  const Rows p = overlaps(left);
  const Rows q = overlaps(right);
  const size_t rows = p.size();
  const size_t columns = q.size();
  Expected result{0, 0};
  Rows image(rows, Values(columns, 0));  // (P o P) R^2
  for (size_t i = 0; i < rows; ++i) {
    for (size_t k = 0; k < rows; ++k) {
      const double weight = p[i][k] * p[i][k];
      for (size_t j = 0; j < columns; ++j) {
        const double r = entries[k * columns + j];
        image[i][j] += weight * r * r;
      }
    }
  }
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < columns; ++j) {
      const double square = entries[i * columns + j] * entries[i * columns + j];
      double product = 0;
      for (size_t k = 0; k < columns; ++k) {
        product += image[i][k] * q[k][j] * q[k][j];
      }
      result.mean += square * p[i][i] * q[j][j];
      result.variance += 2 * square * product - 2 * square * square * p[i][i] * p[i][i] * q[j][j] * q[j][j];
    }
  }
  return result;
}

TEST(SignFlip, MomentsOfLargerMatrices) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  // Ranks with features and ranks without, sides that are no multiple of a block, and more than one chunk of features.
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{90, 700}, {530, 70}, {300, 300}}) {
    const Rows left = orthonormal(60, rows, random);
    const Rows right = orthonormal(60, columns, random);
    Values base;
    Values tuned;
    Values rest;
    Values row_factors;
    Values column_factors;
    for (int64_t i = 0; i < rows; ++i) {
      row_factors.push_back(0.1 * normal(random));
    }
    for (int64_t j = 0; j < columns; ++j) {
      column_factors.push_back(0.1 * normal(random));
    }
    for (int64_t i = 0; i < rows * columns; ++i) {
      const double w = normal(random);
      const double r = 1e-3 * normal(random) * std::exp(normal(random));
      const double factor =
          0.2 + row_factors[static_cast<size_t>(i / columns)] + column_factors[static_cast<size_t>(i % columns)];
      base.push_back(w);
      tuned.push_back(w + factor * w + r);
      rest.push_back(r);
    }
    const tg_operand before = operand(base, rows);
    const tg_operand after = operand(tuned, rows);
    const tg_residual residual{sizeof(residual), &before, &after, 0.2, row_factors.data(), column_factors.data()};
    const std::vector<int64_t> ranks{60, 1, 8, 33, 8};
    const Moments found = moments_of(residual, left, right, ranks);
    for (size_t i = 0; i < ranks.size(); ++i) {
      const auto rank = static_cast<size_t>(ranks[i]);
      const Expected expected = formulas(rest, left, right, rank);
      EXPECT_NEAR(energy(rest, left, right, rank), found[i].energy, 1e-9 * found[i].mean) << rank;
      EXPECT_NEAR(expected.mean, found[i].mean, 1e-9 * expected.mean) << rank;
      EXPECT_NEAR(expected.variance, found[i].variance, 1e-5 * expected.variance) << rank;
    }
    const Moments again = moments_of(residual, left, right, ranks, 3);
    for (size_t i = 0; i < ranks.size(); ++i) {
      EXPECT_EQ(found[i].energy, again[i].energy);
      EXPECT_EQ(found[i].mean, again[i].mean);
      EXPECT_EQ(found[i].variance, again[i].variance);
    }
  }
}

// Probes keep their standard error. Where it is above the tolerance, as for a residual of two blocks, the whole sum is computed.
TEST(SignFlip, ProbesAgreeWithTheWholeSum) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{130, 300}, {310, 90}}) {
    const Rows left = orthonormal(12, rows, random);
    const Rows right = orthonormal(12, columns, random);
    const Values zeros(static_cast<size_t>(rows * columns), 0);
    Values scales;
    for (int64_t i = 0; i < rows + columns; ++i) {
      scales.push_back(std::exp(0.7 * normal(random)));
    }
    double squares = 0;
    for (const bool blocks : {false, true}) {
      Values entries;
      for (int64_t i = 0; i < rows * columns; ++i) {
        const double scale = scales[static_cast<size_t>(i / columns)] * scales[static_cast<size_t>(rows + i % columns)];
        const bool outside = (i / columns < rows / 2) != (i % columns < columns / 2);
        entries.push_back(1e-4 * scale * normal(random) * (blocks && outside ? 0 : 1));
      }
      const tg_operand base = operand(zeros, rows);
      const tg_operand tuned = operand(entries, rows);
      const tg_residual residual{sizeof(residual), &base, &tuned, 0, nullptr, nullptr};
      const std::vector<int64_t> ranks{12, 3, 7};
      const Moments whole = moments_of(residual, left, right, ranks);
      const Moments found = moments_of(residual, left, right, ranks, 1, blocks ? 1e-5 : 0.9);
      const Moments again = moments_of(residual, left, right, ranks, 3, blocks ? 1e-5 : 0.9);
      for (size_t i = 0; i < ranks.size(); ++i) {
        EXPECT_EQ(0, whole[i].variance_error);
        EXPECT_EQ(whole[i].energy, found[i].energy);
        EXPECT_EQ(whole[i].mean, found[i].mean);
        EXPECT_EQ(found[i].variance, again[i].variance);
        if (blocks) {
          EXPECT_EQ(0, found[i].variance_error);
          EXPECT_EQ(whole[i].variance, found[i].variance);
        } else {
          EXPECT_GT(found[i].variance_error, 0);
          EXPECT_LE(found[i].variance_error, 0.9 * found[i].variance);
          EXPECT_NEAR(whole[i].variance, found[i].variance, 5 * found[i].variance_error);
          const double z = (found[i].variance - whole[i].variance) / found[i].variance_error;
          squares += z * z / static_cast<double>(ranks.size());
        }
      }
    }
    EXPECT_GT(squares, 1e-4);  // an error that is never used would be far too large
  }
}

TEST(SignFlip, DrawsHaveTheseMoments) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  constexpr int64_t kRows = 40;
  constexpr int64_t kColumns = 30;
  constexpr int kDraws = 2000;
  const Rows left = orthonormal(6, kRows, random);
  const Rows right = orthonormal(6, kColumns, random);
  const Values zeros(kRows * kColumns, 0);
  Values entries;
  for (int64_t i = 0; i < kRows * kColumns; ++i) {
    entries.push_back(std::exp(normal(random)));
  }
  const tg_operand base = operand(zeros, kRows);
  const tg_operand tuned = operand(entries, kRows);
  const tg_residual residual{sizeof(residual), &base, &tuned, 0, nullptr, nullptr};
  const tg_sign_flip_moments expected = moments_of(residual, left, right, {6})[0];
  const auto context = support::make_context(2);
  double sum = 0;
  double squares = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    const tg_sign_flip_options options{sizeof(options), static_cast<int64_t>(support::seed()), draw, TG_F32, 1};
    std::vector<float> flipped(entries.size());
    ASSERT_EQ(TG_OK, tg_sign_flip(context.get(), &residual, &options, flipped.data()));
    const double of_draw = energy(Values(flipped.begin(), flipped.end()), left, right, 6);
    sum += of_draw;
    squares += of_draw * of_draw;
  }
  const double mean = sum / kDraws;
  const double variance = squares / kDraws - mean * mean;
  // Four standard errors of the mean, and of the variance of a distribution with an excess kurtosis of at most 2.
  EXPECT_NEAR(expected.mean, mean, 4 * std::sqrt(expected.variance / kDraws));
  EXPECT_NEAR(expected.variance, variance, 4 * expected.variance * std::sqrt(4.0 / kDraws));
}

TEST(SignFlip, FlipsHalfOfTheSignsTheSameWayEverywhere) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  constexpr int64_t kRows = 37;
  constexpr int64_t kColumns = 4100;  // more than two blocks of signs
  Values base;
  Values tuned;
  for (int64_t i = 0; i < kRows * kColumns; ++i) {
    base.push_back(static_cast<double>(static_cast<float>(normal(random))));
    tuned.push_back(base.back() + 0.5);
  }
  tuned[3] = std::nan("");
  const tg_operand before = operand(base, kRows);
  const tg_operand after = operand(tuned, kRows);
  const tg_residual residual{sizeof(residual), &before, &after, 0, nullptr, nullptr};
  const auto draw = [&](int64_t number, int32_t flips, int threads) {
    const auto context = support::make_context(threads);
    const tg_sign_flip_options options{sizeof(options), 7, number, TG_F32, flips};
    std::vector<float> flipped(base.size());
    EXPECT_EQ(TG_OK, tg_sign_flip(context.get(), &residual, &options, flipped.data()));
    return flipped;
  };
  const std::vector<float> first = draw(0, 1, 1);
  EXPECT_EQ(first, draw(0, 1, 3));
  const std::vector<float> second = draw(1, 1, 1);
  int64_t down = 0;
  int64_t same = 0;
  for (size_t i = 0; i < base.size(); ++i) {
    if (i == 3) {
      EXPECT_EQ(static_cast<float>(base[i]), first[i]);
      continue;
    }
    const bool is_down = static_cast<double>(first[i]) < base[i];
    EXPECT_EQ(static_cast<float>(is_down ? base[i] - 0.5 : base[i] + 0.5), first[i]);
    down += is_down ? 1 : 0;
    same += first[i] == second[i] ? 1 : 0;
  }
  const auto count = static_cast<double>(base.size());
  EXPECT_NEAR(0.5, static_cast<double>(down) / count, 3 / std::sqrt(count));
  EXPECT_NEAR(0.5, static_cast<double>(same) / count, 3 / std::sqrt(count));
  const std::vector<float> kept = draw(0, 0, 1);
  for (size_t i = 4; i < base.size(); ++i) {
    EXPECT_EQ(static_cast<float>(tuned[i]), kept[i]);
  }
}

TEST(SignFlip, IsCancelled) {
  const auto context = support::make_context(2);
  const Values entries(200 * 300, 1);
  const tg_operand base = operand(entries, 200);
  const tg_residual residual{sizeof(residual), &base, &base, 0, nullptr, nullptr};
  const tg_sign_flip_options options{sizeof(options), 0, 0, TG_F32, 1};
  std::vector<float> flipped(entries.size());
  tg_control control{sizeof(control), 1, 0, 0, 0};
  ASSERT_EQ(TG_OK, tg_context_set_control(context.get(), &control));
  EXPECT_EQ(TG_CANCELLED, tg_sign_flip(context.get(), &residual, &options, flipped.data()));
  control.cancel = 0;
  EXPECT_EQ(TG_OK, tg_sign_flip(context.get(), &residual, &options, flipped.data()));
}

TEST(SignFlip, ChecksItsArguments) {
  const auto context = support::make_context();
  std::mt19937_64 random(support::seed());
  const Values entries(12, 1);
  const tg_operand base = operand(entries, 3);
  tg_residual residual{sizeof(residual), &base, &base, 0, nullptr, nullptr};
  const Values basis(12, 0);
  const tg_matrix left{basis.data(), 2, 3, 3, TG_F64, 0};
  const tg_matrix right{basis.data(), 2, 4, 4, TG_F64, 0};
  const int64_t rank = 3;
  tg_sign_flip_energy_options ranks{sizeof(ranks), &rank, 1, 0, 0};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_sign_flip_energy_workspace(context.get(), &residual, &left, &right, &ranks, &size));
  EXPECT_EQ("options.ranks is 3; each must be 1 to the rows of both bases", support::error_of(context.get()));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_sign_flip_energy_workspace(context.get(), &residual, &right, &right, &ranks, &size));
  EXPECT_EQ("left.columns is 4; they must be the side of the residual", support::error_of(context.get()));
  residual.common = std::nan("");
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_sign_flip_energy_workspace(context.get(), &residual, &left, &right, &ranks, &size));
  residual.common = 0;
  const tg_sign_flip_options options{sizeof(options), 0, -1, TG_F32, 1};
  std::vector<float> flipped(12);
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_sign_flip(context.get(), &residual, &options, flipped.data()));
  EXPECT_EQ("options.draw is -1; allowed are 0 to 2^32 - 1", support::error_of(context.get()));
}

}  // namespace
