// The arithmetic of change_rows.h. Everything has internal linkage, for the reason in dtype.h. Loops run over lanes, so that
// compilers vectorise them.
//
// A row of a large matrix has more numbers than the first-level cache. It is processed in tiles, and each tile by loops that each
// do one thing: look-ups by code or key are scalar, the others are vectors. The sums over a row have eight lanes and are bound by
// the latency of their additions, so that other loops run beside them for nothing.
//
// A pass takes 1.5 ns for an entry, of which it reads 2 bytes. By samples, the look-ups of key and odds take 0.4 ns, and the sums
// by key and column 0.6 ns. A step of Newton's method for a row takes 0.1 ns. Fetching the codes ahead took off a tenth. No gain:
// gathers, numbers of keys that compilers put into vectors, and fetching ahead for the first count of codes.
#ifndef THREEGATE_CPU_NULLS_CHANGE_LANES_H
#define THREEGATE_CPU_NULLS_CHANGE_LANES_H

#include <algorithm>
#include <cstring>

#include "change_rows.h"
#include "cpu/support/operand.h"

namespace threegate::nulls {
namespace {

constexpr int64_t kTile = 256;    // columns of a tile, a multiple of 64
constexpr int64_t kAhead = 2048;  // entries from those that are read to those that are fetched from memory
constexpr int64_t kLanes = kChangeColumns;

inline bool has_bit(const uint64_t* words, int64_t at) { return (words[at / 64] >> (at % 64) & 1U) != 0; }

inline bool has_codes(const tg_operand& base) { return base.values.dtype == TG_BF16 && is_plain(base); }

// Calls body(first, count, odds) for each tile, after its keys were written. The number of columns is that of padded_columns, and
// what is beyond the row has the key 0 and the odds 0. The odds of the row are kept, or
// each tile takes the place of the one before.
template <bool kKeeps, typename Body>
void for_tiles(const ChangeRow& row, Body body) {
  const tg_operand& base = *row.base;
  const int64_t columns = base.values.columns;
  uint16_t codes[kTile];
  for (int64_t first = 0; first < columns; first += kTile) {
    const int64_t count = std::min(kTile, columns - first);
    if (has_codes(base)) {
      const uint8_t* in = element_address(base.values, row.row, first);
      for (int64_t i = 0; i < kTile; i += 32) {
        __builtin_prefetch(in + 2 * (i + kAhead));
      }
      for (int64_t i = 0; i < count; ++i) {
        codes[i] = static_cast<uint16_t>(bf16_magnitude_code(load<uint16_t>(in + 2 * i)));
      }
    } else {
      double run[kTile];
      stage_double(base, row.row, first, count, run, convert_f16_plain);
      for (int64_t i = 0; i < count; ++i) {
        codes[i] = static_cast<uint16_t>(bf16_magnitude_code(double_to_bf16(run[i])));
      }
    }
    uint16_t* keys = row.keys + first;
    const uint16_t* key_of_code = row.key_of_code;
    const float* key_odds = row.key_odds;
    float* odds = row.odds + (kKeeps ? first : 0);
#pragma GCC unroll 8
    for (int64_t i = 0; i < count; ++i) {
      const uint16_t key = key_of_code[codes[i]];
      keys[i] = key;
      odds[i] = key_odds[key];
    }
    const int64_t padded = padded_columns(count);
    std::fill(keys + count, keys + padded, uint16_t{0});
    std::fill(odds + count, odds + padded, 0.0F);
    const float* column_odds = row.column_odds + first;
    for (int64_t i = 0; i < padded; ++i) {
      odds[i] *= column_odds[i];
    }
    body(first, padded, odds);
  }
}

inline void read_row(const ChangeRow& row) {
  for_tiles<true>(row, [](int64_t, int64_t, const float*) {});
}

inline void fill_probabilities(float factor, int64_t count, const float* __restrict odds, float* __restrict probabilities,
                               float* __restrict weights) {
  for (int64_t j = 0; j < count; ++j) {
    const float own = factor * odds[j];
    const float other = 1.0F / (1.0F + own);
    const float probability = own * other;
    probabilities[j] = probability;
    weights[j] = probability * other;
  }
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

// A sum over the columns of a row, with a lane for each column modulo kLanes.
template <int kSets>
class LaneSum {
 public:
  using Doubles = typename Pack<kSets>::Doubles;

  // Adds what the terms write, to a sum each, in one loop, because each sum alone would wait for its additions.
  template <typename Term, int kOthers, typename Other>
  static void add(int64_t count, LaneSum& sum, Term term, LaneSum<kOthers>& other_sum, Other other) {
    Doubles lanes[kLanes];
    typename Pack<kOthers>::Doubles others[kLanes];
    std::copy_n(sum.lanes_, kLanes, lanes);
    std::copy_n(other_sum.lanes_, kLanes, others);
    for (int64_t j = 0; j < count; j += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        Doubles own;
        term(j + lane, own);
        lanes[lane] += own;
      }
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        typename Pack<kOthers>::Doubles own;
        other(j + lane, own);
        others[lane] += own;
      }
    }
    std::copy_n(lanes, kLanes, sum.lanes_);
    std::copy_n(others, kLanes, other_sum.lanes_);
  }

