// Leading eigenvectors of a symmetric matrix in a Krylov space of blocks (Golub and Underwood, 1977), in float32. If few
// eigenvectors of a large matrix are wanted, this is much less work than a tridiagonalisation, and consists of matrix products.
// Every block is made orthogonal to all blocks before it.
#ifndef THREEGATE_CPU_SVD_BLOCK_LANCZOS_H
#define THREEGATE_CPU_SVD_BLOCK_LANCZOS_H

#include <cstdint>

#include "cpu/support/arena.h"
#include "cpu/support/simd_level.h"
#include "panel.h"
#include "symmetric.h"

namespace threegate::svd {

class BlockLanczos {
 public:
  // For the `rank` leading eigenvectors of the Gram matrix of the short side. Takes no memory if the method does not suit.
  BlockLanczos(Arena& arena, const View& view, int64_t rank);

  // Returns whether the method is faster than a tridiagonalisation.
  [[nodiscard]] bool suits(SimdLevel level) const;

  // Returns whether products with the matrix and its transpose are faster than their product, the Gram matrix.
  [[nodiscard]] bool suits_without_gram(SimdLevel level) const;

  // Writes the eigenvectors as rows of `x`, the first one first. `gram` has both triangles, or is nullptr. `tolerance` is that of
  // singular triplets, whose squared values are the eigenvalues. Returns false if the space would become too large.
  bool run(const View& view, SimdLevel level, const float* gram, double tolerance, float* x);

 private:
  [[nodiscard]] float* row(int64_t i) const { return basis_ + i * order_; }
  void multiply(const View& view, SimdLevel level, const float* gram, const float* rows, float* image) const;
  void extend(const View& view, SimdLevel level, const float* gram, int64_t size);
  bool solve(SimdLevel level, int64_t size, bool& converged, double tolerance);

  int64_t order_;
  int64_t rank_;
  int64_t block_;
  int64_t capacity_;  // vectors in the space, without the image of the last block
  float* basis_;      // (capacity + block) x order
  float* products_;   // block x capacity
  float* overlap_;    // block x block
  float* thin_copy_;
  float* entries_;       // the matrix in float32, for products without the Gram matrix
  float* of_long_;       // block x long side
  float* projected_;     // capacity x capacity: the lower triangle of the matrix in the basis
  float* copy_;          // a copy of it for the solver
  float* combinations_;  // rank x capacity
  Symmetric<float> symmetric_;
};

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_BLOCK_LANCZOS_H
