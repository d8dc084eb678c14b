// The arithmetic of tridiagonal.h. Everything has internal linkage, for the reason in dtype.h. All instruction sets give the same
// bits: each works on as many vectors as its width needs.
#ifndef THREEGATE_CPU_SVD_TRIDIAGONAL_LANES_H
#define THREEGATE_CPU_SVD_TRIDIAGONAL_LANES_H

#include <cmath>
#include <cstring>

#include "tridiagonal.h"

namespace threegate::svd {
namespace {

constexpr int64_t kLanes = kTridiagonalLanes;
#if defined(__AVX512F__)
constexpr int64_t kWidth = 8;
#elif defined(__AVX__)
constexpr int64_t kWidth = 4;
#else
constexpr int64_t kWidth = 2;
#endif
constexpr int64_t kVectors = kLanes / kWidth;  // independent of each other, because divisions take long
constexpr double kVanishing = 1e-140;          // smaller entries of a vector become zero. Their squares would be subnormal

using Vector [[gnu::vector_size(kWidth * sizeof(double))]] = double;
using Bits [[gnu::vector_size(kWidth * sizeof(double))]] = int64_t;

[[gnu::always_inline]] inline Vector load(const double* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}

[[gnu::always_inline]] inline void store(double* to, Vector vector) { std::memcpy(to, &vector, sizeof(vector)); }
[[gnu::always_inline]] inline Vector all(double value) { return Vector{} + value; }
[[gnu::always_inline]] inline Vector magnitude(Vector vector) {
  return reinterpret_cast<Vector>(reinterpret_cast<Bits>(vector) & INT64_MAX);
}

[[gnu::always_inline]] inline Vector pivot(Vector value, double smallest) {
  return magnitude(value) < smallest ? all(-smallest) : value;
}

// The number of negative pivots of T - x is that of the eigenvalues below x (Sturm). A pivot of zero makes the next one infinite,
// which is right (Demmel, Dhillon and Ren, 1995). Squares are never zero.
inline void bisect(TridiagonalLanes& lanes, int steps) {
  for (int step = 0; step < steps; ++step) {
    Vector x[kVectors];
    Vector pivots[kVectors];
    Vector below[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) {
      x[v] = (load(lanes.low + v * kWidth) + load(lanes.high + v * kWidth)) / 2;
      pivots[v] = lanes.diagonal[0] - x[v];
      below[v] = pivots[v] < 0 ? all(1) : all(0);
    }
    for (int64_t i = 1; i < lanes.order; ++i) {
      for (int64_t v = 0; v < kVectors; ++v) {
        pivots[v] = (lanes.diagonal[i] - x[v]) - lanes.squares[i - 1] / pivots[v];
        below[v] += pivots[v] < 0 ? all(1) : all(0);
      }
    }
    for (int64_t v = 0; v < kVectors; ++v) {
      const auto low = load(lanes.low + v * kWidth);
      const auto high = load(lanes.high + v * kWidth);
      const auto above = below[v] <= load(lanes.index + v * kWidth);  // the value is not below x
      store(lanes.low + v * kWidth, above ? x[v] : low);
      store(lanes.high + v * kWidth, above ? high : x[v]);
    }
  }
}

// Factorises T - value from both ends. Where the two meet with the smallest pivot, the vector has a large entry, and the others
// follow from it in both directions.
[[gnu::always_inline]] inline void twist(TridiagonalLanes& lanes, int64_t first) {
  const int64_t last = lanes.order - 1;
  const double smallest = lanes.smallest;
  double* forward = lanes.forward + first;
  double* backward = lanes.backward + first;
  const Vector x = load(lanes.value + first);
  Vector pivots = pivot(lanes.diagonal[0] - x, smallest);
  store(forward, pivots);
  for (int64_t i = 1; i <= last; ++i) {
    pivots = pivot((lanes.diagonal[i] - x) - lanes.squares[i - 1] / pivots, smallest);
    store(forward + i * kLanes, pivots);
  }
  Vector twisted = pivots;
  Vector at = all(static_cast<double>(last));
  pivots = pivot(lanes.diagonal[last] - x, smallest);
  store(backward + last * kLanes, pivots);
  for (int64_t i = last - 1; i >= 0; --i) {
    const Vector correction = lanes.squares[i] / pivots;
    const Vector meeting = load(forward + i * kLanes) - correction;
    pivots = pivot((lanes.diagonal[i] - x) - correction, smallest);
    store(backward + i * kLanes, pivots);
    const auto better = magnitude(meeting) < magnitude(twisted);
    twisted = better ? meeting : twisted;
    at = better ? all(static_cast<double>(i)) : at;
  }
  // The entries below the twist.
  Vector entry = at == 0 ? all(1) : all(0);
  Vector squares = all(0);
  for (int64_t i = 1; i <= last; ++i) {
    const Vector place = all(static_cast<double>(i));
    entry = -(lanes.off_diagonal[i - 1] / load(backward + i * kLanes)) * entry;
    entry = place == at ? all(1) : magnitude(entry) < kVanishing ? all(0) : entry;
    squares += place > at ? entry * entry : all(0);
    store(backward + i * kLanes, entry);
  }
  // The twist and the entries above it.
  entry = all(0);
  for (int64_t i = last; i >= 0; --i) {
    const Vector place = all(static_cast<double>(i));
    entry = -((i < last ? lanes.off_diagonal[i] : 0) / load(forward + i * kLanes)) * entry;
    entry = place == at ? all(1) : magnitude(entry) < kVanishing ? all(0) : entry;
    squares += place <= at ? entry * entry : all(0);
    store(forward + i * kLanes, place <= at ? entry : load(backward + i * kLanes));
  }
  store(lanes.value + first, x + twisted / squares);
  Vector scale;
  for (int64_t l = 0; l < kWidth; ++l) {
    scale[l] = 1 / std::sqrt(squares[l]);
  }
  store(lanes.residual + first, magnitude(twisted) * scale);
  for (int64_t i = 0; i <= last; ++i) {
    store(forward + i * kLanes, load(forward + i * kLanes) * scale);
  }
}

inline void twist(TridiagonalLanes& lanes) {
  for (int64_t first = 0; first < kLanes; first += kWidth) {
    twist(lanes, first);
  }
}

}  // namespace
}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_TRIDIAGONAL_LANES_H
