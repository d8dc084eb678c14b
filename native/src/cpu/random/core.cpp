#include "core.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "common/control.h"
#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/crew.h"
#include "cpu/support/levels.h"
#include "normals.h"
#include "words.h"

namespace threegate::random {
namespace {

// The normal numbers of a stream in order, as doubles.
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
    // The sum of two squared normal numbers is exponentially distributed, as is the negative logarithm of a uniform number.
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

// The random numbers of one update, as floats. The core is float32, and everything that is computed from it belongs to a null
// model.
class Draw {
 public:
  Draw(SimdLevel level, const tg_rotation_options& options) : level_(level), options_(options) {}

  [[nodiscard]] Normals numbers(Purpose purpose, int64_t first_block = 0) const {
    return {level_, {static_cast<uint64_t>(options_.seed), static_cast<uint32_t>(options_.draw), purpose}, first_block};
  }

 private:
  SimdLevel level_;
  const tg_rotation_options& options_;
};

// Haar-distributed orthonormal columns, rows x order, column-major. They are products of reflections by independent Gaussian
// vectors of decreasing length, where each column has a random sign (Stewart, "The efficient generation of random orthogonal
// matrices", 1980).
bool haar(Normals numbers, int64_t rows, int64_t order, float* matrix, float* reflectors, float* work, int64_t work_size) {
  for (int64_t j = 0; j < order; ++j) {
    require_not_cancelled();
    float* column = matrix + j * rows;
    double squares = 0;
    for (int64_t i = j; i < rows; ++i) {
      column[i] = static_cast<float>(numbers.next());
      squares += static_cast<double>(column[i]) * static_cast<double>(column[i]);
    }
    // The reflection that maps the vector to -sign(first) * norm * e_j, as LAPACK stores it. Its first entry is 1 and not stored.
    const double first = static_cast<double>(column[j]);
    const double leading = first + std::copysign(std::sqrt(squares), first);
    const double rest = squares - first * first;
    for (int64_t i = j + 1; i < rows; ++i) {
      column[i] = static_cast<float>(static_cast<double>(column[i]) / leading);
    }
    reflectors[j] = leading == 0 ? 0.0F : static_cast<float>(2 * leading * leading / (leading * leading + rest));
  }
  if (blas().single.orgqr(LAPACK_COL_MAJOR, blas_size(rows), blas_size(order), blas_size(order), matrix, blas_size(rows),
                          reflectors, work, blas_size(work_size)) != 0) {
    return false;
  }
  for (int64_t j = 0; j < order; ++j) {
    if (numbers.next() < 0) {
      for (int64_t i = 0; i < rows; ++i) {
        matrix[j * rows + i] = -matrix[j * rows + i];
      }
    }
  }
  return true;
}

// The same for a long side with more than twice as many rows: [Gaussian; Bartlett's triangle] C^-1, where C^T C is its Gram
// matrix. It is well conditioned in this case. Column-major.
bool tall_haar(const Draw& draw, const tg_rotation_options& options, float* matrix, float* gram) {
  const int64_t r = options.count;
  const int64_t rows = 2 * r;
  Normals dense = draw.numbers(Purpose::kLeft);
  Normals above = draw.numbers(Purpose::kBelow);
  Normals diagonal = draw.numbers(Purpose::kGamma);
  Normals accept = draw.numbers(Purpose::kGamma, int64_t{1} << 40);
  for (int64_t j = 0; j < r; ++j) {
    require_not_cancelled();
    float* column = matrix + j * rows;
    for (int64_t i = 0; i < r; ++i) {
      column[i] = static_cast<float>(dense.next());
      column[r + i] = i < j ? static_cast<float>(above.next()) : 0.0F;
    }
    column[r + j] = static_cast<float>(chi(diagonal, accept, static_cast<double>(options.long_side - r - j)));
  }
  const auto& functions = blas().single;
  const lapack_int n = blas_size(r);
  functions.syrk(CblasColMajor, CblasUpper, CblasTrans, n, blas_size(rows), 1.0F, matrix, blas_size(rows), 0.0F, gram, n);
  require_not_cancelled();
  if (functions.potrf(LAPACK_COL_MAJOR, 'U', n, gram, n) != 0) {
    return false;
  }
  require_not_cancelled();
  functions.trsm(CblasColMajor, CblasRight, CblasUpper, CblasNoTrans, CblasNonUnit, blas_size(rows), n, 1.0F, gram, n, matrix,
                 blas_size(rows));
  return true;
}

constexpr int64_t kBlockSize = 64;  // workspace of LAPACK's blocked routines

struct Arrays {
  Arrays(Arena& arena, const tg_rotation_options& options)
      : left(arena.take<float>(core_rows(options.count, options.long_side) * options.count)),
        right(arena.take<float>(options.count * options.count)),
        reflectors(arena.take<float>(options.count)),
        work(arena.take<float>(kBlockSize * options.count)) {}
  float* left;
  float* right;
  float* reflectors;
  float* work;
};

}  // namespace

int64_t core_rows(int64_t count, int64_t long_side) { return count + std::min(count, long_side - count); }

int64_t rotation_workspace_bytes(const tg_rotation_options& options) {
  Arena arena;
  const Arrays arrays(arena, options);
  return arena.used();
}

// P is long_side x count with orthonormal columns. Of the rows below the first `count` only the triangle of their QR
// factorisation matters. It is Bartlett's: normal numbers above a diagonal of chi numbers. The long side is therefore never
// stored.
bool rotate_update(SimdLevel level, const tg_rotation_options& options, void* workspace, float* core) {
  const int64_t r = options.count;
  const int64_t rows = core_rows(r, options.long_side);
  Arena arena(workspace);
  const Arrays arrays(arena, options);
  const Draw draw(level, options);
  const bool tall = options.long_side > 2 * r;
  // `right` first holds the Gram matrix.
  if (!(tall ? tall_haar(draw, options, arrays.left, arrays.right)
             : haar(draw.numbers(Purpose::kLeft), rows, r, arrays.left, arrays.reflectors, arrays.work, kBlockSize * r)) ||
      !haar(draw.numbers(Purpose::kRight), r, r, arrays.right, arrays.reflectors, arrays.work, kBlockSize * r)) {
    return false;
  }
  for (int64_t j = 0; j < r; ++j) {
    const auto value = static_cast<float>(options.update_values[j]);
    for (int64_t i = 0; i < rows; ++i) {
      arrays.left[j * rows + i] *= value;
    }
  }
  require_not_cancelled();
  // The core is row-major, and its transpose is right * left^T.
  blas().single.gemm(CblasColMajor, CblasNoTrans, CblasTrans, blas_size(r), blas_size(rows), blas_size(r), 1.0F, arrays.right,
                     blas_size(r), arrays.left, blas_size(rows), 0.0F, core, blas_size(r));
  return true;
}

namespace {

// The standard deviations of the entries of a normal core, row by row.
class Deviations {
 public:
  explicit Deviations(const tg_normal_options& options)
      : options_(options),
        classes_(options.leading + 2),
        of_rows_(options.values, options.count, options.long_side, options.leading),
        variances_(static_cast<size_t>(classes_)),
        places_(static_cast<size_t>(options.count)),
        row_(static_cast<size_t>(options.count)) {
    const Levels of_columns(options.values, options.count, options.count, options.leading);
    for (int64_t j = 0; j < options.count; ++j) {
      places_[static_cast<size_t>(j)] = of_columns.place(j);
    }
  }

