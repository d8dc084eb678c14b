// Matrices whose rows lie more than 2^32 bytes apart. Results are those of the same rows side by side, to the last bit. Zeros
// that nobody writes take no memory.
#include <cmath>
#include <cstring>
#include <optional>
#include <random>

#include "context_memory.h"
#include "support.h"

namespace {

class FarRows : public testing::TestWithParam<tg_dtype> {};
INSTANTIATE_TEST_SUITE_P(Dtypes, FarRows, testing::Values(TG_F64, TG_F32, TG_F16, TG_BF16, TG_F8_E4M3));

int64_t width_of(tg_dtype dtype) { return dtype == TG_F64 ? 8 : dtype == TG_F32 ? 4 : dtype == TG_F8_E4M3 ? 1 : 2; }

using Bytes = std::vector<uint8_t>;

// Numbers of 2^-3 to 2^4 and their negatives. Codes of fewer bits begin like those of more bits.
Bytes entries_of(int64_t count, tg_dtype dtype, std::mt19937_64& random) {
  const auto width = static_cast<size_t>(width_of(dtype));
  Bytes bytes(static_cast<size_t>(count) * width);
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const double value = std::ldexp(1 + static_cast<double>(random() % 8) / 8, static_cast<int>(random() % 8) - 3);
    const auto single = static_cast<float>(random() % 2 == 0 ? value : -value);
    const auto wide = static_cast<double>(single);
    uint32_t bits = 0;
    std::memcpy(&bits, &single, sizeof(bits));
    const uint32_t sign = bits >> 31;
    const uint32_t exponent = (bits >> 23 & 0xffU) - 127;
    uint64_t code = bits;
    if (dtype == TG_F64) {
      std::memcpy(&code, &wide, sizeof(code));
    } else if (dtype == TG_BF16) {
      code = bits >> 16;
    } else if (dtype == TG_F16) {
      code = sign << 15 | (exponent + 15) << 10 | (bits >> 13 & 0x3ffU);
    } else if (dtype == TG_F8_E4M3) {
      code = sign << 7 | (exponent + 7) << 3 | (bits >> 20 & 7U);
    }
    std::memcpy(bytes.data() + i * width, &code, width);
  }
  return bytes;
}

// The rows of a matrix far from each other, in the memory of the contexts or of the host.
class Apart {
 public:
  Apart(const Bytes& bytes, int64_t rows, int64_t columns, tg_dtype dtype, bool in_context) {
    const int64_t row_bytes = columns * width_of(dtype);
    const int64_t all = (rows - 1) * kDistance + row_bytes;
    if (in_context) {
      in_context_.emplace(all);
    } else {
      on_host_.emplace(static_cast<size_t>(all));
    }
    auto* const data = in_context_ ? in_context_->get() : static_cast<uint8_t*>(on_host_->data());
    for (int64_t i = 0; i < rows; ++i) {
      std::memcpy(data + i * kDistance, bytes.data() + i * row_bytes, static_cast<size_t>(row_bytes));
    }
    matrix = {data, rows, columns, kDistance / width_of(dtype), dtype, 0};
  }
  tg_matrix matrix;

 private:
  static constexpr int64_t kDistance = (int64_t{1} << 32) + 64;
  std::optional<support::ContextZeros> in_context_;
  std::optional<support::ZeroPages> on_host_;
};

tg_matrix side_by_side(const Bytes& bytes, int64_t rows, int64_t columns, tg_dtype dtype) {
  return {bytes.data(), rows, columns, columns, dtype, 0};
}

tg_operand operand_of(const tg_matrix& matrix) {
  tg_operand operand{};
  operand.size = sizeof(operand);
  operand.values = matrix;
  return operand;
}

struct Compared {
  tg_diff_result result{};
  std::vector<int64_t> rows;
  std::vector<int64_t> columns;
  std::vector<uint64_t> mask;
};

