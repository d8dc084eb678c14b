#include "pairs.h"

#include "pair_lanes.h"

namespace threegate::svd {

void add_pairs(SimdLevel level, const PairTile& tile, PairSums& sums) {
  switch (level) {
    case SimdLevel::kAvx512:
      add_pairs_avx512(tile, sums);
      return;
    case SimdLevel::kAvx2:
      add_pairs_avx2(tile, sums);
      return;
    default:
      add_tile(tile, sums);
  }
}

void pair_tangents(SimdLevel level, const PairTile& tile, PairTangents& tangents) {
  switch (level) {
    case SimdLevel::kAvx512:
      pair_tangents_avx512(tile, tangents);
      return;
    case SimdLevel::kAvx2:
      pair_tangents_avx2(tile, tangents);
      return;
    default:
      tile_tangents(tile, tangents);
  }
}

}  // namespace threegate::svd
