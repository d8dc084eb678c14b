// Decoding of quantised weights. The caller has checked the arguments.
#ifndef THREEGATE_CPU_CODES_CODES_H
#define THREEGATE_CPU_CODES_CODES_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "cpu/support/thread_pool.h"
#include "threegate/threegate.h"

namespace threegate::codes {

constexpr int64_t kWordRows = 8;     // codes of four bits in a word
constexpr int64_t kWordColumns = 8;  // columns of a tile, whose words are transposed together

// Rows and columns of the matrix, of which `end` ones are behind the last.
struct Range {
  int64_t first_row;
  int64_t end_row;
  int64_t first_column;
  int64_t end_column;
};

// Returns whether the codes of several rows lie side by side.
inline bool is_across(const tg_codes& codes) { return codes.order >= TG_CODES_DOWN; }

// The number of bytes from `codes` to the end of the last code.
int64_t code_span(const tg_codes& codes);

// Where entries are written.
struct Output {
  float* data;     // the entry of the row and column below
  int64_t row;     // of the matrix
  int64_t column;  // of the matrix
  int64_t stride;  // entries from row to row

  [[nodiscard]] float* at(int64_t i, int64_t j) const { return data + (i - row) * stride + (j - column); }
};

// Decodes all entries to `out`. Returns false if the call was cancelled.
bool decode(ThreadPool& pool, SimdLevel level, const tg_codes& codes, const tg_control* control, float* out);

// Decodes a range on one thread.
void decode_range(SimdLevel level, const tg_codes& codes, const Range& range, const Output& out);

void decode_scalar(const tg_codes& codes, const Range& range, const Output& out);
void decode_avx2(const tg_codes& codes, const Range& range, const Output& out);

}  // namespace threegate::codes

#endif  // THREEGATE_CPU_CODES_CODES_H
