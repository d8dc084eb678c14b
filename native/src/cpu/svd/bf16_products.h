// Products of a bf16 matrix and of its transpose with a few bf16 vectors each, in one pass, by the bf16 dot products of the
// processor. Products of bf16 numbers are exact in float32, so that only the summation rounds.
//
// Both products take 4 operations for each entry and vector. Codes are multiplied as they are stored, and not widened: rows with
// vectors along them, and pairs of rows, whose codes are interleaved in registers, with pairs of entries of the others. That
// binds, not memory: 48 rows stay in the second-level cache, or a part of them.
#ifndef THREEGATE_CPU_SVD_BF16_PRODUCTS_H
#define THREEGATE_CPU_SVD_BF16_PRODUCTS_H

#include <cstdint>

#include "cpu/support/arena.h"
#include "cpu/support/simd_level.h"
#include "panel.h"

namespace threegate::svd {

// Returns whether the processor has such products for the matrix of a view.
bool has_bf16_products(SimdLevel level, const View& view) noexcept;

class Bf16Products {
 public:
  Bf16Products(Arena& arena, const View& view, int64_t count);

  // images = A x and back = A^T y for rows of x and y, whose entries are bf16 numbers. All arrays have a row for each vector.
  void run(const View& view, const float* x, const float* y, float* images, float* back) const;

 private:
  int64_t count_;
  int64_t padded_;     // vectors, a multiple of kBf16Vectors
  int64_t columns_;    // of the stored matrix, a multiple of kBf16Columns
  uint16_t* along_;    // padded x columns: codes of vectors along rows
  uint32_t* pairs_;    // half of the rows x padded: entries of vectors across, for two rows each
  float* of_rows_;     // rows x padded: products with vectors along rows
  float* of_columns_;  // padded x columns, in the order of bf16_position()
};

constexpr int64_t kBf16Vectors = 4;
constexpr int64_t kBf16Columns = 32;
constexpr int64_t kBf16Rows = 6;  // whose products with four vectors stay in registers

// Where the sum of a column is among those of kBf16Columns columns.
constexpr int64_t bf16_position(int64_t column) { return column / 8 * 4 + column % 4 + (column % 8 < 4 ? 0 : 16); }

// Codes of rows that are `row_bytes` apart, and numbers of both.
struct Bf16Codes {
  const uint8_t* codes;
  int64_t row_bytes;
  int64_t rows;
  int64_t columns;
};

// Writes the products of up to kBf16Rows rows with all vectors along them.
void multiply_bf16_rows_avx512(const Bf16Codes& codes, const uint16_t* along, int64_t stride, int64_t vectors, float* products);

// Adds the products of the vectors across to sums that are `stride` apart. The number of columns is not limited.
void add_bf16_rows_avx512(const Bf16Codes& codes, const uint32_t* pairs, int64_t vectors, int64_t stride, float* sums);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_BF16_PRODUCTS_H
