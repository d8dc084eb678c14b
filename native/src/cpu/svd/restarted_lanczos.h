// Leading singular vectors of the short side of a matrix of any size, in a Krylov space of blocks that is restarted with its best
// vectors when its memory is full (Wu and Simon, "Thick-restart Lanczos method for large symmetric eigenvalue problems", 2000).
// The matrix is only multiplied with, and no matrix of the order of a side is formed.
#ifndef THREEGATE_CPU_SVD_RESTARTED_LANCZOS_H
#define THREEGATE_CPU_SVD_RESTARTED_LANCZOS_H

#include <cstdint>

#include "cpu/support/arena.h"
#include "cpu/support/simd_level.h"
#include "panel.h"
#include "symmetric.h"
#include "tiled_product.h"

namespace threegate::svd {

template <typename T>
class RestartedLanczos {
 public:
  // For the `rank` leading vectors.
  RestartedLanczos(Arena& arena, const View& view, int64_t rank);

  // Returns whether the space has room for that many vectors.
  static bool suits(int64_t order, int64_t rank);

  // Writes the vectors as rows of `x`, the first one first. `tolerance` is that of singular triplets. Vectors that did not
  // converge after many restarts are written, too. Returns false and writes zeros if LAPACK failed.
  bool run(const View& view, SimdLevel level, const TiledProduct<T>& product, double tolerance, T* x);

 private:
  enum class Progress { kFailed, kGoesOn, kConverged };

  [[nodiscard]] T* row(int64_t i) const { return basis_ + i * order_; }
  void extend(const View& view, const TiledProduct<T>& product);
  Progress solve(SimdLevel level, int64_t count, double tolerance);
  void restart(int64_t count);
  bool append_block(SimdLevel level, double whole);
  bool append_row(SimdLevel level, int64_t i, double whole);
  void random_row(SimdLevel level, T* out);

  int64_t order_;
  int64_t rank_;
  int64_t block_;
  int64_t capacity_;  // vectors in the space, without the image of the last block
  int64_t kept_;      // vectors after a restart
  T* basis_;          // (capacity + block) x order
  T* saved_;          // block x order
  T* of_long_;        // block x long side
  T* products_;       // block x capacity
  T* overlap_;        // block x block
  T* projected_;      // capacity x capacity: the lower triangle of the matrix in the basis
  T* copy_;           // a copy of it for the solver
  T* combinations_;   // kept x capacity
  T* part_;           // capacity x kPanel
  float* random_;     // order
  Symmetric<T> symmetric_;
  int64_t size_ = 0;       // vectors in the space
  int64_t restarted_ = 0;  // vectors of the last restart
  int64_t drawn_ = 0;      // random vectors so far
  double largest_ = 0;     // of the images
};

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_RESTARTED_LANCZOS_H
