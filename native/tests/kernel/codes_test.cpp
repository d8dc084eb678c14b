#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "common/dtype.h"
#include "support.h"

namespace {

using threegate::f8_e4m3_to_float;
using threegate::f8_e5m2_to_float;

constexpr float kSentinel = 12345.0F;

// Quantised weights with random codes. `code_at` is an independent definition of the layouts.
struct Weights {
  Weights(int32_t layout, int32_t code_bits, int64_t m, int64_t n, int64_t first, std::mt19937_64& random)
      : order(layout), bits(code_bits), rows(m), columns(n), first_row(first) {
    const bool down = order == TG_CODES_DOWN;
    const bool words_of_rows = order == TG_CODES_ACROSS || order == TG_CODES_AWQ;
    stride = down ? 4 * rows + 8 : words_of_rows ? (first + rows + 7) / 8 * 4 + 4 : (columns * bits + 7) / 8 + 3;
    const int64_t lines = down ? (columns + 7) / 8 : words_of_rows ? columns : rows;
    bytes.resize(static_cast<size_t>(lines * stride) + 1);
    std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<uint8_t>(random()); });
    std::normal_distribution<float> normal(0.0F, 1.0F);
    table.resize(bits == 4 ? 16 : 256);
    std::generate(table.begin(), table.end(), [&] { return normal(random); });
  }

  // Adds scales, and perhaps zeros and a group for each column.
  void add_scales(int64_t block_rows, int64_t group_count, bool with_zeros, bool with_groups, std::mt19937_64& random) {
    scale_rows = block_rows;
    groups = group_count;
    group_columns = (columns + groups - 1) / groups;
    const int64_t blocks = (first_row + rows + scale_rows - 1) / scale_rows;
    const bool across = order >= TG_CODES_DOWN;
    scale_stride = (across ? blocks : groups) + 2;
    std::normal_distribution<float> normal(0.0F, 1.0F);
    scales.resize(static_cast<size_t>((across ? groups : blocks) * scale_stride));
    std::generate(scales.begin(), scales.end(), [&] { return normal(random); });
    if (with_zeros) {
      zeros.resize(scales.size());
      std::generate(zeros.begin(), zeros.end(), [&] { return static_cast<float>(random() % 16); });
    }
    if (with_groups) {
      group_of.resize(static_cast<size_t>(columns));
      std::generate(group_of.begin(), group_of.end(),
                    [&] { return static_cast<int32_t>(random() % static_cast<uint64_t>(groups)); });
    }
  }

  [[nodiscard]] uint32_t byte(int64_t at) const { return bytes[static_cast<size_t>(at) + 1]; }
  [[nodiscard]] uint32_t nibble(int64_t line, int64_t place) const {
    return byte(line * stride + place / 2) >> (4 * (place % 2)) & 15U;
  }
  [[nodiscard]] uint32_t code_at(int64_t i, int64_t j) const {
    constexpr int64_t kAwq[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    const int64_t at = first_row + i;
    switch (order) {
      case TG_CODES_LOW_FIRST:
        return bits == 8 ? byte(i * stride + j) : nibble(i, j);
      case TG_CODES_HIGH_FIRST:
        return nibble(i, j % 2 == 0 ? j + 1 : j - 1);
      case TG_CODES_DOWN:
        return nibble(j / 8, 8 * i + j % 8);
      case TG_CODES_ACROSS:
        return nibble(j, at);
      default:
        return nibble(j, at / 8 * 8 + kAwq[at % 8]);
    }
  }
  [[nodiscard]] float entry(int64_t i, int64_t j) const {
    const int64_t group = group_of.empty() ? j / group_columns : group_of[static_cast<size_t>(j)];
    const int64_t block = (first_row + i) / scale_rows;
    const auto at = static_cast<size_t>(order >= TG_CODES_DOWN ? group * scale_stride + block : block * scale_stride + group);
    const float number = table[code_at(i, j)];
    return (zeros.empty() ? number : number - zeros[at]) * scales[at];
  }
  [[nodiscard]] tg_codes codes() const {
    return {sizeof(tg_codes),
            bytes.data() + 1,
            static_cast<int64_t>(bytes.size()) - 1,
            rows,
            columns,
            stride,
            bits,
            order,
            first_row,
            table.data(),
            scales.data(),
            zeros.empty() ? nullptr : zeros.data(),
            scale_stride,
            scale_rows,
            groups,
            group_columns,
            group_of.empty() ? nullptr : group_of.data()};
  }

  int32_t order;
  int32_t bits;
  int64_t rows;
  int64_t columns;
  int64_t first_row;
  int64_t stride = 0;
  int64_t scale_stride = 0;
  int64_t scale_rows = 1;
  int64_t groups = 1;
  int64_t group_columns = 1;
  std::vector<uint8_t> bytes;
  std::vector<float> table;
  std::vector<float> scales;
  std::vector<float> zeros;
  std::vector<int32_t> group_of;
};

