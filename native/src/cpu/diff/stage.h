// The entries of an operand that are compared at a time, in the first-level cache. One translation unit per instruction set
// includes this. Everything has internal linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_DIFF_STAGE_H
#define THREEGATE_CPU_DIFF_STAGE_H

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <algorithm>
#include <cstdint>

#include "cpu/support/operand.h"

namespace threegate::diff {
namespace {

inline void convert_f16(const uint8_t* in, int64_t count, float* out) {
  int64_t i = 0;
#if defined(__x86_64__)
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 2 * i))));
  }
#else
  for (; i + 4 <= count; i += 4) {
    vst1q_f32(out + i, vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(in + 2 * i))));
  }
#endif
  for (; i < count; ++i) {
    out[i] = f16_to_float(load<uint16_t>(in + 2 * i));
  }
}

// The run of one operand. `narrow` rounds to the same bf16 as the entry. `wide` holds the entry if float32 cannot.
struct Stage {
  alignas(64) float narrow[kRun];
  alignas(64) double wide[kRun];

  // Reads a run and pads it with zeros to a multiple of some entries.
  template <bool kDouble>
  void read(const tg_operand& operand, int64_t row, int64_t column, int64_t count, int64_t multiple) {
    const int64_t padded = (count + multiple - 1) / multiple * multiple;
    if constexpr (kDouble) {
      stage_double(operand, row, column, count, wide, convert_f16);
      std::fill(wide + count, wide + padded, 0.0);
      for (int64_t i = 0; i < padded; ++i) {
        narrow[i] = double_to_float_odd(wide[i]);
      }
    } else {
      stage_float(operand, row, column, count, narrow, convert_f16);
      std::fill(narrow + count, narrow + padded, 0.0F);
    }
  }
};

}  // namespace
}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_STAGE_H
