#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <thread>
#include <utility>

#include "common/dtype.h"
#include "reference/svd_reference.h"
#include "support.h"

namespace {

struct Problem {
  std::string name;
  int64_t rows;
  int64_t columns;
  std::vector<double> entries;
};

// The result, and the matrix as the kernel read it.
struct Solution {
  tg_status status = TG_OK;
  tg_svd_result result{};
  std::vector<double> values;
  std::vector<double> left;
  std::vector<double> right;
  std::vector<double> spectrum;
  std::string error;
};

struct Request {
  int64_t rank;
  double tolerance;
  bool vectors = true;
  bool spectrum = false;
  int threads = 1;
  const char* simd = nullptr;
};

tg_operand operand(const void* data, int64_t rows, int64_t columns, tg_dtype dtype) {
  tg_operand result{};
  result.size = sizeof(result);
  result.values = {data, rows, columns, columns, dtype, 0};
  return result;
}

std::vector<Solution> solve(const std::vector<tg_operand>& matrices, const Request& request,
                            const std::vector<tg_operand>& subtracted = {}) {
  const auto context = support::make_context(request.threads, request.simd);
  const auto count = static_cast<int64_t>(matrices.size());
  std::vector<Solution> solutions(matrices.size());
  std::vector<tg_svd_options> options;
  std::vector<tg_svd_result> results;
  for (size_t i = 0; i < matrices.size(); ++i) {
    const tg_matrix& values = matrices[i].values;
    const int64_t shorter = std::min(values.rows, values.columns);
    const int64_t rank = std::min(request.rank, shorter);
    Solution& solution = solutions[i];
    solution.values.assign(static_cast<size_t>(rank) + 1, -7);
    solution.left.assign(static_cast<size_t>(rank * values.rows) + 1, -7);
    solution.right.assign(static_cast<size_t>(rank * values.columns) + 1, -7);
    solution.spectrum.assign(static_cast<size_t>(shorter) + 1, -7);
    options.push_back({sizeof(tg_svd_options), rank, request.tolerance, request.vectors ? 1 : 0, 0});
    results.push_back({sizeof(tg_svd_result), solution.values.data(), request.vectors ? solution.left.data() : nullptr,
                       request.vectors ? solution.right.data() : nullptr, request.spectrum ? solution.spectrum.data() : nullptr,
                       0, 0, 0, 0, 0});
  }
  tg_workspace_size size{sizeof(tg_workspace_size), 0, 0};
  EXPECT_EQ(TG_OK, tg_svd_workspace(context.get(), matrices.data(), subtracted.empty() ? nullptr : subtracted.data(), count,
                                    options.data(), results.data(), &size))
      << support::error_of(context.get());
  // A guard after the workspace shows that the queried size is sufficient.
  const auto host = support::allocate(size.host_bytes + 64);
  std::memset(static_cast<uint8_t*>(host.get()) + size.host_bytes, 0x5a, 64);
  const tg_workspace workspace{sizeof(tg_workspace), host.get(), size.host_bytes, nullptr, 0};
  const tg_status status = tg_svd(context.get(), matrices.data(), subtracted.empty() ? nullptr : subtracted.data(), count,
                                  options.data(), nullptr, &workspace, results.data());
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(0x5a, static_cast<uint8_t*>(host.get())[size.host_bytes + i]);
  }
  for (size_t i = 0; i < matrices.size(); ++i) {
    Solution& solution = solutions[i];
    solution.status = status;
    solution.result = results[i];
    solution.error = support::error_of(context.get());
    for (auto* vector : {&solution.values, &solution.left, &solution.right, &solution.spectrum}) {
      EXPECT_EQ(-7, vector->back()) << "written beyond the end";
      vector->pop_back();
    }
  }
  return solutions;
}

Solution solve(const Problem& problem, const Request& request) {
  return solve({operand(problem.entries.data(), problem.rows, problem.columns, TG_F64)}, request)[0];
}

// Returns the largest |A v_i - sigma_i u_i| or |A^T u_i - sigma_i v_i| relative to sigma_1, computed in long double and
// independently of the kernel.
double residual(const Problem& problem, const Solution& solution, int64_t rank) {
  long double worst = 0;
  for (int64_t k = 0; k < rank; ++k) {
    const double* u = solution.left.data() + k * problem.rows;
    const double* v = solution.right.data() + k * problem.columns;
    const double sigma = solution.values[static_cast<size_t>(k)];
    std::vector<long double> back(static_cast<size_t>(problem.columns));
    long double forward = 0;
    for (int64_t i = 0; i < problem.rows; ++i) {
      long double sum = 0;
      for (int64_t j = 0; j < problem.columns; ++j) {
        const double a = problem.entries[static_cast<size_t>(i * problem.columns + j)];
        sum += static_cast<long double>(a) * v[j];
        back[static_cast<size_t>(j)] += static_cast<long double>(a) * u[i];
      }
      forward += (sum - sigma * u[i]) * (sum - sigma * u[i]);
    }
    long double other = 0;
    for (int64_t j = 0; j < problem.columns; ++j) {
      const long double difference = back[static_cast<size_t>(j)] - sigma * v[j];
      other += difference * difference;
    }
    worst = std::max({worst, std::sqrt(forward), std::sqrt(other)});
  }
  return solution.values[0] > 0 ? static_cast<double>(worst / solution.values[0]) : 0;
}

double deviation(const std::vector<double>& vectors, int64_t rank) {
  const int64_t length = static_cast<int64_t>(vectors.size()) / rank;
  double worst = 0;
  for (int64_t a = 0; a < rank; ++a) {
    for (int64_t b = 0; b <= a; ++b) {
      long double sum = 0;
      for (int64_t i = 0; i < length; ++i) {
        sum +=
            static_cast<long double>(vectors[static_cast<size_t>(a * length + i)]) * vectors[static_cast<size_t>(b * length + i)];
      }
      worst = std::max(worst, std::abs(static_cast<double>(sum) - (a == b ? 1 : 0)));
    }
  }
  return worst;
}

Problem random_problem(const std::string& name, int64_t rows, int64_t columns, uint64_t salt) {
  std::mt19937_64 random(support::seed() + salt);
  std::normal_distribution<double> normal;
  Problem problem{name, rows, columns, std::vector<double>(static_cast<size_t>(rows * columns))};
  for (double& entry : problem.entries) {
    entry = 0.02 * normal(random);
  }
  return problem;
}

Problem with_spectrum(const std::string& name, int64_t rows, int64_t columns, const std::vector<double>& sigma, uint64_t salt) {
  std::mt19937_64 random(support::seed() + salt);
  const auto count = static_cast<int64_t>(sigma.size());
  const auto left = support::orthonormal(count, rows, random);
  const auto right = support::orthonormal(count, columns, random);
  Problem problem{name, rows, columns, std::vector<double>(static_cast<size_t>(rows * columns))};
  for (size_t k = 0; k < sigma.size(); ++k) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        problem.entries[static_cast<size_t>(i * columns + j)] +=
            sigma[k] * left[k][static_cast<size_t>(i)] * right[k][static_cast<size_t>(j)];
      }
    }
  }
  return problem;
}

std::vector<double> sequence(int64_t count, const std::function<double(int64_t)>& value) {
  std::vector<double> result;
  for (int64_t i = 0; i < count; ++i) {
    result.push_back(value(i));
  }
  return result;
}

std::vector<Problem> problems() {
  std::vector<Problem> list;
  list.push_back(random_problem("random square", 96, 96, 1));
  list.push_back(random_problem("random tall", 300, 80, 2));
  list.push_back(random_problem("random wide", 70, 611, 3));
  list.push_back(random_problem("one row", 1, 37, 4));
  list.push_back(random_problem("one column", 530, 1, 5));
  list.push_back(random_problem("one entry", 1, 1, 6));
  list.push_back(
      with_spectrum("graded", 120, 90, sequence(90, [](int64_t i) { return std::pow(0.5, static_cast<double>(i)); }), 7));
  list.push_back(with_spectrum("graded to 1e-14", 90, 150,
                               sequence(90, [](int64_t i) { return std::pow(10, -14.0 * static_cast<double>(i) / 89); }), 8));
  list.push_back(
      with_spectrum("clustered", 110, 100, sequence(100, [](int64_t i) { return i < 10   ? 3.0
                                                                                : i < 40 ? 1.0
                                                                                         : 0.5; }), 9));
  list.push_back(with_spectrum("rank 5", 100, 130, {5, 4, 3, 2, 1}, 10));
  list.push_back(with_spectrum(
      "bulk and outliers", 160, 128,
      sequence(128, [](int64_t i) { return i < 6 ? 20.0 - static_cast<double>(i) : 1.0 - static_cast<double>(i) / 200; }), 11));
  list.push_back({"zero", 70, 80, std::vector<double>(70 * 80, 0.0)});
  Problem identity{"identity", 75, 75, std::vector<double>(75 * 75, 0.0)};
  for (size_t i = 0; i < 75; ++i) {
    identity.entries[i * 76] = 1;
  }
  list.push_back(identity);
  Problem tiny = random_problem("tiny", 80, 70, 12);
  Problem huge = random_problem("huge", 70, 80, 13);
  Problem subnormal = random_problem("subnormal", 66, 66, 14);
  for (double& entry : tiny.entries) {
    entry *= 1e-200;
  }
  for (double& entry : huge.entries) {
    entry *= 1e250;
  }
  for (double& entry : subnormal.entries) {
    entry *= 1e-306;
  }
  list.push_back(tiny);
  list.push_back(huge);
  list.push_back(subnormal);
  return list;
}

