#ifndef THREEGATE_CUDA_PATCH_PATCH_KERNELS_H
#define THREEGATE_CUDA_PATCH_PATCH_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "threegate/threegate.h"

namespace threegate::cuda {

// Tiles of a pair: each is one block's.
int64_t patch_tiles(int64_t count);

// How many elements of each tile differ.
cudaError_t launch_count_changed(const tg_patch_pair& pair, uint32_t* changed, cudaStream_t stream);

// Entries of each tile, from `offsets` on.
cudaError_t launch_write_changed(const tg_patch_pair& pair, const int64_t* offsets, const tg_patch_entries& entries,
                                 cudaStream_t stream);

// Blocks of entries, and in each the first one that is misplaced, or entries.count.
int64_t patch_blocks(int64_t entries);
cudaError_t launch_find_misplaced(const tg_patch_entries& entries, int64_t count, int64_t* first, cudaStream_t stream);

cudaError_t launch_apply(const tg_patch_entries& entries, void* target, cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_PATCH_PATCH_KERNELS_H
