#ifndef THREEGATE_CUDA_MASK_SETS_KERNELS_H
#define THREEGATE_CUDA_MASK_SETS_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "threegate/threegate.h"

namespace threegate::cuda {

// Words of a mask in a launch. A block counts bits in 32 bits, and a multiprocessor has eight blocks.
constexpr int64_t kMostWords = int64_t{1} << 28;

// Some words of masks on the device, at most kMostWords of each mask.
struct DeviceSets {
  const uint64_t* masks[TG_MASK_MOST_SETS];
  int32_t count;
  int64_t words;
  uint32_t row_end;    // index of the first word here that is the last one of a row
  uint32_t across;     // words from there to the next one
  uint64_t last_word;  // the bits of these words that belong to columns
};

// Adds the number of entries of the combination to `entries`. `result` may be one of the masks or nullptr.
cudaError_t launch_combine(const DeviceSets& sets, int32_t operation, uint64_t* result, uint64_t* entries, int multiprocessors,
                           cudaStream_t stream);

// Adds the number of common entries of masks i and j, i <= j, to common[i * count + j].
cudaError_t launch_common(const DeviceSets& sets, uint64_t* common, int multiprocessors, cudaStream_t stream);

// Adds the number of entries that exactly i > 0 masks have to memberships[i].
cudaError_t launch_memberships(const DeviceSets& sets, uint64_t* memberships, int multiprocessors, cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_SETS_KERNELS_H
