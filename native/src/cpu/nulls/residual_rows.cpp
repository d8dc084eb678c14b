#include "residual_rows.h"

#include "residual_lanes.h"

namespace threegate::nulls {

void residual_entries_scalar(const ResidualRun& run, double* out) { entries_of_run(run, out); }
void residual_squares_scalar(const ResidualRun& run, double scale, float* out) { squares_of_run(run, scale, out); }
void residual_flipped_scalar(const ResidualRun& run, const uint32_t* signs, tg_dtype dtype, void* out) {
  flipped_run(run, signs, dtype, out);
}

void residual_entries(SimdLevel level, const ResidualRun& run, double* out) {
  TG_LANES_AT_LEVEL(level, residual_entries)(run, out);
}
void residual_squares(SimdLevel level, const ResidualRun& run, double scale, float* out) {
  TG_LANES_AT_LEVEL(level, residual_squares)(run, scale, out);
}
void residual_flipped(SimdLevel level, const ResidualRun& run, const uint32_t* signs, tg_dtype dtype, void* out) {
  TG_LANES_AT_LEVEL(level, residual_flipped)(run, signs, dtype, out);
}

}  // namespace threegate::nulls
