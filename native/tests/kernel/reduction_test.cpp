// Both reductions to tridiagonal form, whatever the order of the matrix. Programs take the faster one, so that the tests of whole
// decompositions reach the second one only with large matrices. These tests are linked with the objects of the library.
#include "cpu/svd/reduction.h"

#include <cmath>
#include <limits>
#include <random>

#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/crew.h"
#include "cpu/svd/two_stages.h"
#include "support.h"

namespace {

using threegate::Arena;
using threegate::SimdLevel;
using threegate::svd::TwoStages;

enum class Way { kOneStage, kTwoStages };

template <typename T>
size_t size_of(T count) {
  return static_cast<size_t>(count);
}

// The rows of a symmetric matrix.
struct Matrix {
  std::string name;
  int64_t order;
  std::vector<double> entries;
  [[nodiscard]] double at(int64_t i, int64_t j) const { return entries[size_of(i * order + j)]; }
};

// The tridiagonal matrix, and the rows that turn it into the matrix.
template <typename T>
struct Reduced {
  std::vector<T> diagonal;
  std::vector<T> off_diagonal;
  std::vector<T> rows;
};

// Transforms the first `rank` unit vectors, the columns of the orthogonal matrix.
template <typename T>
Reduced<T> reduce(Way way, SimdLevel level, const Matrix& matrix, int64_t rank) {
  const int64_t order = matrix.order;
  Reduced<T> out{std::vector<T>(size_of(order)), std::vector<T>(size_of(order)), std::vector<T>(size_of(rank * order))};
  std::vector<T> entries(size_of(order * order));
  for (int64_t i = 0; i < order; ++i) {
    for (int64_t j = 0; j < order; ++j) {
      // Only the lower triangle counts.
      entries[size_of(i * order + j)] = j <= i ? static_cast<T>(matrix.at(i, j)) : std::numeric_limits<T>::quiet_NaN();
    }
  }
  for (int64_t i = 0; i < rank; ++i) {
    out.rows[size_of(i * order + i)] = 1;
  }
  if (way == Way::kTwoStages) {
    Arena count;
    const TwoStages<T> counted(count, order, rank);
    std::vector<uint8_t> memory(size_of(count.used() + 128), 0x5a);
    uint8_t* begin = memory.data() + 64 - reinterpret_cast<uintptr_t>(memory.data()) % 64;
    Arena arena(begin);
    TwoStages<T> stages(arena, order, rank);
    stages.reduce(level, order, entries.data(), out.diagonal.data(), out.off_diagonal.data());
    stages.transform(rank, out.rows.data());
    for (const uint8_t* guard = begin + count.used(); guard < memory.data() + memory.size(); ++guard) {
      EXPECT_EQ(0x5a, *guard) << "written beyond the end";
    }
    return out;
  }
  std::vector<T> factors(size_of(order));
  std::vector<T> work(size_of(threegate::svd::reduction_work_size(order) + 64 * (order + rank)));
  EXPECT_TRUE(threegate::svd::reduce_to_tridiagonal(level, order, entries.data(), out.diagonal.data(), out.off_diagonal.data(),
                                                    factors.data(), work.data()));
  const auto size = static_cast<lapack_int>(order);
  EXPECT_EQ(0, threegate::blas().functions<T>().ormtr(LAPACK_COL_MAJOR, 'L', 'U', 'N', size, static_cast<lapack_int>(rank),
                                                      entries.data(), size, factors.data(), out.rows.data(), size, work.data(),
                                                      static_cast<lapack_int>(work.size())));
  return out;
}

double norm_of(const Matrix& matrix) {
  double squares = 0;
  for (const double entry : matrix.entries) {
    squares += entry * entry;
  }
  return std::sqrt(squares);
}

// The largest entry of Q^T Q - 1 and of A Q - Q T, relative to the norm of A.
template <typename T>
void expect_similar(const Matrix& matrix, const Reduced<T>& reduced, double orthogonality, double residual) {
  const int64_t order = matrix.order;
  const double norm = norm_of(matrix);
  const std::vector<double> rows(reduced.rows.begin(), reduced.rows.end());
  std::vector<double> image(size_of(order));
  double worst = 0;
  double furthest = 0;
  for (int64_t i = 0; i < order; ++i) {
    const double* row = rows.data() + i * order;
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < order; ++k) {
        sum += row[k] * rows[size_of(j * order + k)];
      }
      const double error = std::abs(sum - (i == j ? 1 : 0));
      worst = error > worst || std::isnan(error) ? error : worst;
    }
    std::fill(image.begin(), image.end(), 0.0);
    for (int64_t j = 0; j < order; ++j) {
      for (int64_t k = 0; k < order; ++k) {
        image[size_of(k)] += matrix.at(j, k) * row[j];
      }
    }
    for (int64_t k = 0; k < order; ++k) {
      double expected = static_cast<double>(reduced.diagonal[size_of(i)]) * row[k];
      expected += i > 0 ? static_cast<double>(reduced.off_diagonal[size_of(i - 1)]) * row[k - order] : 0;
      expected += i + 1 < order ? static_cast<double>(reduced.off_diagonal[size_of(i)]) * row[k + order] : 0;
      const double error = std::abs(image[size_of(k)] - expected);
      furthest = error > furthest || std::isnan(error) ? error : furthest;
    }
  }
  EXPECT_LE(worst, orthogonality);
  EXPECT_LE(furthest, residual * norm);
}