void expect_decoded(tg_context* context, const Weights& weights) {
  std::vector<float> entries(static_cast<size_t>(weights.rows * weights.columns) + 1, kSentinel);
  const tg_codes codes = weights.codes();
  ASSERT_EQ(TG_OK, tg_codes_decode(context, &codes, entries.data())) << support::error_of(context);
  EXPECT_EQ(kSentinel, entries.back());
  for (int64_t i = 0; i < weights.rows; ++i) {
    for (int64_t j = 0; j < weights.columns; ++j) {
      const float expected = weights.entry(i, j);
      const float actual = entries[static_cast<size_t>(i * weights.columns + j)];
      ASSERT_EQ(0, std::memcmp(&expected, &actual, sizeof(float))) << "at " << i << ", " << j;
    }
  }
}

class CodesAtLevel : public testing::TestWithParam<std::string> {
 protected:
  std::mt19937_64 random_{support::seed()};
};

INSTANTIATE_TEST_SUITE_P(Levels, CodesAtLevel, testing::ValuesIn(support::simd_levels()),
                         [](const auto& level) { return level.param; });

TEST_P(CodesAtLevel, AgreesWithTheDefinitionInEveryLayout) {
  SCOPED_TRACE("THREEGATE_TEST_SEED=" + std::to_string(support::seed()));
  const auto own = support::make_context(2, GetParam().c_str());
  const std::vector<std::pair<int64_t, int64_t>> shapes{{1, 1}, {3, 70}, {16, 128}, {37, 129}, {40, 33}, {2, 1100}, {130, 600}};
  for (const auto& [order, bits] : {std::pair<int32_t, int32_t>{TG_CODES_LOW_FIRST, 4},
                                    {TG_CODES_LOW_FIRST, 8},
                                    {TG_CODES_HIGH_FIRST, 4},
                                    {TG_CODES_DOWN, 4},
                                    {TG_CODES_ACROSS, 4},
                                    {TG_CODES_AWQ, 4}}) {
    for (const auto& [m, n] : shapes) {
      for (int variant = 0; variant < 16; ++variant) {
        const bool moves = order >= TG_CODES_ACROSS && (variant & 1) != 0;
        Weights weights(order, bits, m, n, moves ? 5 : 0, random_);
        const int64_t scale_rows = (variant & 2) == 0 ? 1 : (variant & 4) == 0 ? 32 : 3;
        weights.add_scales(scale_rows, std::min<int64_t>(n, 5), (variant & 4) != 0, (variant & 8) != 0, random_);
        SCOPED_TRACE(testing::Message() << "order " << order << " bits " << bits << " shape " << m << " x " << n << " variant "
                                        << variant);
        expect_decoded(own.get(), weights);
        if (HasFatalFailure()) {
          return;
        }
      }
    }
  }
}

TEST_P(CodesAtLevel, SignedIntegersAndZerosKeepTheirBits) {
  const auto own = support::make_context(1, GetParam().c_str());
  Weights bytes(TG_CODES_LOW_FIRST, 8, 9, 100, 0, random_);
  for (int code = 0; code < 256; ++code) {
    bytes.table[static_cast<size_t>(code)] = static_cast<float>(static_cast<int8_t>(code));
  }
  bytes.add_scales(1, 3, false, false, random_);
  expect_decoded(own.get(), bytes);
  Weights floats(TG_CODES_LOW_FIRST, 4, 9, 100, 0, random_);
  floats.table[8] = -0.0F;
  floats.table[3] = std::nanf("");
  floats.table[4] = HUGE_VALF;
  floats.add_scales(1, 3, false, false, random_);
  expect_decoded(own.get(), floats);
}

// Everything that a comparison returns.
struct Comparison {
  tg_diff_result result{};
  std::vector<int64_t> counts;  // of rows, columns and cells
  std::vector<uint64_t> mask;
};

