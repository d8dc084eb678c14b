#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

#include "context_memory.h"
#include "reference/diff_reference.h"
#include "support.h"

namespace {

constexpr int64_t kSentinel = 0x5a5a5a5a5a5a5a5a;
const std::vector<tg_dtype> kDtypes{TG_F64, TG_F32, TG_F16, TG_BF16, TG_F8_E4M3, TG_F8_E5M2};

// A matrix of codes at an odd address, with a stride.
struct Codes {
  Codes(tg_dtype type, int64_t m, int64_t n, int64_t padding)
      : dtype(type),
        rows(m),
        columns(n),
        stride(n + padding),
        bytes(static_cast<size_t>(m * stride * reference::bytes_of(type)) + 1) {}

  [[nodiscard]] unsigned char* at(int64_t i, int64_t j) {
    return bytes.data() + 1 + (i * stride + j) * reference::bytes_of(dtype);
  }
  [[nodiscard]] tg_operand operand() {
    tg_operand result{};
    result.size = sizeof(result);
    result.values = {bytes.data() + 1, rows, columns, stride, dtype, 0};
    return result;
  }
  [[nodiscard]] std::vector<double> values() {
    std::vector<double> result;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        result.push_back(reference::decode(dtype, at(i, j)));
      }
    }
    return result;
  }
  [[nodiscard]] std::vector<uint16_t> bf16_codes() {
    std::vector<uint16_t> result;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        uint16_t code = reference::round_to_bf16(reference::decode(dtype, at(i, j)));
        if (dtype == TG_BF16) {
          std::memcpy(&code, at(i, j), sizeof(code));
        }
        result.push_back(code);
      }
    }
    return result;
  }

  tg_dtype dtype;
  int64_t rows;
  int64_t columns;
  int64_t stride;
  std::vector<unsigned char> bytes;
};

enum class Kind { kAnyBits, kStep, kSomeChanges, kFewChanges };

// kAnyBits covers every special value. kStep has weights and a small step, in codes. kSomeChanges has a step of every fourth
// entry, and kFewChanges almost only equal entries.
void fill(Codes& base, Codes& tuned, Kind kind, std::mt19937_64& random) {
  std::normal_distribution<double> normal(0.0, 0.02);
  const auto put = [](Codes& codes, int64_t i, int64_t j, double value) {
    unsigned char* to = codes.at(i, j);
    if (codes.dtype == TG_F64) {
      std::memcpy(to, &value, sizeof(value));
    } else if (codes.dtype == TG_F32) {
      const auto narrow = static_cast<float>(value);
      std::memcpy(to, &narrow, sizeof(narrow));
    } else {
      // bf16, or its leading bits as a code of a smaller format.
      const uint16_t code = reference::round_to_bf16(value);
      std::memcpy(to, reinterpret_cast<const unsigned char*>(&code) + (reference::bytes_of(codes.dtype) == 1 ? 1 : 0),
                  static_cast<size_t>(reference::bytes_of(codes.dtype)));
    }
  };
  for (int64_t i = 0; i < base.rows; ++i) {
    for (int64_t j = 0; j < base.columns; ++j) {
      if (kind == Kind::kAnyBits) {
        const uint64_t bits = random();
        const uint64_t other = random() % 4 == 0 ? bits ^ (uint64_t{1} << (random() % 16)) : random();
        std::memcpy(base.at(i, j), &bits, static_cast<size_t>(reference::bytes_of(base.dtype)));
        std::memcpy(tuned.at(i, j), random() % 3 == 0 ? &bits : &other, static_cast<size_t>(reference::bytes_of(tuned.dtype)));
        continue;
      }
      const double weight = random() % 50 == 0 ? 0.0 : normal(random);
      const bool moves = kind == Kind::kStep || random() % (kind == Kind::kSomeChanges ? 4 : 100) == 0;
      put(base, i, j, weight);
      put(tuned, i, j, moves ? weight + 1e-4 * (random() % 2 == 0 ? 1.0 : -1.0) : weight);
    }
  }
}

struct Outcome {
  tg_status status = TG_OK;
  tg_diff_result result{};
  std::vector<int64_t> rows;
  std::vector<int64_t> columns;
  std::vector<uint64_t> mask;
  std::vector<int64_t> map;
};

struct Request {
  int64_t map_rows = 1;
  int64_t map_columns = 1;
  tg_control* control = nullptr;
};

