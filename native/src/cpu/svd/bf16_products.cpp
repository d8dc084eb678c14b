#include "bf16_products.h"

#include <algorithm>
#include <cstring>

#include "cpu/support/crew.h"
#include "cpu/support/operand.h"
#include "cpu/support/processor.h"
#include "gram_bf16.h"

namespace threegate::svd {
namespace {

constexpr int64_t kPanelRows = 8 * kBf16Rows;
constexpr int64_t kPartColumns = 8 * kBf16Columns;
constexpr int64_t kSquare = 64;  // of a transposition, so that it stays in the first-level cache

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

uint16_t code_of(float entry) {
  uint32_t bits = 0;
  std::memcpy(&bits, &entry, sizeof(bits));
  return static_cast<uint16_t>(bits >> 16);
}

}  // namespace

bool has_bf16_products(SimdLevel level, const View& view) noexcept {
  return level == SimdLevel::kAvx512 && has_bf16_dot() && is_plain_bf16(view);
}

Bf16Products::Bf16Products(Arena& arena, const View& view, int64_t count)
    : count_(count),
      padded_(round_up(count, kBf16Vectors)),
      columns_(round_up(view.operand->values.columns, kBf16Columns)),
      along_(arena.take<uint16_t>(padded_ * columns_)),
      pairs_(arena.take<uint32_t>((view.operand->values.rows + 1) / 2 * padded_)),
      of_rows_(arena.take<float>(view.operand->values.rows * padded_)),
      of_columns_(arena.take<float>(padded_ * columns_)) {}

void Bf16Products::run(const View& view, const float* x, const float* y, float* images, float* back) const {
  if constexpr (kHasAvx512) {
    const tg_matrix& matrix = view.operand->values;
    const float* along = view.tall ? x : y;
    const float* across = view.tall ? y : x;
    in_parts(padded_, [&](int64_t i) {
      const int64_t some = i < count_ ? matrix.columns : 0;
      std::transform(along + i * matrix.columns, along + i * matrix.columns + some, along_ + i * columns_, code_of);
      std::fill(along_ + i * columns_ + some, along_ + (i + 1) * columns_, uint16_t{0});
    });
    in_parts((matrix.rows + kSquare - 1) / kSquare, [&](int64_t part) {
      const int64_t begin = part * kSquare;
      const int64_t end = std::min(begin + kSquare, matrix.rows);
      std::fill(pairs_ + begin / 2 * padded_, pairs_ + (end + 1) / 2 * padded_, uint32_t{0});
      for (int64_t i = 0; i < count_; ++i) {
        for (int64_t row = begin; row < end; ++row) {
          pairs_[row / 2 * padded_ + i] |= static_cast<uint32_t>(code_of(across[i * matrix.rows + row])) << (row % 2 * 16);
        }
      }
    });
    std::fill_n(of_columns_, padded_ * columns_, 0.0F);
    const int64_t row_bytes = matrix.row_stride * static_cast<int64_t>(sizeof(uint16_t));
    for (int64_t begin = 0; begin < matrix.rows; begin += kPanelRows) {
      check_cancelled(view);
      const int64_t rows = std::min(kPanelRows, matrix.rows - begin);
      in_parts((rows + kBf16Rows - 1) / kBf16Rows, [&](int64_t part) {
        const int64_t row = begin + part * kBf16Rows;
        multiply_bf16_rows_avx512(
            {element_address(matrix, row, 0), row_bytes, std::min(kBf16Rows, begin + rows - row), matrix.columns}, along_,
            columns_, padded_, of_rows_ + row * padded_);
      });
      in_parts((matrix.columns + kPartColumns - 1) / kPartColumns, [&](int64_t part) {
        const int64_t column = part * kPartColumns;
        add_bf16_rows_avx512(
            {element_address(matrix, begin, column), row_bytes, rows, std::min(kPartColumns, matrix.columns - column)},
            pairs_ + begin / 2 * padded_, padded_, columns_, of_columns_ + column);
      });
    }
    float* of_rows = view.tall ? images : back;
    float* of_columns = view.tall ? back : images;
    in_parts((matrix.rows + kSquare - 1) / kSquare, [&](int64_t part) {
      for (int64_t i = 0; i < count_; ++i) {
        for (int64_t row = part * kSquare; row < std::min((part + 1) * kSquare, matrix.rows); ++row) {
          of_rows[i * matrix.rows + row] = of_rows_[row * padded_ + i];
        }
      }
    });
    in_parts(count_, [&](int64_t i) {
      for (int64_t column = 0; column < matrix.columns; ++column) {
        const int64_t chunk = column / kBf16Columns * kBf16Columns;
        of_columns[i * matrix.columns + column] = of_columns_[i * columns_ + chunk + bf16_position(column - chunk)];
      }
    });
  }
}

}  // namespace threegate::svd
