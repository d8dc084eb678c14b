#include "token_rows.h"

#include <algorithm>
#include <cmath>

#include "cpu/support/operand.h"

namespace threegate::curvature {
namespace {

bool lies_as_float(const tg_matrix& matrix) {
  return matrix.dtype == TG_F32 && reinterpret_cast<uintptr_t>(matrix.data) % alignof(float) == 0 &&
         matrix.row_stride <= INT32_MAX;
}

}  // namespace

void widen_row(const tg_matrix& matrix, int64_t row, int64_t column, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kRun) {
    const int64_t run = std::min(kRun, count - i);
    if (matrix.dtype == TG_F64) {
      for (int64_t j = 0; j < run; ++j) {
        out[i + j] = static_cast<float>(load_double(matrix, row, column + i + j));
      }
    } else {
      widen(matrix, row, column + i, run, out + i, convert_f16_plain);
    }
  }
}

int64_t copy_entries(const tg_matrix& matrix, int64_t rows) { return lies_as_float(matrix) ? 0 : rows * matrix.columns; }

Rows rows_of(const tg_matrix& matrix, int64_t begin, int64_t end, float* copy) {
  if (lies_as_float(matrix)) {
    return {static_cast<const float*>(matrix.data) + begin * matrix.row_stride, matrix.row_stride};
  }
  for (int64_t row = begin; row < end; ++row) {
    widen_row(matrix, row, 0, matrix.columns, copy + (row - begin) * matrix.columns);
  }
  return {copy, matrix.columns};
}

int64_t first_row_not_finite(const tg_matrix& matrix) {
  for (int64_t row = 0; row < matrix.rows; ++row) {
    for (int64_t column = 0; column < matrix.columns; ++column) {
      if (!std::isfinite(load_double(matrix, row, column))) {
        return row;
      }
    }
  }
  return -1;
}

}  // namespace threegate::curvature
