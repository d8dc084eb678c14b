// The definition of one entry. Everything has internal linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_CODES_ENTRY_H
#define THREEGATE_CPU_CODES_ENTRY_H

#include <cstdint>

#include "codes.h"
#include "cpu/support/operand.h"

namespace threegate::codes {
namespace {

// The place of the code of each row in a word of AWQ.
constexpr int kAwqOrder[kWordRows] = {0, 4, 1, 5, 2, 6, 3, 7};

inline uint32_t code_of(const tg_codes& codes, int64_t row, int64_t column) {
  const auto* data = static_cast<const uint8_t*>(codes.codes);
  if (codes.order == TG_CODES_DOWN) {
    const auto word = load<uint32_t>(data + column / kWordColumns * codes.stride + 4 * row);
    return word >> (4 * (column % kWordColumns)) & 0xfU;
  }
  if (is_across(codes)) {
    const int64_t at = codes.first_row + row;
    const auto word = load<uint32_t>(data + column * codes.stride + at / kWordRows * 4);
    const auto lane = at % kWordRows;
    return word >> (4 * (codes.order == TG_CODES_AWQ ? kAwqOrder[lane] : lane)) & 0xfU;
  }
  if (codes.bits == 8) {
    return data[row * codes.stride + column];
  }
  const uint32_t pair = data[row * codes.stride + column / 2];
  const bool upper = (column % 2 == 0) == (codes.order == TG_CODES_HIGH_FIRST);
  return upper ? pair >> 4 : pair & 0xfU;
}

inline int64_t group_of(const tg_codes& codes, int64_t column) {
  return codes.group_of == nullptr ? column / codes.group_columns : codes.group_of[column];
}

// The index of the scale of an entry.
inline int64_t scale_of(const tg_codes& codes, int64_t row, int64_t column) {
  const int64_t group = group_of(codes, column);
  return is_across(codes) ? group * codes.scale_stride + (codes.first_row + row) / codes.scale_rows
                          : (row / codes.scale_rows) * codes.scale_stride + group;
}

inline float entry_of(const tg_codes& codes, int64_t row, int64_t column) {
  const uint32_t code = code_of(codes, row, column);
  const int64_t at = scale_of(codes, row, column);
  const float value = codes.table[code];
  return (codes.zeros == nullptr ? value : value - codes.zeros[at]) * codes.scales[at];
}

}  // namespace
}  // namespace threegate::codes

#endif  // THREEGATE_CPU_CODES_ENTRY_H
