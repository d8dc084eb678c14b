#include "gram_bf16.h"

#include <algorithm>
#include <cstring>

#include "common/dtype.h"
#include "cpu/support/operand.h"

namespace threegate::svd {

bool is_plain_bf16(const View& view) noexcept {
  return view.subtracted == nullptr && view.scale == 1 && view.operand->values.dtype == TG_BF16 && is_plain(*view.operand);
}

int64_t packed_entries(int64_t rows) { return (rows + 3) / 4 * 4 * kDotPanel; }

void pack(const View& view, int64_t begin, int64_t count, uint16_t* packed) {
  const tg_matrix& values = view.operand->values;
  std::fill_n(packed, packed_entries(view.short_side), uint16_t{0});
  if (!view.tall) {
    for (int64_t i = 0; i < view.short_side; ++i) {
      std::memcpy(packed + i * kDotPanel, element_address(values, i, begin), static_cast<size_t>(count) * sizeof(uint16_t));
    }
    return;
  }
  // Transposes in squares that stay in the first-level cache.
  constexpr int64_t kSquare = 32;
  for (int64_t i = 0; i < count; i += kSquare) {
    for (int64_t j = 0; j < view.short_side; j += kSquare) {
      for (int64_t k = i; k < std::min(i + kSquare, count); ++k) {
        const uint8_t* row = element_address(values, begin + k, 0);
        for (int64_t l = j; l < std::min(j + kSquare, view.short_side); ++l) {
          packed[l * kDotPanel + k] = load<uint16_t>(row + 2 * l);
        }
      }
    }
  }
}

void add_packed_squares(const uint16_t* packed, int64_t rows, double* squares) {
  for (int64_t i = 0; i < rows; ++i) {
    double sums[8] = {};  // so that compilers vectorise the loop
    for (int64_t k = 0; k < kDotPanel; k += 8) {
      for (int64_t lane = 0; lane < 8; ++lane) {
        const auto entry = static_cast<double>(bf16_to_float(packed[i * kDotPanel + k + lane]));
        sums[lane] += entry * entry;
      }
    }
    for (const double sum : sums) {
      squares[i] += sum;
    }
  }
}

}  // namespace threegate::svd
