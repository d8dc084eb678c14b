// Sums over all tiles before one, while other blocks still work on them: Merrill and Garland, "Single-pass Parallel Prefix Scan
// with Decoupled Look-back", 2016. A block publishes the sum of its tile at once. It then adds the sums of the tiles before it,
// up to one that has already done so. Tiles must be taken in ascending order, by a ticket. The first unfinished one then always
// belongs to a running block, and waits for nobody.
#ifndef THREEGATE_CUDA_PATCH_LOOK_BACK_H
#define THREEGATE_CUDA_PATCH_LOOK_BACK_H

#include <cuda_runtime.h>

#include <cstdint>

#if defined(__CUDACC__) || defined(THREEGATE_HOST_EMULATION)
#include "cuda/support/instructions.h"
#include "cuda/support/warp.h"
#endif

namespace threegate::cuda {

// What is known of a tile. 0 is nothing. Sums are below 2^62.
constexpr uint64_t kSumOfTile = uint64_t{1} << 62;  // its own sum
constexpr uint64_t kSumSoFar = uint64_t{1} << 63;   // that of all tiles up to it
constexpr uint64_t kSumBits = kSumOfTile - 1;

#if defined(__CUDACC__) || defined(THREEGATE_HOST_EMULATION)
namespace {

// Returns the sum of all tiles before `tile`. The lanes of a warp call it together.
__device__ inline uint64_t sum_before(const uint64_t* states, int64_t tile, int lane) {
  uint64_t sum = 0;
  for (int64_t last = tile - 1; last >= 0;) {
    const int64_t own = last - lane;
    const uint64_t state = own >= 0 ? load_shared_state(states + own) : kSumSoFar;
    const unsigned ends = __ballot_sync(kWholeWarp, (state & kSumSoFar) != 0 ? 1 : 0);
    const unsigned known = __ballot_sync(kWholeWarp, state != 0 ? 1 : 0);
    // The lanes up to the nearest end.
    const unsigned wanted = ends == 0 ? kWholeWarp : ends ^ (ends - 1);
    if ((known & wanted) != wanted) {
      continue;
    }
    uint64_t part = (wanted >> lane & 1U) != 0 ? state & kSumBits : 0;
    for (int distance = kWarp / 2; distance > 0; distance /= 2) {
      part += __shfl_xor_sync(kWholeWarp, static_cast<unsigned long long>(part), distance);
    }
    sum += part;
    if (ends != 0) {
      break;
    }
    last -= kWarp;
  }
  return sum;
}

}  // namespace
#endif

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_PATCH_LOOK_BACK_H