TEST(TruncatedSvd, AgreesWithTheReference) {
  for (const Problem& problem : problems()) {
    const reference::Svd expected = reference::singular_values(problem.entries, problem.rows, problem.columns);
    const int64_t shorter = std::min(problem.rows, problem.columns);
    for (const int64_t rank : {int64_t{1}, int64_t{7}, shorter / 2, shorter}) {
      if (rank < 1 || rank > shorter) {
        continue;
      }
      for (const double tolerance : support::tolerances({1e-4, 1e-6, 1e-10, 1e-13})) {
        SCOPED_TRACE(problem.name + ", rank " + std::to_string(rank) + ", tolerance " + std::to_string(std::log10(tolerance)));
        const Solution solution = solve(problem, {rank, tolerance});
        ASSERT_EQ(TG_OK, solution.status) << solution.error;
        const double sigma = expected.sigma[0];
        for (size_t i = 0; i < static_cast<size_t>(rank); ++i) {
          ASSERT_NEAR(expected.sigma[i], solution.values[i], (tolerance + 1e-14) * sigma) << i;
        }
        EXPECT_TRUE(std::is_sorted(solution.values.rbegin(), solution.values.rend()));
        // The certificate is correct up to the rounding of its products.
        EXPECT_LE(residual(problem, solution, rank), tolerance + 1e-13);
        EXPECT_LE(deviation(solution.left, rank), tolerance + 1e-6 * tolerance + 1e-13);
        EXPECT_LE(deviation(solution.right, rank), tolerance + 1e-6 * tolerance + 1e-13);
      }
    }
  }
}

TEST(TruncatedSvd, TheWholeSpectrum) {
  for (const Problem& problem : problems()) {
    const reference::Svd expected = reference::singular_values(problem.entries, problem.rows, problem.columns);
    for (const bool vectors : {false, true}) {
      for (const double tolerance : {1e-6, 1e-11}) {
        SCOPED_TRACE(problem.name + (vectors ? ", vectors" : ", values alone"));
        const Solution solution = solve(problem, {1, tolerance, vectors, true});
        ASSERT_EQ(TG_OK, solution.status) << solution.error;
        EXPECT_LE(solution.result.spectrum_error, tolerance);
        for (size_t i = 0; i < expected.sigma.size(); ++i) {
          ASSERT_NEAR(expected.sigma[i], solution.spectrum[i], (solution.result.spectrum_error + 1e-14) * expected.sigma[0]) << i;
        }
        EXPECT_NEAR(solution.spectrum[0], solution.values[0], tolerance * solution.values[0]);
      }
    }
  }
}

// Checks the subspace, not only the values: the angle to that of the reference is bounded by the residual over the gap.
TEST(TruncatedSvd, FindsTheRightSubspace) {
  const Problem problem = with_spectrum(
      "spikes", 150, 110, sequence(110, [](int64_t i) { return i < 8 ? 4.0 - 0.25 * static_cast<double>(i) : 1.0; }), 20);
  const reference::Svd expected = reference::singular_values(problem.entries, problem.rows, problem.columns);
  for (const double tolerance : support::tolerances({1e-4, 1e-10})) {
    const Solution solution = solve(problem, {8, tolerance});
    ASSERT_EQ(TG_OK, solution.status);
    for (size_t i = 0; i < 8; ++i) {
      double cosine = 0;
      for (size_t j = 0; j < 110; ++j) {
        cosine += expected.right[i][j] * solution.right[i * 110 + j];
      }
      double squares = 0;
      for (size_t j = 0; j < 110; ++j) {
        squares += std::pow(solution.right[i * 110 + j] - cosine * expected.right[i][j], 2);
      }
      const double sine = std::sqrt(squares);
      // Davis and Kahan: residual over gap. The residual is relative to sigma_1 = 4, and the gap is 0.25.
      EXPECT_LE(sine, 4 * tolerance / 0.25 + 1e-13) << i;
    }
  }
}

TEST(TruncatedSvd, TellsWhatItCannotReach) {
  const Problem problem = random_problem("random", 90, 100, 30);
  const Solution solution = solve(problem, {10, 1e-17});
  EXPECT_EQ(TG_NOT_CONVERGED, solution.status);
  EXPECT_EQ(TG_NOT_CONVERGED, solution.result.status);
  EXPECT_NE(std::string::npos, solution.error.find("matrices[0]: residual ")) << solution.error;
  EXPECT_LT(solution.result.residual, 1e-13);
  EXPECT_GT(solution.values[0], 0);
}

TEST(TruncatedSvd, EveryDtypeIsReadAsItIs) {
  std::mt19937_64 random(support::seed());
  for (const tg_dtype dtype : {TG_F32, TG_F16, TG_BF16, TG_F8_E4M3, TG_F8_E5M2}) {
    constexpr int64_t kRows = 70;
    constexpr int64_t kColumns = 100;
    Problem problem{"", kRows, kColumns, {}};
    std::vector<uint8_t> bytes;
    for (int64_t i = 0; i < kRows * kColumns; ++i) {
      if (dtype == TG_F32) {
        const float value = static_cast<float>(static_cast<int64_t>(random() % 2001) - 1000) / 512;
        const auto* raw = reinterpret_cast<const uint8_t*>(&value);
        bytes.insert(bytes.end(), raw, raw + 4);
        problem.entries.push_back(value);
      } else {
        // The codes of -1, 0, 1 and 2.
        const size_t which = random() % 4;
        const double value[] = {-1, 0, 1, 2};
        const uint16_t codes[][4] = {
            {0xbc00, 0, 0x3c00, 0x4000}, {0xbf80, 0, 0x3f80, 0x4000}, {0xb8, 0, 0x38, 0x40}, {0xbc, 0, 0x3c, 0x40}};
        const uint16_t code = codes[dtype - TG_F16][which];
        bytes.push_back(static_cast<uint8_t>(code & 0xff));
        if (dtype == TG_F16 || dtype == TG_BF16) {
          bytes.push_back(static_cast<uint8_t>(code >> 8));
        }
        problem.entries.push_back(value[which]);
      }
    }
    for (const double tolerance : support::tolerances({1e-4, 1e-11})) {
      const Solution wide = solve(problem, {20, 1e-12});
      const Solution solution = solve({operand(bytes.data(), kRows, kColumns, dtype)}, {20, tolerance})[0];
      ASSERT_EQ(TG_OK, solution.status) << dtype;
      for (size_t i = 0; i < 20; ++i) {
        EXPECT_NEAR(wide.values[i], solution.values[i], tolerance * wide.values[0]) << dtype;
      }
      EXPECT_LE(residual(problem, solution, 20), tolerance);
    }
  }
}

// Products of bf16 codes have their own kernel. Tests both orientations, ragged blocks and panels, and every level.
TEST(TruncatedSvd, OfBf16AtEveryLevel) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<float> normal;
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{67, 2500}, {2500, 67}, {130, 131}, {131, 130}}) {
    if (rows > 2000 && support::tests_device() && support::is_emulated()) {
      continue;  // the last two shapes have both orientations
    }
    Problem problem{"", rows, columns, {}};
    std::vector<uint16_t> codes;
    for (int64_t i = 0; i < rows * columns; ++i) {
      const float value = 0.02F * normal(random);
      uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof(bits));
      codes.push_back(static_cast<uint16_t>(bits >> 16));
      bits &= 0xffff0000U;
      float kept = 0;
      std::memcpy(&kept, &bits, sizeof(kept));
      problem.entries.push_back(kept);
    }
    const Solution wide = solve(problem, {12, 1e-12});
    for (const std::string& level : support::simd_levels()) {
      for (const double tolerance : support::tolerances({1e-4, 1e-6})) {
        const Solution solution =
            solve({operand(codes.data(), rows, columns, TG_BF16)}, {12, tolerance, true, false, 1, level.c_str()})[0];
        ASSERT_EQ(TG_OK, solution.status) << solution.error;
        if (!support::tests_device()) {
          EXPECT_EQ(TG_SVD_GRAM_SINGLE, solution.result.method);
        } else if (tolerance > 1e-5) {
          EXPECT_EQ(TG_SVD_CHEBYSHEV, solution.result.method);
        }
        EXPECT_LE(residual(problem, solution, 12), tolerance);
        for (size_t i = 0; i < 12; ++i) {
          EXPECT_NEAR(wide.values[i], solution.values[i], tolerance * wide.values[0]);
        }
      }
    }
  }
}

