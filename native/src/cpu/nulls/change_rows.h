// One row of the sums of a model of changed entries, for each instruction set. All of them give the same bits.
#ifndef THREEGATE_CPU_NULLS_CHANGE_ROWS_H
#define THREEGATE_CPU_NULLS_CHANGE_ROWS_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::nulls {

// Arrays over columns are as long as whole vectors of this many. What is beyond the row has the odds 0, and no part in any sum.
constexpr int64_t kChangeColumns = 8;
constexpr int64_t padded_columns(int64_t columns) { return (columns + kChangeColumns - 1) / kChangeColumns * kChangeColumns; }

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
  float* odds;     // column_odds * key_odds, as change_read writes them
  float* numbers;  // kChangeSets rows
  float* probabilities;
  float* weights;
};

// Sums by column and by key.
struct ChangeSums {
  double* columns;
  double* keys;
};

// Two sums by column, and pairs of sums by key.
struct ChangePairSums {
  double* first_columns;
  double* second_columns;
  double* keys;
};

// Writes the keys and the odds of the row.
void change_read(SimdLevel level, const ChangeRow& row);

struct ChangeCounts {
  double changes;  // or their expectation, the sum of the probabilities p
  double weight;   // number of entries, or the sum of p (1 - p)
};

// Adds the numbers of changed entries by column and key where every entry has odds. Returns their sum.
double change_count(SimdLevel level, const ChangeRow& row, const uint64_t* changed, const ChangePairSums& sums);

// Adds the numbers of changed entries and of entries, without entries whose odds are 0. Returns their sums.
ChangeCounts change_count_free(SimdLevel level, const ChangeRow& row, const uint64_t* changed, const ChangePairSums& sums);

// Sums over the row, which was read, for a factor of its odds. Writes the probabilities and the weights.
ChangeCounts change_expect(SimdLevel level, const ChangeRow& row, double row_odds);

// Adds the probabilities and weights by column and key.
void change_add(SimdLevel level, const ChangeRow& row, const ChangePairSums& sums);

// The number of sets that are processed at a time. Reading a row costs as much as the rest of the work for one set.
constexpr int kChangeSets = 4;

// The next three read the row themselves. They are for one set or for kChangeSets of them, which `count` says. The sums of a
// group of sets, and x, have the numbers of the sets of each column and key side by side.

// Adds w (x - mean of x), where x is columns[j] + keys[key of j] and w are the weights, by column and key.
void change_product(SimdLevel level, int count, const ChangeRow& row, double row_odds, const ChangeSums& x,
                    const ChangeSums& sums);

// The same for x = 1 where a set has a bit. Adds the weights, too, and writes the sum of w x^2 of each set.
void change_project(SimdLevel level, int count, const ChangeRow& row, double row_odds, const uint64_t* const* sets,
                    const ChangeSums& sums, const ChangeSums& of_weights, double* totals);

struct ChangeScore {
  double score;
  double information;
  double expected;  // changes within the set
  int64_t observed;
  int64_t entries;
};

// The scores of one row, where `x` are the projections of the sets on columns and keys.
void change_score(SimdLevel level, int count, const ChangeRow& row, double row_odds, const uint64_t* changed,
                  const uint64_t* const* sets, const ChangeSums& x, ChangeScore* scores);

#define TG_CHANGE_VARIANT(level)                                                                                              \
  void change_read_##level(const ChangeRow& row);                                                                             \
  double change_count_##level(const ChangeRow& row, const uint64_t* changed, const ChangePairSums& sums);                     \
  ChangeCounts change_count_free_##level(const ChangeRow& row, const uint64_t* changed, const ChangePairSums& sums);          \
  ChangeCounts change_expect_##level(const ChangeRow& row, double row_odds);                                                  \
  void change_add_##level(const ChangeRow& row, const ChangePairSums& sums);                                                  \
  void change_product_##level(int count, const ChangeRow& row, double row_odds, const ChangeSums& x, const ChangeSums& sums); \
  void change_project_##level(int count, const ChangeRow& row, double row_odds, const uint64_t* const* sets,                  \
                              const ChangeSums& sums, const ChangeSums& of_weights, double* totals);                          \
  void change_score_##level(int count, const ChangeRow& row, double row_odds, const uint64_t* changed,                        \
                            const uint64_t* const* sets, const ChangeSums& x, ChangeScore* scores)
TG_CHANGE_VARIANT(scalar);
TG_CHANGE_VARIANT(avx2);
TG_CHANGE_VARIANT(avx512);
#undef TG_CHANGE_VARIANT

}  // namespace threegate::nulls

#endif  // THREEGATE_CPU_NULLS_CHANGE_ROWS_H
