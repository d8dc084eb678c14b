// A logistic model of changed entries with a parameter for each row, column and bin of magnitudes, and its score test. The caller
// has checked the arguments.
#ifndef THREEGATE_CPU_NULLS_CHANGE_MODEL_H
#define THREEGATE_CPU_NULLS_CHANGE_MODEL_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "cpu/support/thread_pool.h"
#include "threegate/threegate.h"

namespace threegate::nulls {

int64_t change_workspace_bytes(const ThreadPool& pool, const tg_change_model& model);

// Fills `logits` but for its size.
void fit_changes(ThreadPool& pool, SimdLevel level, const tg_change_model& model, const tg_change_options& options,
                 void* workspace, tg_change_logits& logits);

void score_changes(ThreadPool& pool, SimdLevel level, const tg_change_model& model, const tg_change_logits& logits,
                   const uint64_t* const* sets, int64_t set_count, void* workspace, tg_change_score_result* results);

}  // namespace threegate::nulls

#endif  // THREEGATE_CPU_NULLS_CHANGE_MODEL_H