Comparison compare(tg_context* context, const tg_operand& a, const tg_operand& b) {
  const int64_t m = a.values.rows;
  const int64_t n = a.values.columns;
  const int64_t map_rows = std::min<int64_t>(m, 5);
  const int64_t map_columns = std::min<int64_t>(n, 3);
  Comparison own;
  own.counts.assign(static_cast<size_t>(m + n + map_rows * map_columns), 7);
  own.mask.assign(static_cast<size_t>(m * ((n + 63) / 64)), ~uint64_t{0});
  const tg_diff_profiles profiles{sizeof(profiles),
                                  own.counts.data(),
                                  own.counts.data() + m,
                                  own.mask.data(),
                                  static_cast<int64_t>(own.mask.size()),
                                  own.counts.data() + m + n,
                                  map_rows,
                                  map_columns};
  const tg_diff_options options{sizeof(options)};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_diff_workspace(context, &a, &b, 1, &options, &profiles, &size)) << support::error_of(context);
  const auto host = support::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  own.result.size = sizeof(own.result);
  EXPECT_EQ(TG_OK, tg_diff(context, &a, &b, 1, &options, nullptr, &workspace, &profiles, &own.result));
  return own;
}

// Counts are equal, and sums agree as those of two instruction sets do.
void expect_equal(const Comparison& expected, const Comparison& actual) {
  constexpr double kSumError = 1e-12;
  const tg_diff_result& e = expected.result;
  const tg_diff_result& r = actual.result;
  ASSERT_EQ(expected.counts, actual.counts);
  ASSERT_EQ(expected.mask, actual.mask);
  ASSERT_EQ(e.total, r.total);
  ASSERT_EQ(e.changed, r.changed);
  ASSERT_EQ(e.changed_bits, r.changed_bits);
  ASSERT_EQ(e.changed_stored, r.changed_stored);
  ASSERT_EQ(e.hidden, r.hidden);
  ASSERT_EQ(e.non_finite, r.non_finite);
  ASSERT_EQ(e.sign_flips, r.sign_flips);
  for (int bin = 0; bin < TG_ULP_BINS; ++bin) {
    ASSERT_EQ(e.ulp_histogram[bin], r.ulp_histogram[bin]) << "bin " << bin;
  }
  ASSERT_NEAR(e.base_squares, r.base_squares, kSumError * e.base_squares);
  ASSERT_NEAR(e.delta_squares, r.delta_squares, kSumError * e.delta_squares);
  ASSERT_NEAR(e.delta_dot_base, r.delta_dot_base, kSumError * std::sqrt(e.base_squares * e.delta_squares));
  ASSERT_EQ(e.max_abs_delta, r.max_abs_delta);
}

// Compares codes, and their entries.
void expect_compared(tg_context* context, const Weights& base, const Weights& tuned) {
  const int64_t m = base.rows;
  const int64_t n = base.columns;
  std::vector<float> entries[2];
  tg_operand decoded[2]{};
  tg_operand operands[2]{};
  const tg_codes codes[2] = {base.codes(), tuned.codes()};
  for (size_t side = 0; side < 2; ++side) {
    entries[side].resize(static_cast<size_t>(m * n));
    ASSERT_EQ(TG_OK, tg_codes_decode(context, codes + side, entries[side].data()));
    decoded[side].size = operands[side].size = sizeof(tg_operand);
    decoded[side].values = {entries[side].data(), m, n, n, TG_F32, 0};
    operands[side].values = {codes + side, m, n, n, TG_CODES, 0};
  }
  const Comparison expected = compare(context, decoded[0], decoded[1]);
  for (const auto& [a, b] : {std::pair(operands[0], operands[1]), {operands[0], decoded[1]}, {decoded[0], operands[1]}}) {
    expect_equal(expected, compare(context, a, b));
    if (testing::Test::HasFatalFailure()) {
      return;
    }
  }
}

// What the scales are: with few bits, so that products are exact, or with all; and numbers that need care.
enum class ScaleValues { kFewBits, kAllBits, kTiny, kHuge, kNonFinite, kZero };

void set_scales(Weights& weights, ScaleValues values, std::mt19937_64& random) {
  for (float& scale : weights.scales) {
    scale = std::ldexp(static_cast<float>(random() % 1024 + 1024), -18);
    if (values == ScaleValues::kAllBits) {
      scale *= 1.0F + 0x1p-23F * static_cast<float>(random() % 4096);
    }
  }
  float& one = weights.scales[random() % weights.scales.size()];
  one = values == ScaleValues::kTiny        ? 0x1.8p-140F
        : values == ScaleValues::kHuge      ? 0x1.8p126F
        : values == ScaleValues::kNonFinite ? (random() % 2 == 0 ? HUGE_VALF : std::nanf(""))
        : values == ScaleValues::kZero      ? 0.0F
                                            : one;
}

