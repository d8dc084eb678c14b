#include "rotate.h"

#include <algorithm>
#include <cmath>

#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "normals.h"

namespace threegate::random {
namespace {

// Numbers of a stream in order, as doubles.
class Normals {
 public:
  Normals(SimdLevel level, const Stream& stream, int64_t first_block) : level_(level), stream_(stream), block_(first_block) {}

  double next() {
    if (used_ == kBlock) {
      normals(level_, stream_, block_++, 1, numbers_);
      used_ = 0;
    }
    return numbers_[used_++];
  }

 private:
  SimdLevel level_;
  Stream stream_;
  int64_t block_;
  int64_t used_ = kBlock;
  float numbers_[kBlock] = {};
};

void fill(SimdLevel level, const Stream& stream, int64_t count, double* out) {
  Normals numbers(level, stream, 0);
  for (int64_t i = 0; i < count; ++i) {
    out[i] = numbers.next();
  }
}

// The square root of a chi-square number (Marsaglia and Tsang, "A simple method for generating gamma variables", 2000).
double chi(Normals& numbers, Normals& others, double freedom) {
  if (freedom < 2) {
    return std::abs(numbers.next());
  }
  const double d = freedom / 2 - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = numbers.next();
    const double v = 1 + c * x;
    // Two squared normal numbers make an exponential one, the negative logarithm of a uniform one.
    const double a = others.next();
    const double b = others.next();
    if (v > 0) {
      const double cube = v * v * v;
      if ((a * a + b * b) / 2 > -(x * x / 2 + d - d * cube + d * std::log(cube))) {
        return std::sqrt(2 * d * cube);
      }
    }
  }
}

// Makes the columns of a row-major rows x order matrix orthonormal by two rounds of Cholesky QR (Yamamoto et al., 2015); the
// factor has a positive diagonal, so that a Gaussian matrix becomes a Haar-distributed one.
bool orthonormalise(int64_t rows, int64_t order, double* matrix, double* gram) {
  const auto& functions = blas().wide;
  const lapack_int n = blas_size(order);
  for (int round = 0; round < 2; ++round) {
    functions.syrk(CblasRowMajor, CblasUpper, CblasTrans, n, blas_size(rows), 1.0, matrix, n, 0.0, gram, n);
    if (functions.potrf(LAPACK_COL_MAJOR, 'L', n, gram, n) != 0) {
      return false;
    }
    // Column-major lower is row-major upper: gram = R^T R with R in it.
    functions.trsm(CblasRowMajor, CblasRight, CblasUpper, CblasNoTrans, CblasNonUnit, blas_size(rows), n, 1.0, gram, n, matrix,
                   n);
  }
  return true;
}

struct Arrays {
  Arrays(Arena& arena, const tg_rotation_options& options)
      : left(arena.take<double>(core_rows(options) * options.count)),
        right(arena.take<double>(options.count * options.count)),
        other(arena.take<double>(std::max(core_rows(options), options.count) * options.count)) {}
  double* left;
  double* right;
  double* other;
};

}  // namespace

int64_t core_rows(const tg_rotation_options& options) {
  return options.count + std::min(options.count, options.long_side - options.count);
}

int64_t rotation_workspace_bytes(const tg_rotation_options& options) {
  Arena arena;
  const Arrays arrays(arena, options);
  return arena.used();
}

// P is long_side x count with orthonormal columns. Its first `count` rows are Gaussian before the columns are made orthonormal;
// the others enter the result only through the triangle of their QR factorisation, which is Bartlett's: normal numbers above a
// diagonal of chi numbers. So the long side is never stored.
bool rotate_update(SimdLevel level, const tg_rotation_options& options, void* workspace, float* core) {
  const int64_t r = options.count;
  const int64_t rows = core_rows(options);
  const auto stream = [&](Purpose purpose) {
    return Stream{static_cast<uint64_t>(options.seed), static_cast<uint32_t>(options.draw), purpose};
  };
  Arena arena(workspace);
  const Arrays arrays(arena, options);
  fill(level, stream(Purpose::kLeft), r * r, arrays.left);
  Normals above(level, stream(Purpose::kBelow), 0);
  Normals diagonal(level, stream(Purpose::kGamma), 0);
  Normals accept(level, stream(Purpose::kGamma), int64_t{1} << 40);
  for (int64_t i = 0; i < rows - r; ++i) {
    double* row = arrays.left + (r + i) * r;
    std::fill_n(row, i, 0.0);
    row[i] = chi(diagonal, accept, static_cast<double>(options.long_side - r - i));
    for (int64_t j = i + 1; j < r; ++j) {
      row[j] = above.next();
    }
  }
  fill(level, stream(Purpose::kRight), r * r, arrays.right);
  if (!orthonormalise(rows, r, arrays.left, arrays.other) || !orthonormalise(r, r, arrays.right, arrays.other)) {
    return false;
  }
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < r; ++j) {
      arrays.left[i * r + j] *= options.update_values[j];
    }
  }
  blas().wide.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rows), blas_size(r), blas_size(r), 1.0, arrays.left,
                   blas_size(r), arrays.right, blas_size(r), 0.0, arrays.other, blas_size(r));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < r; ++j) {
      core[i * r + j] = static_cast<float>(arrays.other[i * r + j] + (i == j ? options.base_values[i] : 0.0));
    }
  }
  return true;
}

}  // namespace threegate::random
