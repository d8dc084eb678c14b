// The lanes of the tridiagonal solver, as the compiler makes them for the baseline. The other levels give the same bits by
// construction, and truncated_svd_test.cpp runs them.
#include "cpu/svd/tridiagonal_lanes.h"

#include <cmath>
#include <random>

#include "support.h"

namespace {

using threegate::svd::kTridiagonalLanes;
using threegate::svd::TridiagonalLanes;

// A matrix and room for its vectors. Entries are at most one in the norm, as the solver makes them.
struct Matrix {
  explicit Matrix(int64_t size)
      : order(size),
        diagonal(static_cast<size_t>(size)),
        off_diagonal(static_cast<size_t>(size)),
        squares(static_cast<size_t>(size)),
        forward(static_cast<size_t>(size * kTridiagonalLanes)),
        backward(static_cast<size_t>(size * kTridiagonalLanes)) {}

  // The leading values and vectors, as many as there are lanes or values.
  TridiagonalLanes solve() {
    TridiagonalLanes lanes{};
    lanes.order = order;
    lanes.diagonal = diagonal.data();
    lanes.off_diagonal = off_diagonal.data();
    lanes.squares = squares.data();
    lanes.smallest = 1e-100;
    lanes.forward = forward.data();
    lanes.backward = backward.data();
    for (size_t i = 0; i < squares.size(); ++i) {
      squares[i] = std::max(off_diagonal[i] * off_diagonal[i], 1e-200);
    }
    for (int64_t l = 0; l < kTridiagonalLanes; ++l) {
      lanes.index[l] = static_cast<double>(std::max<int64_t>(order - 1 - l, 0));
      lanes.low[l] = -1.001;
      lanes.high[l] = 1.001;
    }
    threegate::svd::bisect(lanes, 54);
    for (int64_t l = 0; l < kTridiagonalLanes; ++l) {
      lanes.value[l] = (lanes.low[l] + lanes.high[l]) / 2;
    }
    threegate::svd::twist(lanes);
    return lanes;
  }

  [[nodiscard]] double entry(int64_t i, int64_t lane) const { return forward[static_cast<size_t>(i * kTridiagonalLanes + lane)]; }

  // |T z - value z| for the vector of a lane.
  [[nodiscard]] double residual(int64_t lane, double value) const {
    double sum = 0;
    for (int64_t i = 0; i < order; ++i) {
      double product = (diagonal[static_cast<size_t>(i)] - value) * entry(i, lane);
      product += i > 0 ? off_diagonal[static_cast<size_t>(i - 1)] * entry(i - 1, lane) : 0;
      product += i + 1 < order ? off_diagonal[static_cast<size_t>(i)] * entry(i + 1, lane) : 0;
      sum += product * product;
    }
    return std::sqrt(sum);
  }

  int64_t order;
  std::vector<double> diagonal;
  std::vector<double> off_diagonal;
  std::vector<double> squares;
  std::vector<double> forward;
  std::vector<double> backward;
};

// The second difference has the values (1 - cos(pi k / (n + 1))) / 2 and sines as vectors.
TEST(Tridiagonal, OfASecondDifference) {
  const double pi = std::acos(-1.0);
  for (const int64_t order : {1, 2, 3, 15, 16, 17, 300}) {
    Matrix matrix(order);
    for (int64_t i = 0; i < order; ++i) {
      matrix.diagonal[static_cast<size_t>(i)] = 0.5;
      matrix.off_diagonal[static_cast<size_t>(i)] = -0.25;
    }
    const TridiagonalLanes lanes = matrix.solve();
    for (int64_t l = 0; l < std::min(order, kTridiagonalLanes); ++l) {
      const double angle = pi * static_cast<double>(order - l) / static_cast<double>(order + 1);
      EXPECT_NEAR((1 - std::cos(angle)) / 2, lanes.value[l], 1e-15) << order << ", " << l;
      EXPECT_LE(matrix.residual(l, lanes.value[l]), 4e-15) << order << ", " << l;
      const double size = std::sqrt(2.0 / static_cast<double>(order + 1));
      for (int64_t i = 0; i < order; ++i) {
        const double expected = size * std::abs(std::sin(angle * static_cast<double>(i + 1)));
        EXPECT_NEAR(expected, std::abs(matrix.entry(i, l)), 1e-9);
      }
    }
  }
}

// Values of random matrices, of matrices in parts, and of graded ones. Vectors of distinct values are orthogonal.
TEST(Tridiagonal, VectorsAreAccurateWithoutOrthogonalisation) {
  std::mt19937_64 random(support::seed());
  std::uniform_real_distribution<double> uniform(-0.3, 0.3);
  for (const int64_t order : {17, 64, 500}) {
    for (const int kind : {0, 1, 2, 3}) {
      Matrix matrix(order);
      for (int64_t i = 0; i < order; ++i) {
        const double scale = kind == 2 ? std::pow(10, -12 * static_cast<double>(i) / static_cast<double>(order)) : 1;
        matrix.diagonal[static_cast<size_t>(i)] = scale * uniform(random);
        const bool zero = (kind == 1 && i % 7 == 3) || kind == 3;
        matrix.off_diagonal[static_cast<size_t>(i)] = zero ? 0 : scale * uniform(random);
      }
      const TridiagonalLanes lanes = matrix.solve();
      for (int64_t l = 0; l < kTridiagonalLanes; ++l) {
        EXPECT_LE(lanes.residual[l], 4e-15);
        EXPECT_LE(matrix.residual(l, lanes.value[l]), 4e-15) << order << ", " << kind << ", " << l;
        for (int64_t other = 0; other < l; ++other) {
          double product = 0;
          for (int64_t i = 0; i < order; ++i) {
            product += matrix.entry(i, l) * matrix.entry(i, other);
          }
          const double gap = lanes.value[other] - lanes.value[l];
          EXPECT_LE(std::abs(product), 1e-14 / std::max(gap, 1e-14)) << order << ", " << kind;
        }
      }
    }
  }
}

}  // namespace
