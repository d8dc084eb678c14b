// The arithmetic of change_rows.h. Everything has internal linkage, for the reason in dtype.h. Loops run over lanes, so that
// compilers vectorise them.
#ifndef THREEGATE_CPU_NULLS_CHANGE_LANES_H
#define THREEGATE_CPU_NULLS_CHANGE_LANES_H

#include <algorithm>
#include <cstring>

#include "change_rows.h"
#include "common/lanes.h"
#include "cpu/support/operand.h"

namespace threegate::nulls {
namespace {

inline bool has_bit(const uint64_t* words, int64_t at) { return (words[at / 64] >> (at % 64) & 1U) != 0; }

inline void read_row(const ChangeRow& row) {
  const tg_operand& base = *row.base;
  const int64_t columns = base.values.columns;
  const auto write = [&](int64_t j, uint32_t code) {
    const uint16_t key = row.key_of_code[code];
    row.keys[j] = key;
    row.odds[j] = row.column_odds[j] * row.key_odds[key];
  };
  if (base.values.dtype == TG_BF16 && is_plain(base)) {
    const uint8_t* in = element_address(base.values, row.row, 0);
    for (int64_t j = 0; j < columns; ++j) {
      const auto magnitude = static_cast<uint32_t>(load<uint16_t>(in + 2 * j)) & kBf16Magnitude;
      write(j, magnitude > kBf16Infinity ? 0x7fc0U : magnitude);
    }
    return;
  }
  double run[kRun];
  for (int64_t j = 0; j < columns; j += kRun) {
    const int64_t count = std::min(kRun, columns - j);
    stage_double(base, row.row, j, count, run, convert_f16_plain);
    for (int64_t i = 0; i < count; ++i) {
      write(j + i, bf16_magnitude_code(double_to_bf16(run[i])));
    }
  }
}

// Writes the probabilities and the weights.
inline void fill_probabilities(const ChangeRow& row, double row_odds) {
  const int64_t columns = row.base->values.columns;
  const auto factor = static_cast<float>(row_odds);
  const float* __restrict odds = row.odds;
  float* __restrict probabilities = row.probabilities;
  float* __restrict weights = row.weights;
  for (int64_t j = 0; j < columns; ++j) {
    const float own = factor * odds[j];
    const float other = 1.0F / (1.0F + own);
    const float probability = own * other;
    probabilities[j] = probability;
    weights[j] = probability * other;
  }
}

inline double sum_of(const float* numbers, int64_t count) {
  return sum_in_lanes(count, [&](int64_t j) { return static_cast<double>(numbers[j]); });
}

inline ChangeCounts count_row(const ChangeRow& row, double row_odds) {
  fill_probabilities(row, row_odds);
  const int64_t columns = row.base->values.columns;
  return {sum_of(row.probabilities, columns), sum_of(row.weights, columns)};
}

inline void add_row(const ChangeRow& row, const ChangePairSums& sums) {
  const int64_t columns = row.base->values.columns;
  double* __restrict first = sums.first_columns;
  double* __restrict second = sums.second_columns;
  for (int64_t j = 0; j < columns; ++j) {
    first[j] += static_cast<double>(row.probabilities[j]);
    second[j] += static_cast<double>(row.weights[j]);
  }
  for (int64_t j = 0; j < columns; ++j) {
    double* pair = sums.keys + 2 * size_t{row.keys[j]};
    pair[0] += static_cast<double>(row.probabilities[j]);
    pair[1] += static_cast<double>(row.weights[j]);
  }
}

// Counts changed entries and all entries, without those whose odds are 0.
inline ChangeCounts count_free(const ChangeRow& row, const uint64_t* changed, const ChangePairSums& sums) {
  const int64_t columns = row.base->values.columns;
  double* __restrict second = sums.second_columns;
  for (int64_t j = 0; j < columns; ++j) {
    const float entry = row.odds[j] > 0 ? 1.0F : 0.0F;
    row.weights[j] = entry;
    second[j] += static_cast<double>(entry);
  }
  for (int64_t j = 0; j < columns; ++j) {
    sums.keys[2 * size_t{row.keys[j]} + 1] += static_cast<double>(row.weights[j]);
  }
  double count = 0;
  for (int64_t word = 0; word * 64 < columns; ++word) {
    for (uint64_t bits = changed[word]; bits != 0; bits &= bits - 1) {
      const int64_t j = word * 64 + __builtin_ctzll(bits);
      if (j < columns && row.weights[j] > 0) {
        sums.first_columns[j] += 1;
        sums.keys[2 * size_t{row.keys[j]}] += 1;
        count += 1;
      }
    }
  }
  return {count, sum_of(row.weights, columns)};
}

// The following are for kSets sets at a time, whose numbers lie side by side: one double, or a vector of as many doubles.
template <int kSets>
struct Pack {
  using Doubles = double;
  using Floats = float;
  static void load(const double* from, double& to) { to = *from; }
  static void load(const float* from, double& to) { to = static_cast<double>(*from); }
  static void store(const double& from, double* to) { *to = from; }
  static void store(const double& from, float* to) { *to = static_cast<float>(from); }
};
template <>
struct Pack<kChangeSets> {
  using Doubles __attribute__((vector_size(kChangeSets * sizeof(double)))) = double;
  using Floats __attribute__((vector_size(kChangeSets * sizeof(float)))) = float;
  static void load(const double* from, Doubles& to) { std::memcpy(&to, from, sizeof(to)); }
  static void load(const float* from, Doubles& to) {
    Floats narrow;
    std::memcpy(&narrow, from, sizeof(narrow));
    to = __builtin_convertvector(narrow, Doubles);
  }
  static void store(const Doubles& from, double* to) { std::memcpy(to, &from, sizeof(from)); }
  static void store(const Doubles& from, float* to) {
    const Floats narrow = __builtin_convertvector(from, Floats);
    std::memcpy(to, &narrow, sizeof(narrow));
  }
};

// Writes the sums over the columns of what add(column, sum) adds to a sum.
template <int kSets, typename Add>
void sum_of_sets(int64_t columns, Add add, typename Pack<kSets>::Doubles& sum) {
  constexpr int64_t kLanes = 8;
  typename Pack<kSets>::Doubles lanes[kLanes] = {};
  int64_t j = 0;
  for (; j + kLanes <= columns; j += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      add(j + lane, lanes[lane]);
    }
  }
  for (int64_t lane = 0; j < columns; ++j, ++lane) {
    add(j, lanes[lane]);
  }
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t lane = 0; lane < width; ++lane) {
      lanes[lane] += lanes[lane + width];
    }
  }
  sum = lanes[0];
}

