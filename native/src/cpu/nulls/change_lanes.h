// The arithmetic of change_rows.h. Everything has internal linkage, for the reason in dtype.h. Loops run over lanes, so that
// compilers vectorise them.
#ifndef THREEGATE_CPU_NULLS_CHANGE_LANES_H
#define THREEGATE_CPU_NULLS_CHANGE_LANES_H

#include <algorithm>

#include "change_rows.h"
#include "common/lanes.h"
#include "cpu/support/operand.h"

namespace threegate::nulls {
namespace {

inline bool has_bit(const uint64_t* words, int64_t at) { return (words[at / 64] >> (at % 64) & 1U) != 0; }

inline void read_keys(const ChangeRow& row) {
  const tg_operand& base = *row.base;
  const int64_t columns = base.values.columns;
  if (base.values.dtype == TG_BF16 && is_plain(base)) {
    const uint8_t* in = element_address(base.values, row.row, 0);
    for (int64_t j = 0; j < columns; ++j) {
      const auto magnitude = static_cast<uint32_t>(load<uint16_t>(in + 2 * j)) & kBf16Magnitude;
      row.keys[j] = row.key_of_code[magnitude > kBf16Infinity ? 0x7fc0U : magnitude];
    }
    return;
  }
  double run[kRun];
  for (int64_t j = 0; j < columns; j += kRun) {
    const int64_t count = std::min(kRun, columns - j);
    stage_double(base, row.row, j, count, run, convert_f16_plain);
    for (int64_t i = 0; i < count; ++i) {
      row.keys[j + i] = row.key_of_code[bf16_magnitude_code(double_to_bf16(run[i]))];
    }
  }
}

inline void read_odds(const ChangeRow& row) {
  read_keys(row);
  for (int64_t j = 0; j < row.base->values.columns; ++j) {
    row.odds[j] = row.column_odds[j] * row.key_odds[row.keys[j]];
  }
}

inline ChangeCounts count_row(const ChangeRow& row, double row_odds) {
  const int64_t columns = row.base->values.columns;
  const auto factor = static_cast<float>(row_odds);
  const float* odds = row.odds;
  float* weights = row.weights;
  const double expected = sum_in_lanes(columns, [&](int64_t j) {
    const float own = factor * odds[j];
    const float other = 1.0F / (1.0F + own);
    const float probability = own * other;
    weights[j] = probability * other;
    return static_cast<double>(probability);
  });
  return {expected, sum_in_lanes(columns, [&](int64_t j) { return static_cast<double>(weights[j]); })};
}

inline void fill_probabilities(const ChangeRow& row, double row_odds) {
  const auto factor = static_cast<float>(row_odds);
  for (int64_t j = 0; j < row.base->values.columns; ++j) {
    const float own = factor * row.odds[j];
    const float other = 1.0F / (1.0F + own);
    row.odds[j] = own * other;
    row.weights[j] = own * other * other;
  }
}

inline void add_row(const ChangeRow& row, const ChangeSums& expected, const ChangeSums& weights) {
  const int64_t columns = row.base->values.columns;
  for (int64_t j = 0; j < columns; ++j) {
    expected.columns[j] += static_cast<double>(row.odds[j]);
    weights.columns[j] += static_cast<double>(row.weights[j]);
  }
  for (int64_t j = 0; j < columns; ++j) {
    expected.keys[row.keys[j]] += static_cast<double>(row.odds[j]);
    weights.keys[row.keys[j]] += static_cast<double>(row.weights[j]);
  }
}

inline double weight_of(const ChangeRow& row) {
  return sum_in_lanes(row.base->values.columns, [&](int64_t j) { return static_cast<double>(row.weights[j]); });
}

// Adds w (x - mean of x), where x(j) is at most called twice for each j. Overwrites the odds.
template <typename X>
void add_centred(const ChangeRow& row, double weight, X x, const ChangeSums& sums) {
  const int64_t columns = row.base->values.columns;
  if (!(weight > 0)) {
    return;
  }
  const double mean = sum_in_lanes(columns, [&](int64_t j) { return static_cast<double>(row.weights[j]) * x(j); }) / weight;
  for (int64_t j = 0; j < columns; ++j) {
    const double term = static_cast<double>(row.weights[j]) * (x(j) - mean);
    sums.columns[j] += term;
    row.odds[j] = static_cast<float>(term);
  }
  for (int64_t j = 0; j < columns; ++j) {
    sums.keys[row.keys[j]] += static_cast<double>(row.odds[j]);
  }
}

inline void product_row(const ChangeRow& row, const ChangeSums& x, const ChangeSums& sums) {
  add_centred(
      row, weight_of(row), [&](int64_t j) { return x.columns[j] + x.keys[row.keys[j]]; }, sums);
}

inline double project_row(const ChangeRow& row, const uint64_t* set, const ChangeSums& sums) {
  const auto x = [&](int64_t j) { return has_bit(set, j) ? 1.0 : 0.0; };
  add_centred(row, weight_of(row), x, sums);
  return sum_in_lanes(row.base->values.columns, [&](int64_t j) { return static_cast<double>(row.weights[j]) * x(j); });
}

// An entry without information has the probability 0, and no part in any sum.
inline void score_row(const ChangeRow& row, const uint64_t* changed, const uint64_t* set, const ChangeSums& x,
                      ChangeScore& score) {
  const int64_t columns = row.base->values.columns;
  const double weight = weight_of(row);
  score = {};
  if (!(weight > 0)) {
    return;
  }
  const auto rest = [&](int64_t j) { return (has_bit(set, j) ? 1.0 : 0.0) - x.columns[j] - x.keys[row.keys[j]]; };
  const double mean = sum_in_lanes(columns, [&](int64_t j) { return static_cast<double>(row.weights[j]) * rest(j); }) / weight;
  for (int64_t j = 0; j < columns; ++j) {
    const auto probability = static_cast<double>(row.odds[j]);
    const double own = rest(j) - mean;
    const bool free = row.odds[j] > 0;
    const double residual = (free && has_bit(changed, j) ? 1.0 : 0.0) - probability;
    const bool counts = free && has_bit(set, j);
    score.score += own * residual;
    score.information += static_cast<double>(row.weights[j]) * own * own;
    score.expected += counts ? probability : 0;
    score.observed += counts && has_bit(changed, j) ? 1 : 0;
    score.entries += counts ? 1 : 0;
  }
}

}  // namespace
}  // namespace threegate::nulls

#endif  // THREEGATE_CPU_NULLS_CHANGE_LANES_H
