// Kernels of the truncated SVD. Each processes a list of matrices at once. Vectors are rows. Every length is padded with zeros to
// a multiple of kPadding, and every number of vectors to a multiple of kVectorPadding.
#ifndef THREEGATE_CUDA_SVD_SVD_KERNELS_H
#define THREEGATE_CUDA_SVD_SVD_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/support/entries.h"

namespace threegate::cuda {

constexpr int64_t kPadding = 128;
constexpr int kTileRows = kPadding;  // entries of a vector in a tile of the product
constexpr int64_t kVectorPadding = 32;
constexpr int kPlanes = 3;             // bf16 terms of a float32 number
constexpr int64_t kMostVectors = 512;  // vectors of a block

// A matrix: entries, or a difference of entries, times a power of two. It becomes a sum of bf16 matrices.
struct Source {
  Entries entries;
  Entries subtracted;
  int32_t has_subtracted;
  int32_t planes;  // number of bf16 matrices. It is 1 if the entries are bf16 numbers
  int64_t rows;
  int64_t columns;
  double scale;
};
// Raises `largest` to the largest magnitude of the entries before the scale, as bits of a double. It is not finite if one of them
// is not.
cudaError_t launch_range(const Source& source, uint64_t* largest, cudaStream_t stream);
// Does the same, and writes the planes of the scaled entries, all in one pass.
cudaError_t launch_split_matrix(const Source& source, uint16_t* const (&planes)[kPlanes], int64_t stride, int64_t padded_rows,
                                uint64_t* largest, cudaStream_t stream);

// One matrix of a batch.
struct Problem {
  const uint16_t* a[kPlanes];  // planes of the matrix, row-major
  int64_t stride;
  int32_t a_planes;
  int32_t tall;        // 1 if the rows are the long side
  int64_t short_side;  // padded, as is the long side
  int64_t long_side;
  int32_t vectors;     // number of vectors of the block, padded
  int32_t used;        // number of vectors without the padding
  float* x[3];         // vectors x short_side: those of the last steps of the filter, or before and after a change of basis
  float* y[2];         // vectors x long_side
  float* z;            // vectors x short_side: A^T y
  uint16_t* x_planes;  // tiles x kPlanes x vectors of a tile x short_side
  uint16_t* y_planes;
  double* partial;   // partial products of vectors
  double* gram;      // vectors x vectors
  float* mixing;     // vectors x vectors: row i holds the coefficients of new vector i
  double* work;      // 2 x vectors x vectors: used if the shared memory is too small
  double* values;    // vectors: squared singular values, descending
  double* residual;  // vectors
};

// The work of a launch for one problem. Nothing is done if `active` is 0.
struct Task {
  int32_t problem;
  int32_t active;
  int32_t x_from;    // index of the x to read
  int32_t x_before;  // index of the x before that, for the filter
  int32_t x_to;      // index of the x to write
  int32_t y_from;
  int32_t y_to;
  int32_t split_x;  // 1 if the planes of x[x_to] are written, too
  int32_t split_y;
  int32_t locked;  // number of leading vectors that are not changed
  int32_t terms;   // bf16 terms of vectors and matrix in products. kPlanes gives the precision of float32
  float alpha;     // coefficients of the filter: x_to = alpha * z + beta * x_from + gamma * x_before
  float beta;
  float gamma;
};

struct Tile {
  int32_t task;
  int32_t row;     // in units of kPadding entries
  int32_t column;  // in units of the width of a tile in vectors
};

enum class Side : int32_t { kShort, kLong };

// What a product to the long side writes, A x from the planes of x, and one to the short side, A^T y from the planes of y.
//   kStore   y[y_to], or z
//   kFilter  the planes of y and not y itself, or x[x_to] = alpha z + beta x[x_from] + gamma x[x_before] and not z
enum class Epilogue : int32_t { kStore, kFilter };
struct PanelWork {
  Side to;
  Epilogue epilogue;
  const Problem* problems;
  const Task* tasks;
  const Tile* tiles;
};
cudaError_t launch_product(const PanelWork& work, int64_t count, int tile_vectors, cudaStream_t stream);

// The kernels below write the planes of x[x_to] with split_x, and those of y[y_to] with split_y. All problems of a launch have
// `vectors` vectors.
//
// x[x_to] = alpha z + beta x[x_from], the first step of a filter. All steps copy locked vectors. If there are some, they leave
// the planes of the others to launch_deflate.
cudaError_t launch_filter(const Problem* problems, const Task* tasks, int64_t count, int64_t most_length, int vectors,
                          int tile_vectors, cudaStream_t stream);
// Makes the vectors of x[x_to] after the locked ones orthogonal to the locked ones.
cudaError_t launch_deflate(const Problem* problems, const Task* tasks, int64_t count, int vectors, int tile_vectors,
                           cudaStream_t stream);

// gram = V V^T, where V is x[x_from] or y[y_from]. The sums are in float64 in a fixed order.
cudaError_t launch_gram(Side side, const Problem* problems, const Task* tasks, int64_t count, int64_t most_length,
                        int32_t most_vectors, cudaStream_t stream);
int64_t partial_count(int64_t length);  // number of partial Gram matrices for a length

// mixing = L^-1, where gram = L L^T. It makes the vectors orthonormal. A vector in the span of those before it becomes zero.
// The matrix is in shared memory if a block may have that much: up to 160 vectors where that is 227 KB, and 96 where it is 99 KB.
cudaError_t launch_cholesky(const Problem* problems, const Task* tasks, int64_t count, int32_t most_vectors,
                            int64_t shared_bytes_per_block, cudaStream_t stream);
// mixing = V^T and values, where gram = V diag(values) V^T, descending. It uses Cholesky and then one-sided Jacobi on the
// triangle.
cudaError_t launch_eigen(const Problem* problems, const Task* tasks, int64_t count, int32_t most_vectors,
                         int64_t shared_bytes_per_block, cudaStream_t stream);
// x[x_to] = mixing x[x_from], or the same for y.
cudaError_t launch_mix(Side side, const Problem* problems, const Task* tasks, int64_t count, int64_t most_length, int vectors,
                       int tile_vectors, cudaStream_t stream);

// residual[i] = |z_i - values_i x[x_from]_i| / sqrt(values_i).
cudaError_t launch_residual(const Problem* problems, const Task* tasks, int64_t count, int32_t most_vectors, cudaStream_t stream);
// residual[0] = the largest |gram - 1| among the leading `rank` vectors. With `normalise` each vector is first divided by its
// norm.
cudaError_t launch_deviation(const Problem* problems, const Task* tasks, int64_t count, int32_t rank, int32_t normalise,
                             cudaStream_t stream);

// These are in float64, without padding and planes. They write all entries; scale vectors to length 1 and write their norms; and
// compute the distances |z_i - norm_i x_i|.
cudaError_t launch_widen_matrix(const Source& source, double* out, cudaStream_t stream);
cudaError_t launch_normalise(double* vectors, int64_t length, int64_t count, double* norms, cudaStream_t stream);
cudaError_t launch_distance(const double* z, const double* x, const double* norms, int64_t length, int64_t count,
                            double* distances, cudaStream_t stream);

// Writes the rows of a start, or of random numbers, as float32 with zeros up to the stride.
cudaError_t launch_narrow(const uint8_t* rows, tg_dtype dtype, int64_t row_stride, int64_t count, int64_t length, float* vectors,
                          int64_t stride, cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_SVD_KERNELS_H