// Writes the sums of w x, where x are the numbers.
template <int kSets>
void weigh(const ChangeRow& row, typename Pack<kSets>::Doubles& sum) {
  sum_of_sets<kSets>(
      row.base->values.columns,
      [&](int64_t j, auto& to) {
        typename Pack<kSets>::Doubles x;
        Pack<kSets>::load(row.numbers + kSets * j, x);
        to += static_cast<double>(row.weights[j]) * x;
      },
      sum);
}

// Adds w (x - mean) by column and by key, where x are the numbers. Overwrites them.
template <int kSets>
void add_centred(const ChangeRow& row, const typename Pack<kSets>::Doubles& mean, const ChangeSums& sums) {
  const int64_t columns = row.base->values.columns;
  float* __restrict numbers = row.numbers;
  double* __restrict by_column = sums.columns;
  for (int64_t j = 0; j < columns; ++j) {
    typename Pack<kSets>::Doubles x;
    typename Pack<kSets>::Doubles sum;
    Pack<kSets>::load(numbers + kSets * j, x);
    Pack<kSets>::load(by_column + kSets * j, sum);
    x = static_cast<double>(row.weights[j]) * (x - mean);
    Pack<kSets>::store(sum + x, by_column + kSets * j);
    Pack<kSets>::store(x, numbers + kSets * j);
  }
  for (int64_t j = 0; j < columns; ++j) {
    double* by_key = sums.keys + kSets * int64_t{row.keys[j]};
    typename Pack<kSets>::Doubles x;
    typename Pack<kSets>::Doubles sum;
    Pack<kSets>::load(numbers + kSets * j, x);
    Pack<kSets>::load(by_key, sum);
    Pack<kSets>::store(sum + x, by_key);
  }
}

template <int kSets>
void product_rows(const ChangeRow& row, const ChangeSums& x, const ChangeSums& sums) {
  const int64_t columns = row.base->values.columns;
  const double weight = sum_of(row.weights, columns);
  if (!(weight > 0)) {
    return;
  }
  for (int64_t j = 0; j < columns; ++j) {
    typename Pack<kSets>::Doubles of_column;
    typename Pack<kSets>::Doubles of_key;
    Pack<kSets>::load(x.columns + kSets * j, of_column);
    Pack<kSets>::load(x.keys + kSets * int64_t{row.keys[j]}, of_key);
    Pack<kSets>::store(of_column + of_key, row.numbers + kSets * j);
  }
  typename Pack<kSets>::Doubles mean;
  weigh<kSets>(row, mean);
  mean /= weight;
  add_centred<kSets>(row, mean, sums);
}

