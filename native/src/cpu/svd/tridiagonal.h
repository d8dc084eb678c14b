// Leading eigenvalues and eigenvectors of a symmetric tridiagonal matrix, in float64, several at a time.
//
// Bisection brackets each value. The vector comes from a twisted factorisation, which needs no pivots and no orthogonalisation
// (Fernando, "On computing an eigenvector of a tridiagonal matrix", 1997), and Rayleigh quotients refine the value. In float64
// the vectors of values that differ by 1e-8 of the norm are orthogonal to 1e-7. Closer values are left to another method.
#ifndef THREEGATE_CPU_SVD_TRIDIAGONAL_H
#define THREEGATE_CPU_SVD_TRIDIAGONAL_H

#include <cstdint>

#include "cpu/support/arena.h"
#include "cpu/support/simd_level.h"

namespace threegate::svd {

constexpr int64_t kTridiagonalLanes = 16;

// A matrix and as many of its eigenpairs as there are lanes. Arrays of lanes hold lane l of row i at i * kTridiagonalLanes + l.
struct TridiagonalLanes {
  int64_t order;
  const double* diagonal;
  const double* off_diagonal;       // order - 1
  const double* squares;            // of the off-diagonal
  double smallest;                  // replaces smaller pivots
  double index[kTridiagonalLanes];  // which eigenvalue, counted from the smallest one
  double low[kTridiagonalLanes];    // a bracket of each value
  double high[kTridiagonalLanes];
  double value[kTridiagonalLanes];
  double residual[kTridiagonalLanes];  // of value and vector
  double* forward;                     // order x lanes: receives the vectors, with length 1
  double* backward;                    // order x lanes
};

// Halves the brackets `steps` times.
void bisect_lanes(SimdLevel level, TridiagonalLanes& lanes, int steps);
void bisect_lanes_scalar(TridiagonalLanes& lanes, int steps);
void bisect_lanes_avx2(TridiagonalLanes& lanes, int steps);
void bisect_lanes_avx512(TridiagonalLanes& lanes, int steps);

// Computes the vectors of the values, and improves the values.
void twist_lanes(SimdLevel level, TridiagonalLanes& lanes);
void twist_lanes_scalar(TridiagonalLanes& lanes);
void twist_lanes_avx2(TridiagonalLanes& lanes);
void twist_lanes_avx512(TridiagonalLanes& lanes);

class Tridiagonal {
 public:
  // For matrices of up to `capacity` rows.
  Tridiagonal(Arena& arena, int64_t capacity);

  // Writes the `rank` leading eigenvectors as rows of `x`, the first one first, and their values. Returns false if values are too
  // close for independent vectors.
  bool run(SimdLevel level, int64_t order, const float* diagonal, const float* off_diagonal, int64_t rank, float* values,
           float* x);

 private:
  bool solve(SimdLevel level, int64_t first);
  bool write(int64_t first, int64_t count, float* values, float* x);

  TridiagonalLanes lanes_{};
  double* diagonal_;
  double* off_diagonal_;
  double* squares_;
  double previous_ = 0;  // the last value written
};

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_TRIDIAGONAL_H
