// The squared singular values of the directions beyond the leading ones, centred and scaled.
#ifndef THREEGATE_CPU_SUPPORT_LEVELS_H
#define THREEGATE_CPU_SUPPORT_LEVELS_H

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace threegate {

class Levels {
 public:
  // Covers the directions from `leading` to `side` - 1. Directions beyond `count` have the singular value 0.
  Levels(const double* values, int64_t count, int64_t side, int64_t leading) : values_(values), count_(count) {
    const auto others = static_cast<double>(side - leading);
    double squares = 0;
    double fourths = 0;
    for (int64_t i = leading; i < count; ++i) {
      squares += square(i);
      fourths += square(i) * square(i);
    }
    mean_ = others > 0 ? squares / others : 0;
    const double variance = others > 0 ? fourths / others - mean_ * mean_ : 0;
    // If all values are equal up to rounding, nothing distinguishes the directions.
    scale_ = variance > kNoise * mean_ * mean_ ? std::sqrt(variance) : 0;
  }

  [[nodiscard]] double square(int64_t i) const { return i < count_ ? values_[i] * values_[i] : 0; }
  [[nodiscard]] double mean() const { return mean_; }
  [[nodiscard]] double scale() const { return scale_; }
  // The level of direction i. Levels have mean 0 and variance 1 over the directions.
  [[nodiscard]] double place(int64_t i) const { return scale_ > 0 ? (square(i) - mean_) / scale_ : 0; }

 private:
  static constexpr double kNoise = 1e-12;

  const double* values_;
  int64_t count_;
  double mean_;
  double scale_;
};

}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_LEVELS_H
