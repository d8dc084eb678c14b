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

}  // namespace threegate::mask

#endif  // THREEGATE_CPU_MASK_MAGNITUDES_H
