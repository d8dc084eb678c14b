// What the truncated SVD does on the device, each for a list of matrices at once. Vectors are rows; every length is padded with
// zeros to a multiple of kPadding, every number of vectors to one of kVectorPadding.
#ifndef THREEGATE_CUDA_SVD_SVD_KERNELS_H
#define THREEGATE_CUDA_SVD_SVD_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/support/entries.h"

namespace threegate::cuda {

constexpr int64_t kPadding = 128;
constexpr int64_t kVectorPadding = 32;
constexpr int kPlanes = 3;             // bf16 terms of a float32 number
constexpr int64_t kMostVectors = 512;  // of a block

// The largest magnitude of entries, as bits of a double, and whether all are finite.
struct Range {
  uint64_t largest;
  uint32_t not_finite;
  uint32_t reserved;
};

// A matrix as its entries, or a difference of entries, times a power of two; as a sum of bf16 matrices.
struct Source {
  Entries entries;
  Entries subtracted;
  int32_t has_subtracted;
  int32_t planes;  // how many: 1 where entries are bf16 numbers
  int64_t rows;
  int64_t columns;
  double scale;
};
cudaError_t launch_range(const Source& source, Range* range, cudaStream_t stream);
cudaError_t launch_split_matrix(const Source& source, uint16_t* const (&planes)[kPlanes], int64_t stride, int64_t padded_rows,
                                cudaStream_t stream);

// One matrix of a batch.
struct Problem {
  const uint16_t* a[kPlanes];  // planes of the matrix, row-major
  int64_t stride;
  int32_t a_planes;
  int32_t tall;        // the rows are the long side
  int64_t short_side;  // padded, as the next
  int64_t long_side;
  int32_t vectors;     // of the block, padded
  int32_t used;        // of them that are not padding
  float* x[3];         // vectors x short_side: of the filter's last steps, or before and after a change of basis
  float* y[2];         // vectors x long_side
  float* z;            // vectors x short_side: A^T y
  uint16_t* x_planes;  // kPlanes x vectors x short_side
  uint16_t* y_planes;
  double* partial;   // partial products of vectors
  double* gram;      // vectors x vectors
  float* mixing;     // vectors x vectors: row i combines into vector i
  double* work;      // 2 x vectors x vectors: where shared memory is too small
  double* values;    // vectors: squared singular values, descending
  double* residual;  // vectors
};

// What a launch does for one problem; `active` 0: nothing.
struct Task {
  int32_t problem;
  int32_t active;
  int32_t x_from;    // which x to read
  int32_t x_before;  // of the filter: the x before that
  int32_t x_to;      // which x to write
  int32_t y_from;
  int32_t y_to;
  int32_t locked;  // leading vectors that are not touched
  int32_t terms;   // bf16 terms of vectors and matrix that products use: all kPlanes for float32's precision
  float alpha;     // of the filter: x_to = alpha * z + beta * x_from + gamma * x_before
  float beta;
  float gamma;
};

struct Tile {
  int32_t task;
  int32_t row;     // of kPadding entries
  int32_t column;  // of vectors
};

enum class Side : int32_t { kShort, kLong };

// y[y_to] = A x from the planes of x; or z = A^T y from the planes of y.
cudaError_t launch_to_long_side(const Problem* problems, const Task* tasks, const Tile* tiles, int64_t count, int tile_vectors,
                                cudaStream_t stream);
cudaError_t launch_to_short_side(const Problem* problems, const Task* tasks, const Tile* tiles, int64_t count, int tile_vectors,
                                 cudaStream_t stream);

// x[x_to] = alpha z + beta x[x_from] + gamma x[x_before], locked vectors copied.
cudaError_t launch_filter(const Problem* problems, const Task* tasks, int64_t count, int64_t most_entries, cudaStream_t stream);
// Removes from the vectors behind the locked ones of x[x_to] what they have of those.
cudaError_t launch_deflate(const Problem* problems, const Task* tasks, int64_t count, int32_t most_vectors, cudaStream_t stream);
// Planes of x[x_to] or y[y_to].
cudaError_t launch_split_vectors(Side side, const Problem* problems, const Task* tasks, int64_t count, int64_t most_entries,
                                 cudaStream_t stream);

// gram = V V^T of x[x_from] or y[y_from], summed in float64 in a fixed order.
cudaError_t launch_gram(Side side, const Problem* problems, const Task* tasks, int64_t count, int64_t most_length,
                        int32_t most_vectors, cudaStream_t stream);
int64_t partial_count(int64_t length);  // partial Gram matrices that a length needs

// mixing = L^-1, gram = L L^T: combinations that are orthonormal. A vector in the span of those before it becomes zero.
cudaError_t launch_cholesky(const Problem* problems, const Task* tasks, int64_t count, int32_t most_vectors, cudaStream_t stream);
// mixing = V^T and values, gram = V diag(values) V^T, descending: Cholesky, then one-sided Jacobi on its triangle.
cudaError_t launch_eigen(const Problem* problems, const Task* tasks, int64_t count, int32_t most_vectors, cudaStream_t stream);
// x[x_to] = mixing x[x_from], or the same of y.
cudaError_t launch_mix(Side side, const Problem* problems, const Task* tasks, int64_t count, int64_t most_length,
                       int32_t most_vectors, cudaStream_t stream);

// residual[i] = |z_i - values_i x[x_from]_i| / sqrt(values_i).
cudaError_t launch_residual(const Problem* problems, const Task* tasks, int64_t count, int32_t most_vectors, cudaStream_t stream);
// residual[0] = the largest |gram - 1| among the leading `rank` vectors, each divided by its norm first when `normalise`.
cudaError_t launch_deviation(const Problem* problems, const Task* tasks, int64_t count, int32_t rank, int32_t normalise,
                             cudaStream_t stream);
// out[i][j] = vectors[i][j] * scale_i for j < length: scale 1, or 1 / sqrt(values_i).
cudaError_t launch_widen(const float* vectors, int64_t stride, int64_t count, int64_t length, const double* values, double* out,
                         cudaStream_t stream);

// In float64, without padding and planes: all entries; vectors scaled to length one, and how long they were; distances
// |z_i - norm_i x_i|.
cudaError_t launch_widen_matrix(const Source& source, double* out, cudaStream_t stream);
cudaError_t launch_normalise(double* vectors, int64_t length, int64_t count, double* norms, cudaStream_t stream);
cudaError_t launch_distance(const double* z, const double* x, const double* norms, int64_t length, int64_t count,
                            double* distances, cudaStream_t stream);

// Rows of a start, or of random numbers (rank x length, without gaps), as x[0] of one problem.
cudaError_t launch_narrow(const Entries& entries, int64_t count, int64_t length, float* vectors, int64_t stride,
                          cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_SVD_KERNELS_H
