#include "change_rows.h"

#include "change_lanes.h"

namespace threegate::nulls {

void change_read_avx2(const ChangeRow& row) { read_odds(row); }
ChangeCounts change_counts_avx2(const ChangeRow& row, double row_odds) { return count_row(row, row_odds); }
void change_probabilities_avx2(const ChangeRow& row, double row_odds) { fill_probabilities(row, row_odds); }
void change_add_avx2(const ChangeRow& row, const ChangeSums& expected, const ChangeSums& weights) {
  add_row(row, expected, weights);
}
void change_product_avx2(const ChangeRow& row, const ChangeSums& x, const ChangeSums& sums) { product_row(row, x, sums); }
double change_project_avx2(const ChangeRow& row, const uint64_t* set, const ChangeSums& sums) {
  return project_row(row, set, sums);
}
void change_score_avx2(const ChangeRow& row, const uint64_t* changed, const uint64_t* set, const ChangeSums& x,
                       ChangeScore& score) {
  score_row(row, changed, set, x, score);
}

}  // namespace threegate::nulls
