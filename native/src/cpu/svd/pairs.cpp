#include "pairs.h"

#include "pair_lanes.h"

namespace threegate::svd {

void add_pairs_scalar(const PairTile& tile, PairSums& sums) { add_tile(tile, sums); }
void pair_tangents_scalar(const PairTile& tile, PairTangents& tangents) { tile_tangents(tile, tangents); }

void add_pairs(SimdLevel level, const PairTile& tile, PairSums& sums) { TG_LANES_AT_LEVEL(level, add_pairs)(tile, sums); }

void pair_tangents(SimdLevel level, const PairTile& tile, PairTangents& tangents) {
  TG_LANES_AT_LEVEL(level, pair_tangents)(tile, tangents);
}

}  // namespace threegate::svd
