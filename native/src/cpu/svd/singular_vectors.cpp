#include "singular_vectors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "cpu/support/blas.h"
#include "rows.h"

namespace threegate::svd {

template <typename T>
Vectors<T> take_vectors(Arena& arena, const View& view, int64_t rank) {
  Vectors<T> vectors{};
  vectors.x = arena.take<T>(rank * view.short_side);
  vectors.y = arena.take<T>(rank * view.long_side);
  vectors.z = arena.take<T>(rank * view.short_side);
  vectors.overlap = arena.take<T>(rank * rank);
  vectors.panel = arena.take<T>(kPanel * view.short_side);
  vectors.sigma = arena.take<double>(rank);
  return vectors;
}

namespace {

// Computes y = A x for the panel's part of the long side.
template <typename T>
void to_long_side(const View& view, int64_t rank, const Vectors<T>& vectors, int64_t begin, int64_t count) {
  blas().functions<T>().gemm(CblasRowMajor, CblasNoTrans, view.tall ? CblasTrans : CblasNoTrans, blas_size(rank),
                             blas_size(count), blas_size(view.short_side), T{1}, vectors.x, blas_size(view.short_side),
                             vectors.panel, blas_size(view.tall ? view.short_side : count), T{0}, vectors.y + begin,
                             blas_size(view.long_side));
}

// Adds the panel's part of A^T y to z.
template <typename T>
void add_to_short_side(const View& view, int64_t rank, const Vectors<T>& vectors, int64_t begin, int64_t count) {
  blas().functions<T>().gemm(CblasRowMajor, CblasNoTrans, view.tall ? CblasNoTrans : CblasTrans, blas_size(rank),
                             blas_size(view.short_side), blas_size(count), T{1}, vectors.y + begin, blas_size(view.long_side),
                             vectors.panel, blas_size(view.tall ? view.short_side : count), T{1}, vectors.z,
                             blas_size(view.short_side));
}

// The largest deviation of rows from orthonormality. `overlap` takes their products. The rounding of those in float32 is added as
// an estimate, because it may hide a deviation.
template <typename T>
double rows_orthogonality_error(int64_t rank, int64_t length, const T* rows, T* overlap) {
  blas().functions<T>().syrk(CblasRowMajor, CblasLower, CblasNoTrans, blas_size(rank), blas_size(length), T{1}, rows,
                             blas_size(length), T{0}, overlap, blas_size(rank));
  double largest = 0;
  for (int64_t i = 0; i < rank; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      largest = std::max(largest, std::abs(static_cast<double>(overlap[i * rank + j]) - (i == j ? 1 : 0)));
    }
  }
  return largest + (std::is_same_v<T, float> ? static_cast<double>(std::numeric_limits<float>::epsilon()) : 0);
}

}  // namespace

template <typename T>
double orthogonality_error(const View& view, int64_t rank, const Vectors<T>& vectors) {
  const double of_short = rows_orthogonality_error(rank, view.short_side, vectors.x, vectors.overlap);
  return std::max(of_short, rows_orthogonality_error(rank, view.long_side, vectors.y, vectors.overlap));
}

template <typename T>
double largest_residual(const View& view, int64_t rank, const Vectors<T>& vectors) {
  double largest = 0;
  for (int64_t i = 0; i < rank; ++i) {
    const T* x = vectors.x + i * view.short_side;
    T* z = vectors.z + i * view.short_side;
    for (int64_t j = 0; j < view.short_side; ++j) {
      z[j] = static_cast<T>(z[j] - vectors.sigma[i] * x[j]);
    }
    largest = std::max(largest, norm(z, view.short_side));
  }
  return vectors.sigma[0] > 0 ? largest / vectors.sigma[0] : 0;
}

template <typename T>
void sort_descending(const View& view, int64_t rank, const Vectors<T>& vectors) {
  for (int64_t i = 1; i < rank; ++i) {
    for (int64_t j = i; j > 0 && vectors.sigma[j] > vectors.sigma[j - 1]; --j) {
      std::swap(vectors.sigma[j], vectors.sigma[j - 1]);
      std::swap_ranges(vectors.x + j * view.short_side, vectors.x + (j + 1) * view.short_side,
                       vectors.x + (j - 1) * view.short_side);
      std::swap_ranges(vectors.y + j * view.long_side, vectors.y + (j + 1) * view.long_side,
                       vectors.y + (j - 1) * view.long_side);
      std::swap_ranges(vectors.z + j * view.short_side, vectors.z + (j + 1) * view.short_side,
                       vectors.z + (j - 1) * view.short_side);
    }
  }
}

