#ifndef THREEGATE_TESTS_EMULATION_PLANTED_RACES_H
#define THREEGATE_TESTS_EMULATION_PLANTED_RACES_H

#include <cuda_runtime.h>

namespace planted {

enum class Bug {
  kNone,
  kSharedCounter,   // ++ in place of an atomic addition to shared memory
  kGlobalCounter,   // += in place of an atomic addition to global memory, by one thread of each block
  kMissingBarrier,  // between writes and reads of shared memory
  kMissingWarpBarrier,
  kMissingFence,  // between the results of a block and the word that says that they are there
  kVector,        // misaligned loads and stores
  kNumber,
  kCopy,
  kRow,
  kMissingClusterBarrier,  // between writes of a block of a cluster and reads of the other one
  kBlockBarrier            // the barrier of the block in its place
};

// Runs a kernel of two blocks, and one of a cluster of two, with one bug. `out` has 1024 words.
cudaError_t race(Bug bug, unsigned* out, cudaStream_t stream);

}  // namespace planted

#endif  // THREEGATE_TESTS_EMULATION_PLANTED_RACES_H
