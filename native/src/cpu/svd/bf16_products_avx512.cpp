#include <algorithm>
#include <cstddef>

#include "bf16_products.h"
#include "lanes_avx512.h"

namespace threegate::svd {
namespace {

constexpr int64_t kPart = 2048;  // codes of rows and vectors that stay in the first-level cache

[[gnu::always_inline]] inline __mmask32 mask_of(int64_t count) {
  return count >= kBf16Columns ? ~__mmask32{0} : (__mmask32{1} << count) - 1;
}

[[gnu::always_inline]] inline __m512i load_codes(const void* codes, __mmask32 mask) {
  return _mm512_maskz_loadu_epi16(mask, codes);
}

[[gnu::always_inline]] inline __m512 add_products(__m512 sums, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(sums, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

// The products of some rows with four vectors along them, for a part of the columns.
template <int64_t kRows>
[[gnu::always_inline]] inline void multiply_tile(const Bf16Codes& codes, const uint16_t* along, int64_t stride, bool first,
                                                 int64_t vectors, float* products) {
  __m512 sums[static_cast<size_t>(kRows)][kBf16Vectors];
  for (auto& row : sums) {
    for (__m512& sum : row) {
      sum = _mm512_setzero_ps();
    }
  }
  for (int64_t k = 0; k < codes.columns; k += kBf16Columns) {
    const __mmask32 mask = mask_of(codes.columns - k);
    __m512i vector[kBf16Vectors];
    for (int64_t i = 0; i < kBf16Vectors; ++i) {
      vector[i] = _mm512_loadu_si512(along + i * stride + k);
    }
    for (int64_t row = 0; row < kRows; ++row) {
      const __m512i own = load_codes(codes.codes + row * codes.row_bytes + 2 * k, mask);
      for (int64_t i = 0; i < kBf16Vectors; ++i) {
        sums[row][i] = add_products(sums[row][i], own, vector[i]);
      }
    }
  }
  for (int64_t row = 0; row < kRows; ++row) {
    float* out = products + row * vectors;
    const __m128 totals = sum_lanes(sums[row][0], sums[row][1], sums[row][2], sums[row][3]);
    _mm_storeu_ps(out, first ? totals : _mm_add_ps(_mm_loadu_ps(out), totals));
  }
}

// Adds the products of some vectors across with up to kBf16Columns columns.
template <int64_t kVectors>
[[gnu::always_inline]] inline void add_tile(const Bf16Codes& codes, const uint32_t* pairs, int64_t vectors, int64_t stride,
                                            float* sums) {
  __m512 low[static_cast<size_t>(kVectors)];
  __m512 high[static_cast<size_t>(kVectors)];
  for (int64_t i = 0; i < kVectors; ++i) {
    low[i] = _mm512_setzero_ps();
    high[i] = _mm512_setzero_ps();
  }
  const __mmask32 mask = mask_of(codes.columns);
  for (int64_t row = 0; row < codes.rows; row += 2) {
    const uint8_t* own = codes.codes + row * codes.row_bytes;
    const __m512i even = load_codes(own, mask);
    const __m512i odd = row + 1 < codes.rows ? load_codes(own + codes.row_bytes, mask) : _mm512_setzero_si512();
    const __m512i first = _mm512_unpacklo_epi16(even, odd);
    const __m512i second = _mm512_unpackhi_epi16(even, odd);
    for (int64_t i = 0; i < kVectors; ++i) {
      const __m512i pair = _mm512_set1_epi32(static_cast<int>(pairs[row / 2 * vectors + i]));
      low[i] = add_products(low[i], first, pair);
      high[i] = add_products(high[i], second, pair);
    }
  }
  for (int64_t i = 0; i < kVectors; ++i) {
    float* out = sums + i * stride;
    _mm512_storeu_ps(out, _mm512_add_ps(_mm512_loadu_ps(out), low[i]));
    _mm512_storeu_ps(out + 16, _mm512_add_ps(_mm512_loadu_ps(out + 16), high[i]));
  }
}

template <int64_t kVectors>
void add_columns(const Bf16Codes& codes, const uint32_t* pairs, int64_t vectors, int64_t stride, float* sums) {
  for (int64_t column = 0; column < codes.columns; column += kBf16Columns) {
    add_tile<kVectors>({codes.codes + 2 * column, codes.row_bytes, codes.rows, codes.columns - column}, pairs, vectors, stride,
                       sums + column);
  }
}

}  // namespace

void multiply_bf16_rows_avx512(const Bf16Codes& codes, const uint16_t* along, int64_t stride, int64_t vectors, float* products) {
  for (int64_t part = 0; part < codes.columns; part += kPart) {
    const int64_t columns = std::min(kPart, codes.columns - part);
    for (int64_t i = 0; i < vectors; i += kBf16Vectors) {
      const uint16_t* own = along + i * stride + part;
      if (codes.rows == kBf16Rows) {
        multiply_tile<kBf16Rows>({codes.codes + 2 * part, codes.row_bytes, kBf16Rows, columns}, own, stride, part == 0, vectors,
                                 products + i);
        continue;
      }
      for (int64_t row = 0; row < codes.rows; ++row) {
        multiply_tile<1>({codes.codes + row * codes.row_bytes + 2 * part, codes.row_bytes, 1, columns}, own, stride, part == 0,
                         vectors, products + row * vectors + i);
      }
    }
  }
}

void add_bf16_rows_avx512(const Bf16Codes& codes, const uint32_t* pairs, int64_t vectors, int64_t stride, float* sums) {
  constexpr int64_t kTogether = 8;
  int64_t i = 0;
  for (; i + kTogether <= vectors; i += kTogether) {
    add_columns<kTogether>(codes, pairs + i, vectors, stride, sums + i * stride);
  }
  for (; i < vectors; i += kBf16Vectors) {
    add_columns<kBf16Vectors>(codes, pairs + i, vectors, stride, sums + i * stride);
  }
}

}  // namespace threegate::svd
