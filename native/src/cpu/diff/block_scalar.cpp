// The scalar implementation, for every dtype and operand and for entries that are not finite. The other implementations are
// tested against it.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "block.h"
#include "column_counts.h"
#include "cpu/support/operand.h"

namespace threegate::diff {
namespace {

struct Verdict {
  bool changed;
  bool changed_bits;
  bool changed_stored;
};

Verdict judge(double base, double tuned, uint16_t base_code, uint16_t tuned_code) {
  const bool both_nan = std::isnan(base) && std::isnan(tuned);
  const bool both_zero = ((base_code | tuned_code) & kBf16Magnitude) == 0;
  const bool bits = base_code != tuned_code;
  return {bits && !both_zero && !both_nan, bits, base != tuned && !both_nan};
}

class RowReader {
 public:
  explicit RowReader(const tg_operand& operand) : operand_(operand), is_double_(is_double(operand)) {}

  void read(int64_t row, int64_t column, int64_t count) {
    if (is_double_) {
      stage_double(operand_, row, column, count, values_, convert_f16_plain);
      for (int64_t i = 0; i < count; ++i) {
        codes_[i] = double_to_bf16(values_[i]);
      }
      return;
    }
    float narrow[kRun];
    stage_float(operand_, row, column, count, narrow, convert_f16_plain);
    for (int64_t i = 0; i < count; ++i) {
      values_[i] = narrow[i];
      codes_[i] = float_to_bf16(narrow[i]);
    }
    if (operand_.values.dtype == TG_BF16 && is_plain(operand_)) {
      std::memcpy(codes_, element_address(operand_.values, row, column), static_cast<size_t>(count) * 2);
    }
  }
  [[nodiscard]] double value(int64_t i) const { return values_[i]; }
  [[nodiscard]] uint16_t code(int64_t i) const { return codes_[i]; }

 private:
  const tg_operand& operand_;
  bool is_double_;
  double values_[kRun] = {};
  uint16_t codes_[kRun] = {};
};

}  // namespace

void BlockResult::clear(int64_t rows, int64_t columns) {
  changed = changed_bits = changed_stored = hidden = non_finite = sign_flips = 0;
  std::fill(std::begin(ulp_histogram), std::end(ulp_histogram), int64_t{0});
  base_squares = delta_squares = delta_dot_base = max_abs_delta = 0;
  std::fill_n(row_changed, rows, 0U);
  std::fill_n(column_changed, columns + 64, uint16_t{0});
}

bool block_scalar(const BlockInput& input, BlockResult& result) {
  result.clear(input.rows, input.columns);
  RowReader base(*input.base.operand);
  RowReader tuned(*input.tuned.operand);
  for (int64_t i = 0; i < input.rows; ++i) {
    const int64_t row = input.row + i;
    for (int64_t begin = 0; begin < input.columns; begin += kRun) {
      const int64_t count = std::min(kRun, input.columns - begin);
      base.read(input.base.row + i, input.base.column + begin, count);
      tuned.read(input.tuned.row + i, input.tuned.column + begin, count);
      uint64_t word = 0;
      for (int64_t j = 0; j < count; ++j) {
        const double a = base.value(j);
        const double b = tuned.value(j);
        const Verdict verdict = judge(a, b, base.code(j), tuned.code(j));
        result.changed += verdict.changed;
        result.changed_bits += verdict.changed_bits;
        result.changed_stored += verdict.changed_stored;
        result.hidden += verdict.changed_stored && !verdict.changed;
        result.row_changed[i] += verdict.changed;
        result.column_changed[begin + j] = static_cast<uint16_t>(result.column_changed[begin + j] + verdict.changed);
        word |= static_cast<uint64_t>(verdict.changed) << (j % 64);
        if (input.mask != nullptr && (j % 64 == 63 || j == count - 1)) {
          input.mask[row * input.mask_stride + (input.column + begin + j) / 64] = word;
          word = 0;
        }
        if (!std::isfinite(a) || !std::isfinite(b)) {
          ++result.non_finite;
          continue;
        }
        const double delta = b - a;
        result.base_squares += a * a;
        result.delta_squares += delta * delta;
        result.delta_dot_base += delta * a;
        result.max_abs_delta = std::max(result.max_abs_delta, std::abs(delta));
        result.sign_flips += (a < 0 && b > 0) || (a > 0 && b < 0);
        const int bin = ulp_bin(delta, a);
        result.ulp_histogram[bin] += bin != 0;
      }
    }
  }
  return true;
}

const ColumnCounts kColumnCounts_scalar = kOwnColumnCounts;

}  // namespace threegate::diff
