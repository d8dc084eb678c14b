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
#include <type_traits>

#include "cpu/support/operand.h"

namespace threegate::diff {
namespace {

constexpr int64_t kStageGroup = 64;  // a run is padded with zeros to a multiple of these
constexpr int64_t kStageStep = 16;   // codes that are converted at a time

// Sixteen codes of a dtype as floats. Every conversion is exact, as those of dtype.h are.
#if defined(__x86_64__)
inline void convert_bf16_step(const uint8_t* in, float* out) {
  for (int64_t k = 0; k < 2; ++k) {
    const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 16 * k));
    const __m256i bits = _mm256_slli_epi32(_mm256_cvtepu16_epi32(codes), 16);
    _mm256_storeu_ps(out + 8 * k, _mm256_castsi256_ps(bits));
  }
}
inline void convert_f16_step(const uint8_t* in, float* out) {
  for (int64_t k = 0; k < 2; ++k) {
    _mm256_storeu_ps(out + 8 * k, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 16 * k))));
  }
}
// An E4M3 code is the F16 code of its number / 256, but for NaN.
inline void convert_e4m3_step(const uint8_t* in, float* out) {
  const __m256i codes = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in)));
  const __m256i spread = _mm256_srai_epi16(_mm256_slli_epi16(codes, 8), 1);  // the sign twice
  const __m256i halves = _mm256_and_si256(spread, _mm256_set1_epi16(static_cast<int16_t>(0xbfff)));
  const __m256i is_nan = _mm256_cmpeq_epi16(_mm256_and_si256(halves, _mm256_set1_epi16(0x7fff)), _mm256_set1_epi16(0x3f80));
  const __m256i all = _mm256_or_si256(halves, _mm256_and_si256(is_nan, _mm256_set1_epi16(0x7e00)));
  const __m256 factor = _mm256_set1_ps(256);
  _mm256_storeu_ps(out, _mm256_mul_ps(_mm256_cvtph_ps(_mm256_castsi256_si128(all)), factor));
  _mm256_storeu_ps(out + 8, _mm256_mul_ps(_mm256_cvtph_ps(_mm256_extracti128_si256(all, 1)), factor));
}
inline void convert_e5m2_step(const uint8_t* in, float* out) {
  const __m256i codes = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in)));
  const __m256i halves = _mm256_slli_epi16(codes, 8);
  _mm256_storeu_ps(out, _mm256_cvtph_ps(_mm256_castsi256_si128(halves)));
  _mm256_storeu_ps(out + 8, _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1)));
}
#elif defined(__aarch64__)
inline void convert_bf16_step(const uint8_t* in, float* out) {
  for (int64_t k = 0; k < 2; ++k) {
    const uint16x8_t codes = vreinterpretq_u16_u8(vld1q_u8(in + 16 * k));
    vst1q_f32(out + 8 * k, vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(codes), 16)));
    vst1q_f32(out + 8 * k + 4, vreinterpretq_f32_u32(vshll_high_n_u16(codes, 16)));
  }
}
inline void convert_halves(uint16x8_t halves, float factor, float* out) {
  vst1q_f32(out, vmulq_n_f32(vcvt_f32_f16(vget_low_f16(vreinterpretq_f16_u16(halves))), factor));
  vst1q_f32(out + 4, vmulq_n_f32(vcvt_high_f32_f16(vreinterpretq_f16_u16(halves)), factor));
}
inline void convert_f16_step(const uint8_t* in, float* out) {
  convert_halves(vreinterpretq_u16_u8(vld1q_u8(in)), 1, out);
  convert_halves(vreinterpretq_u16_u8(vld1q_u8(in + 16)), 1, out + 8);
}
// An E4M3 code is the F16 code of its number / 256, but for NaN.
inline void convert_e4m3_step(const uint8_t* in, float* out) {
  for (int64_t k = 0; k < 2; ++k) {
    const int16x8_t codes = vreinterpretq_s16_u16(vshll_n_u8(vld1_u8(in + 8 * k), 8));
    const uint16x8_t halves = vandq_u16(vreinterpretq_u16_s16(vshrq_n_s16(codes, 1)), vdupq_n_u16(0xbfff));
    const uint16x8_t is_nan = vceqq_u16(vandq_u16(halves, vdupq_n_u16(0x7fff)), vdupq_n_u16(0x3f80));
    convert_halves(vorrq_u16(halves, vandq_u16(is_nan, vdupq_n_u16(0x7e00))), 256, out + 8 * k);
  }
}
inline void convert_e5m2_step(const uint8_t* in, float* out) {
  for (int64_t k = 0; k < 2; ++k) {
    convert_halves(vshll_n_u8(vld1_u8(in + 8 * k), 8), 1, out + 8 * k);
  }
}
#endif

