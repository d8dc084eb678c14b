#include "change_rows.h"

#include "change_lanes.h"

namespace threegate::nulls {

void change_read_scalar(const ChangeRow& row) { read_row(row); }
double change_count_scalar(const ChangeRow& row, const uint64_t* changed, const ChangePairSums& sums) {
  return count_changes(row, changed, sums);
}
ChangeCounts change_count_free_scalar(const ChangeRow& row, const uint64_t* changed, const ChangePairSums& sums) {
  return count_free(row, changed, sums);
}
ChangeCounts change_expect_scalar(const ChangeRow& row, double row_odds) { return expect_row(row, row_odds); }
void change_add_scalar(const ChangeRow& row, const ChangePairSums& sums) { add_row(row, sums); }
void change_product_scalar(int count, const ChangeRow& row, double row_odds, const ChangeSums& x, const ChangeSums& sums) {
  count == 1 ? product_rows<1>(row, row_odds, x, sums) : product_rows<kChangeSets>(row, row_odds, x, sums);
}
void change_project_scalar(int count, const ChangeRow& row, double row_odds, const uint64_t* const* sets, const ChangeSums& sums,
                           const ChangeSums& of_weights, double* totals) {
  count == 1 ? project_rows<1>(row, row_odds, sets, sums, of_weights, totals)
             : project_rows<kChangeSets>(row, row_odds, sets, sums, of_weights, totals);
}
void change_score_scalar(int count, const ChangeRow& row, double row_odds, const uint64_t* changed, const uint64_t* const* sets,
                         const ChangeSums& x, ChangeScore* scores) {
  count == 1 ? score_rows<1>(row, row_odds, changed, sets, x, scores)
             : score_rows<kChangeSets>(row, row_odds, changed, sets, x, scores);
}

void change_read(SimdLevel level, const ChangeRow& row) { TG_LANES_AT_LEVEL(level, change_read)(row); }
double change_count(SimdLevel level, const ChangeRow& row, const uint64_t* changed, const ChangePairSums& sums) {
  return TG_LANES_AT_LEVEL(level, change_count)(row, changed, sums);
}
ChangeCounts change_count_free(SimdLevel level, const ChangeRow& row, const uint64_t* changed, const ChangePairSums& sums) {
  return TG_LANES_AT_LEVEL(level, change_count_free)(row, changed, sums);
}
ChangeCounts change_expect(SimdLevel level, const ChangeRow& row, double row_odds) {
  return TG_LANES_AT_LEVEL(level, change_expect)(row, row_odds);
}
void change_add(SimdLevel level, const ChangeRow& row, const ChangePairSums& sums) {
  TG_LANES_AT_LEVEL(level, change_add)(row, sums);
}
void change_product(SimdLevel level, int count, const ChangeRow& row, double row_odds, const ChangeSums& x,
                    const ChangeSums& sums) {
  TG_LANES_AT_LEVEL(level, change_product)(count, row, row_odds, x, sums);
}
void change_project(SimdLevel level, int count, const ChangeRow& row, double row_odds, const uint64_t* const* sets,
                    const ChangeSums& sums, const ChangeSums& of_weights, double* totals) {
  TG_LANES_AT_LEVEL(level, change_project)(count, row, row_odds, sets, sums, of_weights, totals);
}
void change_score(SimdLevel level, int count, const ChangeRow& row, double row_odds, const uint64_t* changed,
                  const uint64_t* const* sets, const ChangeSums& x, ChangeScore* scores) {
  TG_LANES_AT_LEVEL(level, change_score)(count, row, row_odds, changed, sets, x, scores);
}

}  // namespace threegate::nulls
