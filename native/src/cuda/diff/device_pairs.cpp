#include "device_pairs.h"

#include <algorithm>

namespace threegate::cuda {
namespace {

bool is_empty(const CudaDiff& item) { return item.base->values.rows == 0 || item.base->values.columns == 0; }

// Takes the arrays of one pair. Without memory the layout only counts.
Pair lay_out(const CudaDiff& item, Layout& layout) {
  Pair pair{};
  pair.item = &item;
  const tg_matrix& values = item.base->values;
  const tg_diff_profiles* profiles = item.profiles;
  const auto wanted = [](bool yes, int64_t count) { return yes ? count : 0; };
  pair.units = layout.take<UnitResult>(units_of(values));
  pair.row_changed = layout.take<uint64_t>(wanted(profiles != nullptr && profiles->row_changed != nullptr, values.rows));
  pair.column_changed = layout.take<uint64_t>(wanted(profiles != nullptr && profiles->column_changed != nullptr, values.columns));
  pair.map =
      layout.take<uint64_t>(profiles != nullptr && profiles->map != nullptr ? profiles->map_rows * profiles->map_columns : 0);
  return pair;
}

}  // namespace

int64_t units_of(const tg_matrix& values) { return quotient(values.rows, kUnitRows) * quotient(values.columns, kUnitColumns); }

int64_t lay_out_all(const CudaDiff* items, int64_t count, uint8_t* memory, std::vector<Pair>& pairs, UnitRange*& ranges,
                    MatrixResult*& results) {
  Layout layout(memory);
  ranges = layout.take<UnitRange>(count);
  results = layout.take<MatrixResult>(count);
  for (int64_t i = 0; i < count; ++i) {
    if (!is_empty(items[i])) {
      pairs.push_back(lay_out(items[i], layout));
    }
  }
  return layout.used();
}

void clear(const CudaDiff& item) {
  const int64_t size = item.result->size;
  *item.result = tg_diff_result{};
  item.result->size = size;
  item.result->total = item.base->values.rows * item.base->values.columns;
  if (item.profiles == nullptr || !is_empty(item)) {
    return;
  }
  if (item.profiles->row_changed != nullptr) {
    std::fill_n(item.profiles->row_changed, item.base->values.rows, int64_t{0});
  }
  if (item.profiles->column_changed != nullptr) {
    std::fill_n(item.profiles->column_changed, item.base->values.columns, int64_t{0});
  }
  if (item.profiles->map != nullptr) {
    std::fill_n(item.profiles->map, item.profiles->map_rows * item.profiles->map_columns, int64_t{0});
  }
}

void copy_result(const MatrixResult& from, tg_diff_result& to) {
  to.base_squares = from.base_squares;
  to.delta_squares = from.delta_squares;
  to.delta_dot_base = from.delta_dot_base;
  to.max_abs_delta = from.max_abs_delta;
  to.changed = from.counts[0];
  to.changed_bits = from.counts[1];
  to.changed_stored = from.counts[2];
  to.hidden = from.counts[3];
  to.non_finite = from.counts[4];
  to.sign_flips = from.counts[5];
  int64_t others = 0;
  for (int bin = 1; bin < TG_ULP_BINS; ++bin) {
    to.ulp_histogram[bin] = from.bins[bin];
    others += from.bins[bin];
  }
  to.ulp_histogram[0] = to.total - to.non_finite - others;
}

}  // namespace threegate::cuda