// The number of eigenvalues below x, by Sturm.
template <typename T>
int64_t count_below(const Reduced<T>& reduced, double x) {
  int64_t count = 0;
  double pivot = 1;
  for (size_t i = 0; i < reduced.diagonal.size(); ++i) {
    const double off = i > 0 ? static_cast<double>(reduced.off_diagonal[i - 1]) : 0;
    pivot = static_cast<double>(reduced.diagonal[i]) - x - off * off / pivot;
    pivot = pivot == 0 ? -1e-300 : pivot;
    count += pivot < 0 ? 1 : 0;
  }
  return count;
}

Matrix random_matrix(const std::string& name, int64_t order, double scale) {
  std::mt19937_64 random(support::seed() + static_cast<uint64_t>(order));
  std::normal_distribution<double> normal;
  Matrix matrix{name, order, std::vector<double>(size_of(order * order))};
  for (int64_t i = 0; i < order; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      const double entry = scale * normal(random);
      matrix.entries[size_of(i * order + j)] = entry;
      matrix.entries[size_of(j * order + i)] = entry;
    }
  }
  return matrix;
}

// A matrix with these eigenvalues: three reflections on both sides of a diagonal one.
Matrix with_values(const std::string& name, const std::vector<double>& values) {
  const auto order = static_cast<int64_t>(values.size());
  Matrix matrix{name, order, std::vector<double>(size_of(order * order))};
  for (int64_t i = 0; i < order; ++i) {
    matrix.entries[size_of(i * order + i)] = values[size_of(i)];
  }
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  for (int reflection = 0; reflection < 3; ++reflection) {
    std::vector<double> v(size_of(order));
    double squares = 0;
    for (double& entry : v) {
      entry = normal(random);
      squares += entry * entry;
    }
    std::vector<double> image(size_of(order));
    double product = 0;
    for (int64_t i = 0; i < order; ++i) {
      for (int64_t j = 0; j < order; ++j) {
        image[size_of(i)] += matrix.at(i, j) * v[size_of(j)];
      }
      product += image[size_of(i)] * v[size_of(i)];
    }
    for (int64_t i = 0; i < order; ++i) {
      for (int64_t j = 0; j < order; ++j) {
        matrix.entries[size_of(i * order + j)] +=
            4 * product / (squares * squares) * v[size_of(i)] * v[size_of(j)] -
            2 / squares * (v[size_of(i)] * image[size_of(j)] + image[size_of(i)] * v[size_of(j)]);
      }
    }
  }
  return matrix;
}

std::vector<Matrix> matrices(int64_t order) {
  std::vector<Matrix> all{random_matrix("random", order, 1), random_matrix("tiny", order, 1e-30),
                          random_matrix("huge", order, 1e30), random_matrix("none", order, 0)};
  Matrix falling = random_matrix("falling", order, 1);
  Matrix rising = falling;
  rising.name = "rising";
  Matrix narrow = falling;
  narrow.name = "narrow band";
  Matrix identity = all[3];
  identity.name = "identity";
  for (int64_t i = 0; i < order; ++i) {
    identity.entries[size_of(i * order + i)] = 1;
    for (int64_t j = 0; j < order; ++j) {
      const double share = static_cast<double>(i + j) / static_cast<double>(order);
      falling.entries[size_of(i * order + j)] *= std::pow(10, -4 * share);
      rising.entries[size_of(i * order + j)] *= std::pow(10, 4 * (share - 2));
      narrow.entries[size_of(i * order + j)] *= std::abs(i - j) <= 2 ? 1 : 0;
    }
  }
  all.insert(all.end(), {falling, rising, narrow, identity});
  std::vector<double> values(size_of(order), 1);
  values[0] = -2;
  values.back() = 3;
  all.push_back(with_values("cluster", values));
  for (int64_t i = 5; i < order; ++i) {
    values[size_of(i)] = 0;
  }
  all.push_back(with_values("few ranks", values));
  return all;
}