// Runs the kernel with every output. Each output is followed by a sentinel that must not change.
Outcome run(tg_context* context, const tg_operand& base, const tg_operand& tuned, const Request& request = {}) {
  Outcome outcome;
  const int64_t m = base.values.rows;
  const int64_t n = base.values.columns;
  const int64_t words = m * ((n + 63) / 64);
  outcome.rows.assign(static_cast<size_t>(m) + 1, kSentinel);
  outcome.columns.assign(static_cast<size_t>(n) + 1, kSentinel);
  outcome.mask.assign(static_cast<size_t>(words) + 1, static_cast<uint64_t>(kSentinel));
  outcome.map.assign(static_cast<size_t>(request.map_rows * request.map_columns) + 1, kSentinel);
  const tg_diff_profiles profiles{
      sizeof(tg_diff_profiles), outcome.rows.data(), outcome.columns.data(), outcome.mask.data(), words,
      outcome.map.data(),       request.map_rows,    request.map_columns};
  const tg_diff_options options{sizeof(tg_diff_options)};
  tg_workspace_size size{sizeof(tg_workspace_size), 0, 0};
  outcome.status = tg_diff_workspace(context, &base, &tuned, 1, &options, &profiles, &size);
  EXPECT_EQ(TG_OK, outcome.status) << support::error_of(context);
  const auto host = support::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(tg_workspace), host.get(), size.host_bytes, nullptr, 0};
  outcome.result.size = sizeof(tg_diff_result);
  outcome.status = tg_diff(context, &base, &tuned, 1, &options, request.control, &workspace, &profiles, &outcome.result);
  EXPECT_EQ(kSentinel, outcome.rows.back());
  EXPECT_EQ(kSentinel, outcome.columns.back());
  EXPECT_EQ(static_cast<uint64_t>(kSentinel), outcome.mask.back());
  EXPECT_EQ(kSentinel, outcome.map.back());
  outcome.rows.pop_back();
  outcome.columns.pop_back();
  outcome.mask.pop_back();
  outcome.map.pop_back();
  return outcome;
}

// Sums are compared relative to the sum of magnitudes, which bounds the rounding error of any order of summation. Squares of
// float64 entries may overflow or underflow.
void expect_sum(long double expected, double actual, long double magnitude, const char* name) {
  if (magnitude > 1e300L) {
    EXPECT_FALSE(std::abs(actual) < 1e200) << name;
    return;
  }
  EXPECT_LE(std::abs(expected - static_cast<long double>(actual)), 1e-12L * magnitude + 1e-300L) << name;
}

void expect_equal(const reference::Diff& expected, const Outcome& actual, int64_t rows, int64_t columns, const Request& request) {
  const tg_diff_result& result = actual.result;
  EXPECT_EQ(TG_OK, actual.status);
  EXPECT_EQ(expected.total, result.total);
  EXPECT_EQ(expected.changed, result.changed);
  EXPECT_EQ(expected.changed_bits, result.changed_bits);
  EXPECT_EQ(expected.changed_stored, result.changed_stored);
  EXPECT_EQ(expected.hidden, result.hidden);
  EXPECT_EQ(expected.non_finite, result.non_finite);
  EXPECT_EQ(expected.sign_flips, result.sign_flips);
  EXPECT_EQ(expected.ulp_histogram, std::vector<int64_t>(std::begin(result.ulp_histogram), std::end(result.ulp_histogram)));
  EXPECT_EQ(expected.row_changed, actual.rows);
  EXPECT_EQ(expected.column_changed, actual.columns);
  EXPECT_EQ(expected.max_abs_delta, result.max_abs_delta);
  expect_sum(expected.base_squares, result.base_squares, expected.base_squares, "base_squares");
  expect_sum(expected.delta_squares, result.delta_squares, expected.delta_squares, "delta_squares");
  expect_sum(expected.delta_dot_base, result.delta_dot_base, std::sqrt(expected.delta_squares) * std::sqrt(expected.base_squares),
             "delta_dot_base");
  std::vector<int64_t> map(static_cast<size_t>(request.map_rows * request.map_columns));
  const int64_t words = (columns + 63) / 64;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const bool changed = expected.mask[static_cast<size_t>(i * columns + j)] != 0;
      const bool bit = (actual.mask[static_cast<size_t>(i * words + j / 64)] >> (j % 64) & 1U) != 0;
      ASSERT_EQ(changed, bit) << "mask at " << i << ", " << j;
      map[static_cast<size_t>(i * request.map_rows / rows * request.map_columns + j * request.map_columns / columns)] +=
          changed ? 1 : 0;
    }
  }
  EXPECT_EQ(map, actual.map);
}

class DiffAtLevel : public testing::TestWithParam<std::string> {
 protected:
  support::Context context(int threads = 1) { return support::make_context(threads, GetParam().c_str()); }
  std::mt19937_64 random_{support::seed()};
};

INSTANTIATE_TEST_SUITE_P(Levels, DiffAtLevel, testing::ValuesIn(support::simd_levels()),
                         [](const auto& level) { return level.param; });

TEST_P(DiffAtLevel, AgreesWithTheReferenceForEveryPairOfDtypes) {
  SCOPED_TRACE("THREEGATE_TEST_SEED=" + std::to_string(support::seed()));
  const auto own = context(2);
  const std::vector<std::pair<int64_t, int64_t>> shapes{{1, 1}, {3, 70}, {17, 129}, {1, 513}, {40, 33}, {2, 8200}, {300, 1}};
  for (const tg_dtype base_dtype : kDtypes) {
    for (const tg_dtype tuned_dtype : kDtypes) {
      for (const auto& [m, n] : shapes) {
        for (const Kind kind : {Kind::kAnyBits, Kind::kStep, Kind::kSomeChanges, Kind::kFewChanges}) {
          SCOPED_TRACE(testing::Message() << "dtypes " << base_dtype << ", " << tuned_dtype << " shape " << m << " x " << n
                                          << " kind " << static_cast<int>(kind));
          Codes base(base_dtype, m, n, 0);
          Codes tuned(tuned_dtype, m, n, 5);
          fill(base, tuned, kind, random_);
          Request request;
          request.map_rows = std::min<int64_t>(m, 7);
          request.map_columns = std::min<int64_t>(n, 5);
          const auto expected = reference::diff(m, n, base.values(), tuned.values(), base.bf16_codes(), tuned.bf16_codes());
          expect_equal(expected, run(own.get(), base.operand(), tuned.operand(), request), m, n, request);
          if (HasFailure()) {
            return;
          }
        }
      }
    }
  }
}

