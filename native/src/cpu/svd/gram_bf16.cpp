#include "gram_bf16.h"

#include <algorithm>
#include <cstring>

#include "common/dtype.h"
#include "cpu/support/crew.h"
#include "cpu/support/operand.h"
#include "cpu/support/simd_level.h"

namespace threegate::svd {
namespace {

constexpr int64_t kPackedRows = 64;  // of a part

}  // namespace

bool is_plain_bf16(const View& view) noexcept {
  return view.subtracted == nullptr && view.scale == 1 && view.operand->values.dtype == TG_BF16 && is_plain(*view.operand);
}

int64_t packed_entries(int64_t rows) { return (rows + 3) / 4 * 4 * kDotPanel; }

void pack(const View& view, int64_t begin, int64_t count, uint16_t* packed) {
  const tg_matrix& values = view.operand->values;
  std::fill_n(packed, packed_entries(view.short_side), uint16_t{0});
  if (!view.tall) {
    in_parts(view.short_side / kPackedRows + 1, [&](int64_t part) {
      for (int64_t i = part * kPackedRows; i < std::min(view.short_side, (part + 1) * kPackedRows); ++i) {
        std::memcpy(packed + i * kDotPanel, element_address(values, i, begin), static_cast<size_t>(count) * sizeof(uint16_t));
      }
    });
    return;
  }
  // Transposes in squares that stay in the first-level cache.
  constexpr int64_t kSquare = 32;
  in_parts((count + kSquare - 1) / kSquare, [&](int64_t part) {
    const int64_t i = part * kSquare;
    for (int64_t j = 0; j < view.short_side; j += kSquare) {
      for (int64_t k = i; k < std::min(i + kSquare, count); ++k) {
        const uint8_t* row = element_address(values, begin + k, 0);
        for (int64_t l = j; l < std::min(j + kSquare, view.short_side); ++l) {
          packed[l * kDotPanel + k] = load<uint16_t>(row + 2 * l);
        }
      }
    }
  });
}

void add_products_avx512(const uint16_t* packed, int64_t rows, float* gram) {
  if constexpr (kHasAvx512) {
    // The last groups have the most products, so they begin first.
    const int64_t groups = (rows + kGroupRows - 1) / kGroupRows;
    in_parts(groups, [&](int64_t i) { add_group_products_avx512(packed, rows, groups - 1 - i, gram); });
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