template <typename T>
void multiply_both_sides(const View& view, int64_t from, int64_t to, Vectors<T> vectors) {
  vectors.x += from * view.short_side;
  vectors.y += from * view.long_side;
  vectors.z += from * view.short_side;
  std::fill_n(vectors.z, (to - from) * view.short_side, T{0});
  for_panels(view, vectors.panel, [&](int64_t begin, int64_t count) {
    to_long_side(view, to - from, vectors, begin, count);
    add_to_short_side(view, to - from, vectors, begin, count);
  });
}

template <typename T>
void multiply_to_long_side(const View& view, int64_t rank, const Vectors<T>& vectors) {
  for_panels(view, vectors.panel, [&](int64_t begin, int64_t count) { to_long_side(view, rank, vectors, begin, count); });
}

template <typename T>
void multiply_to_short_side(const View& view, int64_t rank, const Vectors<T>& vectors) {
  std::fill_n(vectors.z, rank * view.short_side, T{0});
  for_panels(view, vectors.panel, [&](int64_t begin, int64_t count) { add_to_short_side(view, rank, vectors, begin, count); });
}

template <typename T>
Certificate scale_triplets(const View& view, int64_t rank, const Vectors<T>& vectors) {
  for (int64_t i = 0; i < rank; ++i) {
    vectors.sigma[i] = norm(vectors.y + i * view.long_side, view.long_side);
    if (vectors.sigma[i] > 0) {
      divide(vectors.y + i * view.long_side, view.long_side, vectors.sigma[i]);
      divide(vectors.z + i * view.short_side, view.short_side, vectors.sigma[i]);
    }
  }
  sort_descending(view, rank, vectors);
  const double orthogonality = orthogonality_error(view, rank, vectors);
  return {largest_residual(view, rank, vectors), orthogonality};
}

template <typename T>
Certificate complete_triplets(const View& view, int64_t rank, const Vectors<T>& vectors) {
  multiply_both_sides(view, 0, rank, vectors);
  return scale_triplets(view, rank, vectors);
}

void correct_orthonormality(int64_t rank, int64_t length, double* x, double* overlap, double* copy) {
  const auto& functions = blas().wide;
  functions.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rank), blas_size(rank), blas_size(length), 1.0, x,
                 blas_size(length), x, blas_size(length), 0.0, overlap, blas_size(rank));
  for (int64_t i = 0; i < rank; ++i) {
    overlap[i * rank + i] -= 1;
  }
  std::copy_n(x, rank * length, copy);
  functions.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rank), blas_size(length), blas_size(rank), -0.5, overlap,
                 blas_size(rank), copy, blas_size(length), 1.0, x, blas_size(length));
}

template Vectors<float> take_vectors(Arena&, const View&, int64_t);
template double orthogonality_error(const View&, int64_t, const Vectors<float>&);
template double largest_residual(const View&, int64_t, const Vectors<float>&);
template void sort_descending(const View&, int64_t, const Vectors<float>&);
template void multiply_both_sides(const View&, int64_t, int64_t, Vectors<float>);
template void multiply_to_long_side(const View&, int64_t, const Vectors<float>&);
template void multiply_to_short_side(const View&, int64_t, const Vectors<float>&);
template Certificate scale_triplets(const View&, int64_t, const Vectors<float>&);
template Certificate complete_triplets(const View&, int64_t, const Vectors<float>&);
template Vectors<double> take_vectors(Arena&, const View&, int64_t);
template double orthogonality_error(const View&, int64_t, const Vectors<double>&);
template double largest_residual(const View&, int64_t, const Vectors<double>&);
template void sort_descending(const View&, int64_t, const Vectors<double>&);
template void multiply_both_sides(const View&, int64_t, int64_t, Vectors<double>);
template void multiply_to_short_side(const View&, int64_t, const Vectors<double>&);
template Certificate scale_triplets(const View&, int64_t, const Vectors<double>&);
template Certificate complete_triplets(const View&, int64_t, const Vectors<double>&);

}  // namespace threegate::svd
