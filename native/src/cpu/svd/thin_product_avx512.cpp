#include <algorithm>

#include "lanes_avx512.h"
#include "thin_product.h"

namespace threegate::svd {
namespace {

constexpr int64_t kWidth = 16;

// Packs groups of kThinRows rows with one vector of each row in turn, and zeros beyond the order. This is one stream. Rows of
// some orders would otherwise compete for the same places of the cache.
void pack(int64_t count, int64_t order, const float* rows, float* packed) {
  for (int64_t group = 0; group < count; group += kThinRows) {
    for (int64_t k = 0; k < order; k += kWidth) {
      for (int64_t i = 0; i < kThinRows; ++i) {
        for (int64_t lane = 0; lane < kWidth; ++lane) {
          *packed++ = k + lane < order ? rows[(group + i) * order + k + lane] : 0.0F;
        }
      }
    }
  }
}

// Multiplies a group with up to four rows of the matrix, which are also its columns.
template <int64_t kColumns>
[[gnu::always_inline]] inline void multiply(int64_t order, const float* packed, const float* matrix, float* product) {
  __m512 sums[kThinRows][4];
  for (auto& row : sums) {
    for (__m512& sum : row) {
      sum = _mm512_setzero_ps();
    }
  }
  const auto step = [&](int64_t k, __mmask16 mask) {
    __m512 columns[4];
    for (int64_t j = 0; j < kColumns; ++j) {
      columns[j] = _mm512_maskz_loadu_ps(mask, matrix + j * order + k);
    }
    for (int64_t i = 0; i < kThinRows; ++i) {
      const __m512 row = _mm512_loadu_ps(packed + k * kThinRows + i * kWidth);
      for (int64_t j = 0; j < kColumns; ++j) {
        sums[i][j] = _mm512_fmadd_ps(row, columns[j], sums[i][j]);
      }
    }
  };
  int64_t k = 0;
  for (; k + kWidth <= order; k += kWidth) {
    step(k, 0xffffU);
  }
  if (k < order) {
    step(k, static_cast<__mmask16>((1U << (order - k)) - 1));
  }
  for (int64_t i = 0; i < kThinRows; ++i) {
    const __m128 totals = sum_lanes(sums[i][0], sums[i][1], sums[i][2], sums[i][3]);
    _mm_mask_storeu_ps(product + i * order, static_cast<__mmask8>((1U << kColumns) - 1), totals);
  }
}

}  // namespace

void thin_product_avx512(int64_t count, int64_t order, const float* rows, const float* matrix, float* copy, float* product) {
  pack(count, order, rows, copy);
  const int64_t stride = thin_copy_size(kThinRows, order);
  int64_t j = 0;
  for (; j + 4 <= order; j += 4) {
    for (int64_t i = 0; i < count; i += kThinRows) {
      multiply<4>(order, copy + i / kThinRows * stride, matrix + j * order, product + i * order + j);
    }
  }
  for (; j < order; ++j) {
    for (int64_t i = 0; i < count; i += kThinRows) {
      multiply<1>(order, copy + i / kThinRows * stride, matrix + j * order, product + i * order + j);
    }
  }
}

}  // namespace threegate::svd
