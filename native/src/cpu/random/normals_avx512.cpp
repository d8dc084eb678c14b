#include "normals.h"

namespace threegate::random {

void normals_avx512(const Stream& stream, int64_t block, int64_t blocks, float* out) {
  for (int64_t i = 0; i < blocks; ++i) {
    normal_block(stream, block + i, out + i * kBlock);
  }
}

}  // namespace threegate::random
