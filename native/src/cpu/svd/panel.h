// A matrix that is read in panels of its long side. Entries are widened and scaled one panel at a time, and the matrix is never
// stored as a whole.
#ifndef THREEGATE_CPU_SVD_PANEL_H
#define THREEGATE_CPU_SVD_PANEL_H

#include <algorithm>
#include <cstdint>

#include "threegate/threegate.h"

namespace threegate::svd {

// A matrix, or the difference of two if `subtracted` is not nullptr, with its short and long side. Entries are multiplied by
// `scale`, a power of two.
struct View {
  const tg_operand* operand;
  const tg_operand* subtracted;
  bool tall;  // there are more rows than columns, so that the long side is the rows
  int64_t short_side;
  int64_t long_side;
  double scale;
  const tg_control* control;  // nullptr if the call cannot be cancelled
};

// The range of the entries.
struct Range {
  bool finite;
  double largest;  // max |entry|
};
Range entry_range(const View& view);

View make_view(const tg_operand& operand, const tg_operand* subtracted, double scale, const tg_control* control = nullptr);

// Throws CANCELLED if the caller asked for it. It is checked often, because a large matrix takes minutes.
void check_cancelled(const View& view);

constexpr int64_t kPanel = 256;  // of the long side, so that a panel of a typical matrix fits the second-level cache

// Reads the entries begin .. begin + count of the long side and all of the short side in their stored order: count x short_side
// if tall, and short_side x count otherwise. Rows are contiguous.
void read_panel(const View& view, int64_t begin, int64_t count, float* panel);
void read_panel(const View& view, int64_t begin, int64_t count, double* panel);

// Some entries of the long side and some of the short side.
struct Tile {
  int64_t long_begin;
  int64_t long_count;
  int64_t short_begin;
  int64_t short_count;
};

// Reads the entries of a tile in their stored order. Rows are contiguous.
void read_tile(const View& view, const Tile& tile, float* out);
void read_tile(const View& view, const Tile& tile, double* out);

// Reads the matrix panel by panel and calls body(begin, count) after each one. `panel` has room for one panel.
template <typename T, typename Body>
void for_panels(const View& view, T* panel, Body body) {
  for (int64_t begin = 0; begin < view.long_side; begin += kPanel) {
    check_cancelled(view);
    const int64_t count = std::min(kPanel, view.long_side - begin);
    read_panel(view, begin, count, panel);
    body(begin, count);
  }
}

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_PANEL_H