// Many triplets have a certificate from the Gram matrix and from sums with random signs. It must not be below the true residual.
TEST(TruncatedSvd, TheCertificateOfManyTripletsIsABound) {
  if (support::tests_device()) {
    GTEST_SKIP() << "a device has another certificate";
  }
  struct Case {
    int64_t rows;
    int64_t columns;
    double first;  // singular values fall geometrically from this multiple of the last one
    double factor;
  };
  for (const Case& shape : {Case{130, 700, 1, 1},
                            {700, 131, 1, 1},
                            {150, 150, 1, 1},
                            {2100, 90, 1, 1},
                            {90, 4111, 1, 1},
                            {140, 260, 30, 1},
                            {260, 140, 1000, 1},
                            {140, 150, 1, 1e30},
                            {150, 140, 1, 1e-30}}) {
    Problem problem =
        shape.first == 1
            ? random_problem("", shape.rows, shape.columns, 80)
            : with_spectrum("", shape.rows, shape.columns,
                            sequence(140, [&](int64_t i) { return std::pow(shape.first, 1 - static_cast<double>(i) / 139); }),
                            81);
    std::vector<float> entries;
    std::vector<uint16_t> codes;
    Problem rounded = problem;
    for (size_t i = 0; i < problem.entries.size(); ++i) {
      entries.push_back(static_cast<float>(problem.entries[i] * shape.factor));
      problem.entries[i] = static_cast<double>(entries.back());
      uint32_t bits = 0;
      std::memcpy(&bits, &entries.back(), sizeof(bits));
      codes.push_back(static_cast<uint16_t>(bits >> 16));
      bits &= 0xffff0000U;
      float kept = 0;
      std::memcpy(&kept, &bits, sizeof(kept));
      rounded.entries[i] = static_cast<double>(kept);
    }
    for (const std::string& level : support::simd_levels()) {
      for (const double tolerance : {1e-4, 1e-5, 1e-6}) {
        for (const bool narrow : {false, true}) {
          SCOPED_TRACE(level + ", " + std::to_string(shape.rows) + " x " + std::to_string(shape.columns) + ", tolerance " +
                       std::to_string(std::log10(tolerance)) + (narrow ? ", bf16" : ", float32"));
          const Problem& asked = narrow ? rounded : problem;
          const tg_operand matrix = narrow ? operand(codes.data(), shape.rows, shape.columns, TG_BF16)
                                           : operand(entries.data(), shape.rows, shape.columns, TG_F32);
          const Solution solution = solve({matrix}, {61, tolerance, true, false, 1, level.c_str()})[0];
          ASSERT_EQ(TG_OK, solution.status) << solution.error;
          EXPECT_LE(solution.result.residual, tolerance);
          EXPECT_LE(residual(asked, solution, 61), solution.result.residual + 1e-13);
          EXPECT_LE(deviation(solution.left, 61), solution.result.orthogonality + 1e-15);
          EXPECT_LE(deviation(solution.right, 61), solution.result.orthogonality + 1e-15);
        }
      }
    }
  }
}

bool has_vectors(const std::string& level) { return level == "avx2" || level == "avx512"; }

// Few triplets of a matrix that is large enough for a Krylov space.
TEST(TruncatedSvd, OfALargeMatrix) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<float> normal;
  if (support::tests_device() && support::is_emulated()) {
    GTEST_SKIP() << "a matrix of this size takes minutes on an emulated device; OnDevice has smaller ones";
  }
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{2051, 2100}, {2100, 2051}, {1027, 1101}, {1101, 1027}}) {
    Problem problem{"", rows, columns, {}};
    std::vector<float> entries;
    for (int64_t i = 0; i < rows * columns; ++i) {
      entries.push_back(normal(random));
      problem.entries.push_back(static_cast<double>(entries.back()));
    }
    const auto matrix = operand(entries.data(), rows, columns, TG_F32);
    const Solution wide = solve({matrix}, {6, 1e-12})[0];
    ASSERT_EQ(TG_OK, wide.status) << wide.error;
    EXPECT_EQ(TG_SVD_GRAM_DOUBLE, wide.result.method);
    // The levels of a large matrix differ in the product of rows only, for which one orientation is enough.
    const auto levels = support::simd_levels();
    for (const std::string& level :
         std::min(rows, columns) < 2048 || rows < columns ? levels : std::vector<std::string>{levels.back()}) {
      for (const double tolerance : support::tolerances({1e-4, 1e-6})) {
        const Solution solution = solve({matrix}, {6, tolerance, true, false, 1, level.c_str()})[0];
        ASSERT_EQ(TG_OK, solution.status) << solution.error;
        if (!support::tests_device()) {
          // Below an order of 2048, blocks are so thin that the method needs kernels for them.
          const bool thin = std::min(rows, columns) < 2048;
          EXPECT_EQ(thin && !has_vectors(level) ? TG_SVD_GRAM_SINGLE : TG_SVD_BLOCK_LANCZOS, solution.result.method);
        } else if (tolerance > 1e-5) {
          EXPECT_EQ(TG_SVD_CHEBYSHEV, solution.result.method);
        }
        EXPECT_LE(residual(problem, solution, 6), tolerance);
        for (size_t i = 0; i < 6; ++i) {
          EXPECT_NEAR(wide.values[i], solution.values[i], tolerance * wide.values[0]) << i;
        }
      }
    }
  }
}

// The Krylov space of a multiple of the identity grows only by rounding.
TEST(TruncatedSvd, OfALargeMultipleOfTheIdentity) {
  if (support::tests_device() && support::is_emulated()) {
    GTEST_SKIP() << "the other tests of an emulated device have smaller multiples of the identity";
  }
  const int64_t size = 2048;
  std::vector<uint16_t> codes(static_cast<size_t>(size * size), 0);
  for (size_t i = 0; i < static_cast<size_t>(size); ++i) {
    codes[i * static_cast<size_t>(size) + i] = 0x4000;
  }
  const Solution solution = solve({operand(codes.data(), size, size, TG_BF16)}, {3, 1e-4})[0];
  ASSERT_EQ(TG_OK, solution.status) << solution.error;
  for (const double value : solution.values) {
    EXPECT_NEAR(2, value, 2e-4);
  }
}

TEST(TruncatedSvd, ABatchGivesWhatEachGivesAloneForAnyNumberOfThreads) {
  std::vector<Problem> list = problems();
  if (support::tests_device() && support::is_emulated()) {
    // An emulated device takes seconds for each, and six of them are sufficient for a batch.
    std::vector<Problem> some;
    for (size_t i = 0; i < list.size(); i += 3) {
      some.push_back(list[i]);
    }
    list = some;
  }
  std::vector<tg_operand> matrices;
  matrices.reserve(list.size());
  for (const Problem& problem : list) {
    matrices.push_back(operand(problem.entries.data(), problem.rows, problem.columns, TG_F64));
  }
  for (const double tolerance : support::tolerances({1e-4, 1e-9})) {
    const auto one = solve(matrices, {9, tolerance, true, tolerance < 1e-5});
    const auto three = support::tests_device() ? one : solve(matrices, {9, tolerance, true, tolerance < 1e-5, 3});
    for (size_t i = 0; i < list.size(); ++i) {
      const Solution alone = solve(list[i], {9, tolerance, true, tolerance < 1e-5});
      EXPECT_EQ(alone.values, one[i].values) << list[i].name;
      EXPECT_EQ(alone.left, one[i].left) << list[i].name;
      EXPECT_EQ(one[i].values, three[i].values) << list[i].name;
      EXPECT_EQ(one[i].left, three[i].left) << list[i].name;
      EXPECT_EQ(one[i].right, three[i].right) << list[i].name;
      EXPECT_EQ(one[i].spectrum, three[i].spectrum) << list[i].name;
    }
  }
}

