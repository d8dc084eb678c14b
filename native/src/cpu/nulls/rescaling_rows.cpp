#include "rescaling_lanes.h"

namespace threegate::nulls {

void rescaling_first_scalar(const RescalingRow& row, double* weights, double* products, double* coupled, RescalingSums& sums) {
  first_row(row, weights, products, coupled, sums);
}
void rescaling_product_scalar(const RescalingRow& row, const double* x, double row_weight, double* coupled) {
  product_row(row, x, row_weight, coupled);
}
void rescaling_last_scalar(const RescalingRow& row, const RescalingFactors& factors, double* noise, RescalingRest& rest) {
  last_row(row, factors, noise, rest);
}

void rescaling_first(SimdLevel level, const RescalingRow& row, double* weights, double* products, double* coupled,
                     RescalingSums& sums) {
  TG_LANES_AT_LEVEL(level, rescaling_first)(row, weights, products, coupled, sums);
}
void rescaling_product(SimdLevel level, const RescalingRow& row, const double* x, double row_weight, double* coupled) {
  TG_LANES_AT_LEVEL(level, rescaling_product)(row, x, row_weight, coupled);
}
void rescaling_last(SimdLevel level, const RescalingRow& row, const RescalingFactors& factors, double* noise,
                    RescalingRest& rest) {
  TG_LANES_AT_LEVEL(level, rescaling_last)(row, factors, noise, rest);
}

}  // namespace threegate::nulls