// The numbers of codes: any, integers, E2M1, or float8 with NaN.
void set_table(Weights& weights, int numbers) {
  constexpr float kE2m1[8] = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6};
  for (size_t code = 0; code < weights.table.size(); ++code) {
    if (weights.bits == 4 && numbers > 0) {
      weights.table[code] = numbers == 1   ? static_cast<float>(code)
                            : numbers == 2 ? static_cast<float>(code) - 8
                                           : (code < 8 ? kE2m1[code] : -kE2m1[code - 8]);
    } else if (numbers == 1) {
      weights.table[code] = static_cast<float>(static_cast<int8_t>(code));
    } else if (numbers > 1) {
      weights.table[code] =
          numbers == 2 ? f8_e4m3_to_float(static_cast<uint8_t>(code)) : f8_e5m2_to_float(static_cast<uint8_t>(code));
    }
  }
}

// Codes are compared as they are stored, whatever their layout, numbers, scales and number of changes.
TEST_P(CodesAtLevel, ComparisonsHaveTheCountsOfTheEntries) {
  SCOPED_TRACE("THREEGATE_TEST_SEED=" + std::to_string(support::seed()));
  if (support::tests_device()) {
    GTEST_SKIP() << "codes are compared on the CPU";
  }
  const auto own = support::make_context(2, GetParam().c_str());
  const std::vector<std::pair<int64_t, int64_t>> shapes{{1, 1}, {7, 4100}, {300, 130}, {2200, 140}, {301, 2056}, {64, 512}};
  const int tests = GetParam() == "scalar" ? 20 : 200;  // the scalar level decodes all
  for (int test = 0; test < tests; ++test) {
    const auto layout = static_cast<int32_t>(random_() % 6);
    const int32_t order = layout == 5 ? TG_CODES_LOW_FIRST : TG_CODES_LOW_FIRST + layout;
    const auto [m, n] = shapes[random_() % shapes.size()];
    const bool across = order >= TG_CODES_DOWN;
    Weights base(order, layout == 5 ? 8 : 4, m, n, order >= TG_CODES_ACROSS && random_() % 8 == 0 ? 3 : 0, random_);
    const int numbers = static_cast<int>(random_() % 4);
    set_table(base, numbers);
    const int64_t widths[] = {16, 32, 64, 128, 24, n, 100, 200};
    const int64_t width = order == TG_CODES_ACROSS ? 1 : widths[random_() % 8];
    const int64_t heights[] = {1, 1, 16, 32, 128, 5};
    const int64_t height = heights[random_() % (order == TG_CODES_DOWN || order == TG_CODES_AWQ ? 2 : 6)];
    base.add_scales(height, (n + width - 1) / width, random_() % 2 == 0, across && random_() % 4 == 0, random_);
    base.group_columns = width;
    const auto values = static_cast<ScaleValues>(random_() % 2 == 0 ? random_() % 2 : random_() % 6);
    set_scales(base, values, random_);
    for (float& zero : base.zeros) {
      zero = random_() % 2 == 0 ? 8 : static_cast<float>(random_() % 17);
    }
    if (!base.zeros.empty() && random_() % 8 == 0) {
      base.zeros[random_() % base.zeros.size()] = 2.5F;
    }
    if (layout == 5 && numbers > 1 && random_() % 4 != 0) {
      std::replace_if(
          base.bytes.begin(), base.bytes.end(), [](uint8_t code) { return (code & 0x7fU) >= 0x7cU; }, uint8_t{3});
    }
    Weights tuned = base;
    const uint64_t sparsity = std::array<uint64_t, 4>{2, 20, 100, 3000}[random_() % 4];
    for (uint8_t& byte : tuned.bytes) {
      byte ^= static_cast<uint8_t>(random_() % sparsity == 0 ? random_() : 0);
    }
    for (int change = 0; random_() % 3 == 0 && change < 3; ++change) {
      tuned.scales[random_() % tuned.scales.size()] *= 1.25F;
    }
    if (!tuned.zeros.empty() && random_() % 3 == 0) {
      tuned.zeros[random_() % tuned.zeros.size()] += 1;
    }
    SCOPED_TRACE(testing::Message() << "test " << test << " order " << order << " bits " << base.bits << " shape " << m << " x "
                                    << n << " groups of " << height << " x " << width << " numbers " << numbers << " scales "
                                    << static_cast<int>(values) << " zeros " << base.zeros.size() << " sparsity " << sparsity);
    expect_compared(own.get(), base, tuned);
    if (HasFatalFailure()) {
      return;
    }
  }
}

