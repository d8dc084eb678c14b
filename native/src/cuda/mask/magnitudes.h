// Counts and sums by the magnitude of entries on the device. The counterpart on the CPU is cpu/mask/magnitudes.h.
#ifndef THREEGATE_CUDA_MASK_MAGNITUDES_H
#define THREEGATE_CUDA_MASK_MAGNITUDES_H

#include "cuda/support/session.h"

namespace threegate::cuda {

// Computes what tg_magnitude_histogram returns. `counts` are its four arrays: all entries, those in `first`, those in `second`,
// and those in both.
void magnitude_histogram(CudaSession& session, const tg_operand& matrix, const uint64_t* first, const uint64_t* second,
                         int64_t* const* counts);

// Computes what tg_magnitude_profile returns.
void magnitude_profile(CudaSession& session, const tg_operand& matrix, const double* table, double* row_sums,
                       double* column_sums);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_MAGNITUDES_H
