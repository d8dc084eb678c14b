#include "rescaling_lanes.h"

namespace threegate::nulls {

void rescaling_first_avx512(const RescalingRow& row, double* weights, double* products, double* coupled, RescalingSums& sums) {
  first_row(row, weights, products, coupled, sums);
}
void rescaling_product_avx512(const RescalingRow& row, const double* x, double row_weight, double* coupled) {
  product_row(row, x, row_weight, coupled);
}
void rescaling_last_avx512(const RescalingRow& row, const RescalingFactors& factors, double* noise, RescalingRest& rest) {
  last_row(row, factors, noise, rest);
}

}  // namespace threegate::nulls
