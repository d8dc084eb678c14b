#include "magnitudes.h"

#include <algorithm>
#include <array>
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
  for (int64_t key = 0; key < found; ++key) {
    counts.all[key] = keys.entries(key);
  }
  for (int64_t pair = 0; pair < masks * masks; ++pair) {
    std::fill_n(counts.common + pair * counts.capacity, found, int64_t{0});
  }
  // Most entries are in no mask, so only those of the set bits are read.
  const int64_t columns = matrix.values.columns;
  const int64_t words = (columns + 63) / 64;
  for (int64_t row = 0; row < matrix.values.rows && masks > 0; ++row) {
    require_not_cancelled();
    for (int64_t first = 0; first < columns; first += kRun) {
      const int64_t count = std::min(kRun, columns - first);
      with_codes(matrix, row, first, count, [&](auto code_at) {
        for (int64_t k = 0; k < count; k += 64) {
          const int64_t word = row * words + (first + k) / 64;
          const uint64_t inside = count - k < 64 ? (uint64_t{1} << (count - k)) - 1 : ~uint64_t{0};
          for (int64_t i = 0; i < masks; ++i) {
            for (uint64_t bits = sets->masks[i][word] & inside; bits != 0; bits &= bits - 1) {
              const int64_t bit = __builtin_ctzll(bits);
              const int64_t key = keys.key_of(code_at(k + bit));
              for (int64_t j = i; j < masks; ++j) {
                counts.common[(i * masks + j) * counts.capacity + key] += static_cast<int64_t>(sets->masks[j][word] >> bit & 1U);
              }
            }
          }
        }
      });
    }
  }
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
  // The values of the tables, behind a 0 for all other codes.
  const int64_t width = tables.code_count + 1;
  std::vector<uint16_t> position(TG_MAGNITUDE_CODES, 0);
  std::vector<double> values(static_cast<size_t>(tables.table_count * width), 0.0);
  for (int64_t i = 0; i < tables.code_count; ++i) {
    position[static_cast<size_t>(tables.codes[i])] = static_cast<uint16_t>(i + 1);
  }
  for (int64_t table = 0; table < tables.table_count; ++table) {
    std::copy_n(tables.values + table * tables.code_count, tables.code_count, &values[static_cast<size_t>(table * width + 1)]);
  }
  // Each sum over a row waits for its additions, so that those of several rows are computed side by side.
  constexpr size_t kRows = 4;
  std::array<std::array<uint16_t, kRun>, kRows> places{};
  std::array<std::array<double, kRun>, kRows> terms{};
  for (int64_t begin = 0; begin < rows; begin += int64_t{kRows}) {
    require_not_cancelled();
    const auto group = static_cast<size_t>(std::min<int64_t>(kRows, rows - begin));
    for (size_t row = group; row < kRows; ++row) {
      terms[row].fill(0);
    }
    for (int64_t first = 0; first < columns; first += kRun) {
      const auto count = static_cast<size_t>(std::min(kRun, columns - first));
      for (size_t row = 0; row < group; ++row) {
        with_codes(matrix, begin + static_cast<int64_t>(row), first, static_cast<int64_t>(count), [&](auto code_at) {
          for (size_t k = 0; k < count; ++k) {
            places[row][k] = position[code_at(static_cast<int64_t>(k))];
          }
        });
      }
      for (int64_t table = 0; table < tables.table_count; ++table) {
        const double* of_table = &values[static_cast<size_t>(table * width)];
        double* by_column = column_sums + table * columns + first;
        for (size_t row = 0; row < group; ++row) {
          for (size_t k = 0; k < count; ++k) {
            terms[row][k] = of_table[places[row][k]];
            by_column[k] += terms[row][k];
          }
        }
        double* by_row = row_sums + table * rows + begin;
        std::array<double, kRows> sums{};
        std::copy_n(by_row, group, sums.begin());
        for (size_t k = 0; k < count; ++k) {
          for (size_t row = 0; row < kRows; ++row) {
            sums[row] += terms[row][k];
          }
        }
        std::copy_n(sums.begin(), group, by_row);
      }
    }
  }
}

}  // namespace threegate::mask
