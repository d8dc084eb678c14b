// Arithmetic of matrix units.
#ifndef THREEGATE_HOST_EMULATION_MATRIX_UNIT_H
#define THREEGATE_HOST_EMULATION_MATRIX_UNIT_H

#include <cmath>
#include <cstdint>
#include <cstring>

namespace emulation {

inline float from_bf16(uint16_t code) {
  const uint32_t bits = uint32_t{code} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// Matrix units truncate sums instead of rounding them.
inline float towards_zero(double value) {
  const auto nearest = static_cast<float>(value);
  return std::fabs(static_cast<double>(nearest)) > std::fabs(value) ? std::nextafterf(nearest, 0.0F) : nearest;
}

}  // namespace emulation

#endif  // THREEGATE_HOST_EMULATION_MATRIX_UNIT_H
