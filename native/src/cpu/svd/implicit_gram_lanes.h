// The arithmetic of implicit_gram.h for vectors of one instruction set. `V` has a vector type with its operations, and the sizes
// of tiles for which the registers suffice. Everything has internal linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_SVD_IMPLICIT_GRAM_LANES_H
#define THREEGATE_CPU_SVD_IMPLICIT_GRAM_LANES_H

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/dtype.h"
#include "implicit_gram.h"

namespace threegate::svd {
namespace {

// Parts of the length follow each other, then groups of rows, then one vector of each row in turn.
template <typename V>
void copy_rows(const GramShape& shape, int64_t rows, int64_t length, const typename V::Entry* from, typename V::Entry* copy) {
  for (int64_t part = 0; part < shape.length; part += kGramPart) {
    const int64_t end = std::min(part + kGramPart, shape.length);
    for (int64_t group = 0; group < shape.count; group += kGramRows) {
      for (int64_t k = part; k < end; k += V::kWidth) {
        for (int64_t i = group; i < group + kGramRows; ++i) {
          const int64_t some = i < rows ? std::clamp<int64_t>(length - k, 0, V::kWidth) : 0;
          std::copy_n(from + i * length + k, some, copy);
          std::fill_n(copy + some, V::kWidth - some, 0);
          copy += V::kWidth;
        }
      }
    }
  }
}

// Adds the products of a group with some rows of a panel to those of earlier parts of the length.
template <typename V, int64_t kColumns>
[[gnu::always_inline]] inline void multiply_group(int64_t length, int64_t stride, int64_t count, bool first,
                                                  const typename V::Entry* copy, const typename V::Entry* panel,
                                                  typename V::Entry* products) {
  using Type = typename V::Type;
  Type sums[kGramRows][static_cast<size_t>(kColumns)];
  for (auto& row : sums) {
    for (Type& sum : row) {
      sum = V::all(0);
    }
  }
  for (int64_t k = 0; k < length; k += V::kWidth) {
    Type columns[static_cast<size_t>(kColumns)];
    for (int64_t j = 0; j < kColumns; ++j) {
      columns[j] = V::load(panel + j * stride + k);
    }
    for (int64_t i = 0; i < kGramRows; ++i) {
      const Type row = V::load(copy + k * kGramRows + i * V::kWidth);
      for (int64_t j = 0; j < kColumns; ++j) {
        sums[i][j] = V::multiply_add(row, columns[j], sums[i][j]);
      }
    }
  }
  for (int64_t j = 0; j < kColumns; ++j) {
    typename V::Entry totals[kGramRows];
    V::sum_lanes(sums[0][j], sums[1][j], sums[2][j], sums[3][j], totals);
    for (int64_t i = 0; i < kGramRows; ++i) {
      products[j * count + i] = first ? totals[i] : products[j * count + i] + totals[i];
    }
  }
}

template <typename V>
void multiply_rows(const GramShape& shape, int64_t begin, int64_t end, const typename V::Entry* copy,
                   const typename V::Entry* panel, typename V::Entry* products) {
  for (int64_t part = 0; part < shape.length; part += kGramPart) {
    const int64_t length = std::min(kGramPart, shape.length - part);
    const typename V::Entry* own = copy + part * shape.count;
    int64_t j = begin;
    for (; j + V::kColumns <= end; j += V::kColumns) {
      for (int64_t i = 0; i < shape.count; i += kGramRows) {
        multiply_group<V, V::kColumns>(length, shape.stride, shape.count, part == 0, own + i * length,
                                       panel + j * shape.stride + part, products + j * shape.count + i);
      }
    }
    for (; j + 2 <= end; j += 2) {
      for (int64_t i = 0; i < shape.count; i += kGramRows) {
        multiply_group<V, 2>(length, shape.stride, shape.count, part == 0, own + i * length, panel + j * shape.stride + part,
                             products + j * shape.count + i);
      }
    }
    for (; j < end; ++j) {
      for (int64_t i = 0; i < shape.count; i += kGramRows) {
        multiply_group<V, 1>(length, shape.stride, shape.count, part == 0, own + i * length, panel + j * shape.stride + part,
                             products + j * shape.count + i);
      }
    }
  }
}

// Adds the products with all rows of a panel for some rows and some vectors of columns. They are summed before they are added,
// which rounds less than a sum over all panels.
template <typename V, int64_t kRows, int64_t kVectors>
[[gnu::always_inline]] inline void add_tile(int64_t rows, int64_t stride, int64_t count, const typename V::Entry* products,
                                            const typename V::Entry* panel, typename V::Entry* sums) {
  using Type = typename V::Type;
  Type tile[static_cast<size_t>(kRows)][static_cast<size_t>(kVectors)];
  for (auto& row : tile) {
    for (Type& sum : row) {
      sum = V::all(0);
    }
  }
  for (int64_t j = 0; j < rows; ++j) {
    Type columns[static_cast<size_t>(kVectors)];
    for (int64_t k = 0; k < kVectors; ++k) {
      columns[k] = V::load(panel + j * stride + k * V::kWidth);
    }
    for (int64_t i = 0; i < kRows; ++i) {
      const Type factor = V::all(products[j * count + i]);
      for (int64_t k = 0; k < kVectors; ++k) {
        tile[i][k] = V::multiply_add(factor, columns[k], tile[i][k]);
      }
    }
  }
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t k = 0; k < kVectors; ++k) {
      typename V::Entry* sum = sums + i * stride + k * V::kWidth;
      V::store(sum, V::add(V::load(sum), tile[i][k]));
    }
  }
}

