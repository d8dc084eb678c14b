// A matrix as panels of its long side, widened and scaled one at a time: what is multiplied is never stored whole.
#ifndef THREEGATE_CPU_SVD_PANEL_H
#define THREEGATE_CPU_SVD_PANEL_H

#include <cstdint>

#include "threegate/threegate.h"

namespace threegate::svd {

// A matrix, or the difference of two (`subtracted` nullptr: one), seen by its short and long side; entries are multiplied by
// `scale`, a power of two.
struct View {
  const tg_operand* operand;
  const tg_operand* subtracted;
  bool tall;  // more rows than columns: the long side is the rows
  int64_t short_side;
  int64_t long_side;
  double scale;
  const tg_control* control;  // nullptr: cannot be cancelled
};

// What the entries say before any arithmetic.
struct Range {
  bool finite;
  double largest;  // max |entry|
};
Range entry_range(const View& view);

View make_view(const tg_operand& operand, const tg_operand* subtracted, double scale, const tg_control* control = nullptr);

// Throws CANCELLED when the caller asks for it: a large matrix takes minutes.
void check_cancelled(const View& view);

constexpr int64_t kPanel = 256;  // of the long side: a panel of a model's matrix fits the second-level cache

// Entries begin .. begin + count of the long side, all of the short side, as stored: count x short_side when tall, else
// short_side x count, rows without gaps.
void read_panel(const View& view, int64_t begin, int64_t count, float* panel);
void read_panel(const View& view, int64_t begin, int64_t count, double* panel);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_PANEL_H
