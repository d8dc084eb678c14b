// The order in which the blocks of a launch visit the units of a rectangle. A block goes on by a constant number of units, which
// the host splits into rows and columns, so that no kernel divides.
#ifndef THREEGATE_CUDA_MASK_STEPS_H
#define THREEGATE_CUDA_MASK_STEPS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/support/runtime.h"

namespace threegate::cuda {

struct Steps {
  int64_t down;     // units below each other
  uint32_t across;  // units side by side
  uint32_t step_down;
  uint32_t step_across;
};

namespace {

inline int64_t quotient(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Reduces `blocks` to the number that has work.
inline Steps make_steps(int64_t down, int64_t across, int64_t& blocks) {
  blocks = down * across < blocks ? down * across : blocks;
  return {down, static_cast<uint32_t>(across), static_cast<uint32_t>(blocks / across), static_cast<uint32_t>(blocks % across)};
}

#if defined(__CUDACC__) || defined(THREEGATE_HOST_EMULATION)

// As many blocks as are resident at a time.
template <typename... Parameters>
cudaError_t resident_blocks(void (*kernel)(Parameters...), int threads, int64_t shared_bytes, int multiprocessors,
                            int64_t& blocks) {
  int each = 1;
  const cudaError_t error =
      cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, kernel, threads, static_cast<size_t>(shared_bytes));
  blocks = int64_t{multiprocessors} * (each < 1 ? 1 : each);
  return error;
}

// Calls body(down, across) for each unit of a block.
template <typename Body>
__device__ void for_units(const Steps& steps, uint32_t block, Body body) {
  uint32_t across = block % steps.across;
  for (int64_t down = block / steps.across; down < steps.down;) {
    body(down, across);
    down += steps.step_down;
    across += steps.step_across;
    if (across >= steps.across) {
      across -= steps.across;
      ++down;
    }
  }
}

#endif

}  // namespace
}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_STEPS_H
