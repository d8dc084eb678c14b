#include "change_lanes.h"

namespace threegate::svd {

void multiply_change_lanes_avx2(const Changes& changes, const ChangeVectors& vectors, int64_t first) {
  multiply_lanes(changes, vectors, first);
}

}  // namespace threegate::svd
