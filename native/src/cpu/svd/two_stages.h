// The reduction of a large symmetric matrix to tridiagonal form in two stages, with a band matrix between them (Bischof, Lang and
// Sun, "A framework for symmetric band reduction", 2000).
//
// One stage, as in reduction.h, reads the whole matrix once for each column. Here that happens once for each panel of kBand
// columns, in general products. The band matrix is small enough for the caches, and reflections of kBand entries chase its
// entries below the first subdiagonal over its end. The price is a second set of reflections, which vectors go through, too.
//
// Of an n x n matrix, products take 4/3 n^3 operations, the chase 6 n^2 kBand, and each set of reflections 2 n^2 for a vector.
#ifndef THREEGATE_CPU_SVD_TWO_STAGES_H
#define THREEGATE_CPU_SVD_TWO_STAGES_H

#include <cstdint>

#include "cpu/support/arena.h"
#include "cpu/support/simd_level.h"

namespace threegate::svd {

constexpr int64_t kBand = 64;  // entries below the diagonal of the band matrix, and of a reflection that chases

// The arithmetic of the first stage. A reflection is 1 - factor v v^T with v[0] = 1.
template <typename T>
struct PanelKernels {
  // Makes the reflection that turns x into a multiple of the first unit vector. It replaces x by v, and returns the multiple.
  T (*make)(T* x, int64_t length, T& factor);
  // Applies a reflection to `count` rows that are `stride` entries apart.
  void (*reflect)(const T* v, T factor, int64_t length, T* rows, int64_t stride, int64_t count);
};

// The arithmetic of the second stage, which is always in float64. It changes an entry once for each row of the matrix, and a
// vector as often, so that float32 would lose a factor of two in accuracy.
struct ChaseKernels {
  // Applies a reflection from both sides to kBand rows and columns of the band matrix, and from the right to the kBand rows below
  // them. This fills entries below the band. The reflection that clears those of the first column replaces the first one and is
  // applied from the left. `block` is the first diagonal entry.
  void (*chase)(double* block, double* v, double& factor);
  // Applies a reflection from both sides to the last rows and columns.
  void (*finish)(double* block, const double* v, double factor);
  // Applies two reflections, one after the other, to `count` rows of kWidth vectors. Both have room for kPair entries.
  void (*apply)(const double* first, double first_factor, const double* second, double second_factor, int64_t count,
                double* rows);
};

struct TwoStagesKernelSet {
  PanelKernels<float> single;
  PanelKernels<double> wide;
  ChaseKernels band;
};

TwoStagesKernelSet two_stages_kernels_scalar();
TwoStagesKernelSet two_stages_kernels_avx2();
TwoStagesKernelSet two_stages_kernels_avx512();

constexpr int64_t kWidth = 32;         // vectors that reflections of the chase are applied to at the same time
constexpr int64_t kPair = kBand + 32;  // entries of two reflections one row apart, in whole pairs of vectors

// The next entry of a column of the band matrix is the next one in memory, and that of a row kBandStride further. So columns are
// kBandStride + 1 entries apart. They have room for the entries that are chased, and for a vector between two of them, because
// the vectors of a diagonal block begin before the diagonal.
constexpr int64_t kBandStride = 2 * kBand + 8;

constexpr int64_t kLeastForTwoStages = 2048;

// Returns whether two stages are faster than one, which was measured with one vector in eight and without any, see
// docs/performance.md. The first stage gains from wider vectors. The second one is no faster in float32.
template <typename T>
constexpr bool pays_in_two_stages(SimdLevel level, int64_t order) {
  return order >= (level == SimdLevel::kAvx512 || sizeof(T) == sizeof(double) ? kLeastForTwoStages : 3584);
}

template <typename T>
class TwoStages {
 public:
  // For matrices of up to `capacity` rows and for up to `rank` of their eigenvectors.
  TwoStages(Arena& arena, int64_t capacity, int64_t rank);

  // Reduces the lower triangle of a row-major matrix, which keeps the reflections: below the diagonal those of the first stage,
  // and above it those of the second one. `off_diagonal` has order - 1 entries.
  void reduce(SimdLevel level, int64_t order, T* matrix, T* diagonal, T* off_diagonal);

  // Turns `rank` eigenvectors of the tridiagonal matrix, the rows of `x`, into those of the matrix.
  void transform(int64_t rank, T* x) const;

 private:
  struct Sweep;

  [[nodiscard]] T* row_of(int64_t row) const { return matrix_ + row * order_; }
  void keep_band(int64_t begin) const;
  int64_t factorise(int64_t begin) const;
  void combine(int64_t begin, int64_t count) const;
  void update(int64_t first) const;
  void multiply(int64_t first) const;
  void chase() const;
  void advance(int64_t sweep, int64_t step, Sweep& state) const;
  void keep(int64_t sweep, int64_t at, const Sweep& state) const;
  void prefetch(int64_t sweep, int64_t at) const;
  double load(int64_t sweep, int64_t at, double* entries) const;
  void apply_chase(double* rows) const;

  PanelKernels<T> kernels_{};
  PanelKernels<double> wide_{};
  ChaseKernels chase_{};
  int64_t order_ = 0;
  T* matrix_ = nullptr;
  double* band_;        // columns of the band matrix
  T* panel_;            // kBand columns, each in one piece
  T* images_;           // order x 3 kBand: the reflections of a panel, what they change, and the reflections again
  T* triangles_;        // kBand x kBand for each panel: the triangle that combines its reflections
  T* small_;            // 2 kBand x kBand
  T* products_;         // 2 rank x kBand
  double* transposed_;  // groups of vectors, each order x kWidth
};

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_TWO_STAGES_H
