// BLAKE3 with vectors of sixteen lanes.
#include "blake3_lanes.h"

namespace threegate::digest {

void nodes_avx512(const uint8_t* data, size_t count, size_t blocks, int64_t first, Value* values) {
  nodes<16, nodes_avx2>(data, count, blocks, first, values);
}

}  // namespace threegate::digest
