#include "subspace.h"

#include <algorithm>
#include <cmath>

#include "common/control.h"
#include "common/lanes.h"
#include "cpu/nulls/residual_rows.h"
#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/levels.h"
#include "cpu/support/operand.h"
#include "panel.h"

namespace threegate::svd {
namespace {

void read_rows(const tg_matrix& matrix, double* out) {
  for (int64_t i = 0; i < matrix.rows; ++i) {
    require_not_cancelled();
    for (int64_t j = 0; j < matrix.columns; ++j) {
      out[i * matrix.columns + j] = load_double(matrix, i, j);
    }
  }
}

double sum_of_squares(const double* values, int64_t count) {
  return sum_in_lanes(count, [&](int64_t i) { return values[i] * values[i]; });
}

double sum_of_fourths(const double* values, int64_t count) {
  return sum_in_lanes(count, [&](int64_t i) { return values[i] * values[i] * (values[i] * values[i]); });
}

struct Angles {
  Angles(Arena& arena, int64_t rank, int64_t length)
      : work_size(3 * rank + 8 * std::max(rank, length) + 64 * (rank + length)),
        first(arena.take<double>(rank * length)),
        second(arena.take<double>(rank * length)),
        products(arena.take<double>(rank * rank)),
        copy(arena.take<double>(rank * rank)),
        cosines(arena.take<double>(rank)),
        sines(arena.take<double>(rank)),
        work(arena.take<double>(work_size)),
        integers(arena.take<lapack_int>(8 * rank)) {}

  // Computes the singular values, descending. Overwrites `matrix`.
  bool singular_values(double* matrix, int64_t rows, int64_t columns, double* values) const {
    return blas().wide.gesdd(LAPACK_COL_MAJOR, 'N', blas_size(rows), blas_size(columns), matrix, blas_size(rows), values, nullptr,
                             1, nullptr, 1, work, blas_size(work_size), integers) == 0;
  }

  int64_t work_size;
  double* first;
  double* second;
  double* products;
  double* copy;
  double* cosines;
  double* sines;
  double* work;
  lapack_int* integers;
};

struct Energy {
  Energy(Arena& arena, const View& view, int64_t left_rank, int64_t right_rank)
      : short_rank(view.tall ? right_rank : left_rank),
        long_rank(view.tall ? left_rank : right_rank),
        panel(arena.take<double>(kPanel * view.short_side)),
        of_short(arena.take<double>(short_rank * view.short_side)),
        of_long(arena.take<double>(long_rank * view.long_side)),
        image(arena.take<double>(long_rank * view.short_side)),
        part(arena.take<double>(short_rank * kPanel)),
        both(arena.take<double>(long_rank * short_rank)) {}

  int64_t short_rank;
  int64_t long_rank;
  double* panel;
  double* of_short;  // short_rank x short_side
  double* of_long;   // long_rank x long_side
  double* image;     // long_rank x short_side: the basis of the long side times the matrix
  double* part;      // short_rank x kPanel: the basis of the short side times a panel of the matrix
  double* both;
};

struct Variances {
  Variances(Arena& arena, const tg_operand& matrix, int64_t rank)
      : classes(rank + 2),
        rows(matrix.values.rows),
        columns(matrix.values.columns),
        left(arena.take<float>(classes * rows)),
        right(arena.take<float>(classes * columns)),
        row_squares(arena.take<double>(rows)),
        column_squares(arena.take<double>(columns)),
        panel(arena.take<float>(kPanel * columns)),
        image(arena.take<float>(classes * columns)),
        product(arena.take<float>(classes * classes)) {}

  // Reads the bases and the squares of the matrix, which are in row_squares and column_squares.
  void read_bases(const double* values, const tg_matrix& of_rows, const tg_matrix& of_columns) const;

  // Multiplies the variances of all entries, which `fill` writes row by row, with the squared bases.
  template <typename Fill>
  void multiply(double largest, double* variances, Fill fill) const {
    std::fill_n(image, classes * columns, 0.0F);
    const auto& functions = blas().single;
    const lapack_int count = blas_size(classes);
    for (int64_t begin = 0; begin < rows; begin += kPanel) {
      require_not_cancelled();
      const int64_t some = std::min(kPanel, rows - begin);
      for (int64_t i = 0; i < some; ++i) {
        fill(begin + i, panel + i * columns);
      }
      functions.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, count, blas_size(columns), blas_size(some), 1.0F, left + begin,
                     blas_size(rows), panel, blas_size(columns), 1.0F, image, blas_size(columns));
    }
    functions.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, count, count, blas_size(columns), 1.0F, image, blas_size(columns),
                   right, blas_size(columns), 0.0F, product, count);
    for (int64_t i = 0; i < classes * classes; ++i) {
      variances[i] = static_cast<double>(product[i]) * largest;
    }
  }

