// The Gram matrix of bf16 rows in float32, by the bf16 dot products of the processor. Products of bf16 numbers are exact in
// float32, so that only the summation rounds, as in sgemm. It is twice as fast as sgemm and needs no widening.
#ifndef THREEGATE_CPU_SVD_GRAM_BF16_H
#define THREEGATE_CPU_SVD_GRAM_BF16_H

#include <cstdint>

#include "panel.h"

namespace threegate::svd {

constexpr int64_t kDotPanel =
    2048;  // entries of the long side, a multiple of 32. Sixty rows of it stay in the second-level cache

// Adds the squares of each packed row to `squares`, in float64.
void add_packed_squares(const uint16_t* packed, int64_t rows, double* squares);

// Returns whether the view is plain bf16 with a scale of 1.
bool is_plain_bf16(const View& view) noexcept;

// The number of entries of a packed panel, whose rows are padded to a multiple of four.
int64_t packed_entries(int64_t rows);

// Packs the panel begin .. begin + count of the long side as short_side rows of kDotPanel codes. The rest of each row is zero.
void pack(const View& view, int64_t begin, int64_t count, uint16_t* packed);

// Adds the products of the packed rows to the lower triangle of `gram`, which is rows x rows, row-major.
void add_products_avx512(const uint16_t* packed, int64_t rows, float* gram);

constexpr int64_t kGroupRows = 60;  // rows that stay in the second-level cache while all others pass

// Does so for the rows of one group.
void add_group_products_avx512(const uint16_t* packed, int64_t rows, int64_t group, float* gram);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_GRAM_BF16_H
