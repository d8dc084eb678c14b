// Finding and applying changed elements on the device. The counterpart on the CPU is cpu/patch/patch.h.
#ifndef THREEGATE_CUDA_PATCH_PATCH_H
#define THREEGATE_CUDA_PATCH_PATCH_H

#include "cuda/support/session.h"

namespace threegate::cuda {

int64_t extract(CudaSession& session, const tg_patch_pair& pair, const tg_patch_entries& entries);

// Returns the index of the first misplaced position, or entries.count. Nothing is written if there is one.
int64_t apply(CudaSession& session, const tg_patch_entries& entries, void* target, int64_t count);

// Writes the number of entries whose bits differ from those of the target. Returns the index of the first misplaced position, or
// entries.count.
int64_t verify(CudaSession& session, const tg_patch_entries& entries, const void* target, int64_t count, int64_t& differing);

void gaps(CudaSession& session, uint32_t* positions, int64_t count, int64_t previous);

// Returns the number of gaps before a position that is too large. Nothing is written if there is one.
int64_t positions(CudaSession& session, uint32_t* gaps, int64_t count, int64_t previous);

void byte_planes(CudaSession& session, const void* from, int64_t count, int32_t width, void* to);
void byte_elements(CudaSession& session, const void* from, int64_t count, int32_t width, void* to);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_PATCH_PATCH_H