float from_bf16(uint16_t code) {
  const uint32_t bits = static_cast<uint32_t>(code) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// Matrices whose products are divided among threads, by all methods.
TEST(TruncatedSvd, OneMatrixGivesTheSameBitsForAnyNumberOfThreads) {
  if (support::tests_device()) {
    GTEST_SKIP() << "a device does not use the threads of the CPU";
  }
  std::mt19937_64 random(support::seed());
  std::normal_distribution<float> normal;
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{610, 1501}, {3003, 320}, {1030, 1040}}) {
    std::vector<float> entries;
    std::vector<uint16_t> codes;
    for (int64_t i = 0; i < rows * columns; ++i) {
      entries.push_back(normal(random) * (1 + 10 / static_cast<float>(1 + i % columns)));
      uint32_t bits = 0;
      std::memcpy(&bits, &entries.back(), sizeof(bits));
      codes.push_back(static_cast<uint16_t>(bits >> 16));
    }
    for (const bool narrow : {true, false}) {
      const tg_operand matrix =
          narrow ? operand(codes.data(), rows, columns, TG_BF16) : operand(entries.data(), rows, columns, TG_F32);
      for (const Request& request : {Request{70, 1e-4}, Request{70, 1e-6}, Request{70, 1e-10, true, true}}) {
        Request more = request;
        const Solution expected = solve({matrix}, request)[0];
        ASSERT_EQ(TG_OK, expected.status) << expected.error;
        if (request.spectrum) {
          // The squares of all singular values sum to the square of the norm, and the leading ones are those of the triplets.
          double squares = 0;
          for (int64_t i = 0; i < std::min(rows, columns); ++i) {
            squares += expected.spectrum[static_cast<size_t>(i)] * expected.spectrum[static_cast<size_t>(i)];
          }
          double norm = 0;
          for (size_t i = 0; i < entries.size(); ++i) {
            const double entry = narrow ? static_cast<double>(from_bf16(codes[i])) : static_cast<double>(entries[i]);
            norm += entry * entry;
          }
          EXPECT_NEAR(norm, squares, 1e-11 * norm);
          for (size_t i = 0; i < 70; ++i) {
            EXPECT_NEAR(expected.values[i], expected.spectrum[i], 1e-10 * expected.values[0]);
          }
        }
        for (const int threads : {2, 5}) {
          more.threads = threads;
          const Solution actual = solve({matrix}, more)[0];
          ASSERT_EQ(TG_OK, actual.status) << actual.error;
          EXPECT_EQ(expected.result.method, actual.result.method);
          EXPECT_EQ(expected.values, actual.values) << rows << " x " << columns << " with " << threads << " threads";
          EXPECT_EQ(expected.left, actual.left);
          EXPECT_EQ(expected.right, actual.right);
          EXPECT_EQ(expected.spectrum, actual.spectrum);
          EXPECT_EQ(expected.result.residual, actual.result.residual);
        }
      }
    }
  }
}

TEST(TruncatedSvd, OfADifference) {
  for (const tg_dtype dtype : {TG_F64, TG_F32}) {
    const Problem base = random_problem("", 90, 130, 70);
    Problem tuned = base;
    Problem step = random_problem("", 90, 130, 71);
    std::vector<float> narrow_base;
    std::vector<float> narrow_tuned;
    for (size_t i = 0; i < step.entries.size(); ++i) {
      tuned.entries[i] += 1e-3 * step.entries[i];
      narrow_base.push_back(static_cast<float>(base.entries[i]));
      narrow_tuned.push_back(static_cast<float>(tuned.entries[i]));
      step.entries[i] = dtype == TG_F64 ? tuned.entries[i] - base.entries[i]
                                        : static_cast<double>(narrow_tuned[i]) - static_cast<double>(narrow_base[i]);
    }
    const void* from = dtype == TG_F64 ? static_cast<const void*>(base.entries.data()) : narrow_base.data();
    const void* to = dtype == TG_F64 ? static_cast<const void*>(tuned.entries.data()) : narrow_tuned.data();
    for (const double tolerance : support::tolerances({1e-4, 1e-11})) {
      const Solution solution = solve({operand(to, 90, 130, dtype)}, {6, tolerance}, {operand(from, 90, 130, dtype)})[0];
      ASSERT_EQ(TG_OK, solution.status) << solution.error;
      EXPECT_LE(residual(step, solution, 6), tolerance);
    }
  }
}

TEST(TruncatedSvd, RefusesWhatIsNotFinite) {
  for (const double bad : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    Problem problem = random_problem("", 80, 90, 40);
    problem.entries[80 * 90 - 1] = bad;
    const Solution solution = solve(problem, {3, 1e-6});
    EXPECT_EQ(TG_INVALID_ARGUMENT, solution.status);
    EXPECT_EQ("matrices[0] has an entry that is not finite", solution.error);
  }
}

TEST(TruncatedSvd, ChecksItsArguments) {
  const auto context = support::make_context();
  const Problem problem = random_problem("", 5, 4, 50);
  std::vector<double> out(100);
  const auto status = [&](int64_t rank, double tolerance, int32_t vectors, double* values, double* left, double* spectrum,
                          int64_t rows = 5) {
    const tg_operand matrix = operand(problem.entries.data(), rows, 4, TG_F64);
    const tg_svd_options options{sizeof(options), rank, tolerance, vectors, 0};
    const tg_svd_result result{sizeof(result), values, left, out.data(), spectrum, 0, 0, 0, 0, 0};
    tg_workspace_size size{sizeof(size), 0, 0};
    tg_svd_workspace(context.get(), &matrix, nullptr, 1, &options, &result, &size);
    return support::error_of(context.get());
  };
  double* place = out.data();
  EXPECT_EQ("options[0].rank is 5; allowed are 1 to 4", status(5, 1e-6, 1, place, place, nullptr));
  EXPECT_EQ("options[0].rank is 0; allowed are 1 to 4", status(0, 1e-6, 1, place, place, nullptr));
  EXPECT_EQ("options[0].tolerance is 0.000000; it must be above 0 and below 1", status(4, 0, 1, place, place, nullptr));
  EXPECT_EQ("options[0].vectors is 2; allowed are 0 and 1", status(4, 0.1, 2, place, place, nullptr));
  EXPECT_EQ("results[0].values is NULL; it must have room for rank values", status(4, 0.1, 1, nullptr, place, nullptr));
  EXPECT_EQ("results[0].left or right is NULL; they must have room for the vectors", status(4, 0.1, 1, place, nullptr, nullptr));
  EXPECT_EQ("results[0].spectrum is NULL; values without vectors require a spectrum", status(4, 0.1, 0, place, nullptr, nullptr));
  EXPECT_EQ("matrices[0] is 0 x 4; a matrix without entries has no singular values", status(4, 0.1, 1, place, place, nullptr, 0));
}

TEST(TruncatedSvd, Cancels) {
  const auto context = support::make_context();
  const Problem problem = random_problem("", 5, 4, 60);
  std::vector<double> out(100);
  const tg_operand matrix = operand(problem.entries.data(), 5, 4, TG_F64);
  const tg_svd_options options{sizeof(options), 2, 1e-6, 1, 0};
  tg_svd_result result{sizeof(result), out.data(), out.data() + 10, out.data() + 50, nullptr, 0, 0, 0, 0, 0};
  tg_workspace_size size{sizeof(size), 0, 0};
  ASSERT_EQ(TG_OK, tg_svd_workspace(context.get(), &matrix, nullptr, 1, &options, &result, &size));
  const auto host = support::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  tg_control control{sizeof(control), 1, 0, 0, 0};
  EXPECT_EQ(TG_CANCELLED, tg_svd(context.get(), &matrix, nullptr, 1, &options, &control, &workspace, &result));
  control.cancel = 0;
  EXPECT_EQ(TG_OK, tg_svd(context.get(), &matrix, nullptr, 1, &options, &control, &workspace, &result));
  EXPECT_EQ(1, control.done);
  EXPECT_EQ(1, control.total);
}

TEST(TruncatedSvd, CancelsInTheMiddleOfAMatrix) {
  const auto context = support::make_context();
  const int64_t rows = 60000;
  const int64_t columns = 512;
  std::vector<uint8_t> entries(static_cast<size_t>(rows * columns));
  for (size_t i = 0; i < entries.size(); ++i) {
    entries[i] = static_cast<uint8_t>(0x30 + i % 7);
  }
  tg_operand matrix{};
  matrix.size = sizeof(matrix);
  matrix.values = {entries.data(), rows, columns, columns, TG_F8_E4M3, 0};
  const tg_svd_options options{sizeof(options), columns, 1e-6, 0, 0};
  std::vector<double> values(static_cast<size_t>(columns));
  std::vector<double> spectrum(static_cast<size_t>(columns));
  tg_svd_result result{sizeof(result), values.data(), nullptr, nullptr, spectrum.data(), 0, 0, 0, 0, 0};
  tg_workspace_size size{sizeof(size), 0, 0};
  ASSERT_EQ(TG_OK, tg_svd_workspace(context.get(), &matrix, nullptr, 1, &options, &result, &size));
  const auto host = support::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  tg_control control{sizeof(control), 0, 0, 0, 0};
  std::thread canceller([&] {
    while (__atomic_load_n(&control.total, __ATOMIC_RELAXED) == 0) {
      std::this_thread::yield();
    }
    __atomic_store_n(&control.cancel, 1, __ATOMIC_RELAXED);
  });
  EXPECT_EQ(TG_CANCELLED, tg_svd(context.get(), &matrix, nullptr, 1, &options, &control, &workspace, &result));
  canceller.join();
  EXPECT_EQ(0, control.done);
}

// Small matrices are solved as if their squares were too large while this exists.
class ByBlocks {
 public:
  ByBlocks() { setenv("THREEGATE_SVD_LONGEST_WHOLE", "256", 1); }
  ~ByBlocks() { unsetenv("THREEGATE_SVD_LONGEST_WHOLE"); }
  ByBlocks(const ByBlocks&) = delete;
  ByBlocks& operator=(const ByBlocks&) = delete;
};

