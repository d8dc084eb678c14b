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

}  // namespace planted

#endif  // THREEGATE_TESTS_EMULATION_PLANTED_BUGS_H
