#include "narrow_factors.h"

#include <algorithm>
#include <cmath>

namespace threegate::mask {
namespace {

constexpr int64_t kMostTogether = kBlockColumns;

int64_t padded(int64_t length, int64_t multiple) { return (length + multiple - 1) / multiple * multiple; }

// Clears the last vectors that are taken together, because some of them may be none.
void clear_last(int64_t rank, int64_t length, int64_t multiple, float* factors) {
  const int64_t whole = length / multiple * multiple;
  std::fill_n(factors + rank * whole, rank * (padded(length, multiple) - whole), 0.0F);
}

// Calls put(first, i, term, entry) for all vectors of rank x length factors, times the values where there are any. Vector `first`
// + i is one of `together` <= kMostTogether vectors. Writes the norms of the vectors, rounded up.
template <typename Put>
void take(const tg_mask_scores& scores, const double* factors, const double* values, int64_t together, std::vector<float>& norms,
          Put put) {
  const auto length = static_cast<int64_t>(norms.size());
  for (int64_t first = 0; first < length; first += together) {
    const int64_t count = std::min(together, length - first);
    double squares[kMostTogether] = {};
    for (int64_t k = 0; k < scores.rank; ++k) {
      const double value = values == nullptr ? 1 : values[k];
      for (int64_t i = 0; i < count; ++i) {
        const double entry = value * factors[k * length + first + i];
        put(first, i, k, static_cast<float>(entry));
        squares[i] += entry * entry;
      }
    }
    for (int64_t i = 0; i < count; ++i) {
      constexpr double kRoundedUp = 1 + 0x1p-20;
      norms[static_cast<size_t>(first + i)] = static_cast<float>(std::sqrt(squares[i]) * kRoundedUp);
    }
  }
}

// Raises small norms. Returns the largest one.
double raise(std::vector<float>& norms, double least) {
  const float largest = *std::max_element(norms.begin(), norms.end());
  for (float& norm : norms) {
    norm = std::max(norm, static_cast<float>(least) * largest);
  }
  return static_cast<double>(largest);
}

}  // namespace

NarrowFactors::Memory::Memory(Arena& arena, const tg_mask_scores& scores)
    : left(arena.take<float>(scores.rank * padded(scores.rows, kBlockRows))),
      right(arena.take<float>(scores.rank * padded(scores.columns, kBlockColumns))) {}

NarrowFactors::NarrowFactors(const tg_mask_scores& scores, int64_t panel, const Memory& memory)
    : rank_(scores.rank),
      panel_(panel),
      left_(memory.left),
      right_(memory.right),
      left_norms_(static_cast<size_t>(scores.rows)),
      right_norms_(static_cast<size_t>(scores.columns)) {
  float* const left = left_;
  float* const right = right_;
  const int64_t rank = rank_;
  clear_last(rank, scores.rows, kBlockRows, left);
  clear_last(rank, scores.columns, kBlockColumns, right);
  // Rows are taken together so that few cache lines are written at a time.
  constexpr int64_t kRowsTogether = 16;
  take(scores, scores.left, scores.values, kRowsTogether, left_norms_,
       [=](int64_t first, int64_t i, int64_t k, float entry) { left[(first + i) * rank + k] = entry; });
  take(scores, scores.right, nullptr, panel, right_norms_,
       [=](int64_t first, int64_t i, int64_t k, float entry) { right[first * rank + k * panel + i] = entry; });
  // A chunk of c terms is rounded up to c + 1 times, a sum of n chunks n - 1 times, and each factor once. The rest is a margin.
  constexpr double kOthers = 8;
  const int64_t chunks = (rank_ + kChunk - 1) / kChunk;
  units_ = (static_cast<double>(std::min(rank_, kChunk) + chunks) + kOthers) * kUnit;
  error_ = units_ * raise(left_norms_, kLeast) * raise(right_norms_, kLeast);
}

bool NarrowFactors::is_usable() const {
  const auto fits = [](const std::vector<float>& norms) {
    const double largest = static_cast<double>(*std::max_element(norms.begin(), norms.end()));
    return largest > 1e-18 && largest < 1e18;
  };
  return error_ > 1e-25 && error_ < 1e25 && fits(left_norms_) && fits(right_norms_);
}

void NarrowFactors::copy_right(int64_t column, float* to) const {
  const float* from = right_ + column / panel_ * panel_ * rank_ + column % panel_;
  for (int64_t k = 0; k < rank_; ++k) {
    to[k] = from[k * panel_];
  }
}

}  // namespace threegate::mask
