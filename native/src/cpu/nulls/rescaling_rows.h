// One row of the sums of a rescaling, for each instruction set. All of them give the same bits.
#ifndef THREEGATE_CPU_NULLS_RESCALING_ROWS_H
#define THREEGATE_CPU_NULLS_RESCALING_ROWS_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::nulls {

struct RescalingRow {
  const tg_operand* base;
  const tg_operand* tuned;
  int64_t row;
  bool all_finite;  // no entry has to be left out
  double* first;    // room for a row
  double* second;   // room for a row
};

// Sums over a row. W is the base, D the update, and Q = W^2.
struct RescalingSums {
  double weights;   // sum of Q
  double products;  // sum of D W
  double squares;   // sum of D^2
  int64_t entries;  // that are finite on both sides
};

// Adds Q to `weights`, D W to `products` and Q * (sum of D W / sum of Q) to `coupled`, by columns.
void rescaling_first(SimdLevel level, const RescalingRow& row, double* weights, double* products, double* coupled,
                     RescalingSums& sums);
// Adds Q * (Q . x) / row_weight to `coupled`, by columns.
void rescaling_product(SimdLevel level, const RescalingRow& row, const double* x, double row_weight, double* coupled);

struct RescalingFactors {
  double row_weight;              // sum of Q over the row
  double row_product;             // sum of D W over the row
  const double* column_factors;   // by columns
  const double* inverse_weights;  // 1 / sum of Q over the column, or 0
  double inverse_total;           // 1 / sum of Q over all entries, or 0
};

struct RescalingRest {
  double row_factor;
  double squares;  // sum of R^2
  double noise;    // sum of Q times the variance of D
};

// Computes the factor of the row and what is left. Adds Q times the variance of D to `noise`, by columns.
void rescaling_last(SimdLevel level, const RescalingRow& row, const RescalingFactors& factors, double* noise,
                    RescalingRest& rest);

#define TG_RESCALING_VARIANT(level)                                                                             \
  void rescaling_first_##level(const RescalingRow& row, double* weights, double* products, double* coupled,     \
                               RescalingSums& sums);                                                            \
  void rescaling_product_##level(const RescalingRow& row, const double* x, double row_weight, double* coupled); \
  void rescaling_last_##level(const RescalingRow& row, const RescalingFactors& factors, double* noise, RescalingRest& rest)
TG_RESCALING_VARIANT(scalar);
TG_RESCALING_VARIANT(avx2);
TG_RESCALING_VARIANT(avx512);
#undef TG_RESCALING_VARIANT

}  // namespace threegate::nulls

#endif  // THREEGATE_CPU_NULLS_RESCALING_ROWS_H