Solution solve_by_blocks(const tg_operand& matrix, const Request& request) {
  const ByBlocks blocks;
  return solve({matrix}, request)[0];
}

tg_operand whole(const Problem& problem) { return operand(problem.entries.data(), problem.rows, problem.columns, TG_F64); }

std::vector<Problem> problems_of_blocks() {
  std::vector<Problem> list;
  list.push_back(random_problem("random square", 301, 301, 90));
  list.push_back(random_problem("random tall", 1400, 290, 91));
  list.push_back(random_problem("random wide", 270, 2100, 92));
  list.push_back(
      with_spectrum("graded", 300, 330, sequence(60, [](int64_t i) { return std::pow(0.7, static_cast<double>(i)); }), 93));
  list.push_back(with_spectrum("rank 5", 300, 320, {5, 4, 3, 2, 1}, 94));
  // More equal values than a block has vectors, over others that differ.
  list.push_back(with_spectrum("clustered", 330, 300,
                               sequence(300, [](int64_t i) { return i < 30 ? 3.0 : 2.0 - static_cast<double>(i) / 200; }), 95));
  Problem identity{"identity", 300, 300, std::vector<double>(300 * 300, 0.0)};
  for (size_t i = 0; i < 300; ++i) {
    identity.entries[i * 301] = 2;
  }
  list.push_back(identity);
  list.push_back({"zero", 270, 280, std::vector<double>(270 * 280, 0.0)});
  Problem tiny = random_problem("tiny", 280, 270, 96);
  Problem huge = random_problem("huge", 270, 280, 97);
  for (double& entry : tiny.entries) {
    entry *= 1e-200;
  }
  for (double& entry : huge.entries) {
    entry *= 1e250;
  }
  list.push_back(tiny);
  list.push_back(huge);
  return list;
}

// Both ways to decompose a matrix give the same triplets.
TEST(SvdByBlocks, AgreesWithTheWholeDecomposition) {
  if (support::tests_device()) {
    GTEST_SKIP() << "a device solves such matrices by itself";
  }
  for (const Problem& problem : problems_of_blocks()) {
    for (const int64_t rank : {int64_t{1}, int64_t{9}, int64_t{50}}) {
      const Solution expected = solve(problem, {rank, 1e-13});
      ASSERT_EQ(TG_OK, expected.status) << expected.error;
      for (const double tolerance : {1e-4, 1e-6, 1e-7}) {
        SCOPED_TRACE(problem.name + ", rank " + std::to_string(rank) + ", tolerance " + std::to_string(std::log10(tolerance)));
        const Solution solution = solve_by_blocks(whole(problem), {rank, tolerance});
        ASSERT_EQ(TG_OK, solution.status) << solution.error;
        if (expected.values[0] > 0) {
          EXPECT_EQ(TG_SVD_BLOCK_LANCZOS, solution.result.method);
        }
        for (size_t i = 0; i < static_cast<size_t>(rank); ++i) {
          ASSERT_NEAR(expected.values[i], solution.values[i], (tolerance + 1e-13) * expected.values[0]) << i;
        }
        EXPECT_TRUE(std::is_sorted(solution.values.rbegin(), solution.values.rend()));
        EXPECT_LE(residual(problem, solution, rank), tolerance + 1e-13);
        EXPECT_LE(deviation(solution.left, rank), tolerance + 1e-13);
        EXPECT_LE(deviation(solution.right, rank), tolerance + 1e-13);
      }
    }
  }
}

// A bulk without gaps fills the space, so that it is restarted. The workspace is far below that of the whole decomposition.
TEST(SvdByBlocks, RestartsWithinItsMemory) {
  if (support::tests_device()) {
    GTEST_SKIP() << "a device solves such matrices by itself";
  }
  const Problem problem = random_problem("", 300, 300, 98);
  const Solution expected = solve(problem, {100, 1e-13});
  const Solution solution = solve_by_blocks(whole(problem), {100, 1e-12});
  ASSERT_EQ(TG_OK, solution.status) << solution.error;
  for (size_t i = 0; i < 100; ++i) {
    ASSERT_NEAR(expected.values[i], solution.values[i], 1e-12 * expected.values[0]) << i;
  }
}

TEST(SvdByBlocks, GivesTheSameBitsForAnyNumberOfThreads) {
  if (support::tests_device()) {
    GTEST_SKIP() << "a device does not use the threads of the CPU";
  }
  std::mt19937_64 random(support::seed());
  std::normal_distribution<float> normal;
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{400, 3000}, {2500, 410}}) {
    std::vector<uint16_t> codes;
    for (int64_t i = 0; i < rows * columns; ++i) {
      const float entry = normal(random);
      uint32_t bits = 0;
      std::memcpy(&bits, &entry, sizeof(bits));
      codes.push_back(static_cast<uint16_t>(bits >> 16));
    }
    const tg_operand matrix = operand(codes.data(), rows, columns, TG_BF16);
    for (const double tolerance : {1e-4, 1e-6, 1e-10}) {
      Request request{20, tolerance};
      const Solution expected = solve_by_blocks(matrix, request);
      ASSERT_EQ(TG_OK, expected.status) << expected.error;
      for (const int threads : {2, 5}) {
        request.threads = threads;
        const Solution actual = solve_by_blocks(matrix, request);
        EXPECT_EQ(expected.values, actual.values);
        EXPECT_EQ(expected.left, actual.left);
        EXPECT_EQ(expected.right, actual.right);
        EXPECT_EQ(expected.result.residual, actual.result.residual);
      }
    }
  }
}

TEST(SvdByBlocks, OfADifferenceInEveryDtype) {
  if (support::tests_device()) {
    GTEST_SKIP() << "a device solves such matrices by itself";
  }
  constexpr int64_t kRows = 300;
  constexpr int64_t kColumns = 310;
  const Problem base = random_problem("", kRows, kColumns, 99);
  const Problem tuned = random_problem("", kRows, kColumns, 100);
  const std::vector<float> narrow(base.entries.begin(), base.entries.end());
  Problem difference = tuned;
  for (size_t i = 0; i < narrow.size(); ++i) {
    difference.entries[i] -= static_cast<double>(narrow[i]);
  }
  const Solution expected = solve(difference, {8, 1e-12});
  const ByBlocks blocks;
  const Solution solution = solve({whole(tuned)}, {8, 1e-10}, {operand(narrow.data(), kRows, kColumns, TG_F32)})[0];
  ASSERT_EQ(TG_OK, solution.status) << solution.error;
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(expected.values[i], solution.values[i], 1e-10 * expected.values[0]);
  }
  EXPECT_LE(residual(difference, solution, 8), 1e-10);
}

TEST(SvdByBlocks, TellsWhatItCannotReach) {
  if (support::tests_device()) {
    GTEST_SKIP() << "a device solves such matrices by itself";
  }
  const Solution solution = solve_by_blocks(whole(random_problem("", 300, 300, 101)), {10, 1e-17});
  EXPECT_EQ(TG_NOT_CONVERGED, solution.result.status);
  EXPECT_LT(solution.result.residual, 1e-12);
  EXPECT_GT(solution.values[9], 0);
}

// What a query says of matrices beyond the largest square. They have no data, because a query reads none.
TEST(SvdByBlocks, NeedsMemoryInProportionToTheVectors) {
  const auto context = support::make_context();
  double place[1] = {};
  const auto query = [&](int64_t rows, int64_t columns, int64_t rank, bool spectrum, int64_t& bytes) {
    const tg_operand matrix = operand(place, rows, columns, TG_BF16);
    const tg_svd_options options{sizeof(options), rank, 1e-6, 1, 0};
    const tg_svd_result result{sizeof(result), place, place, place, spectrum ? place : nullptr, 0, 0, 0, 0, 0};
    tg_workspace_size size{sizeof(size), 0, 0};
    const tg_status status = tg_svd_workspace(context.get(), &matrix, nullptr, 1, &options, &result, &size);
    bytes = size.host_bytes;
    return status;
  };
  int64_t bytes = 0;
  ASSERT_EQ(TG_OK, query(17000, 17000, 16, false, bytes)) << support::error_of(context.get());
  EXPECT_LT(bytes, int64_t{600} << 20);
  int64_t twice = 0;
  ASSERT_EQ(TG_OK, query(34000, 34000, 16, false, twice));
  EXPECT_LT(twice, 2 * bytes + (int64_t{64} << 20));
  ASSERT_EQ(TG_OK, query(17000, 151936, 1700, false, bytes));
  EXPECT_LT(bytes, int64_t{8} << 30);
  EXPECT_EQ(TG_UNSUPPORTED, query(16385, 17000, 16, true, bytes));
  EXPECT_EQ(
      "matrices[0] is 16385 x 17000; beyond a short side of 16384 there is no spectrum, no start, and a rank of at most a "
      "quarter of it",
      support::error_of(context.get()));
  EXPECT_EQ(TG_UNSUPPORTED, query(17000, 17000, 4251, false, bytes));
}