Compared compare(tg_context* context, const tg_matrix& base, const tg_matrix& tuned) {
  Compared found;
  found.result.size = sizeof(found.result);
  found.rows.resize(static_cast<size_t>(base.rows));
  found.columns.resize(static_cast<size_t>(base.columns));
  found.mask.resize(static_cast<size_t>(base.rows * ((base.columns + 63) / 64)));
  const tg_operand a = operand_of(base);
  const tg_operand b = operand_of(tuned);
  const tg_diff_options options{sizeof(options)};
  const tg_diff_profiles profiles{sizeof(profiles),
                                  found.rows.data(),
                                  found.columns.data(),
                                  found.mask.data(),
                                  static_cast<int64_t>(found.mask.size()),
                                  nullptr,
                                  0,
                                  0};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_diff_workspace(context, &a, &b, 1, &options, &profiles, &size)) << support::error_of(context);
  const auto host = support::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  EXPECT_EQ(TG_OK, tg_diff(context, &a, &b, 1, &options, nullptr, &workspace, &profiles, &found.result))
      << support::error_of(context);
  return found;
}

// Where contexts compute, and on the host if that is another place.
std::vector<bool> places() { return support::tests_device() ? std::vector<bool>{true, false} : std::vector<bool>{true}; }

TEST_P(FarRows, AreCompared) {
  constexpr int64_t kRows = 3;
  constexpr int64_t kColumns = 264;
  std::mt19937_64 random(support::seed());
  const Bytes base = entries_of(kRows * kColumns, GetParam(), random);
  const Bytes other = entries_of(kRows * kColumns, GetParam(), random);
  Bytes tuned = base;
  std::copy(other.begin() + static_cast<std::ptrdiff_t>(other.size() / 2), other.end(),
            tuned.begin() + static_cast<std::ptrdiff_t>(other.size() / 2));
  for (const std::string& level : support::simd_levels()) {
    const auto context = support::make_context(1, level.c_str());
    const Compared expected =
        compare(context.get(), side_by_side(base, kRows, kColumns, GetParam()), side_by_side(tuned, kRows, kColumns, GetParam()));
    EXPECT_LT(0, expected.rows[kRows - 1]);
    for (const bool in_context : places()) {
      const Compared found = compare(context.get(), Apart(base, kRows, kColumns, GetParam(), in_context).matrix,
                                     Apart(tuned, kRows, kColumns, GetParam(), in_context).matrix);
      EXPECT_EQ(0, std::memcmp(&expected.result, &found.result, sizeof(found.result)));
      EXPECT_EQ(expected.rows, found.rows);
      EXPECT_EQ(expected.columns, found.columns);
      EXPECT_EQ(expected.mask, found.mask);
    }
  }
}

struct Scored {
  std::vector<uint64_t> mask;
  std::vector<int64_t> counts;
  std::vector<double> sums;
};

Scored score(tg_context* context, const tg_matrix& matrix) {
  const tg_operand operand = operand_of(matrix);
  tg_mask_scores scores{};
  scores.size = sizeof(scores);
  scores.matrix = &operand;
  const tg_mask_options options{sizeof(options), matrix.rows * matrix.columns / 5, 0, 0};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_mask_select_workspace(context, &scores, &options, &size)) << support::error_of(context);
  const auto host = support::allocate(size.host_bytes + 1);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  Scored found;
  found.mask.resize(static_cast<size_t>(matrix.rows * ((matrix.columns + 63) / 64)));
  EXPECT_EQ(TG_OK, tg_mask_select(context, &scores, &options, nullptr, &workspace, found.mask.data(),
                                  static_cast<int64_t>(found.mask.size())))
      << support::error_of(context);
  found.counts.resize(4 * TG_MAGNITUDE_CODES);
  int64_t* const counts = found.counts.data();
  EXPECT_EQ(TG_OK,
            tg_magnitude_histogram(context, &operand, found.mask.data(), found.mask.data(), counts, counts + TG_MAGNITUDE_CODES,
                                   counts + 2 * TG_MAGNITUDE_CODES, counts + 3 * TG_MAGNITUDE_CODES))
      << support::error_of(context);
  std::vector<double> table(TG_MAGNITUDE_CODES);
  for (size_t code = 0; code < table.size(); ++code) {
    table[code] = static_cast<double>(code);
  }
  found.sums.resize(static_cast<size_t>(matrix.rows + matrix.columns));
  EXPECT_EQ(TG_OK, tg_magnitude_profile(context, &operand, table.data(), found.sums.data(), found.sums.data() + matrix.rows))
      << support::error_of(context);
  return found;
}

