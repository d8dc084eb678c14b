#include "magnitudes.h"

#include <algorithm>
#include <vector>

#include "cpu/support/magnitude_codes.h"

namespace threegate::mask {
void magnitude_histogram(const tg_operand& matrix, const uint64_t* first, const uint64_t* second, const Histogram& histogram) {
  for (int64_t* counts : {histogram.all, histogram.first, histogram.second, histogram.both}) {
    std::fill_n(counts, TG_MAGNITUDE_CODES, int64_t{0});
  }
  const int64_t words = (matrix.values.columns + 63) / 64;
  for_magnitude_codes(matrix, [&](int64_t row, int64_t column, uint32_t code) {
    const auto a = static_cast<int64_t>(first[row * words + column / 64] >> (column % 64) & 1U);
    const auto b = static_cast<int64_t>(second[row * words + column / 64] >> (column % 64) & 1U);
    ++histogram.all[code];
    histogram.first[code] += a;
    histogram.second[code] += b;
    histogram.both[code] += a & b;
  });
}

void magnitude_profile(const tg_operand& matrix, const double* table, double* row_sums, double* column_sums) {
  std::fill_n(row_sums, matrix.values.rows, 0.0);
  std::fill_n(column_sums, matrix.values.columns, 0.0);
  for_magnitude_codes(matrix, [&](int64_t row, int64_t column, uint32_t code) {
    row_sums[row] += table[code];
    column_sums[column] += table[code];
  });
}

int64_t magnitude_overlaps(const tg_operand& matrix, const tg_mask_sets* sets, const KeyedCounts& counts) {
  const MagnitudeKeys keys(matrix);
  const int64_t masks = sets == nullptr ? 0 : sets->count;
  const int64_t found = keys.count();
  for (int64_t key = 0; key < std::min(found, counts.capacity); ++key) {
    counts.codes[key] = keys.code(key);
  }
  if (found > counts.capacity) {
    return found;
  }
  std::fill_n(counts.all, found, int64_t{0});
  for (int64_t pair = 0; pair < masks * masks; ++pair) {
    std::fill_n(counts.common + pair * counts.capacity, found, int64_t{0});
  }
  const int64_t words = (matrix.values.columns + 63) / 64;
  for_magnitude_codes(matrix, [&](int64_t row, int64_t column, uint32_t code) {
    const int64_t key = keys.key_of(code);
    ++counts.all[key];
    const int64_t word = row * words + column / 64;
    for (int64_t i = 0; i < masks; ++i) {
      if ((sets->masks[i][word] >> (column % 64) & 1U) == 0) {
        continue;
      }
      for (int64_t j = i; j < masks; ++j) {
        counts.common[(i * masks + j) * counts.capacity + key] +=
            static_cast<int64_t>(sets->masks[j][word] >> (column % 64) & 1U);
      }
    }
  });
  for (int64_t i = 0; i < masks; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      std::copy_n(counts.common + (j * masks + i) * counts.capacity, found, counts.common + (i * masks + j) * counts.capacity);
    }
  }
  return found;
}

void magnitude_sums(const tg_operand& matrix, const KeyedTables& tables, double* row_sums, double* column_sums) {
  const int64_t rows = matrix.values.rows;
  const int64_t columns = matrix.values.columns;
  std::fill_n(row_sums, tables.table_count * rows, 0.0);
  std::fill_n(column_sums, tables.table_count * columns, 0.0);
  std::vector<uint16_t> position(TG_MAGNITUDE_CODES, 0);  // of a code in the tables, from 1
  for (int64_t i = 0; i < tables.code_count; ++i) {
    position[static_cast<size_t>(tables.codes[i])] = static_cast<uint16_t>(i + 1);
  }
  for_magnitude_codes(matrix, [&](int64_t row, int64_t column, uint32_t code) {
    const int64_t at = position[code];
    for (int64_t table = 0; at != 0 && table < tables.table_count; ++table) {
      const double value = tables.values[table * tables.code_count + at - 1];
      row_sums[table * rows + row] += value;
      column_sums[table * columns + column] += value;
    }
  });
}

}  // namespace threegate::mask
