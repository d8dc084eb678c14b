// The bf16 magnitude codes of the entries of a matrix.
#ifndef THREEGATE_CPU_SUPPORT_MAGNITUDE_CODES_H
#define THREEGATE_CPU_SUPPORT_MAGNITUDE_CODES_H

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/control.h"
#include "operand.h"

namespace threegate {
namespace {

// Calls body(code_at), where code_at(k) is the code of entry `first` + k of a row, for k below `count`, which is at most kRun.
template <typename Body>
void with_codes(const tg_operand& matrix, int64_t row, int64_t first, int64_t count, Body body) {
  if (matrix.values.dtype == TG_BF16 && is_plain(matrix)) {
    const uint8_t* codes = element_address(matrix.values, row, first);
    body([codes](int64_t k) { return bf16_magnitude_code(load<uint16_t>(codes + 2 * k)); });
    return;
  }
  double run[kRun];
  stage_double(matrix, row, first, count, run, convert_f16_plain);
  body([&run](int64_t k) { return bf16_magnitude_code(double_to_bf16(run[k])); });
}

// Calls body(row, column, code) for each entry.
template <typename Body>
void for_magnitude_codes(const tg_operand& matrix, Body body) {
  for (int64_t i = 0; i < matrix.values.rows; ++i) {
    require_not_cancelled();
    for (int64_t first = 0; first < matrix.values.columns; first += kRun) {
      const int64_t count = std::min(kRun, matrix.values.columns - first);
      with_codes(matrix, i, first, count, [&](auto code_at) {
        for (int64_t k = 0; k < count; ++k) {
          body(i, first + k, code_at(k));
        }
      });
    }
  }
}

// The codes that a matrix has, numbered from 0 in ascending order. A small matrix has few of all TG_MAGNITUDE_CODES, so that
// tables over its own codes cost less than its entries.
class MagnitudeKeys {
 public:
  explicit MagnitudeKeys(const tg_operand& matrix) : key_of_(TG_MAGNITUDE_CODES) {
    std::array<uint64_t, TG_MAGNITUDE_CODES / 64> present{};
    // Only the numbers of present codes are initialised: clearing all of them costs more than the entries of a small matrix.
    const std::unique_ptr<int64_t[]> entries(new int64_t[TG_MAGNITUDE_CODES]);
    for_magnitude_codes(matrix, [&](int64_t, int64_t, uint32_t code) {
      const uint64_t bit = uint64_t{1} << (code % 64);
      if ((present[code / 64] & bit) == 0) {
        present[code / 64] |= bit;
        entries[code] = 0;
      }
      ++entries[code];
    });
    for (size_t word = 0; word < present.size(); ++word) {
      for (uint64_t rest = present[word]; rest != 0; rest &= rest - 1) {
        const auto code = static_cast<uint16_t>(word * 64 + static_cast<size_t>(__builtin_ctzll(rest)));
        key_of_[code] = static_cast<uint16_t>(codes_.size());
        codes_.push_back(code);
        entries_.push_back(entries[code]);
      }
    }
  }

  [[nodiscard]] int64_t count() const { return static_cast<int64_t>(codes_.size()); }
  [[nodiscard]] uint16_t code(int64_t key) const { return codes_[static_cast<size_t>(key)]; }
  [[nodiscard]] int64_t entries(int64_t key) const { return entries_[static_cast<size_t>(key)]; }
  [[nodiscard]] uint16_t key_of(uint32_t code) const { return key_of_[code]; }
  [[nodiscard]] const uint16_t* table() const { return key_of_.data(); }

 private:
  std::vector<uint16_t> key_of_;  // of codes that the matrix has; else 0
  std::vector<uint16_t> codes_;
  std::vector<int64_t> entries_;  // with each of the codes
};

}  // namespace
}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_MAGNITUDE_CODES_H
