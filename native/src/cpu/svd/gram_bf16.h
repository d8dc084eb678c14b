// The Gram matrix of bf16 rows in float32 by the processor's bf16 dot products: bf16 products are exact in float32, so that only
// the summation rounds, as it does in sgemm, at twice its speed and without widening.
#ifndef THREEGATE_CPU_SVD_GRAM_BF16_H
#define THREEGATE_CPU_SVD_GRAM_BF16_H

#include <cstdint>

#include "panel.h"

namespace threegate::svd {

constexpr int64_t kDotPanel = 2048;  // of the long side; a multiple of 32. Sixty rows of it stay in the second-level cache

// Whether this processor has AVX512_BF16.
bool has_bf16_dot() noexcept;

// Whether the view is plain bf16 with a scale of one.
bool is_plain_bf16(const View& view) noexcept;

// Entries of a packed panel: rows padded to a multiple of four.
int64_t packed_entries(int64_t rows);

// The panel begin .. begin + count of the long side as short_side rows of kDotPanel codes, zeros behind `count`.
void pack(const View& view, int64_t begin, int64_t count, uint16_t* packed);

// Adds the products of the packed rows to the lower triangle of `gram`, rows x rows, row-major.
void add_products_avx512(const uint16_t* packed, int64_t rows, float* gram);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_GRAM_BF16_H
