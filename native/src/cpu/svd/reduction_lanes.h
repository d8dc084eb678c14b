// The arithmetic of reduction.h, on vectors that the compiler maps to those of the instruction set. Everything has internal
// linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_SVD_REDUCTION_LANES_H
#define THREEGATE_CPU_SVD_REDUCTION_LANES_H

#include "reduction.h"
#include "vector_lanes.h"

namespace threegate::svd {
namespace {

constexpr int64_t kReductionRows = 4;  // rows that share each load of v and y

// The entries left of the diagonal block count twice, for both triangles.
template <typename T, int64_t kRows>
void multiply_rows(const T* matrix, int64_t stride, int64_t first, const T* v, T* y) {
  using Vector = typename Lanes<T>::Vector;
  const T* row[kReductionRows];
  T factor[kReductionRows];
  Vector sums[kReductionRows] = {};
  for (int64_t i = 0; i < kRows; ++i) {
    row[i] = matrix + (first + i) * stride;
    factor[i] = v[first + i];
  }
  int64_t j = 0;
  for (; j + kLanes<T> <= first; j += kLanes<T>) {
    const Vector own = load_lanes(v + j);
    Vector out = load_lanes(y + j);
    for (int64_t i = 0; i < kRows; ++i) {
      Vector entries = load_lanes(row[i] + j);
      keep_in_register(entries);
      sums[i] += entries * own;
      out += entries * factor[i];
    }
    store_lanes<T>(out, y + j);
  }
  for (int64_t i = 0; i < kRows; ++i) {
    T sum = sum_of<T>(sums[i]);
    for (int64_t k = j; k < first + i; ++k) {
      sum += row[i][k] * v[k];
      y[k] += row[i][k] * factor[i];
    }
    y[first + i] += sum + row[i][first + i] * factor[i];
  }
}

template <typename T>
void multiply_block(const T* matrix, int64_t stride, int64_t begin, int64_t end, const T* v, T* y) {
  int64_t i = begin;
  for (; i + kReductionRows <= end; i += kReductionRows) {
    multiply_rows<T, kReductionRows>(matrix, stride, i, v, y);
  }
  for (; i < end; ++i) {
    multiply_rows<T, 1>(matrix, stride, i, v, y);
  }
}

// Subtracts the sums for some vectors of columns. Several of them hide the latency of an addition.
template <typename T, int64_t kVectors>
[[gnu::always_inline]] inline void subtract_vectors(const T* left, int64_t left_stride, const T* left_factors, const T* right,
                                                    int64_t right_stride, const T* right_factors, int64_t count, T* out) {
  using Vector = typename Lanes<T>::Vector;
  Vector sums[static_cast<size_t>(kVectors)] = {};
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t k = 0; k < kVectors; ++k) {
      const int64_t at = k * kLanes<T>;
      sums[k] += load_lanes(left + i * left_stride + at) * left_factors[i];
      sums[k] += load_lanes(right + i * right_stride + at) * right_factors[i];
    }
  }
  for (int64_t k = 0; k < kVectors; ++k) {
    T* own = out + k * kLanes<T>;
    store_lanes<T>(load_lanes(own) - sums[k], own);
  }
}

template <typename T>
void subtract_rows(const T* left, int64_t left_stride, const T* left_factors, const T* right, int64_t right_stride,
                   const T* right_factors, int64_t count, int64_t length, T* out) {
  constexpr int64_t kTogether = 4;
  int64_t j = 0;
  for (; j + kTogether * kLanes<T> <= length; j += kTogether * kLanes<T>) {
    subtract_vectors<T, kTogether>(left + j, left_stride, left_factors, right + j, right_stride, right_factors, count, out + j);
  }
  for (; j + kLanes<T> <= length; j += kLanes<T>) {
    subtract_vectors<T, 1>(left + j, left_stride, left_factors, right + j, right_stride, right_factors, count, out + j);
  }
  for (; j < length; ++j) {
    T sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      sum += left[i * left_stride + j] * left_factors[i] + right[i * right_stride + j] * right_factors[i];
    }
    out[j] -= sum;
  }
}

template <typename T>
void dots_of_rows(const T* rows, int64_t stride, int64_t count, int64_t length, const T* v, double* sums) {
  using Vector = typename Lanes<T>::Vector;
  for (int64_t i = 0; i < count; ++i) {
    const T* row = rows + i * stride;
    Vector lanes[2] = {};
    int64_t j = 0;
    for (; j + 2 * kLanes<T> <= length; j += 2 * kLanes<T>) {
      lanes[0] += load_lanes(row + j) * load_lanes(v + j);
      lanes[1] += load_lanes(row + j + kLanes<T>) * load_lanes(v + j + kLanes<T>);
    }
    T sum = sum_of<T>(lanes[0] + lanes[1]);
    for (; j < length; ++j) {
      sum += row[j] * v[j];
    }
    sums[i] = static_cast<double>(sum);
  }
}

ReductionKernelSet reduction_kernels() {
  return {{multiply_block<float>, subtract_rows<float>, dots_of_rows<float>},
          {multiply_block<double>, subtract_rows<double>, dots_of_rows<double>}};
}

}  // namespace
}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_REDUCTION_LANES_H
