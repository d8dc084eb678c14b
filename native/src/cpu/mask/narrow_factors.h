// The factors of a reconstruction in float32.
#ifndef THREEGATE_CPU_MASK_NARROW_FACTORS_H
#define THREEGATE_CPU_MASK_NARROW_FACTORS_H

#include <cstdint>
#include <vector>

#include "cpu/support/arena.h"
#include "screen.h"
#include "threegate/threegate.h"

namespace threegate::mask {

// The factors, laid out for multiply(), and how far a score from them may lie from the exact one. The error comes from the
// rounding of the factors and of a sum of products: some units of rounding times the norms of both vectors (Cauchy and Schwarz).
class NarrowFactors {
 public:
  // The memory of the factors.
  struct Memory {
    Memory(Arena& arena, const tg_mask_scores& scores);
    float* left;
    float* right;
  };

  NarrowFactors(const tg_mask_scores& scores, int64_t panel, const Memory& memory);

  // False where factors or errors are near an end of float32's range, where rounding is no longer relative, or where they are not
  // finite.
  [[nodiscard]] bool is_usable() const;

  // Some rows of the left factor, beginning with one that begins a block. Those beyond the last one are zero.
  [[nodiscard]] const float* left(int64_t row) const { return left_ + row * rank_; }
  // The panels of a block of columns. Those beyond the last one are zero.
  [[nodiscard]] const float* right(int64_t column) const { return right_ + column * rank_; }
  // Copies one column of the right factor.
  void copy_right(int64_t column, float* to) const;

  // Bounds of the error of all scores, and of one score.
  [[nodiscard]] double error() const { return error_; }
  [[nodiscard]] double error(int64_t row, int64_t column) const { return units_ * norms(row, column); }
  // A bound of the error of a sum in float64 of products of these factors, rounded to float32.
  [[nodiscard]] double rounding(int64_t row, int64_t column) const { return kRoundings * norms(row, column); }

 private:
  static constexpr double kUnit = 0x1p-24;
  static constexpr double kRoundings = 4 * kUnit;  // of both factors and of the score
  static constexpr double kLeast = 0x1p-20;        // of the largest norm: underflow of a small vector is far below it

  [[nodiscard]] double norms(int64_t row, int64_t column) const {
    return static_cast<double>(left_norms_[static_cast<size_t>(row)]) *
           static_cast<double>(right_norms_[static_cast<size_t>(column)]);
  }

  int64_t rank_;
  int64_t panel_;
  float* left_;   // rows x rank, with the singular values included
  float* right_;  // in panels
  std::vector<float> left_norms_;
  std::vector<float> right_norms_;
  double units_;
  double error_ = 0;
};

}  // namespace threegate::mask

#endif  // THREEGATE_CPU_MASK_NARROW_FACTORS_H
