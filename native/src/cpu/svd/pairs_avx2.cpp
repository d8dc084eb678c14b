#include "pairs.h"

#include "pair_lanes.h"

namespace threegate::svd {

void add_pairs_avx2(const PairTile& tile, PairSums& sums) { add_tile(tile, sums); }
void pair_tangents_avx2(const PairTile& tile, PairTangents& tangents) { tile_tangents(tile, tangents); }

}  // namespace threegate::svd
