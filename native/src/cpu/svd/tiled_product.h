// Products of vectors with a matrix that is read from where it is stored, in tiles that fit a cache. Nothing of the matrix is
// kept. Each thread computes some entries of all results, so that results do not depend on the number of threads.
#ifndef THREEGATE_CPU_SVD_TILED_PRODUCT_H
#define THREEGATE_CPU_SVD_TILED_PRODUCT_H

#include <cstdint>

#include "cpu/support/arena.h"
#include "panel.h"

namespace threegate::svd {

template <typename T>
class TiledProduct {
 public:
  TiledProduct(Arena& arena, const View& view);

  // Computes y = A x. `x` is count x short_side and `y` is count x long_side.
  void to_long_side(const View& view, int64_t count, const T* x, T* y) const;

  // Computes z = A^T y. `z` is count x short_side.
  void to_short_side(const View& view, int64_t count, const T* y, T* z) const;

 private:
  void multiply(const View& view, bool to_long, int64_t count, const T* in, T* out) const;

  T* tiles_;
};

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_TILED_PRODUCT_H
