#include "codes.h"

#include <algorithm>
#include <atomic>

#include "common/control.h"
#include "entry.h"

namespace threegate::codes {
namespace {

constexpr int64_t kBandEntries = 1 << 18;
// Where codes of several rows lie side by side, those of a cache line.
constexpr int64_t kBandRows = 128;

// NEON has no variant of its own: a compiler makes its instructions from the loops.
[[maybe_unused]] constexpr auto decode_neon = decode_scalar;
constexpr auto decode_avx512 = decode_avx2;

}  // namespace

int64_t code_span(const tg_codes& codes) {
  if (codes.rows == 0 || codes.columns == 0) {
    return 0;
  }
  switch (codes.order) {
    case TG_CODES_DOWN:
      return (codes.columns - 1) / kWordColumns * codes.stride + 4 * codes.rows;
    case TG_CODES_ACROSS:
    case TG_CODES_AWQ:
      return (codes.columns - 1) * codes.stride + ((codes.first_row + codes.rows - 1) / kWordRows + 1) * 4;
    default:
      return (codes.rows - 1) * codes.stride + (codes.columns * codes.bits + 7) / 8;
  }
}

void decode_scalar(const tg_codes& codes, const Range& range, const Output& out) {
  for (int64_t i = range.first_row; i < range.end_row; ++i) {
    for (int64_t j = range.first_column; j < range.end_column; ++j) {
      *out.at(i, j) = entry_of(codes, i, j);
    }
  }
}

void decode_range(SimdLevel level, const tg_codes& codes, const Range& range, const Output& out) {
  TG_AT_LEVEL(level, decode)(codes, range, out);
}

bool decode(ThreadPool& pool, SimdLevel level, const tg_codes& codes, const tg_control* control, float* out) {
  if (codes.rows == 0 || codes.columns == 0) {
    return true;
  }
  const int64_t rows = is_across(codes) ? kBandRows : std::max(kBandEntries / codes.columns, int64_t{1});
  const int64_t bands = (codes.rows + rows - 1) / rows;
  const Output all{out, 0, 0, codes.columns};
  std::atomic<int64_t> next{0};
  pool.run(static_cast<int>(std::min<int64_t>(pool.threads(), bands)), [&](int) {
    for (int64_t band = next.fetch_add(1); band < bands && !is_cancelled(control); band = next.fetch_add(1)) {
      decode_range(level, codes, {band * rows, std::min(codes.rows, (band + 1) * rows), 0, codes.columns}, all);
    }
  });
  return !is_cancelled(control);
}

}  // namespace threegate::codes
