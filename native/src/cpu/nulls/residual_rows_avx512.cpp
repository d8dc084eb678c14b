#include "residual_rows.h"

#include "residual_lanes.h"

namespace threegate::nulls {

void residual_entries_avx512(const ResidualRun& run, double* out) { entries_of_run(run, out); }
void residual_squares_avx512(const ResidualRun& run, double scale, float* out) { squares_of_run(run, scale, out); }
void residual_flipped_avx512(const ResidualRun& run, const uint32_t* signs, tg_dtype dtype, void* out) {
  flipped_run(run, signs, dtype, out);
}

}  // namespace threegate::nulls
