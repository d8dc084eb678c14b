#ifndef THREEGATE_CUDA_CURVATURE_CURVATURE_KERNELS_H
#define THREEGATE_CUDA_CURVATURE_CURVATURE_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/support/entries.h"

namespace threegate::cuda {

constexpr int64_t kProbeTile = 64;     // tokens and outputs of a block
constexpr int64_t kProbeTokens = 512;  // tokens whose products are summed in float32

// The entries of a matrix minus those of another one, within a mask.
struct DirectionEntries {
  Entries matrix;
  Entries subtracted;
  int32_t has_subtracted;
  const uint64_t* mask;  // nullptr if all entries count
  int64_t rows;
  int64_t columns;
};

// Writes the direction as float32. row_squares[i] is the squared length of row i before the rounding.
cudaError_t launch_form_direction(const DirectionEntries& direction, float* out, double* row_squares, cudaStream_t stream);

// Writes rows as contiguous float32.
cudaError_t launch_narrow_rows(const Entries& entries, int64_t rows, int64_t columns, float* out, cudaStream_t stream);

// slopes[t] = gradient_t^T V input_t for `tokens` tokens, where V is outputs x inputs. Products of inputs and V are not stored.
// `partial` has ceil(outputs / kProbeTile) x tokens numbers.
cudaError_t launch_dense_slopes(const float* input, const float* gradient, const float* direction, int64_t tokens, int64_t inputs,
                                int64_t outputs, double* partial, double* slopes, cudaStream_t stream);

// out (rows x others) = in * right^T. Both factors have `length` columns.
cudaError_t launch_project(const float* in, const float* right, int64_t rows, int64_t others, int64_t length, float* out,
                           cudaStream_t stream);

// slopes[t] = the inner product of rows t.
cudaError_t launch_row_products(const float* first, const float* second, int64_t rows, int64_t length, double* slopes,
                                cudaStream_t stream);

// sums (left_columns x right_columns) += the sum of weights[t] * left_t right_t^T. `weights` may be nullptr.
cudaError_t launch_token_products(const float* left, const double* weights, const float* right, int64_t tokens,
                                  int64_t left_columns, int64_t right_columns, double* sums, cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_CURVATURE_CURVATURE_KERNELS_H
