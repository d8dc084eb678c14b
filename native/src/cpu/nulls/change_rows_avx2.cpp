#include "change_rows.h"

#include "change_lanes.h"

namespace threegate::nulls {

void change_read_avx2(const ChangeRow& row) { read_row(row); }
double change_count_avx2(const ChangeRow& row, const uint64_t* changed, const ChangePairSums& sums) {
  return count_changes(row, changed, sums);
}
ChangeCounts change_count_free_avx2(const ChangeRow& row, const uint64_t* changed, const ChangePairSums& sums) {
  return count_free(row, changed, sums);
}
ChangeCounts change_expect_avx2(const ChangeRow& row, double row_odds) { return expect_row(row, row_odds); }
void change_add_avx2(const ChangeRow& row, const ChangePairSums& sums) { add_row(row, sums); }
void change_product_avx2(int count, const ChangeRow& row, double row_odds, const ChangeSums& x, const ChangeSums& sums) {
  count == 1 ? product_rows<1>(row, row_odds, x, sums) : product_rows<kChangeSets>(row, row_odds, x, sums);
}
void change_project_avx2(int count, const ChangeRow& row, double row_odds, const uint64_t* const* sets, const ChangeSums& sums,
                         const ChangeSums& of_weights, double* totals) {
  count == 1 ? project_rows<1>(row, row_odds, sets, sums, of_weights, totals)
             : project_rows<kChangeSets>(row, row_odds, sets, sums, of_weights, totals);
}
void change_score_avx2(int count, const ChangeRow& row, double row_odds, const uint64_t* changed, const uint64_t* const* sets,
                       const ChangeSums& x, ChangeScore* scores) {
  count == 1 ? score_rows<1>(row, row_odds, changed, sets, x, scores)
             : score_rows<kChangeSets>(row, row_odds, changed, sets, x, scores);
}

}  // namespace threegate::nulls
