// Sums of the counts of columns, in loops that the compiler vectorises for each instruction set. Everything has internal linkage,
// for the reason in dtype.h.
#ifndef THREEGATE_CPU_DIFF_COLUMN_COUNTS_H
#define THREEGATE_CPU_DIFF_COLUMN_COUNTS_H

#include "block.h"

namespace threegate::diff {
namespace {

inline void add_columns(const uint16_t* counts, int64_t size, int64_t* to) {
  for (int64_t j = 0; j < size; ++j) {
    to[j] += counts[j];
  }
}

inline int64_t sum_columns(const uint16_t* counts, int64_t size) {
  static_assert(kBlockColumns * kBlockRows <= INT32_MAX);
  int32_t sum = 0;
  for (int64_t j = 0; j < size; ++j) {
    sum += counts[j];
  }
  return sum;
}

constexpr ColumnCounts kOwnColumnCounts{add_columns, sum_columns};

}  // namespace
}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_COLUMN_COUNTS_H