// Converts `count` codes of `kBytes` bytes. Up to 15 entries beyond them are written.
template <int64_t kBytes, typename Step>
[[gnu::always_inline]] inline void convert_run(const uint8_t* in, int64_t count, float* out, Step step) {
  int64_t i = 0;
  for (; i + kStageStep <= count; i += kStageStep) {
    step(in + kBytes * i, out + i);
  }
  if (i < count) {
    uint8_t rest[static_cast<size_t>(kBytes * kStageStep)] = {};
    std::memcpy(rest, in + kBytes * i, static_cast<size_t>(kBytes * (count - i)));
    step(rest, out + i);
  }
}

inline void convert_f16(const uint8_t* in, int64_t count, float* out) { convert_run<2>(in, count, out, convert_f16_step); }

// Reads a run as float32. It is exact unless is_double(). Up to 15 entries beyond it are written.
inline void stage_fast(const tg_operand& operand, int64_t row, int64_t column, int64_t count, float* out) {
  const uint8_t* in = element_address(operand.values, row, column);
  switch (operand.values.dtype) {
    case TG_F32:
      std::memcpy(out, in, static_cast<size_t>(count) * sizeof(float));
      break;
    case TG_BF16:
      convert_run<2>(in, count, out, convert_bf16_step);
      break;
    case TG_F16:
      convert_run<2>(in, count, out, convert_f16_step);
      break;
    case TG_F8_E4M3:
      convert_run<1>(in, count, out, convert_e4m3_step);
      break;
    default:
      convert_run<1>(in, count, out, convert_e5m2_step);
      break;
  }
  if (operand.block_scale.data != nullptr) {
    apply_block_scale(operand, row, column, count, out);
  }
}

// A run of one operand, as float or double.
template <typename V>
class Stage {
 public:
  // Returns the address of the entries of a run, of any alignment, with zeros after them up to a multiple of kStageGroup. It is
  // that of the operand itself where nothing needs to be computed.
  const uint8_t* read(const tg_operand& operand, int64_t row, int64_t column, int64_t count) {
    constexpr tg_dtype kOwn = std::is_same_v<V, double> ? TG_F64 : TG_F32;
    if (operand.values.dtype == kOwn && is_plain(operand) && count % kStageGroup == 0) {
      return element_address(operand.values, row, column);
    }
    if constexpr (std::is_same_v<V, double>) {
      if (is_double(operand)) {
        stage_double(operand, row, column, count, values_, convert_f16_plain);
      } else {
        alignas(64) float narrow[kRun];
        stage_fast(operand, row, column, count, narrow);
        std::copy_n(narrow, count, values_);
      }
    } else {
      stage_fast(operand, row, column, count, values_);
    }
    std::fill(values_ + count, values_ + (count + kStageGroup - 1) / kStageGroup * kStageGroup, V{0});
    return reinterpret_cast<const uint8_t*>(values_);
  }

 private:
  alignas(64) V values_[kRun];
};

}  // namespace
}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_STAGE_H
