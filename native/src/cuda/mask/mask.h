// Exact selection of the largest or smallest scores and counts by magnitude, on the device: the twin of cpu/mask/mask.h.
#ifndef THREEGATE_CUDA_MASK_MASK_H
#define THREEGATE_CUDA_MASK_MASK_H

#include "cuda/support/session.h"

namespace threegate::cuda {

// Device memory that select() takes.
int64_t mask_bytes(const tg_mask_scores& scores);

void select(CudaSession& session, const tg_mask_scores& scores, const tg_mask_options& options, tg_control* control,
            uint64_t* mask);

// `counts`: of all entries, of those in `first`, in `second`, in both.
void magnitude_histogram(CudaSession& session, const tg_operand& matrix, const uint64_t* first, const uint64_t* second,
                         int64_t* const* counts);

void magnitude_profile(CudaSession& session, const tg_operand& matrix, const double* table, double* row_sums,
                       double* column_sums);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_MASK_H
