#ifndef THREEGATE_TESTS_EMULATION_LOOK_BACK_H
#define THREEGATE_TESTS_EMULATION_LOOK_BACK_H

#include <cuda_runtime.h>

namespace look_back {

// Sums the states before `tile`. They become those that are given, one after the other, while the sum waits for them.
cudaError_t sum_before(const uint64_t* given, uint64_t* states, int64_t tile, uint64_t* sum, cudaStream_t stream);

}  // namespace look_back

#endif  // THREEGATE_TESTS_EMULATION_LOOK_BACK_H