template <typename V, int64_t kVectors>
void add_columns(const GramShape& shape, int64_t rows, const typename V::Entry* products, const typename V::Entry* panel,
                 typename V::Entry* sums) {
  int64_t i = 0;
  for (; i + V::kTileRows <= shape.count; i += V::kTileRows) {
    add_tile<V, V::kTileRows, kVectors>(rows, shape.stride, shape.count, products + i, panel, sums + i * shape.stride);
  }
  for (; i < shape.count; i += kGramRows) {
    add_tile<V, kGramRows, kVectors>(rows, shape.stride, shape.count, products + i, panel, sums + i * shape.stride);
  }
}

template <typename V>
void add_rows(const GramShape& shape, int64_t rows, int64_t begin, int64_t end, const typename V::Entry* products,
              const typename V::Entry* panel, typename V::Entry* sums) {
  constexpr int64_t kVectors = 3;
  int64_t k = begin;
  for (; k + kVectors * V::kWidth <= end; k += kVectors * V::kWidth) {
    add_columns<V, kVectors>(shape, rows, products, panel + k, sums + k);
  }
  for (; k < end; k += V::kWidth) {
    add_columns<V, 1>(shape, rows, products, panel + k, sums + k);
  }
}

[[gnu::always_inline]] inline __m256 widen_eight(__m128i codes) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(codes), 16));
}

[[gnu::always_inline]] inline __m128i load_eight(const uint8_t* codes) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
}

inline void store_eight(__m256 values, float* to) { _mm256_storeu_ps(to, values); }

inline void store_eight(__m256 values, double* to) {
  _mm256_storeu_pd(to, _mm256_cvtps_pd(_mm256_castps256_ps128(values)));
  _mm256_storeu_pd(to + 4, _mm256_cvtps_pd(_mm256_extractf128_ps(values, 1)));
}

float widen_one(const uint8_t* code) {
  uint16_t bits = 0;
  std::memcpy(&bits, code, sizeof(bits));
  return bf16_to_float(bits);
}

template <typename T>
void widen_row(const uint8_t* codes, int64_t count, T* out) {
  int64_t k = 0;
  for (; k + 8 <= count; k += 8) {
    store_eight(widen_eight(load_eight(codes + 2 * k)), out + k);
  }
  for (; k < count; ++k) {
    out[k] = widen_one(codes + 2 * k);
  }
}

// Widens eight rows of `count` codes as columns.
template <typename T>
void widen_columns(const uint8_t* codes, int64_t row_bytes, int64_t count, int64_t stride, T* out) {
  int64_t k = 0;
  for (; k + 8 <= count; k += 8) {
    __m128i rows[8];
    for (int64_t i = 0; i < 8; ++i) {
      rows[i] = load_eight(codes + i * row_bytes + 2 * k);
    }
    __m128i pairs[8];
    for (int64_t i = 0; i < 4; ++i) {
      pairs[2 * i] = _mm_unpacklo_epi16(rows[2 * i], rows[2 * i + 1]);
      pairs[2 * i + 1] = _mm_unpackhi_epi16(rows[2 * i], rows[2 * i + 1]);
    }
    for (int64_t half = 0; half < 2; ++half) {
      const __m128i a = _mm_unpacklo_epi32(pairs[half], pairs[half + 2]);
      const __m128i b = _mm_unpackhi_epi32(pairs[half], pairs[half + 2]);
      const __m128i c = _mm_unpacklo_epi32(pairs[half + 4], pairs[half + 6]);
      const __m128i d = _mm_unpackhi_epi32(pairs[half + 4], pairs[half + 6]);
      T* to = out + (k + 4 * half) * stride;
      store_eight(widen_eight(_mm_unpacklo_epi64(a, c)), to);
      store_eight(widen_eight(_mm_unpackhi_epi64(a, c)), to + stride);
      store_eight(widen_eight(_mm_unpacklo_epi64(b, d)), to + 2 * stride);
      store_eight(widen_eight(_mm_unpackhi_epi64(b, d)), to + 3 * stride);
    }
  }
  for (; k < count; ++k) {
    for (int64_t i = 0; i < 8; ++i) {
      out[k * stride + i] = widen_one(codes + i * row_bytes + 2 * k);
    }
  }
}

template <typename V>
GramKernels<typename V::Entry> kernels_of() {
  return {copy_rows<V>, multiply_rows<V>, add_rows<V>, widen_row<typename V::Entry>, widen_columns<typename V::Entry>};
}

}  // namespace
}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_IMPLICIT_GRAM_LANES_H
