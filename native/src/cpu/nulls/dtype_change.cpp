#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "cpu/support/operand.h"
#include "rescaling.h"
#include "row_blocks.h"

namespace threegate::nulls {
namespace {

// A binary format: the bits of the fraction, the smallest normal exponent, and the largest finite value.
struct Format {
  int fraction;
  int least_exponent;
  double largest;
};

Format format_of(tg_dtype dtype) {
  switch (dtype) {
    case TG_F32:
      return {23, -126, 0x1.fffffep127};
    case TG_F16:
      return {10, -14, 65504};
    case TG_BF16:
      return {7, -126, 0x1.fep127};
    case TG_F8_E4M3:
      return {3, -6, 448};
    default:
      return {2, -14, 57344};
  }
}

// The spacing of the format at a finite value. For float64's own subnormals it is below every spacing and does not matter.
double spacing(const Format& format, double value) {
  const auto exponent = static_cast<int>(bit_cast<uint64_t>(value) >> 52 & 0x7ffU) - 1023;
  return bit_cast<double>(static_cast<uint64_t>(std::max(exponent, format.least_exponent) - format.fraction + 1023) << 52);
}

// Rounds to nearest, ties to even. Beyond the format it is infinite, which equals no finite value.
double rounded(const Format& format, double value) {
  const double unit = spacing(format, value);
  const double nearest = std::nearbyint(value / unit) * unit;
  return std::abs(nearest) > format.largest ? HUGE_VAL : nearest;
}

}  // namespace

void dtype_change(ThreadPool& pool, const tg_operand& base, const tg_operand& tuned, tg_dtype dtype,
                  tg_dtype_change_result& result) {
  const int64_t columns = base.values.columns;
  const Format format = format_of(dtype);
  const RowBlocks blocks(base.values.rows, columns);
  using Counts = std::array<int64_t, 4>;
  std::vector<Counts> counts(static_cast<size_t>(blocks.count()), Counts{});
  blocks.for_rows(pool, [&](int, int64_t block, int64_t row) {
    double before[kRun];
    double after[kRun];
    Counts& own = counts[static_cast<size_t>(block)];
    for (int64_t column = 0; column < columns; column += kRun) {
      const int64_t count = std::min(kRun, columns - column);
      stage_double(base, row, column, count, before, convert_f16_plain);
      stage_double(tuned, row, column, count, after, convert_f16_plain);
      for (int64_t j = 0; j < count; ++j) {
        const double a = before[j];
        const double b = after[j];
        const bool finite = a * 0 == 0 && b * 0 == 0;
        const double larger = std::max(std::abs(a), std::abs(b));
        own[0] += finite ? 1 : 0;
        own[1] += finite && std::abs(b - a) > spacing(format, larger) / 2 ? 1 : 0;
        own[2] += finite && b != rounded(format, a) ? 1 : 0;
        own[3] += finite && a != rounded(format, b) ? 1 : 0;
      }
    }
  });
  result.entries = result.beyond_half = result.tuned_differs = result.base_differs = 0;
  for (const Counts& own : counts) {
    result.entries += own[0];
    result.beyond_half += own[1];
    result.tuned_differs += own[2];
    result.base_differs += own[3];
  }
}

}  // namespace threegate::nulls
