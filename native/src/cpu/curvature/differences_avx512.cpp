#include "differences_lanes.h"

namespace threegate::curvature {

double displace_avx512(const tg_displacement& displacement, int64_t begin, int64_t end, void* displaced) {
  return displace_range(displacement, begin, end, displaced);
}
tg_difference_sums difference_avx512(const tg_gradient_difference& difference, int64_t begin, int64_t end, void* product) {
  return difference_range(difference, begin, end, product);
}

}  // namespace threegate::curvature
