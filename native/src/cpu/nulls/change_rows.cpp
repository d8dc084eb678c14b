#include "change_rows.h"

#include "change_lanes.h"

namespace threegate::nulls {

void change_read_scalar(const ChangeRow& row) { read_odds(row); }
ChangeCounts change_counts_scalar(const ChangeRow& row, double row_odds) { return count_row(row, row_odds); }
void change_probabilities_scalar(const ChangeRow& row, double row_odds) { fill_probabilities(row, row_odds); }
void change_add_scalar(const ChangeRow& row, const ChangeSums& expected, const ChangeSums& weights) {
  add_row(row, expected, weights);
}
void change_product_scalar(const ChangeRow& row, const ChangeSums& x, const ChangeSums& sums) { product_row(row, x, sums); }
double change_project_scalar(const ChangeRow& row, const uint64_t* set, const ChangeSums& sums) {
  return project_row(row, set, sums);
}
void change_score_scalar(const ChangeRow& row, const uint64_t* changed, const uint64_t* set, const ChangeSums& x,
                         ChangeScore& score) {
  score_row(row, changed, set, x, score);
}

void change_read(SimdLevel level, const ChangeRow& row) { TG_LANES_AT_LEVEL(level, change_read)(row); }
ChangeCounts change_counts(SimdLevel level, const ChangeRow& row, double row_odds) {
  return TG_LANES_AT_LEVEL(level, change_counts)(row, row_odds);
}
void change_probabilities(SimdLevel level, const ChangeRow& row, double row_odds) {
  TG_LANES_AT_LEVEL(level, change_probabilities)(row, row_odds);
}
void change_add(SimdLevel level, const ChangeRow& row, const ChangeSums& expected, const ChangeSums& weights) {
  TG_LANES_AT_LEVEL(level, change_add)(row, expected, weights);
}
void change_product(SimdLevel level, const ChangeRow& row, const ChangeSums& x, const ChangeSums& sums) {
  TG_LANES_AT_LEVEL(level, change_product)(row, x, sums);
}
double change_project(SimdLevel level, const ChangeRow& row, const uint64_t* set, const ChangeSums& sums) {
  return TG_LANES_AT_LEVEL(level, change_project)(row, set, sums);
}
void change_score(SimdLevel level, const ChangeRow& row, const uint64_t* changed, const uint64_t* set, const ChangeSums& x,
                  ChangeScore& score) {
  TG_LANES_AT_LEVEL(level, change_score)(row, changed, set, x, score);
}

}  // namespace threegate::nulls
