// The least-squares decomposition of an update into rescalings of the base and a residual. The caller has checked the arguments.
#ifndef THREEGATE_CPU_NULLS_RESCALING_H
#define THREEGATE_CPU_NULLS_RESCALING_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "cpu/support/thread_pool.h"
#include "threegate/threegate.h"

namespace threegate::nulls {

int64_t rescaling_workspace_bytes(const ThreadPool& pool, const tg_operand& base);

// Fills `result` but for its size.
void fit_rescaling(ThreadPool& pool, SimdLevel level, const tg_operand& base, const tg_operand& tuned,
                   const tg_rescaling_options& options, void* workspace, tg_rescaling& result);

// Fills `result` but for its size.
void dtype_change(ThreadPool& pool, const tg_operand& base, const tg_operand& tuned, tg_dtype dtype,
                  tg_dtype_change_result& result);

}  // namespace threegate::nulls

#endif  // THREEGATE_CPU_NULLS_RESCALING_H
