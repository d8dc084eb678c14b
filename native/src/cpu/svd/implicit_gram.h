// Products of a few rows with A^T W A in one pass over A, without A^T A, for a diagonal matrix W that the caller chooses. A is
// widened in panels that stay in the second-level cache, and both products use them there. A general product copies all of A into
// the order of its kernel. For a few rows that costs as much as the arithmetic.
#ifndef THREEGATE_CPU_SVD_IMPLICIT_GRAM_H
#define THREEGATE_CPU_SVD_IMPLICIT_GRAM_H

#include <cstdint>
#include <functional>

#include "cpu/support/arena.h"
#include "cpu/support/simd_level.h"
#include "panel.h"

namespace threegate::svd {

constexpr int64_t kGramRows = 4;     // rows whose products are computed together. Others are filled up with zeros
constexpr int64_t kGramLanes = 16;   // the widest vector
constexpr int64_t kGramPart = 1024;  // entries of a part of the length. A few rows of that length stay in the first-level cache

// The rows that a product is for, and the panel that it uses. Rows of the panel and of the sums are `stride` apart.
struct GramShape {
  int64_t count;   // a multiple of kGramRows
  int64_t length;  // a multiple of kGramLanes
  int64_t stride;
};

// The steps: to copy rows into the order of the kernel, to compute their products with the rows begin .. end of a panel, and to
// add the columns begin .. end of the products with the first `rows` rows of the panel. Products with one row of a panel are
// contiguous.
template <typename T>
struct GramKernels {
  void (*copy)(const GramShape& shape, int64_t rows, int64_t length, const T* from, T* copy);
  void (*multiply)(const GramShape& shape, int64_t begin, int64_t end, const T* copy, const T* panel, T* products);
  void (*add)(const GramShape& shape, int64_t rows, int64_t begin, int64_t end, const T* products, const T* panel, T* sums);
  // Widen bf16 codes as a row, or eight rows of them as columns. nullptr if the level has no kernel.
  void (*widen_row)(const uint8_t* codes, int64_t count, T* out);
  void (*widen_columns)(const uint8_t* codes, int64_t row_bytes, int64_t count, int64_t stride, T* out);
};

struct GramKernelSet {
  GramKernels<float> single;
  GramKernels<double> wide;
};
GramKernelSet gram_kernels_avx2();
GramKernelSet gram_kernels_avx512();

template <typename T>
class ImplicitGram {
 public:
  // For up to `rows` rows of the given length.
  ImplicitGram(Arena& arena, int64_t rows, int64_t length);

  // Reads the rows begin .. begin + count of A, each `stride` entries apart.
  using Read = std::function<void(int64_t begin, int64_t count, int64_t stride, T* panel)>;
  // Takes the products of all rows with the rows begin .. begin + count of A, and may change them. Those with one row of A are
  // contiguous, and `stride` entries apart from those with the next one. Other threads may call it at the same time.
  using Weigh = std::function<void(int64_t begin, int64_t count, int64_t stride, T* products)>;

  // out = rows * A^T W A, where A is height x length.
  void run(SimdLevel level, int64_t rows, int64_t height, const T* from, const Read& read, const Weigh& weigh, T* out) const;

  // The same for the matrix of a view. The rows of A belong to its long side.
  void run(SimdLevel level, const View& view, int64_t rows, const T* from, const Weigh& weigh, T* out) const;

  // y = A x and z = A^T y for some rows of x.
  void multiply_both_sides(SimdLevel level, const View& view, int64_t rows, const T* x, T* y, T* z) const;

 private:
  [[nodiscard]] int64_t panel_rows() const;
  void read(const GramKernels<T>& kernels, const View& view, int64_t begin, int64_t count, T* panel) const;

  int64_t length_;
  int64_t padded_;
  int64_t stride_;
  T* copy_;
  T* panel_;
  T* stored_;  // a panel as it is stored
  T* products_;
  T* sums_;
};

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_IMPLICIT_GRAM_H
