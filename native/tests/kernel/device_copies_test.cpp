// Copies between the host and a device: how many there are, and how often the host waits.
#include <algorithm>
#include <cmath>
#include <random>

#include "emulated_traffic.h"
#include "support.h"

namespace {

class CopiesOnDevice : public testing::Test {
 protected:
  void SetUp() override {
    if (!support::tests_device() || !support::is_emulated()) {
      GTEST_SKIP() << "only the emulation counts";
    }
  }
};

constexpr int64_t kRows = 130;
constexpr int64_t kColumns = 150;
constexpr int64_t kRank = 3;

// Decreasing singular values, so that few cycles are enough.
std::vector<float> entries_of(std::mt19937_64& random) {
  constexpr int64_t kAll = kRows;
  std::vector<float> entries(kRows * kColumns, 0);
  const support::Rows left = support::orthonormal(kAll, kRows, random);
  const support::Rows right = support::orthonormal(kAll, kColumns, random);
  for (size_t k = 0; k < kAll; ++k) {
    for (size_t i = 0; i < kRows; ++i) {
      for (size_t j = 0; j < kColumns; ++j) {
        entries[i * kColumns + j] += static_cast<float>(std::pow(0.9, static_cast<double>(k)) * left[k][i] * right[k][j]);
      }
    }
  }
  return entries;
}

// Decomposes `count` equal matrices. Returns how often the host waited and what was copied.
support::Traffic decompose(const tg_operand& matrix, size_t count, std::vector<std::vector<double>>& out) {
  const auto context = support::make_context();
  const std::vector<tg_operand> matrices(count, matrix);
  const std::vector<tg_svd_options> options(count, {sizeof(tg_svd_options), kRank, 1e-4, 1, 0});
  std::vector<tg_svd_result> results;
  out.assign(count, std::vector<double>(static_cast<size_t>(kRank * (1 + kRows + kColumns))));
  for (auto& own : out) {
    double* at = own.data();
    results.push_back({sizeof(tg_svd_result), at, at + kRank, at + kRank * (1 + kRows), nullptr, 0, 0, 0, 0, 0});
  }
  const auto all = static_cast<int64_t>(count);
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_svd_workspace(context.get(), matrices.data(), nullptr, all, options.data(), results.data(), &size));
  const auto host = support::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  const support::Traffic before = support::emulated_traffic();
  EXPECT_EQ(TG_OK, tg_svd(context.get(), matrices.data(), nullptr, all, options.data(), nullptr, &workspace, results.data()))
      << support::error_of(context.get());
  const support::Traffic after = support::emulated_traffic();
  for (const tg_svd_result& result : results) {
    EXPECT_EQ(TG_SVD_CHEBYSHEV, result.method);
  }
  return {after.waits - before.waits, after.copies - before.copies, after.bytes - before.bytes};
}

// The matrices of a batch share the waits for their ranges, their measurements and their results.
TEST_F(CopiesOnDevice, MoreMatricesTakeNoMoreWaits) {
  std::mt19937_64 random(support::seed());
  std::vector<float> entries = entries_of(random);
  tg_operand matrix{};
  matrix.size = sizeof(matrix);
  matrix.values = {entries.data(), kRows, kColumns, kColumns, TG_F32, 0};
  std::vector<std::vector<double>> one;
  std::vector<std::vector<double>> several;
  const support::Traffic of_one = decompose(matrix, 1, one);
  const support::Traffic of_several = decompose(matrix, 2, several);
  EXPECT_EQ(of_one.waits, of_several.waits);
  for (const auto& own : several) {
    EXPECT_EQ(one[0], own);
  }
  // Three more copies for the second matrix: its entries, and the vectors of both sides.
  EXPECT_EQ(of_one.copies + 3, of_several.copies);
}

// Matrices that need a scale are brought again. Their vectors are those of the plain ones.
TEST_F(CopiesOnDevice, MatricesAreScaledOnlyIfTheyMust) {
  std::mt19937_64 random(support::seed());
  std::vector<float> entries = entries_of(random);
  tg_operand matrix{};
  matrix.size = sizeof(matrix);
  matrix.values = {entries.data(), kRows, kColumns, kColumns, TG_F32, 0};
  std::vector<std::vector<double>> plain;
  std::vector<std::vector<double>> scaled;
  const support::Traffic of_plain = decompose(matrix, 1, plain);
  for (float& entry : entries) {
    entry = std::ldexp(entry, 60);
  }
  const support::Traffic of_scaled = decompose(matrix, 1, scaled);
  EXPECT_EQ(of_plain.copies + 1, of_scaled.copies);
  for (size_t i = static_cast<size_t>(kRank); i < plain[0].size(); ++i) {
    ASSERT_NEAR(plain[0][i], scaled[0][i], 1e-3) << i;
  }
  EXPECT_NEAR(plain[0][0], std::ldexp(scaled[0][0], -60), 1e-4);
}

// Masks of the host are brought one after the other, and the host waits for their counts only.
TEST_F(CopiesOnDevice, MasksOfTheHostAreBroughtWithoutWaits) {
  std::mt19937_64 random(support::seed());
  constexpr int64_t kWords = 300 * 3;
  std::vector<std::vector<uint64_t>> masks(6, std::vector<uint64_t>(kWords));
  std::vector<const uint64_t*> pointers;
  for (auto& mask : masks) {
    for (size_t i = 0; i < mask.size(); ++i) {
      mask[i] = random() & (i % 3 == 2 ? 0xffU : ~uint64_t{0});
    }
    pointers.push_back(mask.data());
  }
  const auto context = support::make_context();
  std::vector<int64_t> common(36);
  const auto waits = [&](int64_t count) {
    const tg_mask_sets sets{sizeof(sets), pointers.data(), count, 300, 136};
    const support::Traffic before = support::emulated_traffic();
    EXPECT_EQ(TG_OK, tg_mask_overlaps(context.get(), &sets, common.data(), nullptr)) << support::error_of(context.get());
    const support::Traffic after = support::emulated_traffic();
    EXPECT_EQ(static_cast<uint64_t>(count) + 1, after.copies - before.copies);
    return after.waits - before.waits;
  };
  EXPECT_EQ(waits(1), waits(6));
  EXPECT_LT(0, common[1]);
}

}  // namespace
