// Reading the entries of a tg_residual, one run of a row at a time. Everything has internal linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_NULLS_RESIDUAL_H
#define THREEGATE_CPU_NULLS_RESIDUAL_H

#include "cpu/support/operand.h"
#include "threegate/threegate.h"

namespace threegate::nulls {
namespace {

// Reads entries of the base to `base` and of the residual to `out`, at most kRun. Entries that are not finite on both sides have
// the residual 0.
inline void stage_residual(const tg_residual& residual, int64_t row, int64_t column, int64_t count, double* base, double* out) {
  stage_double(*residual.base, row, column, count, base, convert_f16_plain);
  stage_double(*residual.tuned, row, column, count, out, convert_f16_plain);
  const double factor = residual.common + (residual.row_factors != nullptr ? residual.row_factors[row] : 0);
  const double* columns = residual.column_factors != nullptr ? residual.column_factors + column : nullptr;
  for (int64_t i = 0; i < count; ++i) {
    const bool finite = base[i] * 0 == 0 && out[i] * 0 == 0;
    const double whole = columns != nullptr ? factor + columns[i] : factor;
    out[i] = finite ? out[i] - base[i] - whole * base[i] : 0;
  }
}

}  // namespace
}  // namespace threegate::nulls

#endif  // THREEGATE_CPU_NULLS_RESIDUAL_H
