// BLAKE3 with vectors of eight lanes.
#include "blake3_lanes.h"

namespace threegate::digest {

void nodes_avx2(const uint8_t* data, size_t count, size_t blocks, int64_t first, Value* values) {
  nodes<8, nodes_scalar>(data, count, blocks, first, values);
}

}  // namespace threegate::digest