// Float8 with a scale for each block, as an operand.
TEST_P(CodesAtLevel, ScaledFloat8HasTheCountsOfTheEntries) {
  SCOPED_TRACE("THREEGATE_TEST_SEED=" + std::to_string(support::seed()));
  const auto own = support::make_context(2, GetParam().c_str());
  for (int test = 0; test < 60; ++test) {
    const tg_dtype dtype = test % 2 == 0 ? TG_F8_E4M3 : TG_F8_E5M2;
    const auto m = static_cast<int64_t>(random_() % 200 + 1);
    const auto n = static_cast<int64_t>(random_() % 600 + 1);
    const int64_t stride = n + static_cast<int64_t>(random_() % 3);
    const int64_t side = test % 3 == 0 ? 128 : 37;
    const bool scaled = test % 5 != 0;
    const int64_t blocks[2] = {(m + side - 1) / side, (n + side - 1) / side};
    std::vector<uint8_t> codes[2];
    std::vector<float> scales[2];
    codes[0].resize(static_cast<size_t>(m * stride));
    std::generate(codes[0].begin(), codes[0].end(), [&] {
      const auto code = static_cast<uint8_t>(random_());
      return (code & 0x7fU) >= 0x7cU && test % 4 != 0 ? uint8_t{0} : code;
    });
    if (test % 8 == 2) {
      codes[0][random_() % codes[0].size()] = 0x7f;  // one NaN, in a place that does not differ
    }
    codes[1] = codes[0];
    for (uint8_t& code : codes[1]) {
      code ^= static_cast<uint8_t>(random_() % 100 == 0 && code != 0x7f ? random_() % 2 : 0);
    }
    scales[0].resize(static_cast<size_t>(blocks[0] * blocks[1]));
    std::generate(scales[0].begin(), scales[0].end(), [&] { return 1e-3F * static_cast<float>(random_() % 1000); });
    scales[1] = scales[0];
    scales[1][random_() % scales[1].size()] *= test % 7 == 0 ? 1.5F : 1.0F;
    tg_operand stored[2]{};
    tg_operand decoded[2]{};
    std::vector<float> entries[2];
    for (size_t k = 0; k < 2; ++k) {
      stored[k].size = decoded[k].size = sizeof(tg_operand);
      stored[k].values = {codes[k].data(), m, n, stride, dtype, 0};
      if (scaled) {
        stored[k].block_scale = {scales[k].data(), blocks[0], blocks[1], blocks[1], TG_F32, 0};
        stored[k].block_rows = stored[k].block_columns = side;
      }
      entries[k].resize(static_cast<size_t>(m * n));
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          const uint8_t code = codes[k][static_cast<size_t>(i * stride + j)];
          const float value = dtype == TG_F8_E4M3 ? f8_e4m3_to_float(code) : f8_e5m2_to_float(code);
          const float scale = scales[k][static_cast<size_t>(i / side * blocks[1] + j / side)];
          entries[k][static_cast<size_t>(i * n + j)] = scaled ? value * scale : value;
        }
      }
      decoded[k].values = {entries[k].data(), m, n, n, TG_F32, 0};
    }
    SCOPED_TRACE(testing::Message() << "test " << test << " shape " << m << " x " << n);
    expect_equal(compare(own.get(), decoded[0], decoded[1]), compare(own.get(), stored[0], stored[1]));
    if (HasFatalFailure()) {
      return;
    }
  }
}

// A device compares no codes.
TEST_P(CodesAtLevel, DevicesRefuseCodes) {
  if (!support::tests_device()) {
    GTEST_SKIP() << "there is no device";
  }
  const auto own = support::make_context(2, GetParam().c_str());
  Weights weights(TG_CODES_LOW_FIRST, 4, 4, 6, 0, random_);
  weights.add_scales(1, 3, false, false, random_);
  const tg_codes codes = weights.codes();
  tg_operand operand{};
  operand.size = sizeof(operand);
  operand.values = {&codes, 4, 6, 6, TG_CODES, 0};
  const tg_diff_options options{sizeof(options)};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_UNSUPPORTED, tg_diff_workspace(own.get(), &operand, &operand, 1, &options, nullptr, &size));
  EXPECT_EQ("codes are compared on the CPU only; decode them with tg_codes_decode", support::error_of(own.get()));
}