  int64_t classes;
  int64_t rows;
  int64_t columns;
  float* left;   // squares of the basis, then the mean and the slope of the squares of its complement
  float* right;  // the same for the other side
  double* row_squares;
  double* column_squares;
  float* panel;  // variances of the entries of some rows
  float* image;  // left * variances
  float* product;
};

// Adds the squares of a row to those of the columns, and returns their sum.
double add_squares(const double* row, int64_t count, double* of_columns) {
  double sum = 0;
  for (int64_t j = 0; j < count; ++j) {
    sum += row[j] * row[j];
    of_columns[j] += row[j] * row[j];
  }
  return sum;
}

// `squares` are those of the rows or the columns of the matrix. They are sums of squared singular values times the wanted
// squares.
void read_squares(const tg_matrix& basis, const double* values, const Levels& levels, const double* squares, float* out) {
  const int64_t length = basis.columns;
  const auto others = static_cast<double>(length - basis.rows);
  for (int64_t j = 0; j < length; ++j) {
    double rest = 1;
    double moment = squares[j];
    for (int64_t i = 0; i < basis.rows; ++i) {
      const double entry = load_double(basis, i, j);
      out[i * length + j] = static_cast<float>(entry * entry);
      rest -= entry * entry;
      moment -= values[i] * values[i] * entry * entry;
    }
    const double mean = others > 0 ? std::max(rest, 0.0) / others : 0;
    out[basis.rows * length + j] = static_cast<float>(mean);
    const double slope = levels.scale() > 0 ? (moment / others - mean * levels.mean()) / levels.scale() : 0;
    out[(basis.rows + 1) * length + j] = static_cast<float>(slope);
  }
}

void Variances::read_bases(const double* values, const tg_matrix& of_rows, const tg_matrix& of_columns) const {
  const int64_t count = std::min(rows, columns);
  read_squares(of_rows, values, Levels(values, count, rows, of_rows.rows), row_squares, left);
  read_squares(of_columns, values, Levels(values, count, columns, of_columns.rows), column_squares, right);
}

}  // namespace

int64_t angles_workspace_bytes(int64_t rank, int64_t length) {
  Arena arena;
  const Angles angles(arena, rank, length);
  return arena.used();
}

bool principal_angles(const tg_matrix& first, const tg_matrix& second, void* workspace, double* angles) {
  const int64_t rank = first.rows;
  const int64_t length = first.columns;
  Arena arena(workspace);
  const Angles own(arena, rank, length);
  read_rows(first, own.first);
  read_rows(second, own.second);
  const auto& functions = blas().wide;
  functions.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rank), blas_size(rank), blas_size(length), 1.0, own.second,
                 blas_size(length), own.first, blas_size(length), 0.0, own.products, blas_size(rank));
  std::copy_n(own.products, rank * rank, own.copy);
  require_not_cancelled();
  if (!own.singular_values(own.copy, rank, rank, own.cosines)) {
    return false;
  }
  require_not_cancelled();
  // The part of the second space outside of the first. Row-major rank x length is column-major length x rank.
  functions.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rank), blas_size(length), blas_size(rank), -1.0,
                 own.products, blas_size(rank), own.first, blas_size(length), 1.0, own.second, blas_size(length));
  require_not_cancelled();
  if (!own.singular_values(own.second, length, rank, own.sines)) {
    return false;
  }
  for (int64_t i = 0; i < rank; ++i) {
    const double cosine = std::min(own.cosines[i], 1.0);
    const double sine = std::min(own.sines[rank - 1 - i], 1.0);
    angles[i] = sine * sine < 0.5 ? std::asin(sine) : std::acos(cosine);
  }
  return true;
}

int64_t energy_workspace_bytes(const tg_operand& matrix, const tg_matrix& left, const tg_matrix& right) {
  Arena arena;
  const Energy energy(arena, make_view(matrix, nullptr, 1), left.rows, right.rows);
  return arena.used();
}

