// The reduction of a symmetric matrix to tridiagonal form by Householder reflections, with the results of LAPACK's sytrd and
// dsytrd (Dongarra, Hammarling and Sorensen, 1989). Half of its arithmetic are products of the matrix with a vector, which are
// bound by the memory. Here all threads of the call take part in them.
#ifndef THREEGATE_CPU_SVD_REDUCTION_H
#define THREEGATE_CPU_SVD_REDUCTION_H

#include <cstdint>

#include "cpu/support/simd_level.h"

namespace threegate::svd {

// The arithmetic on rows. Rows of a matrix are `stride` entries apart.
template <typename T>
struct ReductionKernels {
  // y += A v, where A has the rows begin .. end of a symmetric matrix and the columns with the same numbers. Its lower triangle
  // is given.
  void (*multiply)(const T* matrix, int64_t stride, int64_t begin, int64_t end, const T* v, T* y);
  // out[j] -= sum over i < count of left_i[j] * left_factors[i] + right_i[j] * right_factors[i], for j < length.
  void (*subtract)(const T* left, int64_t left_stride, const T* left_factors, const T* right, int64_t right_stride,
                   const T* right_factors, int64_t count, int64_t length, T* out);
  // sums[i] = sum over j < length of row_i[j] * v[j].
  void (*dots)(const T* rows, int64_t stride, int64_t count, int64_t length, const T* v, double* sums);
};

struct ReductionKernelSet {
  ReductionKernels<float> single;
  ReductionKernels<double> wide;
};

ReductionKernelSet reduction_kernels_scalar();
ReductionKernelSet reduction_kernels_avx2();
ReductionKernelSet reduction_kernels_avx512();

constexpr int64_t kReductionPanel = 32;  // rows that are reduced before the rest of the matrix is updated
constexpr int64_t kReductionParts = 16;  // the most parts of a product, which as many threads compute

// The numbers that `work` has room for.
inline int64_t reduction_work_size(int64_t order) { return (kReductionPanel + kReductionParts) * order; }

// Reduces the lower triangle of a row-major matrix. Row i keeps the reflection that turns it into the off-diagonal entry i - 1,
// without the entry 1 at its end. `diagonal` has `order` entries, and `off_diagonal` and `factors` have one less. Returns false
// if LAPACK failed.
template <typename T>
bool reduce_to_tridiagonal(SimdLevel level, int64_t order, T* matrix, T* diagonal, T* off_diagonal, T* factors, T* work);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_REDUCTION_H
