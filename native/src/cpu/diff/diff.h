// Comparison of whole matrices. The caller has checked the arguments.
#ifndef THREEGATE_CPU_DIFF_DIFF_H
#define THREEGATE_CPU_DIFF_DIFF_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "cpu/support/thread_pool.h"
#include "threegate/threegate.h"

namespace threegate::diff {

struct Request {
  const tg_operand* base;
  const tg_operand* tuned;
  const tg_diff_profiles* profiles;  // may be nullptr
  tg_control* control;               // may be nullptr
  void* workspace;
};

int64_t workspace_bytes(const tg_operand& base, const tg_diff_profiles* profiles, int threads);

// Returns false if the call was cancelled.
bool run(ThreadPool& pool, SimdLevel level, const Request& request, tg_diff_result& result);

}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_DIFF_H
