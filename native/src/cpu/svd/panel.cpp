#include "panel.h"

#include <algorithm>
#include <cmath>

#include "common/control.h"
#include "common/error.h"
#include "cpu/support/crew.h"
#include "cpu/support/operand.h"

namespace threegate::svd {
namespace {

void stage(const tg_operand& operand, int64_t row, int64_t column, int64_t count, double* out) {
  stage_double(operand, row, column, count, out, convert_f16_plain);
}

void stage(const tg_operand& operand, int64_t row, int64_t column, int64_t count, float* out) {
  stage_float(operand, row, column, count, out, convert_f16_plain);
}

// Reads a run of the view's entries, not scaled. T is float only if float holds the entries of both operands.
template <typename T>
void stage_entries(const View& view, int64_t row, int64_t column, int64_t count, T* out) {
  stage(*view.operand, row, column, count, out);
  if (view.subtracted != nullptr) {
    T other[kRun];
    stage(*view.subtracted, row, column, count, other);
    for (int64_t i = 0; i < count; ++i) {
      out[i] -= other[i];
    }
  }
}

constexpr int64_t kShortRow = 1024;
constexpr int64_t kAhead = 2;  // rows
constexpr int64_t kLine = 64;  // bytes of a line of a cache

bool needs_double(const View& view) {
  return is_double(*view.operand) || (view.subtracted != nullptr && is_double(*view.subtracted));
}

void multiply(double* values, int64_t count, double factor) {
  for (int64_t i = 0; i < count; ++i) {
    values[i] *= factor;
  }
}

void multiply(float* values, int64_t count, double factor) {
  if (std::abs(std::ilogb(factor)) <= 126) {
    const auto narrow = static_cast<float>(factor);
    for (int64_t i = 0; i < count; ++i) {
      values[i] *= narrow;
    }
    return;
  }
  // The factor that scales subnormal float32 entries up is itself beyond float32.
  for (int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(values[i] * factor);
  }
}

template <typename T>
void read(const View& view, const Tile& tile, T* panel) {
  const int64_t first_row = view.tall ? tile.long_begin : tile.short_begin;
  const int64_t rows = view.tall ? tile.long_count : tile.short_count;
  const int64_t first_column = view.tall ? tile.short_begin : tile.long_begin;
  const int64_t columns = view.tall ? tile.short_count : tile.long_count;
  const bool in_double = sizeof(T) == sizeof(float) && needs_double(view);
  const tg_matrix& values = view.operand->values;
  const auto read_row = [&](int64_t i) {
    T* out = panel + i * columns;
    // Short parts of rows end before the processor fetches ahead by itself.
    if (columns <= kShortRow && i + kAhead < rows) {
      const uint8_t* ahead = element_address(values, first_row + i + kAhead, first_column);
      for (int64_t at = 0; at < columns * element_bytes(values.dtype); at += kLine) {
        __builtin_prefetch(ahead + at);
      }
    }
    for (int64_t j = 0; j < columns; j += kRun) {
      const int64_t run = std::min(kRun, columns - j);
      if (in_double) {
        // Entries are scaled before they are narrowed, because float64 entries may be beyond float32.
        double wide[kRun];
        stage_entries(view, first_row + i, first_column + j, run, wide);
        for (int64_t k = 0; k < run; ++k) {
          out[j + k] = static_cast<T>(wide[k] * view.scale);
        }
      } else {
        stage_entries(view, first_row + i, first_column + j, run, out + j);
        if (view.scale != 1) {
          multiply(out + j, run, view.scale);
        }
      }
    }
  };
  // A part is about as long as waking a thread takes.
  constexpr int64_t kPartEntries = 1 << 16;
  const int64_t together = std::max<int64_t>(1, kPartEntries / std::max<int64_t>(1, columns));
  in_parts((rows + together - 1) / together, [&](int64_t part) {
    for (int64_t i = part * together; i < std::min(rows, (part + 1) * together); ++i) {
      read_row(i);
    }
  });
}

// Magnitude codes are ordered as the magnitudes are.
Range bf16_range(const tg_matrix& matrix) {
  uint16_t largest = 0;
  for (int64_t i = 0; i < matrix.rows; ++i) {
    const uint8_t* row = element_address(matrix, i, 0);
    for (int64_t j = 0; j < matrix.columns; ++j) {
      largest = std::max<uint16_t>(largest, load<uint16_t>(row + 2 * j) & kBf16Magnitude);
    }
  }
  return {largest < kBf16Infinity, bf16_to_float(largest)};
}

}  // namespace

Range entry_range(const View& view) {
  if (view.subtracted == nullptr && view.operand->values.dtype == TG_BF16 && is_plain(*view.operand)) {
    return bf16_range(view.operand->values);
  }
  Range range{true, 0};
  double run[kRun];
  for (int64_t i = 0; i < view.operand->values.rows; ++i) {
    for (int64_t j = 0; j < view.operand->values.columns; j += kRun) {
      const int64_t count = std::min(kRun, view.operand->values.columns - j);
      stage_entries(view, i, j, count, run);
      double largest = range.largest;
      double nothing = 0;  // x * 0 is NaN if x is not finite
      for (int64_t k = 0; k < count; ++k) {
        largest = std::max(largest, std::abs(run[k]));
        nothing += run[k] * 0;
      }
      range.largest = largest;
      if (!(nothing == 0)) {
        return {false, largest};
      }
    }
  }
  return range;
}

void check_cancelled(const View& view) {
  if (is_cancelled(view.control)) {
    throw Error(TG_CANCELLED, "cancelled");
  }
}

View make_view(const tg_operand& operand, const tg_operand* subtracted, double scale, const tg_control* control) {
  const int64_t rows = operand.values.rows;
  const int64_t columns = operand.values.columns;
  const bool tall = rows > columns;
  return {&operand, subtracted, tall, std::min(rows, columns), std::max(rows, columns), scale, control};
}

void read_panel(const View& view, int64_t begin, int64_t count, float* panel) {
  read(view, {begin, count, 0, view.short_side}, panel);
}
void read_panel(const View& view, int64_t begin, int64_t count, double* panel) {
  read(view, {begin, count, 0, view.short_side}, panel);
}
void read_tile(const View& view, const Tile& tile, float* out) { read(view, tile, out); }
void read_tile(const View& view, const Tile& tile, double* out) { read(view, tile, out); }

}  // namespace threegate::svd