std::vector<SimdLevel> levels() {
  std::vector<SimdLevel> all;
  for (const SimdLevel level : threegate::kSimdLevels) {
    if (level <= threegate::best_simd_level()) {
      all.push_back(level);
    }
  }
  return all;
}

template <typename T>
class Reduction : public testing::Test {};
using Precisions = testing::Types<float, double>;
TYPED_TEST_SUITE(Reduction, Precisions);

TYPED_TEST(Reduction, IsSimilarToTheMatrix) {
  constexpr auto kRounding = static_cast<double>(std::numeric_limits<TypeParam>::epsilon());
  // Orders around one panel, around several, and beyond a block of a product.
  for (const int64_t order : {1, 2, 3, 63, 64, 65, 66, 67, 129, 290}) {
    for (const Matrix& matrix : matrices(order)) {
      for (const SimdLevel level : order < 290 || matrix.name == "random" ? levels() : std::vector{levels().back()}) {
        for (const Way way : {Way::kOneStage, Way::kTwoStages}) {
          SCOPED_TRACE(matrix.name + ", " + std::to_string(order) + ", " + threegate::simd_level_name(level) +
                       (way == Way::kOneStage ? ", one stage" : ", two stages"));
          expect_similar(matrix, reduce<TypeParam>(way, level, matrix, order), 30 * kRounding, 10 * kRounding);
        }
      }
    }
  }
}

// Of an order at which the one stage is no longer that of LAPACK.
TYPED_TEST(Reduction, OfALargerMatrixIsSimilarToIt) {
  constexpr auto kRounding = static_cast<double>(std::numeric_limits<TypeParam>::epsilon());
  const Matrix matrix = random_matrix("random", 530, 1);
  for (const Way way : {Way::kOneStage, Way::kTwoStages}) {
    expect_similar(matrix, reduce<TypeParam>(way, levels().back(), matrix, 530), 30 * kRounding, 10 * kRounding);
  }
}

TYPED_TEST(Reduction, KeepsTheEigenvalues) {
  constexpr auto kRounding = static_cast<double>(std::numeric_limits<TypeParam>::epsilon());
  for (const int64_t order : {70, 200, 530}) {
    // Pairs of values, far from each other.
    std::vector<double> values;
    for (int64_t i = 0; i < order; ++i) {
      values.push_back(static_cast<double>(i / 2 * 2) / static_cast<double>(order) - 0.3);
    }
    const Matrix matrix = with_values("pairs", values);
    for (const SimdLevel level : levels()) {
      for (const Way way : {Way::kOneStage, Way::kTwoStages}) {
        const Reduced<TypeParam> reduced = reduce<TypeParam>(way, level, matrix, 1);
        for (int64_t i = 0; i < order; i += 2) {
          const double margin = 100 * kRounding;
          EXPECT_EQ(i, count_below(reduced, values[size_of(i)] - margin)) << order;
          EXPECT_EQ(std::min(order, i + 2), count_below(reduced, values[size_of(i)] + margin)) << order;
        }
      }
    }
  }
}

// Sweeps of the chase overlap in time on several threads.
TYPED_TEST(Reduction, GivesTheSameBitsForAnyNumberOfThreads) {
  for (const int64_t order : {66, 700}) {
    const Matrix matrix = random_matrix("random", order, 1);
    for (const Way way : {Way::kOneStage, Way::kTwoStages}) {
      const Reduced<TypeParam> expected = reduce<TypeParam>(way, levels().back(), matrix, 66);
      for (const int threads : {2, 3, 20}) {
        threegate::ThreadPool pool(threads);
        const threegate::Crew crew(pool);
        const Reduced<TypeParam> actual = reduce<TypeParam>(way, levels().back(), matrix, 66);
        EXPECT_EQ(expected.diagonal, actual.diagonal) << threads;
        EXPECT_EQ(expected.off_diagonal, actual.off_diagonal) << threads;
        EXPECT_EQ(expected.rows, actual.rows) << threads;
      }
    }
  }
}

}  // namespace
