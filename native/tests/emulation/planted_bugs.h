#ifndef THREEGATE_TESTS_EMULATION_PLANTED_BUGS_H
#define THREEGATE_TESTS_EMULATION_PLANTED_BUGS_H

#include <cuda_runtime.h>

namespace planted {

constexpr int kCount = 128;

// out[i] = i + 1 through shared memory, and 0 for the last entry. The result needs the barrier that waits for all writes.
cudaError_t rotate(bool has_barrier, int* out, cudaStream_t stream);

// Writes `count` entries of device memory, or of `room` entries of shared memory.
cudaError_t write(int* out, int count, cudaStream_t stream);
cudaError_t write_shared(int* out, int room, int count, cudaStream_t stream);
// The same with a launch that does not ask for shared memory.
cudaError_t write_shared_without_asking(int* out, int room, cudaStream_t stream);
// A kernel that nothing else launches, with that much shared memory.
cudaError_t with_much_shared_memory(int64_t bytes);

}  // namespace planted

#endif  // THREEGATE_TESTS_EMULATION_PLANTED_BUGS_H
