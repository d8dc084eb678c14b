#include "problem_layout.h"

#include "source.h"
#include "warpgroup_product.h"

namespace threegate::cuda {
namespace {

// The number of vectors in a block beyond the wanted ones. More of them let the wanted ones converge faster and make each step
// more expensive.
constexpr int64_t kLeastExtra = 16;

int64_t padded(int64_t count, int64_t to) { return (count + to - 1) / to * to; }

// The number of bf16 matrices whose sum is the matrix.
int planes_for(const tg_operand& matrix, const tg_operand* subtracted) {
  const bool exact = subtracted == nullptr && is_plain(matrix) && matrix.values.dtype != TG_F64 && matrix.values.dtype != TG_F32;
  return !exact ? kPlanes : matrix.values.dtype == TG_F16 ? 2 : 1;
}

}  // namespace

int64_t vectors_for(int64_t rank) { return padded(rank + std::max(kLeastExtra, rank / 2), kVectorPadding); }
int tile_vectors(int64_t vectors) { return vectors % 96 == 0 ? 96 : vectors % 64 == 0 ? 64 : 32; }
int64_t most_tiles(int64_t length, int64_t vectors) { return padded(length / kPadding, 2) * (vectors / tile_vectors(vectors)); }

Problem lay_out(const CudaSvdBatch& batch, int64_t i, Layout& layout) {
  const tg_matrix& values = batch.matrices[i].values;
  Problem problem{};
  problem.tall = values.rows > values.columns ? 1 : 0;
  problem.short_side = padded(short_side(values), kPadding);
  problem.long_side = padded(long_side(values), kPadding);
  problem.stride = padded(values.columns, kPadding);
  problem.a_planes = planes_for(batch.matrices[i], subtracted_of(batch, i));
  problem.vectors = static_cast<int32_t>(vectors_for(batch.options[i].rank));
  const int64_t vectors = problem.vectors;
  for (int plane = 0; plane < problem.a_planes; ++plane) {
    problem.a[plane] = layout.take<uint16_t>(problem.short_side * problem.long_side);
  }
  for (float*& x : problem.x) {
    x = layout.take<float>(vectors * problem.short_side);
  }
  for (float*& y : problem.y) {
    y = layout.take<float>(vectors * problem.long_side);
  }
  problem.z = layout.take<float>(vectors * problem.short_side);
  problem.x_planes = layout.take<uint16_t>(kPlanes * vectors * problem.short_side);
  problem.y_planes = layout.take<uint16_t>(kPlanes * vectors * problem.long_side);
  problem.partial = layout.take<double>(partial_count(problem.long_side) * vectors * vectors);
  problem.gram = layout.take<double>(vectors * vectors);
  problem.mixing = layout.take<float>(vectors * vectors);
  problem.work = layout.take<double>(2 * vectors * vectors);
  return problem;
}

int64_t problem_bytes(const CudaSvdBatch& batch, int64_t i) {
  Layout layout;
  const Problem problem = lay_out(batch, i, layout);
  const int64_t tiles = most_tiles(problem.short_side, problem.vectors) + most_tiles(problem.long_side, problem.vectors);
  layout.take<Problem>(1);
  layout.take<Task>(kMostTasks);
  layout.take<Tile>(tiles);
  layout.take<ProductMaps>(1);
  layout.take<double>(2 * int64_t{problem.vectors});
  return layout.used();
}

int64_t staging_bytes(const CudaSvdBatch& batch, int64_t i) {
  const tg_matrix& values = batch.matrices[i].values;
  const int64_t basis =
      batch.starts == nullptr ? 0 : vectors_for(batch.options[i].rank) * short_side(values) * int64_t{sizeof(double)};
  const int64_t first = vectors_for(batch.options[i].rank) * short_side(values) * static_cast<int64_t>(sizeof(float));
  return padded(first, Layout::kAlignment) + std::max(source_bytes(batch, i), padded(basis, Layout::kAlignment));
}

}  // namespace threegate::cuda