// Blocks with many groups and many rows, and outputs that several rows share.
TEST_P(DiffAtLevel, AgreesWithTheReferenceOnLargerMatrices) {
  SCOPED_TRACE("THREEGATE_TEST_SEED=" + std::to_string(support::seed()));
  const auto own = context(2);
  constexpr int64_t kRows = 24;
  constexpr int64_t kColumns = 1237;
  const std::vector<std::pair<tg_dtype, tg_dtype>> pairs{{TG_F32, TG_F32}, {TG_F32, TG_BF16},        {TG_BF16, TG_F32},
                                                         {TG_F16, TG_F16}, {TG_F16, TG_BF16},        {TG_BF16, TG_BF16},
                                                         {TG_F64, TG_F64}, {TG_F8_E4M3, TG_F8_E4M3}, {TG_BF16, TG_F8_E5M2}};
  for (const auto& [base_dtype, tuned_dtype] : pairs) {
    for (const Kind kind : {Kind::kStep, Kind::kSomeChanges, Kind::kFewChanges}) {
      SCOPED_TRACE(testing::Message() << "dtypes " << base_dtype << ", " << tuned_dtype << " kind " << static_cast<int>(kind));
      Codes base(base_dtype, kRows, kColumns, 3);
      Codes tuned(tuned_dtype, kRows, kColumns, 0);
      fill(base, tuned, kind, random_);
      Request request;
      request.map_rows = 3;
      request.map_columns = 70;
      const auto expected =
          reference::diff(kRows, kColumns, base.values(), tuned.values(), base.bf16_codes(), tuned.bf16_codes());
      expect_equal(expected, run(own.get(), base.operand(), tuned.operand(), request), kRows, kColumns, request);
      if (HasFailure()) {
        return;
      }
    }
  }
}

// A float32 matrix and the same one rounded to bf16, with numbers of every exponent around everything that decides how close a
// pair is: whole numbers of units, ties, quarters and powers of two, also below the smallest normal number.
TEST_P(DiffAtLevel, AgreesWithTheReferenceOnRoundedNumbersOfEveryExponent) {
  SCOPED_TRACE("THREEGATE_TEST_SEED=" + std::to_string(support::seed()));
  const auto own = context();
  std::vector<float> numbers{0.0F, -0.0F};
  for (int exponent = -149; exponent < 128; ++exponent) {
    for (const double units : {128.0, 129.0, 190.0, 255.0}) {
      for (const double part : {0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.9999}) {
        for (const double nudge : {0.0, 1e-3, -1e-3}) {
          const double number = std::ldexp((units + part + nudge) / 128, exponent);
          numbers.push_back(static_cast<float>(random_() % 2 == 0 ? number : -number));
        }
      }
    }
  }
  std::shuffle(numbers.begin(), numbers.end(), random_);
  const auto columns = static_cast<int64_t>(numbers.size());
  for (const int64_t per_mille : {0, 5, 60, 300, 1000}) {
    Codes wide(TG_F32, 1, columns, 0);
    Codes rounded(TG_BF16, 1, columns, 0);
    for (int64_t j = 0; j < columns; ++j) {
      const float number = numbers[static_cast<size_t>(j)];
      uint16_t code = reference::round_to_bf16(number);
      if (static_cast<int64_t>(random_() % 1000) < per_mille) {
        const uint16_t others[] = {static_cast<uint16_t>(code ^ 1U), static_cast<uint16_t>(code ^ 0x8000U), uint16_t{0},
                                   uint16_t{0x8000}, static_cast<uint16_t>(code ^ 0x80U)};
        code = others[random_() % std::size(others)];
      }
      if ((code & 0x7f80U) == 0x7f80U) {
        code = 0x7f7f;  // the tests of other numbers have those that are not finite
      }
      std::memcpy(wide.at(0, j), &number, sizeof(number));
      std::memcpy(rounded.at(0, j), &code, sizeof(code));
    }
    for (const bool swap : {false, true}) {
      SCOPED_TRACE(testing::Message() << per_mille << " per mille changed, " << (swap ? "bf16 first" : "float32 first"));
      Codes& base = swap ? rounded : wide;
      Codes& tuned = swap ? wide : rounded;
      const auto expected = reference::diff(1, columns, base.values(), tuned.values(), base.bf16_codes(), tuned.bf16_codes());
      expect_equal(expected, run(own.get(), base.operand(), tuned.operand()), 1, columns, {});
    }
  }
}

