// Changed elements on the device: the twin of cpu/patch/patch.h.
#ifndef THREEGATE_CUDA_PATCH_PATCH_H
#define THREEGATE_CUDA_PATCH_PATCH_H

#include "cuda/support/session.h"

namespace threegate::cuda {

int64_t extract(CudaSession& session, const tg_patch_pair& pair, const tg_patch_entries& entries);

// Nothing is written when a position is misplaced: the first such one, else entries.count.
int64_t apply(CudaSession& session, const tg_patch_entries& entries, void* target, int64_t count);

// The first misplaced position, else entries.count; then of how many entries the target has other bits.
int64_t verify(CudaSession& session, const tg_patch_entries& entries, const void* target, int64_t count, int64_t& differing);

void gaps(CudaSession& session, uint32_t* positions, int64_t count, int64_t previous);

// How many were summed up before one was too large: then nothing is written.
int64_t positions(CudaSession& session, uint32_t* gaps, int64_t count, int64_t previous);

void byte_planes(CudaSession& session, const void* from, int64_t count, int32_t width, void* to);
void byte_elements(CudaSession& session, const void* from, int64_t count, int32_t width, void* to);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_PATCH_PATCH_H