TEST(SvdByBlocks, CancelsInTheMiddleOfAMatrix) {
  if (support::tests_device()) {
    GTEST_SKIP() << "a device solves such matrices by itself";
  }
  const ByBlocks blocks;
  for (const int threads : {1, 3}) {
    const auto context = support::make_context(threads);
    const Problem problem = random_problem("", 1500, 1600, 102);
    const tg_operand matrix = whole(problem);
    const tg_svd_options options{sizeof(options), 40, 1e-12, 1, 0};
    std::vector<double> values(40);
    std::vector<double> left(40 * 1500);
    std::vector<double> right(40 * 1600);
    tg_svd_result result{sizeof(result), values.data(), left.data(), right.data(), nullptr, 0, 0, 0, 0, 0};
    tg_workspace_size size{sizeof(size), 0, 0};
    ASSERT_EQ(TG_OK, tg_svd_workspace(context.get(), &matrix, nullptr, 1, &options, &result, &size));
    const auto host = support::allocate(size.host_bytes);
    const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
    tg_control control{sizeof(control), 0, 0, 0, 0};
    std::thread canceller([&] {
      while (__atomic_load_n(&control.total, __ATOMIC_RELAXED) == 0) {
        std::this_thread::yield();
      }
      __atomic_store_n(&control.cancel, 1, __ATOMIC_RELAXED);
    });
    EXPECT_EQ(TG_CANCELLED, tg_svd(context.get(), &matrix, nullptr, 1, &options, &control, &workspace, &result));
    canceller.join();
    EXPECT_EQ(0, control.done);
  }
}

struct Tracked {
  tg_status status = TG_OK;
  tg_svd_result result{};
  std::vector<double> values;
  std::vector<double> left;
  std::vector<double> right;
  std::string error;
};

// Tracks `entries` from the reference decomposition of `base`.
Tracked track(const std::vector<double>& base, const std::vector<double>& entries, int64_t rows, int64_t columns, int64_t rank,
              double tolerance, tg_dtype basis_type = TG_F64) {
  const auto context = support::make_context();
  const reference::Svd svd = reference::singular_values(base, rows, columns);
  const int64_t order = std::min(rows, columns);
  std::vector<double> basis;
  for (const auto& vector : rows > columns ? svd.right : svd.left) {
    basis.insert(basis.end(), vector.begin(), vector.end());
  }
  const std::vector<float> narrow(basis.begin(), basis.end());
  const void* data = basis_type == TG_F64 ? static_cast<const void*>(basis.data()) : narrow.data();
  const tg_svd_start start{sizeof(start), svd.sigma.data(), {data, order, order, order, basis_type, 0}, nullptr, {}, 0};
  const tg_operand matrix = operand(entries.data(), rows, columns, TG_F64);
  const tg_svd_options options{sizeof(options), rank, tolerance, 1, 0};
  Tracked tracked;
  tracked.values.resize(static_cast<size_t>(rank));
  tracked.left.resize(static_cast<size_t>(rank * rows));
  tracked.right.resize(static_cast<size_t>(rank * columns));
  tracked.result = {
      sizeof(tg_svd_result), tracked.values.data(), tracked.left.data(), tracked.right.data(), nullptr, 0, 0, 0, 0, 0};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_svd_track_workspace(context.get(), &matrix, nullptr, 1, &options, &start, &tracked.result, &size))
      << support::error_of(context.get());
  const auto host = support::allocate(size.host_bytes + 8);
  static_cast<uint8_t*>(host.get())[size.host_bytes] = 0x5a;
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  tracked.status = tg_svd_track(context.get(), &matrix, nullptr, 1, &options, &start, nullptr, &workspace, &tracked.result);
  tracked.error = support::error_of(context.get());
  EXPECT_EQ(0x5a, static_cast<uint8_t*>(host.get())[size.host_bytes]);
  return tracked;
}

void expect_leading(const Tracked& tracked, const reference::Svd& expected, const std::vector<double>& entries, int64_t rows,
                    int64_t columns, double tolerance) {
  ASSERT_EQ(TG_OK, tracked.status) << tracked.error;
  EXPECT_LE(tracked.result.residual, tolerance);
  EXPECT_LE(tracked.result.orthogonality, tolerance);
  for (size_t i = 0; i < tracked.values.size(); ++i) {
    EXPECT_NEAR(expected.sigma[i], tracked.values[i], 2 * tolerance * expected.sigma[0]) << i;
  }
  // The certificate is true for the returned triplets.
  for (size_t i = 0; i < tracked.values.size(); ++i) {
    double squares = 0;
    for (int64_t row = 0; row < rows; ++row) {
      double product = 0;
      for (int64_t column = 0; column < columns; ++column) {
        product += entries[static_cast<size_t>(row * columns + column)] *
                   tracked.right[i * static_cast<size_t>(columns) + static_cast<size_t>(column)];
      }
      product -= tracked.values[i] * tracked.left[i * static_cast<size_t>(rows) + static_cast<size_t>(row)];
      squares += product * product;
    }
    EXPECT_LE(std::sqrt(squares), 1.01 * tolerance * expected.sigma[0]) << i;
  }
}

void expect_leading(const Tracked& tracked, const std::vector<double>& entries, int64_t rows, int64_t columns, double tolerance) {
  expect_leading(tracked, reference::singular_values(entries, rows, columns), entries, rows, columns, tolerance);
}

std::vector<double> gaussian(int64_t count, double deviation, std::mt19937_64& random) {
  std::normal_distribution<double> normal(0, deviation);
  std::vector<double> entries(static_cast<size_t>(count));
  for (double& entry : entries) {
    entry = normal(random);
  }
  return entries;
}

TEST(TrackedSvd, FindsTheTripletsOfAMatrixNearby) {
  std::mt19937_64 random(support::seed());
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{90, 90}, {90, 130}, {130, 90}}) {
    for (const double step : {0.0, 1e-5, 1e-3}) {
      for (const double tolerance : {1e-4, 2e-6}) {
        const std::vector<double> base = gaussian(rows * columns, 1, random);
        std::vector<double> entries = gaussian(rows * columns, step, random);
        for (size_t i = 0; i < entries.size(); ++i) {
          entries[i] += base[i];
        }
        const Tracked tracked = track(base, entries, rows, columns, 7, tolerance, rows > 100 ? TG_F32 : TG_F64);
        SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns) + ", step " + std::to_string(step));
        expect_leading(tracked, entries, rows, columns, tolerance);
        EXPECT_EQ(TG_SVD_TRACKED, tracked.result.method);
      }
    }
  }
}

// A matrix near the base in one of the ways in which matrices are stored, and its entries.
struct Stored {
  std::string name;
  std::vector<double> entries;
  tg_operand matrix{};
  std::vector<uint16_t> codes;
  std::vector<float> narrow;
};

// Tracks a stored matrix at one level.
Tracked track_from(const tg_svd_start& start, const Stored& stored, int64_t rank, double tolerance, const char* level,
                   int threads) {
  const auto context = support::make_context(threads, level);
  const int64_t rows = stored.matrix.values.rows;
  const int64_t columns = stored.matrix.values.columns;
  const tg_svd_options options{sizeof(options), rank, tolerance, 1, 0};
  Tracked tracked;
  tracked.values.resize(static_cast<size_t>(rank));
  tracked.left.resize(static_cast<size_t>(rank * rows));
  tracked.right.resize(static_cast<size_t>(rank * columns));
  tracked.result = {
      sizeof(tg_svd_result), tracked.values.data(), tracked.left.data(), tracked.right.data(), nullptr, 0, 0, 0, 0, 0};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_svd_track_workspace(context.get(), &stored.matrix, nullptr, 1, &options, &start, &tracked.result, &size))
      << support::error_of(context.get());
  const auto host = support::allocate(size.host_bytes + 8);
  static_cast<uint8_t*>(host.get())[size.host_bytes] = 0x5a;
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  tracked.status =
      tg_svd_track(context.get(), &stored.matrix, nullptr, 1, &options, &start, nullptr, &workspace, &tracked.result);
  tracked.error = support::error_of(context.get());
  EXPECT_EQ(0x5a, static_cast<uint8_t*>(host.get())[size.host_bytes]);
  return tracked;
}

// Does so from a reference decomposition.
Tracked track_stored(const Stored& stored, const reference::Svd& svd, int64_t rank, double tolerance, const char* level,
                     int threads) {
  const int64_t rows = stored.matrix.values.rows;
  const int64_t columns = stored.matrix.values.columns;
  const int64_t order = std::min(rows, columns);
  std::vector<float> basis;
  for (const auto& vector : rows > columns ? svd.right : svd.left) {
    basis.insert(basis.end(), vector.begin(), vector.end());
  }
  const tg_svd_start start{sizeof(start), svd.sigma.data(), {basis.data(), order, order, order, TG_F32, 0}, nullptr, {}, 0};
  return track_from(start, stored, rank, tolerance, level, threads);
}