// Zeros of opposite signs differ in their bits only, also in groups where many entries differ.
TEST_P(DiffAtLevel, ZerosOfOppositeSignsDoNotChange) {
  const auto own = context();
  for (const auto& [base_dtype, tuned_dtype] : {std::pair(TG_F32, TG_F32),
                                                {TG_F32, TG_BF16},
                                                {TG_BF16, TG_F32},
                                                {TG_F16, TG_F16},
                                                {TG_BF16, TG_BF16},
                                                {TG_F64, TG_F64}}) {
    for (const int64_t zeros : {1, 5, 20, 40, 64}) {
      constexpr int64_t kColumns = 192;
      Codes base(base_dtype, 3, kColumns, 0);
      Codes tuned(tuned_dtype, 3, kColumns, 0);
      const auto put = [](Codes& codes, int64_t i, int64_t j, double value) {
        const auto narrow = static_cast<float>(value);
        // Numbers with few bits, whose F16 codes follow from those of float32.
        uint32_t bits = 0;
        std::memcpy(&bits, &narrow, sizeof(bits));
        const auto bf16 = static_cast<uint16_t>(bits >> 16);
        const auto half = static_cast<uint16_t>((bits >> 16 & 0x8000U) | (value == 0 ? 0 : (bits >> 13) - (112U << 10)));
        const void* from = codes.dtype == TG_F64   ? static_cast<const void*>(&value)
                           : codes.dtype == TG_F32 ? static_cast<const void*>(&narrow)
                           : codes.dtype == TG_F16 ? static_cast<const void*>(&half)
                                                   : static_cast<const void*>(&bf16);
        std::memcpy(codes.at(i, j), from, static_cast<size_t>(reference::bytes_of(codes.dtype)));
      };
      for (int64_t i = 0; i < 3; ++i) {
        for (int64_t j = 0; j < kColumns; ++j) {
          const bool zero = j % 64 < zeros;
          put(base, i, j, zero ? -0.0 : 1.5);
          put(tuned, i, j, zero ? 0.0 : j % 3 == 0 ? 1.5 : -1.75);
        }
      }
      SCOPED_TRACE(testing::Message() << "dtypes " << base_dtype << ", " << tuned_dtype << ", " << zeros << " zeros");
      const auto expected = reference::diff(3, kColumns, base.values(), tuned.values(), base.bf16_codes(), tuned.bf16_codes());
      expect_equal(expected, run(own.get(), base.operand(), tuned.operand()), 3, kColumns, {});
    }
  }
}

// Every bf16 code together with itself, its neighbours, its negative and another code.
TEST_P(DiffAtLevel, AgreesWithTheReferenceOnEveryBf16Code) {
  const auto own = context();
  for (const uint32_t flip : {0x0000U, 0x0001U, 0x8000U, 0x7fffU, 0x0080U, 0x00ffU}) {
    Codes base(TG_BF16, 256, 256, 0);
    Codes tuned(TG_BF16, 256, 256, 0);
    for (uint32_t code = 0; code < 65536; ++code) {
      const auto other = static_cast<uint16_t>(code ^ flip);
      std::memcpy(base.at(code / 256, code % 256), &code, 2);
      std::memcpy(tuned.at(code / 256, code % 256), &other, 2);
    }
    SCOPED_TRACE(flip);
    const auto expected = reference::diff(256, 256, base.values(), tuned.values(), base.bf16_codes(), tuned.bf16_codes());
    expect_equal(expected, run(own.get(), base.operand(), tuned.operand()), 256, 256, {});
  }
}

TEST_P(DiffAtLevel, RoundsFloat32AndFloat64ToBf16OnceAndToEven) {
  const auto own = context();
  // Values around every tie between two bf16 numbers in a binade, around overflow and around the smallest numbers.
  std::vector<double> values;
  for (int mantissa = 128; mantissa < 258; ++mantissa) {
    for (const int exponent : {-140, -133, -126, -7, 0, 120}) {
      const double tie = std::ldexp(mantissa + 0.5, exponent);
      for (const double nudge : {0.0, 0x1p-20, -0x1p-20, 0x1p-45, -0x1p-45}) {
        values.push_back(tie * (1 + nudge));
      }
    }
  }
  for (const tg_dtype dtype : {TG_F32, TG_F64}) {
    const auto n = static_cast<int64_t>(values.size());
    Codes base(dtype, 1, n, 0);
    Codes tuned(TG_BF16, 1, n, 0);
    for (int64_t j = 0; j < n; ++j) {
      const double value = values[static_cast<size_t>(j)];
      const auto narrow = static_cast<float>(value);
      dtype == TG_F64 ? std::memcpy(base.at(0, j), &value, 8) : std::memcpy(base.at(0, j), &narrow, 4);
      const uint16_t code = reference::round_to_bf16(reference::decode(dtype, base.at(0, j)));
      std::memcpy(tuned.at(0, j), &code, 2);
    }
    const Outcome outcome = run(own.get(), base.operand(), tuned.operand());
    EXPECT_EQ(0, outcome.result.changed);
    EXPECT_EQ(0, outcome.result.changed_bits);
    EXPECT_GT(outcome.result.hidden, n / 2);
  }
}

TEST_P(DiffAtLevel, SumsAreTheSameForAnyNumberOfThreads) {
  for (const tg_dtype dtype : {TG_BF16, TG_F32, TG_F64, TG_F8_E4M3}) {
    Codes base(dtype, 700, 1537, 0);
    Codes tuned(dtype, 700, 1537, 0);
    fill(base, tuned, Kind::kSomeChanges, random_);
    Request request;
    request.map_rows = 13;
    request.map_columns = 11;
    const auto one = context(1);
    const Outcome expected = run(one.get(), base.operand(), tuned.operand(), request);
    for (const int threads : {2, 3, 8}) {
      const auto many = context(threads);
      const Outcome actual = run(many.get(), base.operand(), tuned.operand(), request);
      EXPECT_EQ(0, std::memcmp(&expected.result, &actual.result, sizeof(tg_diff_result)));
      EXPECT_EQ(expected.rows, actual.rows);
      EXPECT_EQ(expected.columns, actual.columns);
      EXPECT_EQ(expected.mask, actual.mask);
      EXPECT_EQ(expected.map, actual.map);
    }
  }
}

