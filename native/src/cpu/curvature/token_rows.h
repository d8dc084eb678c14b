// Rows of activations and gradients as float32, in blocks of tokens.
#ifndef THREEGATE_CPU_CURVATURE_TOKEN_ROWS_H
#define THREEGATE_CPU_CURVATURE_TOKEN_ROWS_H

#include <cstdint>

#include "threegate/threegate.h"

namespace threegate::curvature {

// Tokens of one product. The number is fixed, so that sums have the same order for any number of threads.
constexpr int64_t kTokens = 512;
// Outputs of a layer that are processed at a time. The product of kTokens and kOutputs fits the second-level cache.
constexpr int64_t kOutputs = 512;

enum class Outcome { kDone, kCancelled, kNotFinite };

inline int64_t blocks_of(int64_t count, int64_t each) { return (count + each - 1) / each; }

// Rounds `count` entries of a row to float32.
void widen_row(const tg_matrix& matrix, int64_t row, int64_t column, int64_t count, float* out);

struct Rows {
  const float* data;
  int64_t stride;
};

// The number of entries that rows_of() copies for `rows` rows. It is 0 if the matrix can be read as float32 in place.
int64_t copy_entries(const tg_matrix& matrix, int64_t rows);

// Rows begin .. end - 1 as float32, in place or in `copy`.
Rows rows_of(const tg_matrix& matrix, int64_t begin, int64_t end, float* copy);

// The first row with an entry that is not finite, or -1 if there is none.
int64_t first_row_not_finite(const tg_matrix& matrix);

}  // namespace threegate::curvature

#endif  // THREEGATE_CPU_CURVATURE_TOKEN_ROWS_H
