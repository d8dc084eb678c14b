// The division of a matrix into rectangular tiles.
#ifndef THREEGATE_CPU_MASK_TILES_H
#define THREEGATE_CPU_MASK_TILES_H

#include <algorithm>
#include <cstdint>

namespace threegate::mask {

struct Tile {
  int64_t row;
  int64_t rows;
  int64_t column;
  int64_t columns;
};

// Tiles in row-major order. The columns of a tile must be a multiple of 64, so that no word of a mask belongs to two tiles.
class Tiles {
 public:
  Tiles(int64_t rows, int64_t columns, int64_t tile_rows, int64_t tile_columns)
      : rows_(rows), columns_(columns), tile_rows_(tile_rows), tile_columns_(tile_columns) {}
  [[nodiscard]] int64_t across() const { return (columns_ + tile_columns_ - 1) / tile_columns_; }
  [[nodiscard]] int64_t count() const { return (rows_ + tile_rows_ - 1) / tile_rows_ * across(); }
  [[nodiscard]] Tile at(int64_t index) const {
    const int64_t row = index / across() * tile_rows_;
    const int64_t column = index % across() * tile_columns_;
    return {row, std::min(tile_rows_, rows_ - row), column, std::min(tile_columns_, columns_ - column)};
  }

 private:
  int64_t rows_;
  int64_t columns_;
  int64_t tile_rows_;
  int64_t tile_columns_;
};

}  // namespace threegate::mask

#endif  // THREEGATE_CPU_MASK_TILES_H
