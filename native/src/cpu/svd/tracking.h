// Singular triplets of a matrix from the singular vectors of a matrix nearby, such as an earlier checkpoint.
#ifndef THREEGATE_CPU_SVD_TRACKING_H
#define THREEGATE_CPU_SVD_TRACKING_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "panel.h"
#include "threegate/threegate.h"

namespace threegate::svd {

// Bytes of workspace that track() needs.
int64_t tracking_bytes(const View& view, const tg_svd_options& options);

// Fills the result and returns true if it is within the tolerance. Returns false if the caller should decompose the matrix from
// the beginning.
bool track(const View& view, SimdLevel level, const tg_svd_options& options, const tg_svd_start& start, void* workspace,
           tg_svd_result& result);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_TRACKING_H
