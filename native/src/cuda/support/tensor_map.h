// Descriptions of matrices in global memory for the copy unit of compute capability 9.0 (the "tensor maps" of CUDA).
#ifndef THREEGATE_CUDA_SUPPORT_TENSOR_MAP_H
#define THREEGATE_CUDA_SUPPORT_TENSOR_MAP_H

#include <cuda.h>

#include <cstdint>

namespace threegate::cuda {

// Entries of a row of a box. They are 128 bytes, so that the 16-byte chunks of eight rows can be permuted to lie in other banks.
constexpr int kBoxColumns = 64;

// Whether the driver can describe matrices.
bool has_tensor_maps();

// Describes a row-major matrix of bf16 numbers that is copied in boxes of `box_rows` rows and kBoxColumns columns. In shared
// memory a row of a box has 128 bytes, and chunk c of row r is at c ^ (r mod 8). What is beyond the matrix becomes zero.
CUtensorMap describe_matrix(const uint16_t* matrix, int64_t rows, int64_t columns, int box_rows);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SUPPORT_TENSOR_MAP_H
