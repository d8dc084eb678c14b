#include "subspace.h"

#include <algorithm>
#include <cmath>

#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/operand.h"
#include "panel.h"

namespace threegate::svd {
namespace {

void read_rows(const tg_matrix& matrix, double* out) {
  for (int64_t i = 0; i < matrix.rows; ++i) {
    for (int64_t j = 0; j < matrix.columns; ++j) {
      out[i * matrix.columns + j] = load_double(matrix, i, j);
    }
  }
}

double sum_of_squares(const double* values, int64_t count) {
  double lanes[4] = {};
  for (int64_t i = 0; i < count; ++i) {
    lanes[i % 4] += values[i] * values[i];
  }
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
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

  // Singular values alone, descending; `matrix` is lost.
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
  double* image;     // long_rank x short_side: the long side's basis times the matrix
  double* part;      // short_rank x a panel: the short side's basis times the matrix
  double* both;
};

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
  if (!own.singular_values(own.copy, rank, rank, own.cosines)) {
    return false;
  }
  // What of the second lies outside the first. Row-major rank x length is column-major length x rank.
  functions.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rank), blas_size(length), blas_size(rank), -1.0,
                 own.products, blas_size(rank), own.first, blas_size(length), 1.0, own.second, blas_size(length));
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
  double short_energy = 0;
  for (int64_t begin = 0; begin < view.long_side; begin += kPanel) {
    const int64_t count = std::min(kPanel, view.long_side - begin);
    read_panel(view, begin, count, own.panel);
    total += sum_of_squares(own.panel, count * view.short_side);
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
  result.left = view.tall ? long_energy : short_energy;
  result.right = view.tall ? short_energy : long_energy;
  result.both = sum_of_squares(own.both, own.long_rank * own.short_rank);
}

}  // namespace threegate::svd
