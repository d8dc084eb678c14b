// Singular triplets of a bf16 matrix that differs from a decomposed one in few entries.
#ifndef THREEGATE_CPU_SVD_CHANGE_TRACKING_H
#define THREEGATE_CPU_SVD_CHANGE_TRACKING_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "panel.h"
#include "threegate/threegate.h"

namespace threegate::svd {

// Bytes of workspace that track_changes() needs. It is 0 if the start has no base for such a solve.
int64_t change_tracking_bytes(const View& view, const tg_svd_options& options, const tg_svd_start& start);

// Fills the result and returns true if it is within the tolerance and known to be the leading triplets.
bool track_changes(const View& view, SimdLevel level, const tg_svd_options& options, const tg_svd_start& start, void* workspace,
                   tg_svd_result& result);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_CHANGE_TRACKING_H
