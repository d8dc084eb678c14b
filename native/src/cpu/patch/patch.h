// Finding and applying the changed elements of two buffers.
#ifndef THREEGATE_CPU_PATCH_PATCH_H
#define THREEGATE_CPU_PATCH_PATCH_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "cpu/support/thread_pool.h"
#include "threegate/threegate.h"

namespace threegate::patch {

// Does what tg_patch_extract does. Returns the number of elements that differ.
int64_t extract(ThreadPool& pool, SimdLevel level, const tg_patch_pair& pair, const tg_patch_entries& entries);

// Returns the index of the first entry whose position does not ascend or is not below `count`, or entries.count if there is none.
int64_t first_misplaced(const tg_patch_entries& entries, int64_t count);

// Does what tg_patch_apply does, for positions that were checked. The caller's threads may have changed positions since the
// check. An element at or beyond `count` is never written.
void apply(ThreadPool& pool, const tg_patch_entries& entries, void* target, int64_t count);

// Returns the number of entries whose bits differ from those of the target. Positions were checked.
int64_t differing(ThreadPool& pool, const tg_patch_entries& entries, const void* target, int64_t count);

void gaps(uint32_t* positions, int64_t count, int64_t previous);
// Returns the number of gaps that were replaced before a position was too large.
int64_t positions(uint32_t* gaps, int64_t count, int64_t previous);

void byte_planes(const void* from, int64_t count, int32_t width, void* to);
void byte_elements(const void* from, int64_t count, int32_t width, void* to);

// Does the same on the calling thread.
int64_t extract_alone(SimdLevel level, const tg_patch_pair& pair, const tg_patch_entries& entries);

// Writes the elements begin .. end - 1 that differ to places with room for all of them, of any alignment. Returns their number.
// There is one function for each instruction set.
struct Places {
  uint8_t* positions;  // 4 bytes each
  uint8_t* values;
};
#define TG_PATCH(suffix) int64_t extract_##suffix(const tg_patch_pair& pair, int64_t begin, int64_t end, Places to);
TG_PATCH(scalar)
TG_PATCH(avx2)
TG_PATCH(avx512)
TG_PATCH(neon)
#undef TG_PATCH

}  // namespace threegate::patch

#endif  // THREEGATE_CPU_PATCH_PATCH_H
