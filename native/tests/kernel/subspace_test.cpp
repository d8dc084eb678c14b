#include <cmath>
#include <random>

#include "reference/svd_reference.h"
#include "support.h"

namespace {

using support::orthonormal;
using support::Rows;

std::vector<double> flat(const Rows& rows) {
  std::vector<double> entries;
  for (const auto& row : rows) {
    entries.insert(entries.end(), row.begin(), row.end());
  }
  return entries;
}

tg_matrix matrix(const std::vector<double>& entries, int64_t rows) {
  const auto columns = static_cast<int64_t>(entries.size()) / rows;
  return {entries.data(), rows, columns, columns, TG_F64, 0};
}

std::vector<double> angles(const Rows& first, const Rows& second) {
  const auto context = support::make_context();
  const std::vector<double> a = flat(first);
  const std::vector<double> b = flat(second);
  const auto rank = static_cast<int64_t>(first.size());
  const tg_matrix a_matrix = matrix(a, rank);
  const tg_matrix b_matrix = matrix(b, rank);
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_principal_angles_workspace(context.get(), &a_matrix, &b_matrix, &size)) << support::error_of(context.get());
  const auto host = support::allocate(size.host_bytes + 8);
  static_cast<uint8_t*>(host.get())[size.host_bytes] = 0x5a;
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  std::vector<double> result(first.size() + 1, -7);
  EXPECT_EQ(TG_OK, tg_principal_angles(context.get(), &a_matrix, &b_matrix, &workspace, result.data()));
  EXPECT_EQ(0x5a, static_cast<uint8_t*>(host.get())[size.host_bytes]);
  EXPECT_EQ(-7, result.back());
  result.pop_back();
  return result;
}

// Returns rows 0 .. k-1 rotated by the given angles towards rows k .. 2k-1, and then mixed with each other.
Rows turned(const Rows& basis, const std::vector<double>& by, std::mt19937_64& random) {
  const size_t k = by.size();
  Rows rows(k, std::vector<double>(basis[0].size()));
  for (size_t i = 0; i < k; ++i) {
    for (size_t j = 0; j < rows[i].size(); ++j) {
      rows[i][j] = std::cos(by[i]) * basis[i][j] + std::sin(by[i]) * basis[k + i][j];
    }
  }
  const Rows mixing = orthonormal(static_cast<int64_t>(k), static_cast<int64_t>(k), random);
  Rows mixed(k, std::vector<double>(basis[0].size(), 0));
  for (size_t i = 0; i < k; ++i) {
    for (size_t l = 0; l < k; ++l) {
      for (size_t j = 0; j < mixed[i].size(); ++j) {
        mixed[i][j] += mixing[i][l] * rows[l][j];
      }
    }
  }
  return mixed;
}

TEST(PrincipalAngles, AKnownRotationComesBack) {
  std::mt19937_64 random(support::seed());
  for (const std::vector<double>& by : {std::vector<double>{1e-9, 2e-9, 5e-9}, std::vector<double>{1e-8, 1e-8, 1e-8},
                                        std::vector<double>{1e-9, 1e-6, 1e-3, 0.1, 0.7, 0.9, 1.3, 1.57},
                                        std::vector<double>{0, 0.3}, std::vector<double>{std::acos(-1.0) / 2}}) {
    const Rows basis = orthonormal(2 * static_cast<int64_t>(by.size()), 90, random);
    const Rows first(basis.begin(), basis.begin() + static_cast<std::ptrdiff_t>(by.size()));
    const std::vector<double> found = angles(first, turned(basis, by, random));
    for (size_t i = 0; i < by.size(); ++i) {
      // The bases of this test are orthonormal to about 1e-15.
      EXPECT_NEAR(by[i], found[i], 1e-12 * by[i] + 2e-14) << i;
    }
  }
}

TEST(PrincipalAngles, OfASpaceWithItselfAndOfAllOfSpace) {
  std::mt19937_64 random(support::seed());
  const Rows first = orthonormal(7, 40, random);
  for (const double angle : angles(first, first)) {
    EXPECT_LE(angle, 1e-14);
  }
  for (const double angle : angles(orthonormal(12, 12, random), orthonormal(12, 12, random))) {
    EXPECT_LE(angle, 1e-13);
  }
}

TEST(PrincipalAngles, CosinesAreTheSingularValuesOfTheProducts) {
  std::mt19937_64 random(support::seed());
  const Rows first = orthonormal(9, 30, random);
  const Rows second = orthonormal(9, 30, random);
  std::vector<double> products;
  for (const auto& a : first) {
    for (const auto& b : second) {
      double sum = 0;
      for (size_t j = 0; j < a.size(); ++j) {
        sum += a[j] * b[j];
      }
      products.push_back(sum);
    }
  }
  const reference::Svd expected = reference::singular_values(products, 9, 9);
  const std::vector<double> found = angles(first, second);
  for (size_t i = 0; i < 9; ++i) {
    EXPECT_NEAR(expected.sigma[i], std::cos(found[i]), 1e-13);
  }
}

