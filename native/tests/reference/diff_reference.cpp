#include "diff_reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace reference {
namespace {

struct Format {
  int exponent_bits;
  int mantissa_bits;
  bool finite_only;  // in E4M3 the top exponent has numbers and one NaN
};

double decode_small(const Format& format, uint32_t code) {
  const int total = 1 + format.exponent_bits + format.mantissa_bits;
  const uint32_t mantissa = code & ((1U << format.mantissa_bits) - 1);
  const uint32_t exponent = (code >> format.mantissa_bits) & ((1U << format.exponent_bits) - 1);
  const double sign = (code >> (total - 1) & 1U) != 0 ? -1.0 : 1.0;
  const uint32_t top = (1U << format.exponent_bits) - 1;
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  if (exponent == top && !format.finite_only) {
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == top && mantissa == (1U << format.mantissa_bits) - 1) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) {
    return sign * std::ldexp(static_cast<double>(mantissa), 1 - bias - format.mantissa_bits);
  }
  const double significand = 1.0 + std::ldexp(static_cast<double>(mantissa), -format.mantissa_bits);
  return sign * std::ldexp(significand, static_cast<int>(exponent) - bias);
}

double decode_bf16(uint32_t code) { return decode_small({8, 7, false}, code); }

}  // namespace

int bytes_of(tg_dtype dtype) {
  switch (dtype) {
    case TG_F64:
      return 8;
    case TG_F32:
      return 4;
    case TG_F16:
    case TG_BF16:
      return 2;
    default:
      return 1;
  }
}

double decode(tg_dtype dtype, const unsigned char* bytes) {
  if (dtype == TG_F64) {
    double value = 0;
    std::memcpy(&value, bytes, sizeof(value));
    return value;
  }
  uint32_t code = 0;
  std::memcpy(&code, bytes, static_cast<size_t>(bytes_of(dtype)));
  switch (dtype) {
    case TG_F32:
      return decode_small({8, 23, false}, code);
    case TG_F16:
      return decode_small({5, 10, false}, code);
    case TG_BF16:
      return decode_bf16(code);
    case TG_F8_E4M3:
      return decode_small({4, 3, true}, code);
    default:
      return decode_small({5, 2, false}, code);
  }
}

uint16_t round_to_bf16(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::abs(value);
  if (std::isnan(value)) {
    return 0x7fc0;
  }
  if (std::isinf(value)) {
    return static_cast<uint16_t>(sign | 0x7f80);
  }
  // Finds the largest code whose value is not above. Its upper neighbour may be infinity, which stands for 2^128.
  uint32_t low = 0;
  uint32_t high = 0x7f80;
  while (high - low > 1) {
    const uint32_t middle = (low + high) / 2;
    (decode_bf16(middle) <= magnitude ? low : high) = middle;
  }
  const long double below = decode_bf16(low);
  const long double above = high == 0x7f80 ? 0x1p128L : static_cast<long double>(decode_bf16(high));
  const long double exact = magnitude;
  const bool up = exact - below > above - exact || (exact - below == above - exact && low % 2 == 1);
  return static_cast<uint16_t>(sign | (up ? high : low));
}

Diff diff(int64_t rows, int64_t columns, const std::vector<double>& base, const std::vector<double>& tuned,
          const std::vector<uint16_t>& base_codes, const std::vector<uint16_t>& tuned_codes) {
  Diff result;
  result.total = rows * columns;
  result.row_changed.resize(static_cast<size_t>(rows));
  result.column_changed.resize(static_cast<size_t>(columns));
  result.mask.resize(static_cast<size_t>(rows * columns));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const auto at = static_cast<size_t>(i * columns + j);
      const double a = base[at];
      const double b = tuned[at];
      const bool both_nan = std::isnan(a) && std::isnan(b);
      const bool stored = !both_nan && !(a == b);
      const double ra = decode_bf16(base_codes[at]);
      const double rb = decode_bf16(tuned_codes[at]);
      const bool changed = !both_nan && !(ra == rb);
      result.changed += changed ? 1 : 0;
      result.changed_bits += base_codes[at] != tuned_codes[at] ? 1 : 0;
      result.changed_stored += stored ? 1 : 0;
      result.hidden += stored && !changed ? 1 : 0;
      result.row_changed[static_cast<size_t>(i)] += changed ? 1 : 0;
      result.column_changed[static_cast<size_t>(j)] += changed ? 1 : 0;
      result.mask[at] = changed ? 1 : 0;
      if (!std::isfinite(a) || !std::isfinite(b)) {
        ++result.non_finite;
        continue;
      }
      const double delta = b - a;
      result.base_squares += static_cast<long double>(a) * a;
      result.delta_squares += static_cast<long double>(delta) * delta;
      result.delta_dot_base += static_cast<long double>(delta) * a;
      result.max_abs_delta = std::max(result.max_abs_delta, std::abs(delta));
      result.sign_flips += (a < 0 && b > 0) || (a > 0 && b < 0) ? 1 : 0;
      int exponent = -126;
      if (a != 0) {
        exponent = std::max(std::ilogb(a), -126);
      }
      const long double ulps = std::ldexp(static_cast<long double>(std::abs(delta)), 7 - exponent);
      size_t bin = 0;
      if (ulps > 0) {
        bin = 1;
        for (long double bound = 0.25L; bin < TG_ULP_BINS - 1 && ulps > bound; bound *= 2) {
          ++bin;
        }
      }
      ++result.ulp_histogram[bin];
    }
  }
  return result;
}

}  // namespace reference
