// The interaction of pairs of singular triplets of a diagonal matrix under an update, for each instruction set. All of them give
// the same bits.
#ifndef THREEGATE_CPU_SVD_PAIRS_H
#define THREEGATE_CPU_SVD_PAIRS_H

#include <cstdint>

#include "cpu/support/simd_level.h"

namespace threegate::svd {

constexpr int64_t kPairTile = 64;

// Entries of an update between kPairTile levels i and as many levels j. `across[i][j]` is entry (i, j) and `back[i][j]` is entry
// (j, i). They are zero if i and j are the same level. `of_rows` and `of_columns` are the diagonal of the sum, and zero beyond
// the matrix. All numbers are relative to about the largest level, so that squares stay within float.
struct PairTile {
  double of_rows[kPairTile];
  double of_columns[kPairTile];
  float across[kPairTile][kPairTile];
  float back[kPairTile][kPairTile];
};

// Sums for the levels of the columns: the shift by all other levels, the mixing with all other levels, and the strongest mixing.
struct PairSums {
  float shift[kPairTile];
  float mixing[kPairTile];
  float strongest[kPairTile];
};

// Tangents of the angles by which levels i turn towards levels j, for left and right vectors.
struct PairTangents {
  double left[kPairTile][kPairTile];
  double right[kPairTile][kPairTile];
};

// Computes the sums over the pairs of the tile.
void add_pairs(SimdLevel level, const PairTile& tile, PairSums& sums);
void add_pairs_scalar(const PairTile& tile, PairSums& sums);
void add_pairs_avx2(const PairTile& tile, PairSums& sums);
void add_pairs_avx512(const PairTile& tile, PairSums& sums);

void pair_tangents(SimdLevel level, const PairTile& tile, PairTangents& tangents);
void pair_tangents_scalar(const PairTile& tile, PairTangents& tangents);
void pair_tangents_avx2(const PairTile& tile, PairTangents& tangents);
void pair_tangents_avx512(const PairTile& tile, PairTangents& tangents);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_PAIRS_H
