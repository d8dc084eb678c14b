#ifndef THREEGATE_CUDA_CURVATURE_CURVATURE_KERNELS_H
#define THREEGATE_CUDA_CURVATURE_CURVATURE_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/support/entries.h"
#include "cuda/svd/svd_kernels.h"

namespace threegate::cuda {

constexpr int64_t kTileTokens = kPadding;  // tokens of a tile
constexpr int64_t kTileVectors = 128;      // rows of directions, or columns of a sum, of a tile
constexpr int64_t kFactorVectors = 64;     // rows of factors of a tile
constexpr int64_t kProbeTokens = 512;      // tokens whose products are summed in float32
constexpr int64_t kPartialsOfTile = 4;     // partial slopes of a token in a tile

// Tokens x columns as a sum of bf16 matrices, with zeros up to multiples of kPadding in both directions: planes x rows x stride.
struct TokenPlanes {
  uint16_t* codes;
  int32_t planes;
  int64_t rows;
  int64_t stride;
};

// Vectors as sums of bf16 vectors, with zeros up to whole tiles: tiles x planes x tile x length.
struct VectorPlanes {
  uint16_t* codes;
  int32_t planes;
  int32_t tile;  // vectors of a tile: kTileVectors or kFactorVectors, or kTileTokens for the first factor of a product
  int64_t tiles;
  int64_t length;  // a multiple of kPadding
};

// The entries of a matrix minus those of another one, within a mask.
struct DirectionEntries {
  Entries matrix;
  Entries subtracted;
  int32_t has_subtracted;
  const uint64_t* mask;  // nullptr if all entries count
  int64_t rows;
  int64_t columns;
};

// Writes the planes of the rows of a direction, rounded to float32. row_squares[i] is the squared length of row i before the
// rounding, and `terms` is raised to the number of planes that are not all zeros, or 1. Neither is done if row_squares is
// nullptr.
cudaError_t launch_form_direction(const DirectionEntries& direction, const VectorPlanes& out, double* row_squares, int32_t* terms,
                                  cudaStream_t stream);

// Writes the planes of the columns of weights[t] * entries_t, rounded to float32. `weights` may be nullptr.
cudaError_t launch_split_columns(const Entries& entries, const double* weights, int64_t tokens, int64_t columns,
                                 const VectorPlanes& out, cudaStream_t stream);

// partial[(d * tiles + i) * kPartialsOfTile + j][t] are parts of gradient_t^T V_d input_t, where `tiles` are those of one
// direction. Products of inputs and V are not stored. `terms` is the number of planes of directions that count.
struct SlopeWork {
  TokenPlanes input;
  TokenPlanes gradient;
  VectorPlanes directions;  // one after the other, each in whole tiles
  double* partial;
  int64_t token_tiles;
  int64_t tiles;  // of one direction
};
cudaError_t launch_slope_tiles(const SlopeWork& work, int32_t terms, cudaStream_t stream);

// slopes[t] = the sum of partial[i][t], in order.
cudaError_t launch_add_slopes(const double* partial, int64_t partials, int64_t stride, int64_t tokens, double* slopes,
                              cudaStream_t stream);

// out[t] = the products of token t and all vectors, which have kPlanes planes and tiles of kFactorVectors.
cudaError_t launch_project(const TokenPlanes& in, const VectorPlanes& vectors, int64_t token_tiles, float* out,
                           cudaStream_t stream);

// slopes[t] = the inner product of rows t.
cudaError_t launch_row_products(const float* first, const float* second, int64_t stride, int64_t rows, int64_t length,
                                double* slopes, cudaStream_t stream);

// Where a fragment of sums lies in a tile, in units of what the lanes of a warp have: the one with rows 16 down + 8 half and
// columns 8 across. A lane has row lane / 4 and columns lane % 4 * 2 and the next one of it. The place is the sum of those of the
// first of four fragments across, and of the rest.
__device__ constexpr int place_of_sums(int down, int across, int half) {
  return ((across % 4 * 2 + down % 2) * 2 + half) * 16 + down / 2 * 4 + across / 4;
}

// Adds the sum of left_t right_t^T over the first `tokens` tokens, a multiple of kPadding, to sums in the order of the threads:
// kTileTokens x kTileVectors for each tile of `left` and each of `right`. Tiles below the diagonal are left out if the sum is
// symmetric.
cudaError_t launch_token_products(const VectorPlanes& left, const VectorPlanes& right, int64_t tokens, bool symmetric,
                                  double2* sums, cudaStream_t stream);

// Copies a matrix (rows x columns) to sums in the order of the threads, or `back`. Entries of a symmetric one that are below the
// diagonal come back as those above it.
cudaError_t launch_arrange_sums(bool back, bool symmetric, double2* sums, int64_t rows, int64_t columns, double* matrix,
                                cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_CURVATURE_CURVATURE_KERNELS_H