// Writes 1 where a set has a bit, and 0 elsewhere.
template <int kSets>
void read_sets(const ChangeRow& row, const uint64_t* const* sets) {
  const int64_t columns = row.base->values.columns;
  for (int64_t first = 0; first < columns; first += 64) {
    const int64_t count = std::min<int64_t>(64, columns - first);
    for (int set = 0; set < kSets; ++set) {
      const uint64_t word = sets[set][first / 64];
      float* to = row.numbers + kSets * first + set;
      for (int64_t j = 0; j < count; ++j) {
        to[kSets * j] = (word >> j & 1U) != 0 ? 1.0F : 0.0F;
      }
    }
  }
}

template <int kSets>
void project_rows(const ChangeRow& row, const uint64_t* const* sets, const ChangeSums& sums, const ChangeSums& of_weights,
                  double* totals) {
  const int64_t columns = row.base->values.columns;
  const double weight = sum_of(row.weights, columns);
  std::fill_n(totals, kSets, 0.0);
  if (!(weight > 0)) {
    return;
  }
  read_sets<kSets>(row, sets);
  typename Pack<kSets>::Doubles total;
  weigh<kSets>(row, total);
  Pack<kSets>::store(total, totals);
  add_centred<kSets>(row, total / weight, sums);
  double* __restrict by_column = of_weights.columns;
  for (int64_t j = 0; j < columns; ++j) {
    by_column[j] += static_cast<double>(row.weights[j]);
  }
  for (int64_t j = 0; j < columns; ++j) {
    of_weights.keys[row.keys[j]] += static_cast<double>(row.weights[j]);
  }
}

// An entry without information has the probability 0, and no part in any sum.
template <int kSets>
void score_rows(const ChangeRow& row, const uint64_t* changed, const uint64_t* const* sets, const ChangeSums& x,
                ChangeScore* scores) {
  using Doubles = typename Pack<kSets>::Doubles;
  const int64_t columns = row.base->values.columns;
  const double weight = sum_of(row.weights, columns);
  std::fill_n(scores, kSets, ChangeScore{});
  if (!(weight > 0)) {
    return;
  }
  read_sets<kSets>(row, sets);
  for (int64_t j = 0; j < columns; ++j) {
    Doubles of_set;
    Doubles of_column;
    Doubles of_key;
    Pack<kSets>::load(row.numbers + kSets * j, of_set);
    Pack<kSets>::load(x.columns + kSets * j, of_column);
    Pack<kSets>::load(x.keys + kSets * int64_t{row.keys[j]}, of_key);
    Pack<kSets>::store(of_set - of_column - of_key, row.numbers + kSets * j);
  }
  Doubles mean;
  weigh<kSets>(row, mean);
  mean /= weight;
  const auto own = [&](int64_t j, Doubles& rest) {
    Pack<kSets>::load(row.numbers + kSets * j, rest);
    rest -= mean;
  };
  Doubles information;
  Doubles score;
  sum_of_sets<kSets>(
      columns,
      [&](int64_t j, Doubles& to) {
        Doubles rest;
        own(j, rest);
        to += static_cast<double>(row.weights[j]) * rest * rest;
      },
      information);
  sum_of_sets<kSets>(
      columns,
      [&](int64_t j, Doubles& to) {
        Doubles rest;
        own(j, rest);
        to -= static_cast<double>(row.probabilities[j]) * rest;
      },
      score);
  const auto is_free = [&](int64_t j) { return j < columns && row.probabilities[j] > 0; };
  for (int64_t word = 0; word * 64 < columns; ++word) {
    for (uint64_t bits = changed[word]; bits != 0; bits &= bits - 1) {
      const int64_t j = word * 64 + __builtin_ctzll(bits);
      if (is_free(j)) {
        Doubles rest;
        own(j, rest);
        score += rest;
      }
    }
  }
  double informations[size_t{kSets}];
  double of_sets[size_t{kSets}];
  Pack<kSets>::store(information, informations);
  Pack<kSets>::store(score, of_sets);
  for (int set = 0; set < kSets; ++set) {
    ChangeScore& to = scores[set];
    to.information = informations[set];
    to.score = of_sets[set];
    for (int64_t word = 0; word * 64 < columns; ++word) {
      for (uint64_t bits = sets[set][word]; bits != 0; bits &= bits - 1) {
        const int64_t j = word * 64 + __builtin_ctzll(bits);
        if (is_free(j)) {
          to.expected += static_cast<double>(row.probabilities[j]);
          to.observed += has_bit(changed, j) ? 1 : 0;
          to.entries += 1;
        }
      }
    }
  }
}

}  // namespace
}  // namespace threegate::nulls

#endif  // THREEGATE_CPU_NULLS_CHANGE_LANES_H