  void total(Doubles& to) {
    for (int64_t width = kLanes / 2; width > 0; width /= 2) {
      for (int64_t lane = 0; lane < width; ++lane) {
        lanes_[lane] += lanes_[lane + width];
      }
    }
    to = lanes_[0];
  }
  [[nodiscard]] double total() {
    double sum;
    total(sum);
    return sum;
  }

 private:
  template <int kOthers>
  friend class LaneSum;

  Doubles lanes_[kLanes]{};
};

inline ChangeCounts expect_row(const ChangeRow& row, double row_odds) {
  const int64_t columns = padded_columns(row.base->values.columns);
  const auto factor = static_cast<float>(row_odds);
  LaneSum<1> changes;
  LaneSum<1> weight;
  for (int64_t first = 0; first < columns; first += kTile) {
    const int64_t count = std::min(kTile, columns - first);
    float* probabilities = row.probabilities + first;
    float* weights = row.weights + first;
    fill_probabilities(factor, count, row.odds + first, probabilities, weights);
    LaneSum<1>::add(
        count, changes, [&](int64_t j, double& to) { to = static_cast<double>(probabilities[j]); }, weight,
        [&](int64_t j, double& to) { to = static_cast<double>(weights[j]); });
  }
  return {changes.total(), weight.total()};
}

inline void add_row(const ChangeRow& row, const ChangePairSums& sums) {
  const int64_t columns = row.base->values.columns;
  double* __restrict by_key = sums.keys;
  double pairs[2 * kTile];
  for (int64_t first = 0; first < columns; first += kTile) {
    const int64_t count = std::min(kTile, columns - first);
    const float* __restrict probabilities = row.probabilities + first;
    const float* __restrict weights = row.weights + first;
    double* __restrict by_column = sums.first_columns + first;
    double* __restrict weight_by_column = sums.second_columns + first;
    for (int64_t j = 0; j < padded_columns(count); ++j) {
      const auto probability = static_cast<double>(probabilities[j]);
      const auto weight = static_cast<double>(weights[j]);
      by_column[j] += probability;
      weight_by_column[j] += weight;
      pairs[2 * j] = probability;
      pairs[2 * j + 1] = weight;
    }
    const uint16_t* keys = row.keys + first;
    for (int64_t j = 0; j < count; ++j) {
      double* to = by_key + 2 * size_t{keys[j]};
      to[0] += pairs[2 * j];
      to[1] += pairs[2 * j + 1];
    }
  }
}

// Adds the changes of the row, where key_of(column) is negative for an entry without information. Returns their number.
template <typename KeyOf>
double add_changes(const ChangeRow& row, const uint64_t* changed, const ChangePairSums& sums, KeyOf key_of) {
  const int64_t columns = row.base->values.columns;
  double count = 0;
  for (int64_t word = 0; word * 64 < columns; ++word) {
    for (uint64_t bits = changed[word]; bits != 0; bits &= bits - 1) {
      const int64_t j = word * 64 + __builtin_ctzll(bits);
      const int64_t key = j < columns ? key_of(j) : -1;
      if (key >= 0) {
        sums.first_columns[j] += 1;
        sums.keys[2 * key] += 1;
        count += 1;
      }
    }
  }
  return count;
}

// Counts changed entries, of which only the codes are read.
inline double count_changes(const ChangeRow& row, const uint64_t* changed, const ChangePairSums& sums) {
  if (has_codes(*row.base)) {
    const uint8_t* in = element_address(row.base->values, row.row, 0);
    return add_changes(row, changed, sums,
                       [&](int64_t j) -> int64_t { return row.key_of_code[bf16_magnitude_code(load<uint16_t>(in + 2 * j))]; });
  }
  read_row(row);
  return add_changes(row, changed, sums, [&](int64_t j) -> int64_t { return row.keys[j]; });
}

// Counts changed entries and all entries, without those whose odds are 0.
inline ChangeCounts count_free(const ChangeRow& row, const uint64_t* changed, const ChangePairSums& sums) {
  const int64_t columns = row.base->values.columns;
  double* __restrict by_column = sums.second_columns;
  int64_t entries = 0;
  for_tiles<false>(row, [&](int64_t first, int64_t count, const float* odds) {
    for (int64_t j = 0; j < count; ++j) {
      const float entry = odds[j] > 0 ? 1.0F : 0.0F;
      row.weights[first + j] = entry;
      by_column[first + j] += static_cast<double>(entry);
      entries += odds[j] > 0 ? 1 : 0;
    }
  });
  for (int64_t j = 0; j < columns; ++j) {
    sums.keys[2 * size_t{row.keys[j]} + 1] += static_cast<double>(row.weights[j]);
  }
  const double changes =
      add_changes(row, changed, sums, [&](int64_t j) -> int64_t { return row.weights[j] > 0 ? int64_t{row.keys[j]} : -1; });
  return {changes, static_cast<double>(entries)};
}

// What the three passes of a set have in common: the first half of each. Writes the probabilities and the weights, the numbers x
// of each set, which fill(first, count, numbers) writes, and the sums of w x. Returns the sum of the weights.
template <int kSets, typename Fill>
double weigh(const ChangeRow& row, double row_odds, typename Pack<kSets>::Doubles& sum, Fill fill) {
  const auto factor = static_cast<float>(row_odds);
  LaneSum<1> weight;
  LaneSum<kSets> weighted;
  for_tiles<false>(row, [&](int64_t first, int64_t count, const float* odds) {
    float* weights = row.weights + first;
    float* numbers = row.numbers + kSets * first;
    fill_probabilities(factor, count, odds, row.probabilities + first, weights);
    fill(first, count, numbers);
    LaneSum<kSets>::add(
        count, weighted,
        [&](int64_t j, auto& to) {
          Pack<kSets>::load(numbers + kSets * j, to);
          to = static_cast<double>(weights[j]) * to;
        },
        weight, [&](int64_t j, double& to) { to = static_cast<double>(weights[j]); });
  });
  weighted.total(sum);
  return weight.total();
}

// Fetches the numbers of keys, one after the other: compilers would put vectors of them together, which takes longer.
template <int kSets>
void fetch(const double* by_key, const uint16_t* keys, int64_t count, double* __restrict to) {
  for (int64_t j = 0; j < count; ++j) {
    asm volatile("");
    typename Pack<kSets>::Doubles own;
    Pack<kSets>::load(by_key + kSets * int64_t{keys[j]}, own);
    Pack<kSets>::store(own, to + kSets * j);
  }
}

// Adds w (x - mean) by column and by key, where x are the numbers, and calls also(first, count) for each tile.
template <int kSets, typename Also>
void add_centred(const ChangeRow& row, const typename Pack<kSets>::Doubles& mean, const ChangeSums& sums, Also also) {
  const int64_t columns = row.base->values.columns;
  double* by_key = sums.keys;
  float centred[size_t{kSets} * kTile];
  for (int64_t first = 0; first < columns; first += kTile) {
    const int64_t count = std::min(kTile, columns - first);
    const float* __restrict weights = row.weights + first;
    const float* __restrict numbers = row.numbers + kSets * first;
    double* __restrict by_column = sums.columns + kSets * first;
    for (int64_t j = 0; j < padded_columns(count); ++j) {
      typename Pack<kSets>::Doubles x;
      typename Pack<kSets>::Doubles sum;
      Pack<kSets>::load(numbers + kSets * j, x);
      Pack<kSets>::load(by_column + kSets * j, sum);
      x = static_cast<double>(weights[j]) * (x - mean);
      Pack<kSets>::store(sum + x, by_column + kSets * j);
      Pack<kSets>::store(x, &centred[kSets * j]);
    }
    const uint16_t* keys = row.keys + first;
    for (int64_t j = 0; j < count; ++j) {
      double* to = by_key + kSets * int64_t{keys[j]};
      typename Pack<kSets>::Doubles x;
      typename Pack<kSets>::Doubles sum;
      Pack<kSets>::load(&centred[kSets * j], x);
      Pack<kSets>::load(to, sum);
      Pack<kSets>::store(sum + x, to);
    }
    also(first, count);
  }
}

template <int kSets>
void product_rows(const ChangeRow& row, double row_odds, const ChangeSums& x, const ChangeSums& sums) {
  typename Pack<kSets>::Doubles mean;
  const double weight = weigh<kSets>(row, row_odds, mean, [&](int64_t first, int64_t count, float* __restrict numbers) {
    double of_keys[size_t{kSets} * kTile];
    fetch<kSets>(x.keys, row.keys + first, count, &of_keys[0]);
    const double* of_columns = x.columns + kSets * first;
    for (int64_t i = 0; i < kSets * count; ++i) {
      numbers[i] = static_cast<float>(of_columns[i] + of_keys[i]);
    }
  });
  if (weight > 0) {
    mean /= weight;
    add_centred<kSets>(row, mean, sums, [](int64_t, int64_t) {});
  }
}

// Writes 1 where a set has a bit, and 0 elsewhere.
template <int kSets>
void read_sets(const uint64_t* const* sets, int64_t begin, int64_t columns, float* numbers) {
  for (int64_t first = 0; first < columns; first += 64) {
    const int64_t count = std::min<int64_t>(64, columns - first);
    for (int set = 0; set < kSets; ++set) {
      const uint64_t word = sets[set][(begin + first) / 64];
      float* to = numbers + kSets * first + set;
      for (int64_t j = 0; j < count; ++j) {
        to[kSets * j] = (word >> j & 1U) != 0 ? 1.0F : 0.0F;
      }
    }
  }
}

template <int kSets>
void project_rows(const ChangeRow& row, double row_odds, const uint64_t* const* sets, const ChangeSums& sums,
                  const ChangeSums& of_weights, double* totals) {
  typename Pack<kSets>::Doubles total;
  const double weight = weigh<kSets>(
      row, row_odds, total, [&](int64_t first, int64_t count, float* numbers) { read_sets<kSets>(sets, first, count, numbers); });
  std::fill_n(totals, kSets, 0.0);
  if (!(weight > 0)) {
    return;
  }
  Pack<kSets>::store(total, totals);
  add_centred<kSets>(row, total / weight, sums, [&](int64_t first, int64_t count) {
    const float* __restrict weights = row.weights + first;
    double* __restrict by_column = of_weights.columns + first;
    for (int64_t j = 0; j < padded_columns(count); ++j) {
      by_column[j] += static_cast<double>(weights[j]);
    }
    const uint16_t* keys = row.keys + first;
    for (int64_t j = 0; j < count; ++j) {
      of_weights.keys[keys[j]] += static_cast<double>(weights[j]);
    }
  });
}

// An entry without information has the probability 0, and no part in any sum.
template <int kSets>
void score_rows(const ChangeRow& row, double row_odds, const uint64_t* changed, const uint64_t* const* sets, const ChangeSums& x,
                ChangeScore* scores) {
  using Doubles = typename Pack<kSets>::Doubles;
  const int64_t columns = row.base->values.columns;
  Doubles mean;
  const double weight = weigh<kSets>(row, row_odds, mean, [&](int64_t first, int64_t count, float* __restrict numbers) {
    double of_keys[size_t{kSets} * kTile];
    fetch<kSets>(x.keys, row.keys + first, count, &of_keys[0]);
    read_sets<kSets>(sets, first, count, numbers);
    const double* of_columns = x.columns + kSets * first;
    for (int64_t i = 0; i < kSets * count; ++i) {
      numbers[i] = static_cast<float>(static_cast<double>(numbers[i]) - of_columns[i] - of_keys[i]);
    }
  });
  std::fill_n(scores, kSets, ChangeScore{});
  if (!(weight > 0)) {
    return;
  }
  mean /= weight;
  const auto rest_of = [&](int64_t j, Doubles& rest) {
    Pack<kSets>::load(row.numbers + kSets * j, rest);
    rest -= mean;
  };
  LaneSum<kSets> informations;
  LaneSum<kSets> expectations;
  LaneSum<kSets>::add(
      padded_columns(columns), informations,
      [&](int64_t j, Doubles& to) {
        Doubles rest;
        rest_of(j, rest);
        to = static_cast<double>(row.weights[j]) * rest * rest;
      },
      expectations,
      [&](int64_t j, Doubles& to) {
        Doubles rest;
        rest_of(j, rest);
        to = -(static_cast<double>(row.probabilities[j]) * rest);
      });
  Doubles information;
  Doubles score;
  informations.total(information);
  expectations.total(score);
  const auto is_free = [&](int64_t j) { return j < columns && row.probabilities[j] > 0; };
  for (int64_t word = 0; word * 64 < columns; ++word) {
    for (uint64_t bits = changed[word]; bits != 0; bits &= bits - 1) {
      const int64_t j = word * 64 + __builtin_ctzll(bits);
      if (is_free(j)) {
        Doubles rest;
        rest_of(j, rest);
        score += rest;
      }
    }
  }
  double all_informations[size_t{kSets}];
  double all_scores[size_t{kSets}];
  Pack<kSets>::store(information, &all_informations[0]);
  Pack<kSets>::store(score, &all_scores[0]);
  for (int set = 0; set < kSets; ++set) {
    ChangeScore& to = scores[set];
    to.information = all_informations[set];
    to.score = all_scores[set];
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
