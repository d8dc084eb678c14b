// Moving marked 16-bit lanes of a vector to its front, for instruction sets without an instruction for it. Everything has
// internal linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_DIFF_COMPRESS_TABLE_H
#define THREEGATE_CPU_DIFF_COMPRESS_TABLE_H

#include <cstddef>
#include <cstdint>

namespace threegate::diff {
namespace {

// For each set of eight 16-bit lanes, the byte shuffle that moves them to the front.
struct CompressTable {
  alignas(64) uint8_t shuffle[256][16];
};

constexpr CompressTable make_compress_table() {
  CompressTable table{};
  for (size_t set = 0; set < 256; ++set) {
    size_t out = 0;
    for (size_t lane = 0; lane < 8; ++lane) {
      if ((set >> lane & 1) != 0) {
        table.shuffle[set][2 * out] = static_cast<uint8_t>(2 * lane);
        table.shuffle[set][2 * out + 1] = static_cast<uint8_t>(2 * lane + 1);
        ++out;
      }
    }
    for (size_t byte = 2 * out; byte < 16; ++byte) {
      table.shuffle[set][byte] = 0x80;
    }
  }
  return table;
}

constexpr CompressTable kCompress = make_compress_table();

}  // namespace
}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_COMPRESS_TABLE_H