// Operands that no comparison can read.
TEST(Codes, ComparisonsRefuseWrongOperands) {
  std::mt19937_64 random{support::seed()};
  const auto own = support::make_context();
  Weights weights(TG_CODES_LOW_FIRST, 4, 4, 6, 0, random);
  weights.add_scales(1, 3, false, false, random);
  tg_codes codes = weights.codes();
  tg_operand good{};
  good.size = sizeof(good);
  good.values = {&codes, 4, 6, 6, TG_CODES, 0};
  const tg_diff_options options{sizeof(options)};
  tg_workspace_size size{sizeof(size), 0, 0};
  const auto expect_refused = [&](const tg_operand& operand, const std::string& message) {
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_diff_workspace(own.get(), &operand, &good, 1, &options, nullptr, &size));
    EXPECT_EQ(message, support::error_of(own.get()));
  };
  tg_operand bad = good;
  bad.values.rows = 3;
  expect_refused(bad, "base.values is 3 x 6; its codes are 4 x 6");
  bad = good;
  bad.values.data = nullptr;
  expect_refused(bad, "codes is NULL; it must point to a struct");
  bad = good;
  const tg_low_rank term{};
  bad.low_rank = &term;
  bad.low_rank_count = 1;
  expect_refused(bad, "base is codes with more scales or terms; codes have their own scales, and no low-rank terms");
  double norm = 0;
  const tg_svd_options svd{sizeof(svd), 1, 1e-4, 1, 0};
  tg_svd_result result{sizeof(result), &norm, nullptr, nullptr, nullptr, 0, 0, 0, 0, 0};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_svd_workspace(own.get(), &good, nullptr, 1, &svd, &result, &size));
}

// Each wrong argument is refused by name, and nothing is written.
TEST(Codes, RefusesWrongArguments) {
  std::mt19937_64 random{support::seed()};
  const auto own = support::make_context();
  Weights weights(TG_CODES_LOW_FIRST, 4, 4, 6, 0, random);
  weights.add_scales(1, 3, false, true, random);
  float entries[24] = {kSentinel};
  const auto expect_refused = [&](const tg_codes* codes, const std::string& message) {
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_codes_decode(own.get(), codes, entries));
    EXPECT_EQ(message, support::error_of(own.get()));
  };
  const tg_codes good = weights.codes();
  expect_refused(nullptr, "codes is NULL; it must point to a struct");
  tg_codes bad = good;
  bad.order = 6;
  expect_refused(&bad, "codes.order is 6; allowed are TG_CODES_LOW_FIRST (1) to TG_CODES_AWQ (5)");
  bad = good;
  bad.bits = 3;
  expect_refused(&bad, "codes.bits is 3; allowed are 4, and 8 with TG_CODES_LOW_FIRST");
  bad = good;
  bad.rows = -1;
  expect_refused(&bad, "codes.rows is -1 x 6; neither may be negative");
  bad = good;
  bad.code_bytes = 3 * good.stride + 2;
  expect_refused(&bad, "codes.code_bytes is " + std::to_string(bad.code_bytes) + "; the codes must lie within");
  bad = good;
  bad.stride = 2;
  expect_refused(&bad, "codes.stride is 2; it must hold the codes of a row");
  bad = good;
  bad.scale_stride = 2;
  expect_refused(&bad, "codes.scale_stride is 2; it must hold the scales of a group or a row");
  bad = good;
  bad.first_row = 1;
  expect_refused(&bad, "codes.first_row is 1; it must be 0 where no word has codes of several rows");
  bad = good;
  bad.group_of = nullptr;
  bad.group_columns = 1;
  expect_refused(&bad, "codes.groups is 3; each group of columns needs one");
  weights.group_of[5] = 3;
  expect_refused(&good, "codes.group_of is 3; it must be less than groups");
  EXPECT_EQ(kSentinel, entries[0]);
  weights.group_of[5] = 2;
  tg_control control{sizeof(tg_control), 1, 0, 0, 0};
  ASSERT_EQ(TG_OK, tg_context_set_control(own.get(), &control));
  EXPECT_EQ(TG_CANCELLED, tg_codes_decode(own.get(), &good, entries));
}

}  // namespace
