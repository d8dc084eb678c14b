#include "pairs.h"

#include "pair_lanes.h"

namespace threegate::svd {

void add_pairs_avx512(const PairTile& tile, PairSums& sums) { add_tile(tile, sums); }
void pair_tangents_avx512(const PairTile& tile, PairTangents& tangents) { tile_tangents(tile, tangents); }

}  // namespace threegate::svd
