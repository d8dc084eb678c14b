// The bf16 magnitude codes of the entries of a matrix.
#ifndef THREEGATE_CPU_SUPPORT_MAGNITUDE_CODES_H
#define THREEGATE_CPU_SUPPORT_MAGNITUDE_CODES_H

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "common/control.h"
#include "operand.h"

namespace threegate {
namespace {

// Calls body(row, column, code) for each entry.
template <typename Body>
void for_magnitude_codes(const tg_operand& matrix, Body body) {
  double run[kRun];
  const bool plain = matrix.values.dtype == TG_BF16 && is_plain(matrix);
  for (int64_t i = 0; i < matrix.values.rows; ++i) {
    require_not_cancelled();
    for (int64_t j = 0; j < matrix.values.columns; j += kRun) {
      const int64_t count = std::min(kRun, matrix.values.columns - j);
      if (plain) {
        const uint8_t* codes = element_address(matrix.values, i, j);
        for (int64_t k = 0; k < count; ++k) {
          body(i, j + k, bf16_magnitude_code(load<uint16_t>(codes + 2 * k)));
        }
        continue;
      }
      stage_double(matrix, i, j, count, run, convert_f16_plain);
      for (int64_t k = 0; k < count; ++k) {
        body(i, j + k, bf16_magnitude_code(double_to_bf16(run[k])));
      }
    }
  }
}

// The codes that a matrix has, numbered from 0 in ascending order. A small matrix has few of all TG_MAGNITUDE_CODES, so that
// tables over its own codes cost less than its entries.
class MagnitudeKeys {
 public:
  explicit MagnitudeKeys(const tg_operand& matrix) : key_of_(TG_MAGNITUDE_CODES) {
    std::array<uint64_t, TG_MAGNITUDE_CODES / 64> present{};
    for_magnitude_codes(matrix, [&](int64_t, int64_t, uint32_t code) { present[code / 64] |= uint64_t{1} << (code % 64); });
    for (size_t word = 0; word < present.size(); ++word) {
      for (uint64_t rest = present[word]; rest != 0; rest &= rest - 1) {
        const auto code = static_cast<uint16_t>(word * 64 + static_cast<size_t>(__builtin_ctzll(rest)));
        key_of_[code] = static_cast<uint16_t>(codes_.size());
        codes_.push_back(code);
      }
    }
  }

  [[nodiscard]] int64_t count() const { return static_cast<int64_t>(codes_.size()); }
  [[nodiscard]] uint16_t code(int64_t key) const { return codes_[static_cast<size_t>(key)]; }
  [[nodiscard]] uint16_t key_of(uint32_t code) const { return key_of_[code]; }
  [[nodiscard]] const uint16_t* table() const { return key_of_.data(); }

 private:
  std::vector<uint16_t> key_of_;  // of codes that the matrix has; else 0
  std::vector<uint16_t> codes_;
};

}  // namespace
}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_MAGNITUDE_CODES_H