// Rows are padded with codes that are not numbers, so that reading beyond a row is noticed.
Stored as_bf16(const std::vector<double>& entries, int64_t rows, int64_t columns) {
  const int64_t stride = columns + 3;
  Stored stored;
  stored.name = "bf16";
  stored.codes.assign(static_cast<size_t>(rows * stride), 0x7fc0);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      uint16_t& code = stored.codes[static_cast<size_t>(i * stride + j)];
      code = threegate::float_to_bf16(static_cast<float>(entries[static_cast<size_t>(i * columns + j)]));
      stored.entries.push_back(threegate::bf16_to_float(code));
    }
  }
  stored.matrix = operand(stored.codes.data(), rows, columns, TG_BF16);
  stored.matrix.values.row_stride = stride;
  return stored;
}

Stored as_float(const std::vector<double>& entries, int64_t rows, int64_t columns) {
  Stored stored;
  stored.name = "float32";
  stored.narrow.assign(entries.begin(), entries.end());
  stored.entries.assign(stored.narrow.begin(), stored.narrow.end());
  stored.matrix = operand(stored.narrow.data(), rows, columns, TG_F32);
  return stored;
}

// The sides are no multiples of a vector, and of more than one panel. From 32 triplets on, random sums certify those of the lower
// tolerance.
TEST(TrackedSvd, TracksAtEveryLevelWhatIsStoredInAnyWay) {
  std::mt19937_64 random(support::seed());
  std::vector<std::string> levels = support::simd_levels();
  levels.emplace_back("scalar");
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{171, 171}, {167, 233}, {233, 167}}) {
    std::vector<double> base = gaussian(rows * columns, 0.02, random);
    base = as_bf16(base, rows, columns).entries;
    const reference::Svd svd = reference::singular_values(base, rows, columns);
    std::vector<double> entries = gaussian(rows * columns, 1e-4, random);
    for (size_t i = 0; i < entries.size(); ++i) {
      entries[i] += base[i];
    }
    for (const Stored& stored : {as_bf16(entries, rows, columns), as_float(entries, rows, columns)}) {
      const reference::Svd expected = reference::singular_values(stored.entries, rows, columns);
      for (const auto& [rank, tolerance] : {std::pair<int64_t, double>{5, 1e-4}, {33, 1e-6}}) {
        for (const std::string& level : levels) {
          SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns) + ", " + stored.name + ", " + level);
          const Tracked tracked = track_stored(stored, svd, rank, tolerance, level.c_str(), 1);
          expect_leading(tracked, expected, stored.entries, rows, columns, tolerance);
          EXPECT_EQ(TG_SVD_TRACKED, tracked.result.method);
          const Tracked together = track_stored(stored, svd, rank, tolerance, level.c_str(), 3);
          EXPECT_EQ(tracked.values, together.values);
          EXPECT_EQ(tracked.left, together.left);
          EXPECT_EQ(tracked.right, together.right);
        }
      }
    }
  }
}

TEST(TrackedSvd, TracksAnEighthOfALongMatrix) {
  std::mt19937_64 random(support::seed());
  const int64_t rows = 400;
  const int64_t columns = 100;
  const std::vector<double> base = gaussian(rows * columns, 1, random);
  std::vector<double> entries = gaussian(rows * columns, 1e-4, random);
  for (size_t i = 0; i < entries.size(); ++i) {
    entries[i] += base[i];
  }
  const Tracked tracked = track(base, entries, rows, columns, 14, 2e-6);
  expect_leading(tracked, entries, rows, columns, 2e-6);
  EXPECT_EQ(TG_SVD_TRACKED, tracked.result.method);
}

// Tolerances from 1e-4 on have coarser corrections. They must reach what is asked for at any step, or leave it to a new
// decomposition, and the certificate must be that of the triplets returned.
TEST(TrackedSvd, CorrectsAsFarAsTheToleranceAsks) {
  std::mt19937_64 random(support::seed());
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{120, 120}, {60, 240}}) {
    const std::vector<double> base = gaussian(rows * columns, 1, random);
    const std::vector<double> change = gaussian(rows * columns, 1, random);
    for (const double step : {2e-4, 1e-3, 5e-3, 2e-2}) {
      std::vector<double> entries = base;
      for (size_t i = 0; i < entries.size(); ++i) {
        entries[i] += step * change[i];
      }
      for (const double tolerance : {1e-4, 1e-3}) {
        SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns) + ", step " + std::to_string(step));
        const Tracked tracked = track(base, entries, rows, columns, 9, tolerance);
        expect_leading(tracked, entries, rows, columns, tolerance);
        if (step <= 1e-3) {
          EXPECT_EQ(TG_SVD_TRACKED, tracked.result.method);
        }
      }
    }
  }
}

TEST(TrackedSvd, NoticesADirectionThatEntered) {
  // A new direction above all others and orthogonal to the leading ones. The start does not lead to it.
  std::mt19937_64 random(support::seed());
  const int64_t size = 100;
  const std::vector<double> base = gaussian(size * size, 1, random);
  const reference::Svd svd = reference::singular_values(base, size, size);
  for (const double strength : {1.0, 30.0}) {
    std::vector<double> entries = base;
    for (int64_t i = 0; i < size; ++i) {
      for (int64_t j = 0; j < size; ++j) {
        entries[static_cast<size_t>(i * size + j)] +=
            strength * svd.sigma[0] * svd.left[60][static_cast<size_t>(i)] * svd.right[60][static_cast<size_t>(j)];
      }
    }
    expect_leading(track(base, entries, size, size, 6, 1e-5), entries, size, size, 1e-5);
  }
}

TEST(TrackedSvd, AnotherMatrixAltogetherIsDecomposedFromTheBeginning) {
  std::mt19937_64 random(support::seed());
  const std::vector<double> base = gaussian(90 * 100, 1, random);
  const std::vector<double> entries = gaussian(90 * 100, 1, random);
  const Tracked tracked = track(base, entries, 90, 100, 5, 1e-5);
  expect_leading(tracked, entries, 90, 100, 1e-5);
  EXPECT_NE(TG_SVD_TRACKED, tracked.result.method);
  const Tracked many = track(base, base, 90, 100, 40, 1e-5);
  expect_leading(many, base, 90, 100, 1e-5);
  EXPECT_NE(TG_SVD_TRACKED, many.result.method);
}

// A base as a start, with its triplets.
struct Base {
  Base(const std::vector<double>& entries, int64_t rows, int64_t columns, reference::Svd decomposed)
      : stored(as_bf16(entries, rows, columns)), svd(std::move(decomposed)) {
    const int64_t order = std::min(rows, columns);
    const int64_t length = std::max(rows, columns);
    for (const auto& vector : rows > columns ? svd.right : svd.left) {
      basis.insert(basis.end(), vector.begin(), vector.end());
    }
    for (const auto& vector : rows > columns ? svd.left : svd.right) {
      images.insert(images.end(), vector.begin(), vector.end());
    }
    start = {sizeof(start),
             svd.sigma.data(),
             {basis.data(), order, order, order, TG_F32, 0},
             &stored.matrix,
             {images.data(), order, length, length, TG_F64, 0},
             kReferenceResidual};
  }

  // What a solve without the base reads, and one with it does not.
  void hide_all_beyond(int64_t rank) {
    const auto first = static_cast<std::ptrdiff_t>(rank + 16);
    std::fill(svd.sigma.begin() + first + 1, svd.sigma.end(), std::nan(""));
    std::fill(basis.begin() + first * start.basis.columns, basis.end(), std::nanf(""));
    start.images.rows = first;
  }

  static constexpr double kReferenceResidual = 1e-12;
  Stored stored;
  reference::Svd svd;
  std::vector<float> basis;
  std::vector<double> images;
  tg_svd_start start{};
};

// Moves a share of the entries by one code.
Stored moved(const Stored& base, double share, std::mt19937_64& random) {
  std::bernoulli_distribution moves(share);
  std::vector<double> entries = base.entries;
  for (double& entry : entries) {
    const auto code = threegate::float_to_bf16(static_cast<float>(entry));
    entry = moves(random) ? threegate::bf16_to_float(static_cast<uint16_t>(code + 1)) : entry;
  }
  return as_bf16(entries, base.matrix.values.rows, base.matrix.values.columns);
}

// |A^T u_i - sigma_i v_i| <= tolerance * sigma_1. expect_leading() checks the other side.
void expect_left(const Tracked& tracked, const Stored& stored, double tolerance) {
  const auto rows = static_cast<size_t>(stored.matrix.values.rows);
  const auto columns = static_cast<size_t>(stored.matrix.values.columns);
  for (size_t i = 0; i < tracked.values.size(); ++i) {
    double squares = 0;
    for (size_t column = 0; column < columns; ++column) {
      double product = -tracked.values[i] * tracked.right[i * columns + column];
      for (size_t row = 0; row < rows; ++row) {
        product += stored.entries[row * columns + column] * tracked.left[i * rows + row];
      }
      squares += product * product;
    }
    EXPECT_LE(std::sqrt(squares), tolerance * tracked.values[0]) << i;
  }
}

