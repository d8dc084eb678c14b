// Scalar definitions of the floating-point formats, for host and device code. Each conversion to a wider format is exact.
//
// Everything has internal linkage. Translation units for different instruction sets include this header. If the linker merged
// their copies, AVX-512 code could run on a machine without it.
#ifndef THREEGATE_COMMON_DTYPE_H
#define THREEGATE_COMMON_DTYPE_H

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define TG_HOST_DEVICE __host__ __device__
#else
#define TG_HOST_DEVICE
#endif

namespace threegate {
namespace {

template <typename To, typename From>
TG_HOST_DEVICE inline To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From), "bit_cast needs equal sizes");
  To to;
  memcpy(&to, &from, sizeof(To));
  return to;
}

constexpr uint32_t kBf16Magnitude = 0x7fffU;
constexpr uint32_t kBf16Infinity = 0x7f80U;

TG_HOST_DEVICE inline float bf16_to_float(uint16_t code) { return bit_cast<float>(static_cast<uint32_t>(code) << 16); }

// A NaN has the code of the quiet NaN to which it is rounded.
TG_HOST_DEVICE inline uint32_t bf16_magnitude_code(uint16_t code) {
  const uint32_t magnitude = code & kBf16Magnitude;
  return magnitude > kBf16Infinity ? 0x7fc0U : magnitude;
}

// Rounds to nearest, ties to even. Overflow goes to infinity, and every NaN becomes the quiet NaN 0x7fc0.
TG_HOST_DEVICE inline uint16_t float_to_bf16(float value) {
  const auto bits = bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) {
    return 0x7fc0U;
  }
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

// Rounds a double to a float with "round to odd". A second rounding to fewer bits then gives the same result as a single rounding
// (Boldo and Melquiond, "When double rounding is odd", 2005). Infinities and NaN are kept, and a finite value stays finite.
TG_HOST_DEVICE inline float double_to_float_odd(double value) {
  const auto nearest = static_cast<float>(value);
  const double back = nearest;
  if (back == value || value != value) {
    return nearest;
  }
  auto bits = bit_cast<uint32_t>(nearest);
  const double magnitude = value < 0 ? -value : value;
  const double rounded = back < 0 ? -back : back;
  if (rounded > magnitude) {
    --bits;  // towards zero, which also turns an overflow to infinity into the largest finite float
  }
  return bit_cast<float>(bits | 1U);
}

TG_HOST_DEVICE inline uint16_t double_to_bf16(double value) { return float_to_bf16(double_to_float_odd(value)); }

TG_HOST_DEVICE inline float f16_to_float(uint16_t code) {
  const uint32_t sign = static_cast<uint32_t>(code & 0x8000U) << 16;
  const uint32_t exponent = (code >> 10) & 0x1fU;
  const uint32_t mantissa = code & 0x3ffU;
  if (exponent == 0x1fU) {
    return bit_cast<float>(sign | 0x7f800000U | (mantissa << 13));
  }
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return bit_cast<float>(bit_cast<uint32_t>(magnitude) | sign);
  }
  return bit_cast<float>(sign | ((exponent + 112U) << 23) | (mantissa << 13));
}

TG_HOST_DEVICE inline float f8_e4m3_to_float(uint8_t code) {
  const uint32_t sign = static_cast<uint32_t>(code & 0x80U) << 24;
  const uint32_t exponent = (code >> 3) & 0xfU;
  const uint32_t mantissa = code & 0x7U;
  if (exponent == 0xfU && mantissa == 0x7U) {
    return bit_cast<float>(sign | 0x7fc00000U);
  }
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-9F;
    return bit_cast<float>(bit_cast<uint32_t>(magnitude) | sign);
  }
  return bit_cast<float>(sign | ((exponent + 120U) << 23) | (mantissa << 20));
}

TG_HOST_DEVICE inline float f8_e5m2_to_float(uint8_t code) {
  return f16_to_float(static_cast<uint16_t>(static_cast<uint32_t>(code) << 8));
}

// The bin of |delta|, in units of the bf16 spacing at `base`, in tg_diff_result.ulp_histogram. ceil(log2 x) of a double is read
// from its bits: adding all mantissa bits carries into the exponent unless x is a power of two.
TG_HOST_DEVICE inline int ulp_bin(double delta, double base) {
  const uint64_t magnitude = bit_cast<uint64_t>(delta) & 0x7fffffffffffffffULL;
  if (magnitude == 0) {
    return 0;
  }
  const auto ceiling = static_cast<int>((magnitude + 0xfffffffffffffULL) >> 52);
  const auto exponent = static_cast<int>((bit_cast<uint64_t>(base) >> 52) & 0x7ffU);
  const int smallest_normal = 1023 - 126;
  const int power = ceiling - (exponent > smallest_normal ? exponent : smallest_normal) + 7;
  const int bin = power + 3;
  return bin < 1 ? 1 : (bin > 14 ? 14 : bin);
}

}  // namespace
}  // namespace threegate

#endif  // THREEGATE_COMMON_DTYPE_H
