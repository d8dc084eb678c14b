#include "normals.h"

namespace threegate::random {

void normals(SimdLevel level, const Stream& stream, int64_t block, int64_t blocks, float* out) {
  switch (level) {
    case SimdLevel::kAvx512:
      normals_avx512(stream, block, blocks, out);
      return;
    case SimdLevel::kAvx2:
      normals_avx2(stream, block, blocks, out);
      return;
    default:
      for (int64_t i = 0; i < blocks; ++i) {
        normal_block(stream, block + i, out + i * kBlock);
      }
  }
}

}  // namespace threegate::random
