// The arithmetic of changes.h. Everything has internal linkage, for the reason in dtype.h. Lanes are a vector type of the
// compiler, because compilers do not vectorise loops over arrays that may overlap.
#ifndef THREEGATE_CPU_SVD_CHANGE_LANES_H
#define THREEGATE_CPU_SVD_CHANGE_LANES_H

#include <cstring>

#include "changes.h"

namespace threegate::svd {
namespace {

using Lanes [[gnu::vector_size(kChangeLanes * sizeof(float))]] = float;

[[gnu::always_inline]] inline void load_lanes(const float* from, Lanes& lanes) { std::memcpy(&lanes, from, sizeof(lanes)); }
[[gnu::always_inline]] inline void store_lanes(const Lanes& lanes, float* to) { std::memcpy(to, &lanes, sizeof(lanes)); }

inline void multiply_lanes(const Changes& changes, const ChangeVectors& vectors, int64_t first) {
  for (int64_t column = 0; column < changes.columns; ++column) {
    store_lanes(Lanes{}, vectors.back + column * vectors.width + first);
  }
  for (int64_t row = 0; row < changes.rows; ++row) {
    Lanes own;
    Lanes sums{};
    load_lanes(vectors.of_rows + row * vectors.width + first, own);
    for (int64_t i = changes.begins[row]; i < changes.ends[row]; ++i) {
      const float value = changes.entries[i].value;
      const int64_t at = changes.entries[i].column * vectors.width + first;
      Lanes other;
      Lanes back;
      load_lanes(vectors.of_columns + at, other);
      load_lanes(vectors.back + at, back);
      sums += value * other;
      store_lanes(back + value * own, vectors.back + at);
    }
    store_lanes(sums, vectors.images + row * vectors.width + first);
  }
}

}  // namespace
}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_CHANGE_LANES_H
