#include <algorithm>
#include <cstddef>

#include "gram_bf16.h"
#include "lanes_avx512.h"

namespace threegate::svd {
namespace {

constexpr int64_t kBlock = 4;  // rows of a block, so that 4 x 4 sums stay in registers

[[gnu::always_inline]] inline __m512bh load_codes(const uint16_t* codes) {
  return reinterpret_cast<__m512bh>(_mm512_loadu_si512(codes));
}

// Adds the products of rows i .. i + 3 with rows j .. j + 3.
void add_block(const uint16_t* packed, int64_t rows, int64_t i, int64_t j, float* gram) {
  __m512 sums[kBlock][kBlock];
  for (auto& row : sums) {
    for (__m512& sum : row) {
      sum = _mm512_setzero_ps();
    }
  }
  const uint16_t* left = packed + i * kDotPanel;
  const uint16_t* right = packed + j * kDotPanel;
  for (int64_t k = 0; k < kDotPanel; k += 32) {
    __m512bh b[kBlock];
    for (int64_t c = 0; c < kBlock; ++c) {
      b[c] = load_codes(right + c * kDotPanel + k);
    }
    for (int64_t r = 0; r < kBlock; ++r) {
      const __m512bh a = load_codes(left + r * kDotPanel + k);
      for (int64_t c = 0; c < kBlock; ++c) {
        sums[r][c] = _mm512_dpbf16_ps(sums[r][c], a, b[c]);
      }
    }
  }
  for (int64_t r = 0; r < std::min(kBlock, rows - i); ++r) {
    alignas(16) float totals[kBlock];
    _mm_store_ps(totals, sum_lanes(sums[r][0], sums[r][1], sums[r][2], sums[r][3]));
    for (int64_t c = 0; c < std::min(kBlock, i + r + 1 - j); ++c) {
      gram[(i + r) * rows + j + c] += totals[c];
    }
  }
}

}  // namespace

void add_group_products_avx512(const uint16_t* packed, int64_t rows, int64_t group, float* gram) {
  const int64_t begin = group * kGroupRows;
  const int64_t end = std::min(begin + kGroupRows, rows);
  for (int64_t j = 0; j < end; j += kBlock) {
    for (int64_t i = std::max(begin, j); i < end; i += kBlock) {
      add_block(packed, rows, i, j, gram);
    }
  }
}

}  // namespace threegate::svd