void projected_energy(const tg_operand& matrix, const tg_operand* subtracted, const tg_matrix& left, const tg_matrix& right,
                      void* workspace, tg_projected_energy_result& result) {
  const View view = make_view(matrix, subtracted, 1);
  Arena arena(workspace);
  const Energy own(arena, view, left.rows, right.rows);
  read_rows(view.tall ? right : left, own.of_short);
  read_rows(view.tall ? left : right, own.of_long);
  std::fill_n(own.image, own.long_rank * view.short_side, 0.0);
  const auto& functions = blas().wide;
  double total = 0;
  double fourth = 0;
  double short_energy = 0;
  for (int64_t begin = 0; begin < view.long_side; begin += kPanel) {
    const int64_t count = std::min(kPanel, view.long_side - begin);
    require_not_cancelled();
    read_panel(view, begin, count, own.panel);
    total += sum_of_squares(own.panel, count * view.short_side);
    fourth += sum_of_fourths(own.panel, count * view.short_side);
    const lapack_int stride = blas_size(view.tall ? view.short_side : count);
    functions.gemm(CblasRowMajor, CblasNoTrans, view.tall ? CblasTrans : CblasNoTrans, blas_size(own.short_rank),
                   blas_size(count), blas_size(view.short_side), 1.0, own.of_short, blas_size(view.short_side), own.panel, stride,
                   0.0, own.part, blas_size(count));
    short_energy += sum_of_squares(own.part, own.short_rank * count);
    functions.gemm(CblasRowMajor, CblasNoTrans, view.tall ? CblasNoTrans : CblasTrans, blas_size(own.long_rank),
                   blas_size(view.short_side), blas_size(count), 1.0, own.of_long + begin, blas_size(view.long_side), own.panel,
                   stride, 1.0, own.image, blas_size(view.short_side));
  }
  functions.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(own.long_rank), blas_size(own.short_rank),
                 blas_size(view.short_side), 1.0, own.image, blas_size(view.short_side), own.of_short, blas_size(view.short_side),
                 0.0, own.both, blas_size(own.short_rank));
  const double long_energy = sum_of_squares(own.image, own.long_rank * view.short_side);
  result.total = total;
  result.fourth = fourth;
  result.left = view.tall ? long_energy : short_energy;
  result.right = view.tall ? short_energy : long_energy;
  result.both = sum_of_squares(own.both, own.long_rank * own.short_rank);
}

int64_t variances_workspace_bytes(const tg_operand& matrix, int64_t rank) {
  Arena arena;
  const Variances variances(arena, matrix, rank);
  arena.take<double>(TG_MAGNITUDE_CODES);
  arena.take<double>(2 * matrix.values.columns);
  return arena.used();
}

void projected_variances(const tg_operand& matrix, const double* table, const double* values, const tg_matrix& left,
                         const tg_matrix& right, void* workspace, double* variances) {
  const int64_t columns = matrix.values.columns;
  Arena arena(workspace);
  const Variances own(arena, matrix, left.rows);
  auto* relative = arena.take<double>(TG_MAGNITUDE_CODES);
  auto* row = arena.take<double>(2 * columns);
  const double largest = *std::max_element(table, table + TG_MAGNITUDE_CODES);
  for (int64_t code = 0; code < TG_MAGNITUDE_CODES; ++code) {
    relative[code] = largest > 0 ? table[code] / largest : 0;
  }
  std::fill_n(own.column_squares, columns, 0.0);
  for (int64_t i = 0; i < own.rows; ++i) {
    require_not_cancelled();
    for (int64_t j = 0; j < columns; ++j) {
      row[j] = load_double(matrix.values, i, j);
    }
    own.row_squares[i] = add_squares(row, columns, own.column_squares);
  }
  own.read_bases(values, left, right);
  own.multiply(largest, variances, [&](int64_t i, float* out) {
    const uint8_t* codes = element_address(matrix.values, i, 0);
    for (int64_t j = 0; j < columns; ++j) {
      out[j] = static_cast<float>(relative[load<uint16_t>(codes + 2 * j) & kBf16Magnitude]);
    }
  });
}

void residual_variances(SimdLevel level, const tg_residual& residual, const double* values, const tg_matrix& left,
                        const tg_matrix& right, void* workspace, double* variances) {
  const int64_t columns = residual.base->values.columns;
  Arena arena(workspace);
  const Variances own(arena, *residual.base, left.rows);
  arena.take<double>(TG_MAGNITUDE_CODES);
  auto* base = arena.take<double>(2 * columns);
  auto* rest = base + columns;
  double largest = 0;
  std::fill_n(own.column_squares, columns, 0.0);
  for (int64_t i = 0; i < own.rows; ++i) {
    require_not_cancelled();
    for (int64_t j = 0; j < columns; j += kRun) {
      stage_double(*residual.base, i, j, std::min<int64_t>(kRun, columns - j), base + j, convert_f16_plain);
    }
    nulls::residual_entries(level, {&residual, i, 0, columns}, rest);
    for (int64_t j = 0; j < columns; ++j) {
      base[j] = base[j] * 0 == 0 ? base[j] : 0;
      largest = std::max(largest, std::abs(rest[j]));
    }
    own.row_squares[i] = add_squares(base, columns, own.column_squares);
  }
  own.read_bases(values, left, right);
  const double scale = largest > 0 ? 1 / largest : 0;
  own.multiply(largest * largest, variances, [&](int64_t i, float* out) {
    nulls::residual_squares(level, {&residual, i, 0, columns}, scale, out);
  });
}

}  // namespace threegate::svd