// Of few changes the start is within the tolerance, and more need a pass over the matrix. What is hidden shows that the base is
// used.
TEST(TrackedSvd, MultipliesOnlyWhatDiffersFromTheBase) {
  if (support::tests_device()) {
    GTEST_SKIP() << "a device does not use the base";
  }
  std::mt19937_64 random(support::seed());
  std::vector<std::string> levels = support::simd_levels();
  levels.emplace_back("scalar");
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{171, 171}, {167, 233}, {301, 134}}) {
    std::vector<double> entries = gaussian(rows * columns, 0.02, random);
    for (int64_t i = 0; i < 3; ++i) {  // a few large values, as weights have
      const std::vector<double> left = gaussian(rows, 0.075, random);
      const std::vector<double> right = gaussian(columns, 0.075, random);
      for (size_t at = 0; at < entries.size(); ++at) {
        entries[at] += left[at / static_cast<size_t>(columns)] * right[at % static_cast<size_t>(columns)];
      }
    }
    const Stored unchanged = as_bf16(entries, rows, columns);
    const reference::Svd svd = reference::singular_values(unchanged.entries, rows, columns);
    for (const double share : {0.0, 0.001, 0.01}) {
      const Stored stored = moved(unchanged, share, random);
      const reference::Svd expected = reference::singular_values(stored.entries, rows, columns);
      for (const int64_t rank : {1, 7, 26}) {
        Base base(unchanged.entries, rows, columns, svd);
        base.hide_all_beyond(rank);
        for (const std::string& level : levels) {
          SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns) + ", " + std::to_string(share) + ", rank " +
                       std::to_string(rank) + ", " + level);
          const Tracked tracked = track_from(base.start, stored, rank, 1e-4, level.c_str(), 1);
          expect_leading(tracked, expected, stored.entries, rows, columns, tracked.result.residual);
          expect_left(tracked, stored, tracked.result.residual);
          EXPECT_EQ(TG_SVD_TRACKED, tracked.result.method);
          const Tracked together = track_from(base.start, stored, rank, 1e-4, level.c_str(), 3);
          EXPECT_EQ(tracked.values, together.values);
          EXPECT_EQ(tracked.left, together.left);
          EXPECT_EQ(tracked.right, together.right);
        }
      }
    }
  }
}

// Each of these matrices or bases needs another way, and gets it.
TEST(TrackedSvd, LeavesTheBaseWhereItDoesNotSuffice) {
  std::mt19937_64 random(support::seed());
  const int64_t rows = 120;
  const int64_t columns = 150;
  const int64_t rank = 6;
  const auto size = static_cast<size_t>(rows * columns);
  const auto expect_found = [&](const Base& base, const Stored& stored, double tolerance, const char* name) {
    SCOPED_TRACE(name);
    const Tracked tracked = track_from(base.start, stored, rank, tolerance, nullptr, 1);
    expect_leading(tracked, stored.entries, rows, columns, tolerance);
    expect_left(tracked, stored, 1.01 * tolerance);
  };
  const std::vector<double> entries = gaussian(rows * columns, 0.02, random);
  Base base(entries, rows, columns, reference::singular_values(as_bf16(entries, rows, columns).entries, rows, columns));
  const auto with = [&](auto change) {
    std::vector<double> changed = base.stored.entries;
    change(changed);
    return as_bf16(changed, rows, columns);
  };
  const std::vector<double> noise = gaussian(rows * columns, 2e-5, random);
  expect_found(base, with([&](std::vector<double>& to) {
                 for (size_t i = 0; i < size; ++i) {
                   to[i] += noise[i];
                 }
               }),
               1e-4, "all entries");
  expect_found(base, with([&](std::vector<double>& to) {
                 for (size_t i = 0; i < 20 * static_cast<size_t>(columns); ++i) {
                   to[i] += 10 * noise[i];
                 }
               }),
               1e-4, "some rows");
  // A new direction between the wanted ones, of one entry.
  expect_found(base, with([&](std::vector<double>& to) { to[77] = 0.47; }), 1e-4, "a new direction");
  expect_found(base, with([&](std::vector<double>& to) { to[77] = 100; }), 1e-4, "a new first direction");
  expect_found(base, moved(base.stored, 0.01, random), 2e-6, "a low tolerance");
  base.start.images.rows = rank + 15;
  expect_found(base, moved(base.stored, 0.001, random), 1e-4, "too few vectors");
  base.start.images.rows = rows;
  base.start.residual = 3e-5;
  if (!support::tests_device()) {  // a device does not use the base
    EXPECT_LE(3e-5, track_from(base.start, base.stored, rank, 1e-4, nullptr, 1).result.residual);
  }
  base.start.residual = 5e-4;
  expect_found(base, moved(base.stored, 0.001, random), 1e-4, "a base with a large residual");
  base.start.residual = Base::kReferenceResidual;
  const Stored after = moved(base.stored, 0.001, random);
  base.stored.codes[5] = 0x7fc0;
  expect_found(base, after, 1e-4, "a base with an entry that is not finite");

  // A new first direction that no vector of the base has a part of.
  std::vector<double> framed = base.stored.entries;
  for (size_t i = 0; i < size; ++i) {
    framed[i] = i / static_cast<size_t>(columns) < 110 && i % static_cast<size_t>(columns) < 140 ? framed[i] : 0;
  }
  const Base frame(framed, rows, columns, reference::singular_values(framed, rows, columns));
  framed.back() = 1;
  expect_found(frame, as_bf16(framed, rows, columns), 1e-4, "a direction beyond the base");

  // Four singular values are not zero, or singular values of many sizes.
  for (const double factor : {0.0, 0.1}) {
    std::vector<double> left = gaussian(rows * 12, 1, random);
    std::vector<double> right = gaussian(12 * columns, 1, random);
    for (std::vector<double>* numbers : {&left, &right}) {  // sums of a few products of small whole numbers are bf16
      std::transform(numbers->begin(), numbers->end(), numbers->begin(), [](double number) { return std::round(number); });
    }
    std::vector<double> graded(size);
    for (int64_t term = 0; term < 12; ++term) {
      for (size_t i = 0; i < size; ++i) {
        graded[i] += (term < 4 ? 1 : std::pow(factor, term)) *
                     left[static_cast<size_t>(term * rows) + i / static_cast<size_t>(columns)] *
                     right[static_cast<size_t>(term * columns) + i % static_cast<size_t>(columns)];
      }
    }
    const Base steep(graded, rows, columns, reference::singular_values(as_bf16(graded, rows, columns).entries, rows, columns));
    expect_found(steep, moved(steep.stored, 0.001, random), 1e-4, factor == 0 ? "deficient" : "graded");
  }
}

TEST(TrackedSvd, RefusesAStartOfAnotherShape) {
  const auto context = support::make_context();
  const std::vector<double> entries(20, 1);
  const tg_operand matrix = operand(entries.data(), 4, 5, TG_F64);
  const tg_svd_options options{sizeof(options), 1, 1e-6, 1, 0};
  std::vector<double> out(20);
  tg_svd_result result{sizeof(result), out.data(), out.data() + 1, out.data() + 5, nullptr, 0, 0, 0, 0, 0};
  tg_workspace_size size{sizeof(size), 0, 0};
  tg_svd_start start{sizeof(start), entries.data(), {entries.data(), 4, 5, 5, TG_F64, 0}, nullptr, {}, 0};
  const auto refused = [&](const char* text) {
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_svd_track_workspace(context.get(), &matrix, nullptr, 1, &options, &start, &result, &size));
    EXPECT_NE(std::string::npos, support::error_of(context.get()).find(text)) << support::error_of(context.get());
  };
  refused("starts[0].basis is 4 x 5; it must be 4 x 4");
  start.basis.columns = 4;
  start.basis.dtype = TG_BF16;
  refused("starts[0].basis.dtype");
  start.basis.dtype = TG_F64;
  start.values = nullptr;
  refused("starts[0].values is NULL");
  start.values = entries.data();
  result.spectrum = out.data() + 12;
  refused("tracking needs vectors and no spectrum");
  result.spectrum = nullptr;
  const tg_operand other = operand(entries.data(), 5, 4, TG_F64);
  start.base = &other;
  refused("starts[0].base is 5 x 4; it must have the shape of the matrix");
  start.base = &matrix;
  start.images = {entries.data(), 4, 4, 4, TG_F64, 0};
  refused("starts[0].images is 4 x 4; its rows must have the length of the long side");
  start.images = {entries.data(), 4, 5, 5, TG_BF16, 0};
  refused("starts[0].images.dtype");
  start.images.dtype = TG_F64;
  start.residual = -1;
  refused("starts[0].residual");
  start.residual = std::nan("");
  refused("starts[0].residual");
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_svd_track_workspace(context.get(), &matrix, nullptr, 1, &options, nullptr, &result, &size));
}

}  // namespace