TEST_P(DiffAtLevel, BlockScalesMultiplyInFloat32AlsoAtRaggedEdges) {
  const auto own = context();
  constexpr int64_t kRows = 37;
  constexpr int64_t kColumns = 150;
  Codes base(TG_F8_E4M3, kRows, kColumns, 0);
  Codes tuned(TG_F8_E4M3, kRows, kColumns, 3);
  Codes scaled_base(TG_F32, kRows, kColumns, 0);
  Codes scaled_tuned(TG_F32, kRows, kColumns, 0);
  fill(base, tuned, Kind::kAnyBits, random_);
  std::vector<float> scales(5 * 3);
  std::uniform_real_distribution<float> uniform(0.5F, 2.0F);
  std::generate(scales.begin(), scales.end(), [&] { return uniform(random_) * 1e-3F; });
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t j = 0; j < kColumns; ++j) {
      const float scale = scales[static_cast<size_t>(i / 8 * 3 + j / 64)];
      for (auto [from, to] : {std::pair(&base, &scaled_base), std::pair(&tuned, &scaled_tuned)}) {
        const float value = static_cast<float>(reference::decode(TG_F8_E4M3, from->at(i, j))) * scale;
        std::memcpy(to->at(i, j), &value, sizeof(value));
      }
    }
  }
  const auto with_scale = [&](Codes& codes) {
    tg_operand operand = codes.operand();
    operand.block_scale = {scales.data(), 5, 3, 3, TG_F32, 0};
    operand.block_rows = 8;
    operand.block_columns = 64;
    return operand;
  };
  const auto expected = reference::diff(kRows, kColumns, scaled_base.values(), scaled_tuned.values(), scaled_base.bf16_codes(),
                                        scaled_tuned.bf16_codes());
  expect_equal(expected, run(own.get(), with_scale(base), with_scale(tuned)), kRows, kColumns, {});
}

// Rows of float8 that are long enough to be squared as integers, with scales whose products are exact, rounded or not normal.
TEST_P(DiffAtLevel, LongRowsOfFloat8HaveTheSquaresOfTheirProducts) {
  SCOPED_TRACE("THREEGATE_TEST_SEED=" + std::to_string(support::seed()));
  const auto own = context();
  constexpr int64_t kRows = 5;
  constexpr int64_t kColumns = 2047;
  for (const tg_dtype dtype : {TG_F8_E4M3, TG_F8_E5M2}) {
    for (const float scale : {1.0F, 0.375F, 0.1F, 0x1p-101F, 0x1.fffffep+99F}) {
      SCOPED_TRACE(testing::Message() << "dtype " << dtype << " scale " << scale);
      Codes base(dtype, kRows, kColumns, 1);
      Codes tuned(dtype, kRows, kColumns, 0);
      Codes scaled_base(TG_F32, kRows, kColumns, 0);
      Codes scaled_tuned(TG_F32, kRows, kColumns, 0);
      for (int64_t i = 0; i < kRows; ++i) {
        for (int64_t j = 0; j < kColumns; ++j) {
          // Every finite code, of which the largest have other tests.
          const auto code = static_cast<uint8_t>((random_() % 2 << 7) + random_() % 0x7c);
          const auto other = static_cast<uint8_t>(random_() % 100 == 0 ? code ^ 1U : code);
          std::memcpy(base.at(i, j), &code, 1);
          std::memcpy(tuned.at(i, j), &other, 1);
          for (auto [from, to] : {std::pair(&base, &scaled_base), std::pair(&tuned, &scaled_tuned)}) {
            const float value = static_cast<float>(reference::decode(dtype, from->at(i, j))) * scale;
            std::memcpy(to->at(i, j), &value, sizeof(value));
          }
        }
      }
      const auto with_scale = [&](Codes& codes) {
        tg_operand operand = codes.operand();
        operand.block_scale = {&scale, 1, 1, 1, TG_F32, 0};
        operand.block_rows = kRows;
        operand.block_columns = kColumns;
        return operand;
      };
      const auto expected = reference::diff(kRows, kColumns, scaled_base.values(), scaled_tuned.values(),
                                            scaled_base.bf16_codes(), scaled_tuned.bf16_codes());
      expect_equal(expected, run(own.get(), with_scale(base), with_scale(tuned)), kRows, kColumns, {});
    }
  }
}

