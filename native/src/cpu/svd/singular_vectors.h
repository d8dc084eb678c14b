// Singular vectors of both sides of a matrix, their products with the matrix, and the certificate of their accuracy.
#ifndef THREEGATE_CPU_SVD_SINGULAR_VECTORS_H
#define THREEGATE_CPU_SVD_SINGULAR_VECTORS_H

#include <cstdint>

#include "cpu/support/arena.h"
#include "panel.h"

namespace threegate::svd {

// Approximate singular vectors and singular values. Row i of each array belongs to triplet i. `x` holds the vectors of the short
// side and `y` those of the long side.
template <typename T>
struct Vectors {
  T* x;        // rank x short_side
  T* y;        // rank x long_side
  T* z;        // rank x short_side: A^T y
  T* overlap;  // rank x rank
  T* panel;    // kPanel x short_side
  double* sigma;
};

template <typename T>
Vectors<T> take_vectors(Arena& arena, const View& view, int64_t rank);

// The accuracy of a set of singular triplets: max over i of |A^T y_i - sigma_i x_i| / sigma_1, and the largest deviation of the
// vectors from orthonormality.
struct Certificate {
  double residual;
  double orthogonality;
  [[nodiscard]] bool within(double tolerance) const { return residual <= tolerance && orthogonality <= tolerance; }
};

// Computes y = A x and z = A^T y for rows `from` .. `to` - 1, in one pass over the matrix.
template <typename T>
void multiply_both_sides(const View& view, int64_t from, int64_t to, Vectors<T> vectors);

// Computes y = A x for all rows, in one pass over the matrix.
template <typename T>
void multiply_to_long_side(const View& view, int64_t rank, const Vectors<T>& vectors);

// Computes z = A^T y for all rows, in one pass over the matrix.
template <typename T>
void multiply_to_short_side(const View& view, int64_t rank, const Vectors<T>& vectors);

// The largest deviation from orthonormality of the vectors of both sides. Leaves the products of the long side in `overlap`.
template <typename T>
double orthogonality_error(const View& view, int64_t rank, const Vectors<T>& vectors);

// max over i of |A^T y_i - sigma_i x_i| / sigma_1. Expects A^T y in `z` and overwrites it.
template <typename T>
double largest_residual(const View& view, int64_t rank, const Vectors<T>& vectors);

// Reorders the triplets so that the singular values descend. Rounding may have exchanged neighbours.
template <typename T>
void sort_descending(const View& view, int64_t rank, const Vectors<T>& vectors);

// Computes the singular values and the certificate from `y` = A x and `z` = A^T A x, and scales both.
template <typename T>
Certificate scale_triplets(const View& view, int64_t rank, const Vectors<T>& vectors);

// Computes the vectors of the long side, the singular values and the certificate from the vectors of the short side, in one pass
// over the matrix.
template <typename T>
Certificate complete_triplets(const View& view, int64_t rank, const Vectors<T>& vectors);

// Improves the orthonormality of rows X. If they deviate from it by a small E = X X^T - 1, X - E X / 2 deviates by about E
// squared. `overlap` has room for rank x rank numbers, and `copy` for as many as `x`.
void correct_orthonormality(int64_t rank, int64_t length, double* x, double* overlap, double* copy);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_SINGULAR_VECTORS_H
