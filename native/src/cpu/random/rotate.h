#ifndef THREEGATE_CPU_RANDOM_ROTATE_H
#define THREEGATE_CPU_RANDOM_ROTATE_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::random {

// Rows of the core: see tg_rotate_update.
int64_t core_rows(const tg_rotation_options& options);
int64_t rotation_workspace_bytes(const tg_rotation_options& options);

// False when a factorisation failed.
bool rotate_update(SimdLevel level, const tg_rotation_options& options, void* workspace, float* core);

}  // namespace threegate::random

#endif  // THREEGATE_CPU_RANDOM_ROTATE_H
