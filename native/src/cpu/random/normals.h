// Standard normal numbers in bulk, for each instruction set. All of them give the same bits.
#ifndef THREEGATE_CPU_RANDOM_NORMALS_H
#define THREEGATE_CPU_RANDOM_NORMALS_H

#include <cstdint>

#include "common/philox.h"
#include "cpu/support/simd_level.h"

namespace threegate::random {

// Writes the numbers kBlock * block .. kBlock * (block + blocks) - 1 of the stream.
void normals(SimdLevel level, const Stream& stream, int64_t block, int64_t blocks, float* out);

// Writes row `index` of a matrix of normal numbers. Each row uses blocks of its own.
void normal_row(SimdLevel level, const Stream& stream, int64_t index, int64_t length, float* out);

void normals_scalar(const Stream& stream, int64_t block, int64_t blocks, float* out);
void normals_avx2(const Stream& stream, int64_t block, int64_t blocks, float* out);
void normals_avx512(const Stream& stream, int64_t block, int64_t blocks, float* out);

}  // namespace threegate::random

#endif  // THREEGATE_CPU_RANDOM_NORMALS_H
