// Finite differences of gradients, see tg_displace and tg_difference_gradients.
#ifndef THREEGATE_CPU_CURVATURE_DIFFERENCES_H
#define THREEGATE_CPU_CURVATURE_DIFFERENCES_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "cpu/support/thread_pool.h"
#include "threegate/threegate.h"

namespace threegate::curvature {

// Does what tg_displace does. Returns the squared length of the rounding.
double displace(ThreadPool& pool, SimdLevel level, const tg_displacement& displacement, void* displaced);

// Does what tg_difference_gradients does.
void difference_gradients(ThreadPool& pool, SimdLevel level, const tg_gradient_difference& difference, void* product,
                          tg_difference_sums& sums);

// The same for the numbers begin .. end - 1, for each instruction set. All of them give the same bits.
#define TG_DIFFERENCES(suffix)                                                                                \
  double displace_##suffix(const tg_displacement& displacement, int64_t begin, int64_t end, void* displaced); \
  tg_difference_sums difference_##suffix(const tg_gradient_difference& difference, int64_t begin, int64_t end, void* product);
TG_DIFFERENCES(scalar)
TG_DIFFERENCES(avx2)
TG_DIFFERENCES(avx512)
#undef TG_DIFFERENCES

}  // namespace threegate::curvature

#endif  // THREEGATE_CPU_CURVATURE_DIFFERENCES_H
