#ifndef THREEGATE_CUDA_MASK_SETS_KERNELS_H
#define THREEGATE_CUDA_MASK_SETS_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "threegate/threegate.h"

namespace threegate::cuda {

// Words of masks on the device, fewer than 2^31 of each: part of the whole.
struct DeviceSets {
  const uint64_t* masks[TG_MASK_MOST_SETS];
  int32_t count;
  int64_t words;
  uint32_t row_end;    // a row's last word, the first one here
  uint32_t across;     // from there to the next one
  uint64_t last_word;  // bits that they may have
};

// Adds the number of entries to `entries`; `result` may be one of the masks or nullptr.
cudaError_t launch_combine(const DeviceSets& sets, int32_t operation, uint64_t* result, uint64_t* entries, int multiprocessors,
                           cudaStream_t stream);

// Adds the entries that masks i and j, i <= j, have in common to common[i * count + j].
cudaError_t launch_common(const DeviceSets& sets, uint64_t* common, int multiprocessors, cudaStream_t stream);

// Adds the entries in exactly i > 0 masks to memberships[i].
cudaError_t launch_memberships(const DeviceSets& sets, uint64_t* memberships, int multiprocessors, cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_SETS_KERNELS_H
