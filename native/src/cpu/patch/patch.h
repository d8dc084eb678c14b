// Changed elements of two buffers, and back again.
#ifndef THREEGATE_CPU_PATCH_PATCH_H
#define THREEGATE_CPU_PATCH_PATCH_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "cpu/support/thread_pool.h"
#include "threegate/threegate.h"

namespace threegate::patch {

// As tg_patch_extract; how many elements differ.
int64_t extract(ThreadPool& pool, SimdLevel level, const tg_patch_pair& pair, const tg_patch_entries& entries);

// The first entry whose position does not ascend or is not below `count`; entries.count when there is none.
int64_t first_misplaced(const tg_patch_entries& entries, int64_t count);

// As tg_patch_apply, of positions that were checked. The caller's threads may have changed them since: none is written that is
// not below `count`.
void apply(ThreadPool& pool, const tg_patch_entries& entries, void* target, int64_t count);

// Entries, whose positions were checked, that the target has other bits of.
int64_t differing(ThreadPool& pool, const tg_patch_entries& entries, const void* target, int64_t count);

void gaps(uint32_t* positions, int64_t count, int64_t previous);
// How many were summed up before one was too large.
int64_t positions(uint32_t* gaps, int64_t count, int64_t previous);

void byte_planes(const void* from, int64_t count, int32_t width, void* to);
void byte_elements(const void* from, int64_t count, int32_t width, void* to);

// Elements begin .. end - 1 that differ, appended to places with room for all of them and a vector more; how many. For each
// instruction set.
struct Places {
  uint32_t* positions;
  uint8_t* values;
};
#define TG_PATCH(suffix) int64_t extract_##suffix(const tg_patch_pair& pair, int64_t begin, int64_t end, Places to);
TG_PATCH(plain)
TG_PATCH(avx2)
TG_PATCH(avx512)
#undef TG_PATCH

}  // namespace threegate::patch

#endif  // THREEGATE_CPU_PATCH_PATCH_H