  // The values of row i. It is one of the leading directions, or the mean of the others plus its deviation from the mean.
  const double* row(int64_t i) {
    const bool leads = i < options_.leading;
    const double place = leads ? 0 : of_rows_.place(i);
    const double* of_class = options_.variances + std::min(i, options_.leading) * classes_;
    const double* slopes = options_.variances + (options_.leading + 1) * classes_;
    for (int64_t c = 0; c < classes_; ++c) {
      variances_[static_cast<size_t>(c)] = of_class[c] + place * slopes[c];
    }
    const double mean = variances_[static_cast<size_t>(options_.leading)];
    const double slope = variances_[static_cast<size_t>(options_.leading) + 1];
    for (int64_t j = 0; j < options_.leading; ++j) {
      row_[static_cast<size_t>(j)] = std::sqrt(std::max(variances_[static_cast<size_t>(j)], 0.0));
    }
    for (auto at = static_cast<size_t>(options_.leading); at < row_.size(); ++at) {
      row_[at] = std::sqrt(std::max(mean + slope * places_[at], 0.0));
    }
    return row_.data();
  }

 private:
  const tg_normal_options& options_;
  int64_t classes_;
  Levels of_rows_;
  std::vector<double> variances_;
  std::vector<double> places_;
  std::vector<double> row_;
};

}  // namespace

// If there are more rows below than columns, only Bartlett's triangle is drawn, as in tall_haar().
void normal_update(SimdLevel level, const tg_normal_options& options, float* core) {
  const int64_t n = options.count;
  const int64_t below = options.long_side - n;
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  const auto stream = [&](Purpose purpose) {
    return Stream{static_cast<uint64_t>(options.seed), static_cast<uint32_t>(options.draw), purpose};
  };
  Normals gamma(level, stream(Purpose::kCoreGamma), 0);
  Normals accept(level, stream(Purpose::kCoreGamma), int64_t{1} << 40);
  // The numbers of the diagonal come from one stream in order.
  const int64_t rows = core_rows(n, options.long_side);
  std::vector<double> of_diagonal;
  for (int64_t diagonal = 0; below > n && diagonal < rows - n; ++diagonal) {
    of_diagonal.push_back(chi(gamma, accept, static_cast<double>(below - diagonal)));
  }
  constexpr int64_t kRowsOfPart = 64;
  in_parts((rows + kRowsOfPart - 1) / kRowsOfPart, [&](int64_t part) {
    Deviations deviations(options);
    std::vector<float> numbers(static_cast<size_t>(blocks * kBlock));
    for (int64_t i = part * kRowsOfPart; i < std::min(rows, (part + 1) * kRowsOfPart); ++i) {
      require_not_cancelled();
      const double* of_row = deviations.row(i);
      const bool triangular = i >= n && below > n;
      const int64_t skipped = triangular ? (i - n) / kBlock : 0;
      normals(level, stream(Purpose::kCore), i * blocks + skipped, blocks - skipped, numbers.data() + skipped * kBlock);
      float* row = core + i * n;
      for (int64_t j = 0; j < n; ++j) {
        row[j] = static_cast<float>(of_row[j] * static_cast<double>(numbers[static_cast<size_t>(j)]));
      }
      if (triangular) {
        const int64_t diagonal = i - n;
        std::fill_n(row, diagonal, 0.0F);
        row[diagonal] = static_cast<float>(of_row[diagonal] * of_diagonal[static_cast<size_t>(diagonal)]);
      }
    }
  });
}

// The first `count` rows and the columns are permuted.
void shuffle_update(const tg_shuffle_options& options, const float* core, float* shuffled) {
  const auto order = [&](int64_t stream) {
    std::vector<int64_t> places(static_cast<size_t>(options.count));
    std::iota(places.begin(), places.end(), int64_t{0});
    Words words({static_cast<uint64_t>(options.seed), static_cast<uint32_t>(options.draw), Purpose::kCoreOrder}, stream << 32);
    shuffle(words, places.data(), options.count);
    return places;
  };
  const std::vector<int64_t> rows = order(0);
  const std::vector<int64_t> columns = order(1);
  for (int64_t i = 0; i < options.core_rows; ++i) {
    require_not_cancelled();
    const float* from = core + (i < options.count ? rows[static_cast<size_t>(i)] : i) * options.count;
    float* to = shuffled + i * options.count;
    for (int64_t j = 0; j < options.count; ++j) {
      to[j] = from[columns[static_cast<size_t>(j)]];
    }
  }
}

}  // namespace threegate::random
