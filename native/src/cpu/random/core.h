#ifndef THREEGATE_CPU_RANDOM_CORE_H
#define THREEGATE_CPU_RANDOM_CORE_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::random {

// The number of rows of a core, see tg_rotate_update: `count` plus those of the triangle of the rows below.
int64_t core_rows(int64_t count, int64_t long_side);
int64_t rotation_workspace_bytes(const tg_rotation_options& options);

// Returns false if a factorisation failed.
bool rotate_update(SimdLevel level, const tg_rotation_options& options, void* workspace, float* core);

void shuffle_update(const tg_shuffle_options& options, const float* core, float* shuffled);

void normal_update(SimdLevel level, const tg_normal_options& options, float* core);

}  // namespace threegate::random

#endif  // THREEGATE_CPU_RANDOM_CORE_H
