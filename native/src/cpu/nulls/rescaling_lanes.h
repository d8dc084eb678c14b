// The arithmetic of rescaling_rows.h. Everything has internal linkage, for the reason in dtype.h. Loops run over lanes, so that
// compilers vectorise them.
#ifndef THREEGATE_CPU_NULLS_RESCALING_LANES_H
#define THREEGATE_CPU_NULLS_RESCALING_LANES_H

#include <algorithm>

#include "common/lanes.h"
#include "cpu/support/operand.h"
#include "rescaling_rows.h"

namespace threegate::nulls {
namespace {

// A variance is divided by 1 - leverage. An entry with more leverage than this fits itself and says nothing about noise.
constexpr double kMostLeverage = 0.99;

inline void read_row(const tg_operand& operand, int64_t row, double* out) {
  const int64_t columns = operand.values.columns;
  for (int64_t j = 0; j < columns; j += kRun) {
    stage_double(operand, row, j, std::min(kRun, columns - j), out + j, convert_f16_plain);
  }
}

// Reads W to row.first and D to row.second. Entries that are not finite on both sides become 0. Returns how many are.
inline int64_t read_update(const RescalingRow& row) {
  const int64_t columns = row.base->values.columns;
  double* w = row.first;
  double* d = row.second;
  read_row(*row.base, row.row, w);
  read_row(*row.tuned, row.row, d);
  if (row.all_finite) {
    for (int64_t j = 0; j < columns; ++j) {
      d[j] -= w[j];
    }
    return columns;
  }
  const double finite = sum_in_lanes(columns, [&](int64_t j) {
    const bool both = w[j] * 0 == 0 && d[j] * 0 == 0;
    d[j] = both ? d[j] - w[j] : 0;
    w[j] = both ? w[j] : 0;
    return both ? 1.0 : 0.0;
  });
  return static_cast<int64_t>(finite);
}

inline double quotient(double a, double b) { return b > 0 ? a / b : 0; }

inline void first_row(const RescalingRow& row, double* weights, double* products, double* coupled, RescalingSums& sums) {
  const int64_t columns = row.base->values.columns;
  const double* w = row.first;
  const double* d = row.second;
  sums.entries = read_update(row);
  sums.weights = sum_in_lanes(columns, [&](int64_t j) { return w[j] * w[j]; });
  sums.products = sum_in_lanes(columns, [&](int64_t j) { return d[j] * w[j]; });
  sums.squares = sum_in_lanes(columns, [&](int64_t j) { return d[j] * d[j]; });
  const double factor = quotient(sums.products, sums.weights);
  for (int64_t j = 0; j < columns; ++j) {
    const double q = w[j] * w[j];
    weights[j] += q;
    products[j] += d[j] * w[j];
    coupled[j] += q * factor;
  }
}

inline void product_row(const RescalingRow& row, const double* x, double row_weight, double* coupled) {
  const int64_t columns = row.base->values.columns;
  const double* w = row.first;
  if (row.all_finite) {
    read_row(*row.base, row.row, row.first);
  } else {
    read_update(row);
  }
  const double factor = quotient(sum_in_lanes(columns, [&](int64_t j) { return w[j] * w[j] * x[j]; }), row_weight);
  for (int64_t j = 0; j < columns; ++j) {
    coupled[j] += w[j] * w[j] * factor;
  }
}

inline void last_row(const RescalingRow& row, const RescalingFactors& factors, double* noise, RescalingRest& rest) {
  const int64_t columns = row.base->values.columns;
  double* w = row.first;
  double* d = row.second;
  const double* b = factors.column_factors;
  read_update(row);
  const double coupled = sum_in_lanes(columns, [&](int64_t j) { return w[j] * w[j] * b[j]; });
  const double a = quotient(factors.row_product - coupled, factors.row_weight);
  const double inverse = quotient(1, factors.row_weight);
  rest.row_factor = a;
  for (int64_t j = 0; j < columns; ++j) {
    const double q = w[j] * w[j];
    const double r = d[j] - (a + b[j]) * w[j];
    const double leverage = q * (inverse + factors.inverse_weights[j] - factors.inverse_total);
    d[j] = r;
    w[j] = q * r * r / (1 - (leverage < kMostLeverage ? leverage : kMostLeverage));
  }
  rest.squares = sum_in_lanes(columns, [&](int64_t j) { return d[j] * d[j]; });
  rest.noise = sum_in_lanes(columns, [&](int64_t j) { return w[j]; });
  for (int64_t j = 0; j < columns; ++j) {
    noise[j] += w[j];
  }
}

}  // namespace
}  // namespace threegate::nulls

#endif  // THREEGATE_CPU_NULLS_RESCALING_LANES_H
