#include "magnitudes.h"

#include <algorithm>

#include "common/control.h"
#include "cpu/support/operand.h"

namespace threegate::mask {
namespace {

// Calls body(row, column, code) for each entry.
template <typename Body>
void for_codes(const tg_operand& matrix, Body body) {
  double run[kRun];
  const bool plain = matrix.values.dtype == TG_BF16 && is_plain(matrix);
  for (int64_t i = 0; i < matrix.values.rows; ++i) {
    require_not_cancelled();
    for (int64_t j = 0; j < matrix.values.columns; j += kRun) {
      const int64_t count = std::min(kRun, matrix.values.columns - j);
      if (plain) {
        const uint8_t* codes = element_address(matrix.values, i, j);
        for (int64_t k = 0; k < count; ++k) {
          body(i, j + k, bf16_magnitude_code(load<uint16_t>(codes + 2 * k)));
        }
        continue;
      }
      stage_double(matrix, i, j, count, run, convert_f16_plain);
      for (int64_t k = 0; k < count; ++k) {
        body(i, j + k, bf16_magnitude_code(double_to_bf16(run[k])));
      }
    }
  }
}

}  // namespace

void magnitude_histogram(const tg_operand& matrix, const uint64_t* first, const uint64_t* second, const Histogram& histogram) {
  for (int64_t* counts : {histogram.all, histogram.first, histogram.second, histogram.both}) {
    std::fill_n(counts, TG_MAGNITUDE_CODES, int64_t{0});
  }
  const int64_t words = (matrix.values.columns + 63) / 64;
  for_codes(matrix, [&](int64_t row, int64_t column, uint32_t code) {
    const auto a = static_cast<int64_t>(first[row * words + column / 64] >> (column % 64) & 1U);
    const auto b = static_cast<int64_t>(second[row * words + column / 64] >> (column % 64) & 1U);
    ++histogram.all[code];
    histogram.first[code] += a;
    histogram.second[code] += b;
    histogram.both[code] += a & b;
  });
}

void magnitude_profile(const tg_operand& matrix, const double* table, double* row_sums, double* column_sums) {
  std::fill_n(row_sums, matrix.values.rows, 0.0);
  std::fill_n(column_sums, matrix.values.columns, 0.0);
  for_codes(matrix, [&](int64_t row, int64_t column, uint32_t code) {
    row_sums[row] += table[code];
    column_sums[column] += table[code];
  });
}

}  // namespace threegate::mask