TEST_P(DiffAtLevel, LowRankTermsAreAddedInFloat64) {
  const auto own = context();
  constexpr int64_t kRows = 33;
  constexpr int64_t kColumns = 600;
  constexpr int64_t kRank = 3;
  Codes base(TG_BF16, kRows, kColumns, 0);
  Codes ignored(TG_BF16, kRows, kColumns, 0);
  fill(base, ignored, Kind::kStep, random_);
  std::normal_distribution<float> normal(0.0F, 0.01F);
  std::vector<float> left(kRows * kRank);
  std::vector<float> right(kRank * kColumns);
  std::generate(left.begin(), left.end(), [&] { return normal(random_); });
  std::generate(right.begin(), right.end(), [&] { return normal(random_); });
  const tg_low_rank terms[] = {
      {{left.data(), kRows, kRank, kRank, TG_F32, 0}, {right.data(), kRank, kColumns, kColumns, TG_F32, 0}, 2.0},
      {{left.data(), kRows, 1, kRank, TG_F32, 0}, {right.data(), 1, kColumns, kColumns, TG_F32, 0}, -0.5}};
  tg_operand tuned = base.operand();
  tuned.low_rank = terms;
  tuned.low_rank_count = 2;
  Codes formed(TG_F64, kRows, kColumns, 0);
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t j = 0; j < kColumns; ++j) {
      double value = reference::decode(TG_BF16, base.at(i, j));
      for (int64_t k = 0; k < kRank + 1; ++k) {
        const double scale = k < kRank ? 2.0 : -0.5;
        value += scale * static_cast<double>(left[static_cast<size_t>(i * kRank + k % kRank)]) *
                 static_cast<double>(right[static_cast<size_t>(k % kRank * kColumns + j)]);
      }
      std::memcpy(formed.at(i, j), &value, sizeof(value));
    }
  }
  const Outcome actual = run(own.get(), base.operand(), tuned);
  const Outcome expected = run(own.get(), base.operand(), formed.operand());
  // Fused multiplications may change the last bit of an entry, and thus move a few entries across a boundary.
  EXPECT_EQ(kRows * kColumns, actual.result.changed_stored);
  EXPECT_LE(std::abs(expected.result.changed - actual.result.changed), 2);
  EXPECT_NEAR(expected.result.delta_squares, actual.result.delta_squares, 1e-10 * expected.result.delta_squares);
  EXPECT_GT(actual.result.hidden, 0);
}

TEST_P(DiffAtLevel, EmptyMatricesGiveZeros) {
  const auto own = context(2);
  for (const auto& [m, n] : {std::pair<int64_t, int64_t>{0, 5}, {5, 0}, {0, 0}}) {
    Codes base(TG_BF16, m, n, 0);
    const Outcome outcome = run(own.get(), base.operand(), base.operand());
    EXPECT_EQ(TG_OK, outcome.status);
    EXPECT_EQ(0, outcome.result.total);
    EXPECT_EQ(0.0, outcome.result.max_abs_delta);
    EXPECT_EQ(std::vector<int64_t>(static_cast<size_t>(m)), outcome.rows);
    EXPECT_EQ(std::vector<int64_t>(static_cast<size_t>(n)), outcome.columns);
  }
}

// A copy of a pair in memory where contexts compute, `shift` entries after an aligned address.
struct Resident {
  Resident(Codes& base, Codes& tuned, int64_t stride, int64_t shift)
      : bytes(reference::bytes_of(base.dtype)), side_bytes((base.rows * stride * bytes + 31) / 16 * 16), memory(2 * side_bytes) {
    for (Codes* side : {&base, &tuned}) {
      uint8_t* const to = memory.get() + shift * bytes + (side == &base ? 0 : side_bytes);
      for (int64_t i = 0; i < side->rows; ++i) {
        std::memcpy(to + i * stride * bytes, side->at(i, 0), static_cast<size_t>(side->columns * bytes));
      }
      tg_operand& own = operands[side == &base ? 0 : 1];
      own = side->operand();
      own.values.data = to;
      own.values.row_stride = stride;
    }
  }
  int64_t bytes;
  int64_t side_bytes;
  support::ContextMemory memory;
  tg_operand operands[2]{};
};

// Compares a pair with the reference, from the host and from where contexts compute, with and without the alignment of the widest
// loads.
void expect_reference(tg_context* context, Codes& base, Codes& tuned, const Request& request) {
  const auto expected =
      reference::diff(base.rows, base.columns, base.values(), tuned.values(), base.bf16_codes(), tuned.bf16_codes());
  expect_equal(expected, run(context, base.operand(), tuned.operand(), request), base.rows, base.columns, request);
  const int64_t stride = (base.columns + 15) / 16 * 16;
  for (const auto& [own_stride, shift] : {std::pair<int64_t, int64_t>{stride, 0}, {stride, 1}, {stride + 1, 0}}) {
    SCOPED_TRACE(testing::Message() << "resident, stride " << own_stride << ", shift " << shift);
    const Resident resident(base, tuned, own_stride, shift);
    expect_equal(expected, run(context, resident.operands[0], resident.operands[1], request), base.rows, base.columns, request);
  }
}

