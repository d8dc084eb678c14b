#include "tiled_product.h"

#include <algorithm>

#include "common/control.h"
#include "cpu/support/blas.h"
#include "cpu/support/crew.h"

namespace threegate::svd {
namespace {

// A tile has long rows as they are stored.
constexpr int64_t kTileRows = 128;
constexpr int64_t kTileColumns = 1024;
constexpr int64_t kMostParts = 64;

int64_t quotient_up(int64_t size, int64_t divisor) { return (size + divisor - 1) / divisor; }

int64_t long_tile(const View& view) { return view.tall ? kTileRows : kTileColumns; }
int64_t short_tile(const View& view) { return view.tall ? kTileColumns : kTileRows; }

// The length of the part of a side that one thread computes at a time.
int64_t part_of(int64_t length, int64_t tile) { return quotient_up(quotient_up(length, tile), kMostParts) * tile; }

int64_t tiles_at_once(const View& view) {
  return std::max(quotient_up(view.long_side, part_of(view.long_side, long_tile(view))),
                  quotient_up(view.short_side, part_of(view.short_side, short_tile(view))));
}

}  // namespace

template <typename T>
TiledProduct<T>::TiledProduct(Arena& arena, const View& view)
    : tiles_(arena.take<T>(tiles_at_once(view) * kTileRows * kTileColumns)) {}

template <typename T>
void TiledProduct<T>::to_long_side(const View& view, int64_t count, const T* x, T* y) const {
  multiply(view, true, count, x, y);
}

template <typename T>
void TiledProduct<T>::to_short_side(const View& view, int64_t count, const T* y, T* z) const {
  multiply(view, false, count, y, z);
}

template <typename T>
void TiledProduct<T>::multiply(const View& view, bool to_long, int64_t count, const T* in, T* out) const {
  const int64_t out_length = to_long ? view.long_side : view.short_side;
  const int64_t in_length = to_long ? view.short_side : view.long_side;
  const int64_t out_tile = to_long ? long_tile(view) : short_tile(view);
  const int64_t in_tile = to_long ? short_tile(view) : long_tile(view);
  const int64_t part = part_of(out_length, out_tile);
  const CBLAS_TRANSPOSE transposed = to_long == view.tall ? CblasTrans : CblasNoTrans;
  in_parts(quotient_up(out_length, part), [&](int64_t index) {
    T* tile = tiles_ + index * kTileRows * kTileColumns;
    for (int64_t to = index * part; to < std::min(out_length, (index + 1) * part); to += out_tile) {
      const int64_t to_count = std::min(out_tile, out_length - to);
      for (int64_t from = 0; from < in_length; from += in_tile) {
        // An exception must not leave the other threads behind.
        if (is_cancelled(view.control)) {
          return;
        }
        const int64_t from_count = std::min(in_tile, in_length - from);
        const Tile entries = to_long ? Tile{to, to_count, from, from_count} : Tile{from, from_count, to, to_count};
        read_tile(view, entries, tile);
        blas().functions<T>().gemm(CblasRowMajor, CblasNoTrans, transposed, blas_size(count), blas_size(to_count),
                                   blas_size(from_count), T{1}, in + from, blas_size(in_length), tile,
                                   blas_size(view.tall ? entries.short_count : entries.long_count), from == 0 ? T{0} : T{1},
                                   out + to, blas_size(out_length));
      }
    }
  });
  check_cancelled(view);
}

template class TiledProduct<float>;
template class TiledProduct<double>;

}  // namespace threegate::svd
