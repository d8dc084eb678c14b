// The arithmetic of finite differences. Every rounding is explicit, so that the bits are the same on the CPU and on a device.
// Everything has internal linkage, for the reason in dtype.h.
#ifndef THREEGATE_COMMON_DIFFERENCE_H
#define THREEGATE_COMMON_DIFFERENCE_H

#include <cmath>

#if defined(__CUDACC__)
#define TG_ANYWHERE __host__ __device__
#else
#define TG_ANYWHERE
#endif

namespace threegate {
namespace {

TG_ANYWHERE inline double displaced_by(double point, double direction, double step) { return fma(step, direction, point); }

// The error of a displaced point after rounding.
TG_ANYWHERE inline double displacement_error(double rounded, double point, double direction, double step) {
  return fma(-step, direction, rounded - point);
}

struct Difference {
  double product;
  double change;
};

// `scale` is 1 / (2 step).
TG_ANYWHERE inline Difference difference_of(double ahead, double behind, double scale) { return {(ahead - behind) * scale, 0}; }

// Richardson extrapolation, (4 narrow - wider) / 3.
TG_ANYWHERE inline Difference extrapolated(Difference narrow, double wider) {
  constexpr double kThird = 1.0 / 3;
  const double apart = narrow.product - wider;
  return {fma(apart, kThird, narrow.product), apart * kThird};
}

}  // namespace
}  // namespace threegate

#endif  // THREEGATE_COMMON_DIFFERENCE_H