// Units of 64 x 256 entries and parts of them, bands of the map of any length, and every share of changes.
TEST(Diff, EveryShareOfChangesInUnitsAndPartsOfThem) {
  SCOPED_TRACE("THREEGATE_TEST_SEED=" + std::to_string(support::seed()));
  std::mt19937_64 random(support::seed());
  const auto own = support::make_context(2);
  for (const tg_dtype dtype : {TG_BF16, TG_F32}) {
    for (const auto& [m, n] : {std::pair<int64_t, int64_t>{64, 256}, {131, 264}, {3, 520}, {66, 8}, {5, 263}}) {
      for (const double share : {0.0, 0.0005, 0.01, 0.1, 1.0}) {
        for (const double special : {0.0, 0.01}) {
          SCOPED_TRACE(testing::Message() << "dtype " << dtype << " shape " << m << " x " << n << " share " << share
                                          << " special " << special);
          Codes base(dtype, m, n, 0);
          Codes tuned(dtype, m, n, 0);
          std::normal_distribution<float> normal(0, 0.02F);
          std::uniform_real_distribution<double> uniform;
          const int32_t bytes = reference::bytes_of(dtype);
          for (int64_t i = 0; i < m; ++i) {
            for (int64_t j = 0; j < n; ++j) {
              const float value = normal(random);
              uint32_t bits = 0;
              std::memcpy(&bits, &value, sizeof(bits));
              uint32_t other = uniform(random) < share ? bits ^ (0x10000U << random() % 3) : bits;
              // Infinities, NaN, the largest numbers, zeros and subnormal numbers, changed or not.
              const uint32_t specials[] = {0x7f800000U, 0xff800000U, 0x7fc00000U, 0xffa10000U, 0x7f7f0000U,
                                           0x00000000U, 0x80000000U, 0x00010000U, 0x807f0000U};
              if (uniform(random) < special) {
                bits = specials[random() % std::size(specials)];
                other = uniform(random) < share ? other : bits;
              }
              if (uniform(random) < special * share) {
                other = specials[random() % std::size(specials)];
              }
              bits >>= 32 - 8 * bytes;
              other >>= 32 - 8 * bytes;
              std::memcpy(base.at(i, j), &bits, static_cast<size_t>(bytes));
              std::memcpy(tuned.at(i, j), &other, static_cast<size_t>(bytes));
            }
          }
          Request request;
          request.map_rows = std::min<int64_t>(m, 9);
          request.map_columns = std::min<int64_t>(n, 5);
          expect_reference(own.get(), base, tuned, request);
          if (HasFailure()) {
            return;
          }
        }
      }
    }
  }
}

// Changes are worked off 32 at a time. Here are as many of them as fill this once or twice, and one more or less, in one place or
// far apart, and the last of them in the last row.
TEST(Diff, NumbersOfChangesAroundAWholeQueue) {
  const auto own = support::make_context();
  constexpr int64_t kRows = 64;
  constexpr int64_t kColumns = 256;
  for (const tg_dtype dtype : {TG_BF16, TG_F32}) {
    const uint32_t one = dtype == TG_BF16 ? 0x3f80U : 0x3f800000U;
    for (const int64_t changes : {1, 31, 32, 33, 63, 64, 65, 95, 97, 1024, 1025}) {
      for (const int64_t apart : {1, 8, 13, 256}) {
        SCOPED_TRACE(testing::Message() << "dtype " << dtype << ", " << changes << " changes, " << apart << " apart");
        Codes base(dtype, kRows, kColumns, 0);
        Codes tuned(dtype, kRows, kColumns, 0);
        for (int64_t i = 0; i < kRows * kColumns; ++i) {
          // Every change is another one, so that none can stand for another.
          const int64_t turn = kRows * kColumns - 1 - i;
          const bool changed = turn % apart == 0 && turn / apart < changes;
          const uint32_t other = changed ? one + static_cast<uint32_t>(1 + turn / apart % 100) : one;
          std::memcpy(base.at(i / kColumns, i % kColumns), &one, static_cast<size_t>(reference::bytes_of(dtype)));
          std::memcpy(tuned.at(i / kColumns, i % kColumns), &other, static_cast<size_t>(reference::bytes_of(dtype)));
        }
        Request request;
        request.map_rows = 7;
        request.map_columns = 3;
        expect_reference(own.get(), base, tuned, request);
        if (HasFailure()) {
          return;
        }
      }
    }
  }
}

// Anonymous memory that is never written takes no memory. A few entries at the far end are set.
TEST(Diff, BeyondTwoToThe31Elements) {
  constexpr int64_t kElements = (int64_t{1} << 31) + 77;
  const support::ZeroPages base(static_cast<size_t>(2 * kElements));
  const support::ZeroPages tuned(static_cast<size_t>(2 * kElements));
  static_cast<uint16_t*>(tuned.data())[kElements - 1] = 0x3f80;
  static_cast<uint16_t*>(tuned.data())[kElements / 2] = 0x3f80;
  const auto own = support::make_context(0);
  tg_operand a{};
  a.size = sizeof(a);
  a.values = {base.data(), 1, kElements, kElements, TG_BF16, 0};
  tg_operand b = a;
  b.values.data = tuned.data();
  const tg_diff_options options{sizeof(tg_diff_options)};
  tg_workspace_size size{sizeof(tg_workspace_size), 0, 0};
  ASSERT_EQ(TG_OK, tg_diff_workspace(own.get(), &a, &b, 1, &options, nullptr, &size));
  const auto host = support::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(tg_workspace), host.get(), size.host_bytes, nullptr, 0};
  tg_diff_result result{};
  result.size = sizeof(result);
  ASSERT_EQ(TG_OK, tg_diff(own.get(), &a, &b, 1, &options, nullptr, &workspace, nullptr, &result));
  EXPECT_EQ(kElements, result.total);
  EXPECT_EQ(2, result.changed);
  EXPECT_EQ(2.0, result.delta_squares);
  // The result is the same for a matrix of few, long rows.
  a.values.rows = b.values.rows = 7;
  a.values.columns = b.values.columns = a.values.row_stride = b.values.row_stride = kElements / 7;
  std::vector<int64_t> rows(7);
  const tg_diff_profiles profiles{sizeof(tg_diff_profiles), rows.data(), nullptr, nullptr, 0, nullptr, 0, 0};
  ASSERT_EQ(TG_OK, tg_diff(own.get(), &a, &b, 1, &options, nullptr, &workspace, &profiles, &result));
  EXPECT_EQ(1, rows[3]);
}

