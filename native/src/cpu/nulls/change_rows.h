// One row of the sums of a model of changed entries, for each instruction set. All of them give the same bits.
#ifndef THREEGATE_CPU_NULLS_CHANGE_ROWS_H
#define THREEGATE_CPU_NULLS_CHANGE_ROWS_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::nulls {

// The odds of a change are row_odds * column_odds[j] * key_odds[key of entry j]. An entry without information has the
// odds 0.
struct ChangeRow {
  const tg_operand* base;
  int64_t row;
  const uint16_t* key_of_code;  // numbers the magnitude codes that the matrix has, see MagnitudeKeys
  const float* column_odds;
  const float* key_odds;
  // Room for a row each.
  uint16_t* keys;
  float* odds;  // column_odds * key_odds, and then probabilities
  float* weights;
};

// Sums by column and by key.
struct ChangeSums {
  double* columns;
  double* keys;
};

// Reads the keys and the odds of the row.
void change_read(SimdLevel level, const ChangeRow& row);

struct ChangeCounts {
  double expected;  // sum of the probabilities
  double weight;    // sum of p (1 - p)
};

// Sums over the row for a factor of its odds.
ChangeCounts change_counts(SimdLevel level, const ChangeRow& row, double row_odds);

// Replaces the odds by probabilities, and writes the weights.
void change_probabilities(SimdLevel level, const ChangeRow& row, double row_odds);

// Adds the probabilities and weights by column and key.
void change_add(SimdLevel level, const ChangeRow& row, const ChangeSums& expected, const ChangeSums& weights);

// Adds w (x - mean of x), where x is columns[j] + keys[key of j] and w are the weights, by column and key.
void change_product(SimdLevel level, const ChangeRow& row, const ChangeSums& x, const ChangeSums& sums);

// The same for x = 1 where `set` has a bit. Returns the sum of w x^2.
double change_project(SimdLevel level, const ChangeRow& row, const uint64_t* set, const ChangeSums& sums);

struct ChangeScore {
  double score;
  double information;
  double expected;  // changes within the set
  int64_t observed;
  int64_t entries;
};

// The score of one row, where `x` is the projection of the set on columns and keys.
void change_score(SimdLevel level, const ChangeRow& row, const uint64_t* changed, const uint64_t* set, const ChangeSums& x,
                  ChangeScore& score);

#define TG_CHANGE_VARIANT(level)                                                                                     \
  void change_read_##level(const ChangeRow& row);                                                                    \
  ChangeCounts change_counts_##level(const ChangeRow& row, double row_odds);                                         \
  void change_probabilities_##level(const ChangeRow& row, double row_odds);                                          \
  void change_add_##level(const ChangeRow& row, const ChangeSums& expected, const ChangeSums& weights);              \
  void change_product_##level(const ChangeRow& row, const ChangeSums& x, const ChangeSums& sums);                    \
  double change_project_##level(const ChangeRow& row, const uint64_t* set, const ChangeSums& sums);                  \
  void change_score_##level(const ChangeRow& row, const uint64_t* changed, const uint64_t* set, const ChangeSums& x, \
                            ChangeScore& score)
TG_CHANGE_VARIANT(scalar);
TG_CHANGE_VARIANT(avx2);
TG_CHANGE_VARIANT(avx512);
#undef TG_CHANGE_VARIANT

}  // namespace threegate::nulls

#endif  // THREEGATE_CPU_NULLS_CHANGE_ROWS_H
