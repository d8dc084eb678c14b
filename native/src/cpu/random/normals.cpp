#include "normals.h"

#include <algorithm>

namespace threegate::random {

void normals_scalar(const Stream& stream, int64_t block, int64_t blocks, float* out) {
  for (int64_t i = 0; i < blocks; ++i) {
    normal_block(stream, block + i, out + i * kBlock);
  }
}

void normals(SimdLevel level, const Stream& stream, int64_t block, int64_t blocks, float* out) {
  TG_LANES_AT_LEVEL(level, normals)(stream, block, blocks, out);
}

void normal_row(SimdLevel level, const Stream& stream, int64_t index, int64_t length, float* out) {
  float numbers[kBlock];
  const int64_t blocks = (length + kBlock - 1) / kBlock;
  for (int64_t block = 0; block < blocks; ++block) {
    normals(level, stream, index * blocks + block, 1, numbers);
    std::copy_n(numbers, std::min(kBlock, length - block * kBlock), out + block * kBlock);
  }
}

}  // namespace threegate::random
