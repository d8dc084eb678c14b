// Counts and sums by the magnitude of entries.
#ifndef THREEGATE_CPU_MASK_MAGNITUDES_H
#define THREEGATE_CPU_MASK_MAGNITUDES_H

#include <cstdint>

#include "threegate/threegate.h"

namespace threegate::mask {

// The counters of tg_magnitude_histogram.
struct Histogram {
  int64_t* all;
  int64_t* first;
  int64_t* second;
  int64_t* both;
};

// Computes what tg_magnitude_profile returns.
void magnitude_profile(const tg_operand& matrix, const double* table, double* row_sums, double* column_sums);

// Computes what tg_magnitude_histogram returns.
void magnitude_histogram(const tg_operand& matrix, const uint64_t* first, const uint64_t* second, const Histogram& histogram);

// The outputs of tg_magnitude_overlaps.
struct KeyedCounts {
  int64_t capacity;
  int32_t* codes;
  int64_t* all;
  int64_t* common;
};

// Computes what tg_magnitude_overlaps returns. `sets` may be nullptr. Returns the number of codes, even if it is above the
// capacity.
int64_t magnitude_overlaps(const tg_operand& matrix, const tg_mask_sets* sets, const KeyedCounts& counts);

// The tables of tg_magnitude_sums.
struct KeyedTables {
  const int32_t* codes;
  int64_t code_count;
  const double* values;
  int64_t table_count;
};

// Computes what tg_magnitude_sums returns.
void magnitude_sums(const tg_operand& matrix, const KeyedTables& tables, double* row_sums, double* column_sums);

}  // namespace threegate::mask

#endif  // THREEGATE_CPU_MASK_MAGNITUDES_H
