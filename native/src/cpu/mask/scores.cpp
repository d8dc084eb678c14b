#include "scores.h"

#include <algorithm>

#include "cpu/support/blas.h"
#include "cpu/support/operand.h"

namespace threegate::mask {
namespace {

void scores_of_matrix(const tg_operand& matrix, const Tile& tile, double* out) {
  for (int64_t i = 0; i < tile.rows; ++i) {
    for (int64_t j = 0; j < tile.columns; j += kRun) {
      stage_double(matrix, tile.row + i, tile.column + j, std::min(kRun, tile.columns - j), out + i * tile.columns + j,
                   convert_f16_plain);
    }
  }
}

void scores_of_triplets(const tg_mask_scores& scores, const Tile& tile, double* factor, double* out) {
  for (int64_t k = 0; k < scores.rank; ++k) {
    for (int64_t i = 0; i < tile.rows; ++i) {
      factor[k * tile.rows + i] = scores.values[k] * scores.left[k * scores.rows + tile.row + i];
    }
  }
  blas().wide.gemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_size(tile.rows), blas_size(tile.columns), blas_size(scores.rank),
                   1.0, factor, blas_size(tile.rows), scores.right + tile.column, blas_size(scores.columns), 0.0, out,
                   blas_size(tile.columns));
}

}  // namespace

int64_t rows_of(const tg_mask_scores& scores) { return scores.matrix != nullptr ? scores.matrix->values.rows : scores.rows; }
int64_t columns_of(const tg_mask_scores& scores) {
  return scores.matrix != nullptr ? scores.matrix->values.columns : scores.columns;
}

bool has_few_entries(const tg_mask_scores& scores) { return rows_of(scores) * columns_of(scores) <= kFewEntries; }

Scratch::Scratch(Arena& arena, const tg_mask_scores& scores)
    : keys(arena.take<uint64_t>(has_few_entries(scores) ? rows_of(scores) * columns_of(scores) : kTileRows * kTileColumns)),
      factor(arena.take<double>((scores.matrix != nullptr ? 0 : scores.rank) * std::min(kTileRows, rows_of(scores)))),
      digits(arena.take<int64_t>(has_few_entries(scores) ? 0 : kDigits)),
      sorted(arena.take<uint64_t>(has_few_entries(scores) ? rows_of(scores) * columns_of(scores) : 0)) {}

void fill_keys(const tg_mask_scores& scores, Tile tile, const Scratch& scratch) {
  auto* values = reinterpret_cast<double*>(scratch.keys);
  if (scores.matrix != nullptr) {
    scores_of_matrix(*scores.matrix, tile, values);
  } else {
    scores_of_triplets(scores, tile, scratch.factor, values);
  }
  for (int64_t i = 0; i < tile.rows * tile.columns; ++i) {
    scratch.keys[i] = bit_cast<uint64_t>(values[i]) & 0x7fffffffffffffffULL;
  }
}

}  // namespace threegate::mask
