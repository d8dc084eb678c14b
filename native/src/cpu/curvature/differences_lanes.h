// The loops of differences.h, compiled for each instruction set. Everything has internal linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_CURVATURE_DIFFERENCES_LANES_H
#define THREEGATE_CPU_CURVATURE_DIFFERENCES_LANES_H

#include <cstring>

#include "common/difference.h"
#include "differences.h"

namespace threegate::curvature {
namespace {

constexpr int64_t kTogether = 16;

template <typename T>
struct Numbers {
  T at[kTogether];
};
using Lanes = Numbers<double>;

// The address may have any alignment.
template <typename T>
Numbers<T> load(const void* from, int64_t at, int64_t count) {
  Numbers<T> numbers{};
  std::memcpy(&numbers.at[0], static_cast<const T*>(from) + at, static_cast<size_t>(count) * sizeof(T));
  return numbers;
}

template <typename T>
void store(const Numbers<T>& numbers, void* to, int64_t at, int64_t count) {
  std::memcpy(static_cast<T*>(to) + at, &numbers.at[0], static_cast<size_t>(count) * sizeof(T));
}

inline double folded(Lanes lanes) {
  for (int64_t width = kTogether / 2; width > 0; width /= 2) {
    for (int64_t lane = 0; lane < width; ++lane) {
      lanes.at[lane] += lanes.at[lane + width];
    }
  }
  return lanes.at[0];
}

// Calls body(at, how many). `how many` is a constant for all calls but the last.
template <typename Body>
void in_lanes(int64_t begin, int64_t end, Body body) {
  for (; begin + kTogether <= end; begin += kTogether) {
    body(begin, kTogether);
  }
  if (begin < end) {
    body(begin, end - begin);
  }
}

template <typename T>
double displace_lanes(const tg_displacement& displacement, int64_t begin, int64_t end, void* displaced) {
  Lanes sums{};
  const double step = displacement.step;
  in_lanes(begin, end, [&](int64_t at, int64_t count) {
    const auto point = load<T>(displacement.point, at, count);
    const auto direction = load<T>(displacement.direction, at, count);
    Numbers<T> rounded{};
    for (int64_t lane = 0; lane < kTogether; ++lane) {
      const auto x = static_cast<double>(point.at[lane]);
      const auto v = static_cast<double>(direction.at[lane]);
      rounded.at[lane] = static_cast<T>(displaced_by(x, v, step));
      const double error = displacement_error(static_cast<double>(rounded.at[lane]), x, v, step);
      sums.at[lane] = std::fma(error, error, sums.at[lane]);
    }
    store(rounded, displaced, at, count);
  });
  return folded(sums);
}

template <typename T, bool kExtrapolates>
tg_difference_sums difference_lanes(const tg_gradient_difference& difference, int64_t begin, int64_t end, void* product) {
  Lanes of_ahead{};
  Lanes of_behind{};
  Lanes of_change{};
  Lanes along{};
  const double scale = 1 / (2 * difference.step);
  in_lanes(begin, end, [&](int64_t at, int64_t count) {
    const auto ahead = load<T>(difference.ahead, at, count);
    const auto behind = load<T>(difference.behind, at, count);
    const auto wider = kExtrapolates ? load<T>(difference.wider, at, count) : Numbers<T>{};
    const auto direction = load<T>(difference.direction, at, count);
    Numbers<T> rounded{};
    for (int64_t lane = 0; lane < kTogether; ++lane) {
      const auto a = static_cast<double>(ahead.at[lane]);
      const auto b = static_cast<double>(behind.at[lane]);
      Difference found = difference_of(a, b, scale);
      if constexpr (kExtrapolates) {
        found = extrapolated(found, static_cast<double>(wider.at[lane]));
        of_change.at[lane] = std::fma(found.change, found.change, of_change.at[lane]);
      }
      rounded.at[lane] = static_cast<T>(found.product);
      of_ahead.at[lane] = std::fma(a, a, of_ahead.at[lane]);
      of_behind.at[lane] = std::fma(b, b, of_behind.at[lane]);
      along.at[lane] = std::fma(found.product, static_cast<double>(direction.at[lane]), along.at[lane]);
    }
    store(rounded, product, at, count);
  });
  return {sizeof(tg_difference_sums), folded(of_ahead), folded(of_behind), folded(of_change), folded(along)};
}

inline double displace_range(const tg_displacement& displacement, int64_t begin, int64_t end, void* displaced) {
  return displacement.dtype == TG_F32 ? displace_lanes<float>(displacement, begin, end, displaced)
                                      : displace_lanes<double>(displacement, begin, end, displaced);
}

inline tg_difference_sums difference_range(const tg_gradient_difference& difference, int64_t begin, int64_t end, void* product) {
  const bool extrapolates = difference.wider != nullptr;
  if (difference.dtype == TG_F32) {
    return extrapolates ? difference_lanes<float, true>(difference, begin, end, product)
                        : difference_lanes<float, false>(difference, begin, end, product);
  }
  return extrapolates ? difference_lanes<double, true>(difference, begin, end, product)
                      : difference_lanes<double, false>(difference, begin, end, product);
}

}  // namespace
}  // namespace threegate::curvature

#endif  // THREEGATE_CPU_CURVATURE_DIFFERENCES_LANES_H