TEST(Diff, CancelledBeforeItBegins) {
  Codes base(TG_BF16, 100, 100, 0);
  const auto own = support::make_context(2);
  tg_control control{sizeof(tg_control), 1, 0, 0, 0};
  Request request;
  request.control = &control;
  EXPECT_EQ(TG_CANCELLED, run(own.get(), base.operand(), base.operand(), request).status);
  control.cancel = 0;
  EXPECT_EQ(TG_OK, run(own.get(), base.operand(), base.operand(), request).status);
  EXPECT_EQ(10000, control.done);
  EXPECT_EQ(10000, control.total);
}

TEST(Diff, OneCallAtATime) {
  constexpr int64_t kElements = int64_t{1} << 30;
  const support::ZeroPages pages(static_cast<size_t>(2 * kElements));
  const auto own = support::make_context(1);
  tg_operand operand{};
  operand.size = sizeof(operand);
  operand.values = {pages.data(), kElements >> 10, 1 << 10, 1 << 10, TG_BF16, 0};
  tg_control control{sizeof(tg_control), 0, 0, 0, 0};
  Request request;
  request.control = &control;
  std::thread other([&] { EXPECT_EQ(TG_CANCELLED, run(own.get(), operand, operand, request).status); });
  while (__atomic_load_n(&control.done, __ATOMIC_RELAXED) == 0) {
    std::this_thread::yield();
  }
  int32_t threads = 0;
  EXPECT_EQ(TG_BUSY, tg_context_threads(own.get(), &threads));
  EXPECT_EQ(TG_BUSY, tg_context_destroy(own.get()));
  __atomic_store_n(&control.cancel, 1, __ATOMIC_RELAXED);
  other.join();
  EXPECT_EQ(TG_OK, tg_context_threads(own.get(), &threads));
}

// Each wrong argument is refused by name before any output is written.
TEST(Diff, RefusesWrongArguments) {
  Codes base(TG_BF16, 4, 6, 0);
  Codes other(TG_BF16, 4, 7, 0);
  const auto own = support::make_context();
  const tg_diff_options options{sizeof(tg_diff_options)};
  tg_workspace_size size{sizeof(tg_workspace_size), 0, 0};
  const auto expect_refused = [&](const tg_operand* a, const tg_operand* b, const tg_diff_profiles* profiles,
                                  const std::string& message) {
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_diff_workspace(own.get(), a, b, 1, &options, profiles, &size));
    EXPECT_EQ(message, support::error_of(own.get()));
  };
  const tg_operand good = base.operand();
  const tg_operand longer = other.operand();
  expect_refused(nullptr, &good, nullptr, "base is NULL; it must point to a struct");
  expect_refused(&good, &longer, nullptr, "tuned is 4 x 7; base is 4 x 6");
  tg_operand bad = good;
  bad.values.dtype = 99;
  expect_refused(&good, &bad, nullptr, "tuned.values.dtype is 99; allowed are TG_F64 (1) to TG_F8_E5M2 (6)");
  bad = good;
  bad.values.rows = -1;
  expect_refused(&bad, &good, nullptr, "base.values.rows is -1; it must not be negative");
  bad = good;
  bad.values.row_stride = 5;
  expect_refused(&bad, &good, nullptr, "base.values.row_stride is 5; it must be at least columns");
  bad = good;
  bad.values.data = nullptr;
  expect_refused(&bad, &good, nullptr, "base.values.data is NULL; a matrix with entries needs data");
  bad = good;
  bad.values.rows = INT64_MAX;
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_diff_workspace(own.get(), &bad, &good, 1, &options, nullptr, &size));
  bad = good;
  bad.low_rank_count = 1;
  expect_refused(&good, &bad, nullptr, "tuned.low_rank is NULL; low_rank_count terms are required");
  bad = good;
  const float scale = 1;
  bad.block_scale = {&scale, 1, 1, 1, TG_F32, 0};
  bad.block_rows = 2;
  bad.block_columns = 6;
  expect_refused(&good, &bad, nullptr, "tuned.block_scale is 1 x 1; it must have one entry per block of values");
  uint64_t word = 0;
  tg_diff_profiles profiles{sizeof(tg_diff_profiles), nullptr, nullptr, &word, 1, nullptr, 0, 0};
  expect_refused(&good, &good, &profiles, "profiles.mask_words is 1; it must be at least 4");
  int64_t cell = 0;
  profiles = {sizeof(tg_diff_profiles), nullptr, nullptr, nullptr, 0, &cell, 5, 1};
  expect_refused(&good, &good, &profiles, "profiles.map_rows is 5; allowed are 1 to the rows of the matrix");
  tg_workspace small{sizeof(tg_workspace), &word, 8, nullptr, 0};
  tg_diff_result result{};
  result.size = sizeof(result);
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_diff(own.get(), &good, &good, 1, &options, nullptr, &small, nullptr, &result));
  EXPECT_EQ(0, result.total);
}

}  // namespace
