// Reading the entries of a tg_residual, for each instruction set. All of them give the same bits.
#ifndef THREEGATE_CPU_NULLS_RESIDUAL_ROWS_H
#define THREEGATE_CPU_NULLS_RESIDUAL_ROWS_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::nulls {

// A part of a row.
struct ResidualRun {
  const tg_residual* residual;
  int64_t row;
  int64_t column;
  int64_t count;
};

// Writes the entries of the residual. Those that are not finite on both sides are 0.
void residual_entries(SimdLevel level, const ResidualRun& run, double* out);

// Writes the squares of the entries times `scale`, in float32.
void residual_squares(SimdLevel level, const ResidualRun& run, double scale, float* out);

// Writes base + the residual, where entry i changes its sign if bit i mod 32 of signs[i / 32] is 1. The run has at most kRun
// entries. `out` is of the given dtype, TG_F32 or TG_BF16.
void residual_flipped(SimdLevel level, const ResidualRun& run, const uint32_t* signs, tg_dtype dtype, void* out);

#define TG_RESIDUAL_VARIANT(level)                                                 \
  void residual_entries_##level(const ResidualRun& run, double* out);              \
  void residual_squares_##level(const ResidualRun& run, double scale, float* out); \
  void residual_flipped_##level(const ResidualRun& run, const uint32_t* signs, tg_dtype dtype, void* out)
TG_RESIDUAL_VARIANT(scalar);
TG_RESIDUAL_VARIANT(avx2);
TG_RESIDUAL_VARIANT(avx512);
#undef TG_RESIDUAL_VARIANT

}  // namespace threegate::nulls

#endif  // THREEGATE_CPU_NULLS_RESIDUAL_ROWS_H
