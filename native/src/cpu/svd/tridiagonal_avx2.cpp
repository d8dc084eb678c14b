#include "tridiagonal.h"

#include "tridiagonal_lanes.h"

namespace threegate::svd {

void bisect_lanes_avx2(TridiagonalLanes& lanes, int steps) { bisect(lanes, steps); }
void twist_lanes_avx2(TridiagonalLanes& lanes) { twist(lanes); }

}  // namespace threegate::svd