TEST_P(FarRows, AreScored) {
  constexpr int64_t kRows = 3;
  constexpr int64_t kColumns = 70;
  std::mt19937_64 random(support::seed());
  const Bytes bytes = entries_of(kRows * kColumns, GetParam(), random);
  const auto context = support::make_context(1);
  const Scored expected = score(context.get(), side_by_side(bytes, kRows, kColumns, GetParam()));
  for (const bool in_context : places()) {
    const Scored found = score(context.get(), Apart(bytes, kRows, kColumns, GetParam(), in_context).matrix);
    EXPECT_EQ(expected.mask, found.mask);
    EXPECT_EQ(expected.counts, found.counts);
    EXPECT_EQ(expected.sums, found.sums);
  }
}

// The slopes along one direction, and the sum of the products of inputs and gradients.
std::vector<double> slopes_and_products(tg_context* context, const tg_matrix& inputs, const tg_matrix& gradients,
                                        const tg_matrix& entries) {
  const tg_layer_samples samples{sizeof(samples), inputs, gradients};
  const tg_operand operand = operand_of(entries);
  const tg_direction direction{sizeof(direction), &operand, nullptr, nullptr, nullptr, 0};
  std::vector<double> found(static_cast<size_t>(inputs.rows + 1 + inputs.columns * gradients.columns));
  double* const square = found.data() + inputs.rows;
  {
    tg_workspace_size size{sizeof(size), 0, 0};
    EXPECT_EQ(TG_OK, tg_layer_slopes_workspace(context, &samples, &direction, 1, &size)) << support::error_of(context);
    const auto host = support::allocate(size.host_bytes + 1);
    const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
    EXPECT_EQ(TG_OK, tg_layer_slopes(context, &samples, &direction, 1, nullptr, &workspace, found.data(), square))
        << support::error_of(context);
  }
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_token_products_workspace(context, &inputs, &gradients, &size)) << support::error_of(context);
  const auto host = support::allocate(size.host_bytes + 1);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  EXPECT_EQ(TG_OK, tg_token_products(context, &inputs, nullptr, &gradients, nullptr, &workspace, square + 1))
      << support::error_of(context);
  return found;
}

TEST_P(FarRows, AreMultiplied) {
  constexpr int64_t kTokens = 3;
  constexpr int64_t kInputs = 40;
  constexpr int64_t kOutputs = 5;
  std::mt19937_64 random(support::seed());
  const tg_dtype dtype = GetParam();
  const Bytes inputs = entries_of(kTokens * kInputs, dtype, random);
  const Bytes gradients = entries_of(kTokens * kOutputs, dtype, random);
  const Bytes direction = entries_of(kOutputs * kInputs, dtype, random);
  const auto context = support::make_context(1);
  const std::vector<double> expected =
      slopes_and_products(context.get(), side_by_side(inputs, kTokens, kInputs, dtype),
                          side_by_side(gradients, kTokens, kOutputs, dtype), side_by_side(direction, kOutputs, kInputs, dtype));
  for (const bool in_context : places()) {
    EXPECT_EQ(expected, slopes_and_products(context.get(), Apart(inputs, kTokens, kInputs, dtype, in_context).matrix,
                                            Apart(gradients, kTokens, kOutputs, dtype, in_context).matrix,
                                            Apart(direction, kOutputs, kInputs, dtype, in_context).matrix));
  }
}

}  // namespace
