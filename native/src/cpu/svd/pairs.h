// What two singular triplets of a diagonal matrix make of each other under an update, for all pairs, at each instruction set; all
// give the same bits.
#ifndef THREEGATE_CPU_SVD_PAIRS_H
#define THREEGATE_CPU_SVD_PAIRS_H

#include <cstdint>

#include "cpu/support/simd_level.h"

namespace threegate::svd {

constexpr int64_t kPairTile = 64;

// Entries of an update between kPairTile levels i and as many levels j: `across[i][j]` is entry (i, j), `back[i][j]` entry (j,
// zero where i and j are the same level. `of_rows` and `of_columns` are the diagonal of the sum, zero beyond the matrix. All in
// units of about the largest level, so that squares stay within float.
struct PairTile {
  double of_rows[kPairTile];
  double of_columns[kPairTile];
  float across[kPairTile][kPairTile];
  float back[kPairTile][kPairTile];
};

// Of the columns' levels: how far the others push them, how much they mix with them, and with which one most.
struct PairSums {
  float shift[kPairTile];
  float mixing[kPairTile];
  float strongest[kPairTile];
};

// Tangents of the angles by which levels i turn towards levels j: of left vectors and of right ones.
struct PairTangents {
  double left[kPairTile][kPairTile];
  double right[kPairTile][kPairTile];
};

// The sums over the tile's pairs.
void add_pairs(SimdLevel level, const PairTile& tile, PairSums& sums);
void add_pairs_avx2(const PairTile& tile, PairSums& sums);
void add_pairs_avx512(const PairTile& tile, PairSums& sums);

void pair_tangents(SimdLevel level, const PairTile& tile, PairTangents& tangents);
void pair_tangents_avx2(const PairTile& tile, PairTangents& tangents);
void pair_tangents_avx512(const PairTile& tile, PairTangents& tangents);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_PAIRS_H
