// Kernels that count and sum by the magnitude code of entries.
#ifndef THREEGATE_CUDA_MASK_MAGNITUDE_KERNELS_H
#define THREEGATE_CUDA_MASK_MAGNITUDE_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/support/entries.h"

namespace threegate::cuda {

// Adds the numbers of entries by their bf16 magnitude code to counts[code], of those in the first mask to the next
// TG_MAGNITUDE_CODES counters, of those in the second one, and of those in both.
cudaError_t launch_magnitude_histogram(const Entries& matrix, int64_t rows, int64_t columns, const uint64_t* first,
                                       const uint64_t* second, uint64_t* counts, int multiprocessors, cudaStream_t stream);

constexpr int64_t kProfileRows = 256;  // rows of a partial sum of a column

// Sums table[code] by row, and by column for each kProfileRows rows. `of_codes` has room for another table.
cudaError_t launch_magnitude_profile(const Entries& matrix, int64_t rows, int64_t columns, const double* table, double* of_codes,
                                     double* row_sums, double* partial_sums, double* column_sums, int multiprocessors,
                                     cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_MAGNITUDE_KERNELS_H
