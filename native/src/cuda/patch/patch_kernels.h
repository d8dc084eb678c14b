#ifndef THREEGATE_CUDA_PATCH_PATCH_KERNELS_H
#define THREEGATE_CUDA_PATCH_PATCH_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "threegate/threegate.h"

namespace threegate::cuda {

// The number of tiles of a pair. A block takes one after the other.
int64_t patch_tiles(const tg_patch_pair& pair);

// Writes the entries that differ, as far as there is room. `progress` has a word for each tile and one more, which must be zeros.
// The word of the last tile is then the number of entries, and the flag kSumSoFar of look_back.h.
cudaError_t launch_extract(const tg_patch_pair& pair, const tg_patch_entries& entries, uint64_t* progress, int multiprocessors,
                           cudaStream_t stream);

// The number of blocks of entries. The kernel below finds the first misplaced entry of each block, or entries.count.
int64_t patch_blocks(int64_t entries);
int64_t patch_block_entries();
cudaError_t launch_find_misplaced(const tg_patch_entries& entries, int64_t count, int64_t* first, cudaStream_t stream);

cudaError_t launch_apply(const tg_patch_entries& entries, void* target, cudaStream_t stream);

// Counts for each block of entries those that differ from the target.
cudaError_t launch_verify(const tg_patch_entries& entries, const void* target, uint32_t* differing, cudaStream_t stream);

// `gaps` and `positions` must not overlap.
cudaError_t launch_gaps(const uint32_t* positions, int64_t count, int64_t previous, uint32_t* gaps, cudaStream_t stream);

// The first kernel sums gap + 1 over each block of gaps. The second one replaces gaps by positions, in place, from the `begins`
// of the blocks on.
cudaError_t launch_sum_gaps(const uint32_t* gaps, int64_t count, uint64_t* sums, cudaStream_t stream);
cudaError_t launch_positions(uint32_t* gaps, int64_t count, const uint64_t* begins, cudaStream_t stream);

cudaError_t launch_planes(const void* from, int64_t count, int32_t width, void* to, cudaStream_t stream);
cudaError_t launch_elements(const void* from, int64_t count, int32_t width, void* to, cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_PATCH_PATCH_KERNELS_H