// Wedin's bound: the sine of the rotation of a leading subspace is at most |D| over the gap (P, Theorem 3.3), for any matrix and
// step.
TEST(PrincipalAngles, KeepTheBoundOfWedin) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  for (int round = 0; round < 60; ++round) {
    constexpr int64_t kRows = 14;
    constexpr int64_t kColumns = 11;
    std::vector<double> base(kRows * kColumns);
    std::vector<double> step(base.size());
    std::vector<double> tuned(base.size());
    const double size = std::pow(10, -1 - round % 6);
    for (size_t i = 0; i < base.size(); ++i) {
      base[i] = normal(random);
      step[i] = size * normal(random);
      tuned[i] = base[i] + step[i];
    }
    const reference::Svd w0 = reference::singular_values(base, kRows, kColumns);
    const reference::Svd w1 = reference::singular_values(tuned, kRows, kColumns);
    const double norm = reference::singular_values(step, kRows, kColumns).sigma[0];
    for (const size_t k : {size_t{1}, size_t{4}}) {
      const double gap = w0.sigma[k - 1] - w1.sigma[k];
      if (gap <= 0) {
        continue;
      }
      const auto leading = [k](const Rows& rows) { return Rows(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(k)); };
      EXPECT_LE(std::sin(angles(leading(w0.left), leading(w1.left)).back()), norm / gap + 1e-13);
      EXPECT_LE(std::sin(angles(leading(w0.right), leading(w1.right)).back()), norm / gap + 1e-13);
    }
  }
}

TEST(PrincipalAngles, ChecksItsArguments) {
  const auto context = support::make_context();
  const std::vector<double> entries(12, 0);
  const tg_matrix first = matrix(entries, 3);
  const tg_matrix second = matrix(entries, 2);
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_principal_angles_workspace(context.get(), &first, &second, &size));
  EXPECT_EQ("second is 2 x 6; it must have the shape of first", support::error_of(context.get()));
  const tg_matrix high = matrix(entries, 4);
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_principal_angles_workspace(context.get(), &high, &high, &size));
  EXPECT_EQ("first is 4 x 3; it must have 1 to columns orthonormal rows", support::error_of(context.get()));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_principal_angles_workspace(context.get(), nullptr, &second, &size));
}

double squares(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) {
    sum += value * value;
  }
  return sum;
}

// left (k x m) times d (m x n).
std::vector<double> product(const Rows& left, const std::vector<double>& d, int64_t columns) {
  std::vector<double> result;
  for (const auto& row : left) {
    for (int64_t j = 0; j < columns; ++j) {
      double sum = 0;
      for (size_t i = 0; i < row.size(); ++i) {
        sum += row[i] * d[i * static_cast<size_t>(columns) + static_cast<size_t>(j)];
      }
      result.push_back(sum);
    }
  }
  return result;
}

std::vector<double> transpose(const std::vector<double>& d, int64_t rows) {
  const auto columns = static_cast<int64_t>(d.size()) / rows;
  std::vector<double> result;
  for (int64_t j = 0; j < columns; ++j) {
    for (int64_t i = 0; i < rows; ++i) {
      result.push_back(d[static_cast<size_t>(i * columns + j)]);
    }
  }
  return result;
}

TEST(ProjectedEnergy, IsThatOfTheDefinition) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  const auto context = support::make_context();
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{20, 20}, {300, 17}, {15, 600}, {1, 9}}) {
    std::vector<double> base(static_cast<size_t>(rows * columns));
    std::vector<double> tuned(base.size());
    std::vector<double> step(base.size());
    for (size_t i = 0; i < base.size(); ++i) {
      base[i] = normal(random);
      tuned[i] = base[i] + 0.01 * normal(random);
      step[i] = tuned[i] - base[i];
    }
    const Rows left = orthonormal(std::min<int64_t>(3, rows), rows, random);
    const Rows right = orthonormal(std::min<int64_t>(5, columns), columns, random);
    const std::vector<double> left_flat = flat(left);
    const std::vector<double> right_flat = flat(right);
    const tg_matrix left_matrix = matrix(left_flat, static_cast<int64_t>(left.size()));
    const tg_matrix right_matrix = matrix(right_flat, static_cast<int64_t>(right.size()));
    tg_operand from{};
    tg_operand to{};
    from.size = sizeof(from);
    to.size = sizeof(to);
    from.values = matrix(base, rows);
    to.values = matrix(tuned, rows);
    tg_workspace_size size{sizeof(size), 0, 0};
    ASSERT_EQ(TG_OK, tg_projected_energy_workspace(context.get(), &to, &from, &left_matrix, &right_matrix, &size));
    const auto host = support::allocate(size.host_bytes + 8);
    static_cast<uint8_t*>(host.get())[size.host_bytes] = 0x5a;
    const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
    tg_projected_energy_result result{sizeof(result), 0, 0, 0, 0, 0};
    ASSERT_EQ(TG_OK, tg_projected_energy(context.get(), &to, &from, &left_matrix, &right_matrix, &workspace, &result));
    EXPECT_EQ(0x5a, static_cast<uint8_t*>(host.get())[size.host_bytes]);
    const std::vector<double> left_image = product(left, step, columns);
    const double tolerance = 1e-12 * squares(step);
    EXPECT_NEAR(squares(step), result.total, tolerance);
    double fourth = 0;
    for (const double entry : step) {
      fourth += std::pow(entry, 4);
    }
    EXPECT_NEAR(fourth, result.fourth, 1e-12 * fourth);
    EXPECT_NEAR(squares(left_image), result.left, tolerance);
    EXPECT_NEAR(squares(product(right, transpose(step, rows), rows)), result.right, tolerance);
    EXPECT_NEAR(
        squares(product(right, transpose(left_image, static_cast<int64_t>(left.size())), static_cast<int64_t>(left.size()))),
        result.both, tolerance);
    const tg_matrix wrong = matrix(left_flat, 1);
    if (static_cast<int64_t>(left_flat.size()) != rows) {
      EXPECT_EQ(TG_INVALID_ARGUMENT, tg_projected_energy_workspace(context.get(), &to, &from, &wrong, &right_matrix, &size));
    }
  }
}

}  // namespace
