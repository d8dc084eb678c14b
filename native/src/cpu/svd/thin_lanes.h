// The arithmetic of thin_product.h for vectors of one instruction set. `V` has a vector type with its operations, and the number
// of columns for which the registers suffice. Everything has internal linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_SVD_THIN_LANES_H
#define THREEGATE_CPU_SVD_THIN_LANES_H

#include <algorithm>
#include <cstring>

#include "thin_product.h"

namespace threegate::svd {
namespace {

// Packs groups of kThinRows rows with one vector of each row in turn, and zeros beyond the end. This is one stream. Rows of some
// lengths would otherwise compete for the same places of the cache.
template <typename V>
void pack(int64_t count, int64_t length, const float* rows, float* packed) {
  for (int64_t group = 0; group < count; group += kThinRows) {
    for (int64_t k = 0; k < length; k += V::kWidth) {
      for (int64_t i = 0; i < kThinRows; ++i) {
        const int64_t some = std::min(V::kWidth, length - k);
        std::copy_n(rows + (group + i) * length + k, some, packed);
        std::fill_n(packed + some, V::kWidth - some, 0.0F);
        packed += V::kWidth;
      }
    }
  }
}

template <typename V>
[[gnu::always_inline]] inline typename V::Type load_part(const float* from, int64_t count) {
  float part[static_cast<size_t>(V::kWidth)] = {};
  std::memcpy(part, from, static_cast<size_t>(count) * sizeof(float));
  return V::load(part);
}

// Multiplies a group with some rows of the matrix.
template <typename V, int64_t kColumns>
[[gnu::always_inline]] inline void multiply(int64_t length, int64_t stride, const float* packed, const float* matrix,
                                            float* product) {
  using Type = typename V::Type;
  Type sums[kThinRows][static_cast<size_t>(kColumns)];
  for (auto& row : sums) {
    for (Type& sum : row) {
      sum = V::all(0);
    }
  }
  int64_t k = 0;
  for (; k + V::kWidth <= length; k += V::kWidth) {
    Type columns[static_cast<size_t>(kColumns)];
    for (int64_t j = 0; j < kColumns; ++j) {
      columns[j] = V::load(matrix + j * length + k);
    }
    for (int64_t i = 0; i < kThinRows; ++i) {
      const Type row = V::load(packed + k * kThinRows + i * V::kWidth);
      for (int64_t j = 0; j < kColumns; ++j) {
        sums[i][j] = V::multiply_add(row, columns[j], sums[i][j]);
      }
    }
  }
  for (int64_t j = 0; j < kColumns && k < length; ++j) {
    const Type column = load_part<V>(matrix + j * length + k, length - k);
    for (int64_t i = 0; i < kThinRows; ++i) {
      sums[i][j] = V::multiply_add(V::load(packed + k * kThinRows + i * V::kWidth), column, sums[i][j]);
    }
  }
  for (int64_t j = 0; j < kColumns; ++j) {
    float totals[kThinRows];
    V::sum_lanes(sums[0][j], sums[1][j], sums[2][j], sums[3][j], totals);
    for (int64_t i = 0; i < kThinRows; ++i) {
      product[i * stride + j] = totals[i];
    }
  }
}

template <typename V>
void product_of(int64_t count, int64_t length, const ThinColumns& columns, const float* copy, const float* matrix,
                float* product) {
  const int64_t size = kThinRows * ((length + V::kWidth - 1) / V::kWidth * V::kWidth);
  const int64_t all = columns.all;
  int64_t j = columns.begin;
  for (; j + V::kColumns <= columns.end; j += V::kColumns) {
    for (int64_t i = 0; i < count; i += kThinRows) {
      multiply<V, V::kColumns>(length, all, copy + i / kThinRows * size, matrix + j * length, product + i * all + j);
    }
  }
  for (; j < columns.end; ++j) {
    for (int64_t i = 0; i < count; i += kThinRows) {
      multiply<V, 1>(length, all, copy + i / kThinRows * size, matrix + j * length, product + i * all + j);
    }
  }
}

// Subtracts some rows of the matrix from a group.
template <typename V, int64_t kColumns>
[[gnu::always_inline]] inline void subtract(int64_t length, int64_t stride, const float* factors, const float* matrix,
                                            float* rows) {
  using Type = typename V::Type;
  Type factor[kThinRows][static_cast<size_t>(kColumns)];
  for (int64_t i = 0; i < kThinRows; ++i) {
    for (int64_t j = 0; j < kColumns; ++j) {
      factor[i][j] = V::all(-factors[i * stride + j]);
    }
  }
  int64_t k = 0;
  for (; k + V::kWidth <= length; k += V::kWidth) {
    Type columns[static_cast<size_t>(kColumns)];
    for (int64_t j = 0; j < kColumns; ++j) {
      columns[j] = V::load(matrix + j * length + k);
    }
    for (int64_t i = 0; i < kThinRows; ++i) {
      Type row = V::load(rows + i * length + k);
      for (int64_t j = 0; j < kColumns; ++j) {
        row = V::multiply_add(factor[i][j], columns[j], row);
      }
      V::store(rows + i * length + k, row);
    }
  }
  for (; k < length; ++k) {
    for (int64_t i = 0; i < kThinRows; ++i) {
      for (int64_t j = 0; j < kColumns; ++j) {
        rows[i * length + k] -= factors[i * stride + j] * matrix[j * length + k];
      }
    }
  }
}

template <typename V>
void subtract_from(int64_t count, int64_t length, int64_t columns, const float* factors, const float* matrix, float* rows) {
  for (int64_t i = 0; i < count; i += kThinRows) {
    int64_t j = 0;
    for (; j + V::kColumns <= columns; j += V::kColumns) {
      subtract<V, V::kColumns>(length, columns, factors + i * columns + j, matrix + j * length, rows + i * length);
    }
    for (; j < columns; ++j) {
      subtract<V, 1>(length, columns, factors + i * columns + j, matrix + j * length, rows + i * length);
    }
  }
}

}  // namespace
}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_THIN_LANES_H
