// Finds words that two threads of a kernel use without an order between them, one of them to write and not both by atomics, and
// misaligned accesses. It sees the accesses of kernels that are compiled with -fsanitize=thread, without the library of that
// sanitizer: race_detector.cpp has the functions that the compiler calls. In other kernels it does nothing.
//
// A barrier orders the threads of a block or of a cluster, and __syncwarp those of a warp. The clusters of a launch, which are
// mostly single blocks, have an order only where one executed __threadfence after its access, and the other an atomic access
// before its own. Volatile accesses count as atomic.
#ifndef THREEGATE_HOST_EMULATION_RACE_DETECTOR_H
#define THREEGATE_HOST_EMULATION_RACE_DETECTOR_H

#include <cstddef>
#include <cstdint>

namespace emulation {

enum class Access { kRead, kWrite, kAtomic };

// Tells the detector what a thread does in code that the compiler does not instrument.
void note_access(const void* address, size_t bytes, Access access);

namespace races {

struct Range {
  uintptr_t begin;
  uintptr_t end;
  [[nodiscard]] bool has(uintptr_t address) const { return address >= begin && address < end; }
};

// A cluster has `blocks` blocks of `threads` threads.
void begin_launch(int threads, int blocks, const Range& of_threads);
void begin_cluster(uint64_t first_block, const Range& dynamic_shared);
// The thread of the cluster that runs from now on, and its block there; -1 outside of a kernel.
void run_thread(int thread, int block);
void pass_barrier(int block);
void pass_cluster_barrier();
void pass_warp_barrier(int warp);
void pass_fence();

}  // namespace races
}  // namespace emulation

#endif  // THREEGATE_HOST_EMULATION_RACE_DETECTOR_H
