// Sizes and arrays of one matrix of a batch on the device.
#ifndef THREEGATE_CUDA_SVD_PROBLEM_LAYOUT_H
#define THREEGATE_CUDA_SVD_PROBLEM_LAYOUT_H

#include <algorithm>
#include <cstdint>

#include "convergence.h"
#include "cuda/support/staging.h"
#include "svd_kernels.h"

namespace threegate::cuda {

// Tasks of a problem between two decisions of the host.
constexpr int64_t kMostTasks = kMostDegree + 4;

inline int64_t short_side(const tg_matrix& values) { return std::min(values.rows, values.columns); }
inline int64_t long_side(const tg_matrix& values) { return std::max(values.rows, values.columns); }

// The number of vectors in the block of a problem: the wanted ones and some more, padded.
int64_t vectors_for(int64_t rank);

// The width in vectors of the tiles that products are computed in.
int tile_vectors(int64_t vectors);

// The most tiles of a product whose result has `length` entries, with those that complete clusters of two.
int64_t most_tiles(int64_t length, int64_t vectors);

// Takes the arrays of problem i of the batch. Without memory the layout only counts.
Problem lay_out(const CudaSvdBatch& batch, int64_t i, Layout& layout);

// Bytes of the arrays of problem i and of its share of the lists.
int64_t problem_bytes(const CudaSvdBatch& batch, int64_t i);

// Bytes of the memory that matrices use one after the other: for their entries before these are split, starts, and the first
// vectors.
int64_t staging_bytes(const CudaSvdBatch& batch, int64_t i);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_PROBLEM_LAYOUT_H
