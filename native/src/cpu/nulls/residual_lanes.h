// The arithmetic of residual_rows.h. Everything has internal linkage, for the reason in dtype.h. Loops run over lanes, so that
// compilers vectorise them.
#ifndef THREEGATE_CPU_NULLS_RESIDUAL_LANES_H
#define THREEGATE_CPU_NULLS_RESIDUAL_LANES_H

#include <algorithm>

#include "cpu/support/operand.h"
#include "residual_rows.h"

namespace threegate::nulls {
namespace {

// Reads at most kRun entries.
inline void stage_residual(const ResidualRun& run, double* base, double* out) {
  const tg_residual& residual = *run.residual;
  stage_double(*residual.base, run.row, run.column, run.count, base, convert_f16_plain);
  stage_double(*residual.tuned, run.row, run.column, run.count, out, convert_f16_plain);
  const double factor = residual.common + (residual.row_factors != nullptr ? residual.row_factors[run.row] : 0);
  double factors[kRun];
  if (residual.column_factors != nullptr) {
    for (int64_t i = 0; i < run.count; ++i) {
      factors[i] = factor + residual.column_factors[run.column + i];
    }
  } else {
    std::fill_n(factors, run.count, factor);
  }
  for (int64_t i = 0; i < run.count; ++i) {
    const double rest = out[i] - base[i] - factors[i] * base[i];
    // x * 0 is NaN if x is not finite.
    out[i] = base[i] * 0 + out[i] * 0 == 0 ? rest : 0;
  }
}

// Calls body(part, first entry) for parts of at most kRun entries.
template <typename Body>
void for_parts(const ResidualRun& run, Body body) {
  for (int64_t at = 0; at < run.count; at += kRun) {
    body(ResidualRun{run.residual, run.row, run.column + at, std::min(kRun, run.count - at)}, at);
  }
}

inline void entries_of_run(const ResidualRun& run, double* out) {
  double base[kRun];
  for_parts(run, [&](const ResidualRun& part, int64_t at) { stage_residual(part, base, out + at); });
}

inline void squares_of_run(const ResidualRun& run, double scale, float* out) {
  double base[kRun];
  double rest[kRun];
  for_parts(run, [&](const ResidualRun& part, int64_t at) {
    stage_residual(part, base, rest);
    for (int64_t i = 0; i < part.count; ++i) {
      const auto scaled = static_cast<float>(rest[i] * scale);
      out[at + i] = scaled * scaled;
    }
  });
}

inline void flipped_run(const ResidualRun& run, const uint32_t* signs, tg_dtype dtype, void* out) {
  double base[kRun];
  double rest[kRun];
  stage_residual(run, base, rest);
  for (int64_t i = 0; i < run.count; ++i) {
    const uint64_t sign = static_cast<uint64_t>(signs[i / 32] >> (i % 32) & 1U) << 63;
    base[i] += bit_cast<double>(bit_cast<uint64_t>(rest[i]) ^ sign);
  }
  auto* bytes = static_cast<uint8_t*>(out);
  if (dtype == TG_BF16) {
    for (int64_t i = 0; i < run.count; ++i) {
      const uint16_t code = double_to_bf16(base[i]);
      std::memcpy(bytes + 2 * i, &code, sizeof(code));
    }
  } else {
    for (int64_t i = 0; i < run.count; ++i) {
      const auto value = static_cast<float>(base[i]);
      std::memcpy(bytes + 4 * i, &value, sizeof(value));
    }
  }
}

}  // namespace
}  // namespace threegate::nulls

#endif  // THREEGATE_CPU_NULLS_RESIDUAL_LANES_H
