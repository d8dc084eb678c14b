#include "changes.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "change_lanes.h"
#include "common/dtype.h"
#include "cpu/support/crew.h"
#include "cpu/support/operand.h"

namespace threegate::svd {
namespace {

constexpr int64_t kPartRows = 64;
constexpr int64_t kShare = 16;  // of the entries of a part may differ
constexpr int64_t kChunk = 32;  // codes of a cache line

int64_t room_of_part(int64_t columns) { return kPartRows * columns / kShare; }

constexpr int64_t kWord = 4;  // codes of a word

// The bits in which four codes differ.
uint64_t differences(const uint8_t* before, const uint8_t* after) { return load<uint64_t>(before) ^ load<uint64_t>(after); }

// Whether a cache line of codes is the same.
bool same_codes(const uint8_t* before, const uint8_t* after) {
  uint64_t bits = 0;
  for (int64_t i = 0; i < kChunk * 2; i += 8) {
    bits |= differences(before + i, after + i);
  }
  return bits == 0;
}

// The changes of some rows, of which there may be `most`.
class ChangeList {
 public:
  ChangeList(Change* entries, int64_t most) : entries_(entries), most_(most) {}
  [[nodiscard]] int64_t count() const { return count_; }

  // Adds those of a row. Returns false if there are too many, or one is not finite.
  bool add_row(const uint8_t* before, const uint8_t* after, int64_t columns) {
    const int64_t whole = columns / kChunk * kChunk;
    bool fits = true;
    for (int64_t begin = 0; begin < whole && fits; begin += kChunk) {
      if (same_codes(before + 2 * begin, after + 2 * begin)) {
        continue;
      }
      for (int64_t j = begin; j < begin + kChunk; j += kWord) {
        for (uint64_t bits = differences(before + 2 * j, after + 2 * j); bits != 0 && fits;) {
          const int64_t code = __builtin_ctzll(bits) / 16;
          fits = add(before, after, j + code);
          bits &= ~(uint64_t{0xffff} << (code * 16));
        }
      }
    }
    for (int64_t j = whole; j < columns && fits; ++j) {
      fits = load<uint16_t>(before + 2 * j) == load<uint16_t>(after + 2 * j) || add(before, after, j);
    }
    return fits;
  }

 private:
  bool add(const uint8_t* before, const uint8_t* after, int64_t column) {
    const float value = bf16_to_float(load<uint16_t>(after + 2 * column)) - bf16_to_float(load<uint16_t>(before + 2 * column));
    if (count_ == most_ || !std::isfinite(value)) {
      return false;
    }
    entries_[count_++] = {static_cast<int32_t>(column), value};
    return true;
  }

  Change* entries_;
  int64_t most_;
  int64_t count_ = 0;
};

}  // namespace

Changes take_changes(Arena& arena, int64_t rows, int64_t columns) {
  const int64_t parts = (rows + kPartRows - 1) / kPartRows;
  Changes changes{rows, columns, nullptr, nullptr, nullptr};
  changes.begins = arena.take<int64_t>(rows);
  changes.ends = arena.take<int64_t>(rows);
  changes.entries = arena.take<Change>(parts * room_of_part(columns));
  return changes;
}

// Each part has its own room, so that the list does not depend on the number of threads.
bool find_changes(const tg_matrix& base, const tg_matrix& matrix, const Changes& changes) {
  const int64_t room = room_of_part(changes.columns);
  std::atomic<bool> found{true};
  in_parts((changes.rows + kPartRows - 1) / kPartRows, [&](int64_t part) {
    ChangeList list(changes.entries + part * room, room);
    for (int64_t row = part * kPartRows; row < std::min((part + 1) * kPartRows, changes.rows) && found; ++row) {
      changes.begins[row] = part * room + list.count();
      if (!list.add_row(element_address(base, row, 0), element_address(matrix, row, 0), changes.columns)) {
        found = false;
      }
      changes.ends[row] = part * room + list.count();
    }
  });
  return found;
}

double norm_bound(const Changes& changes, double* sums) {
  std::fill_n(sums, changes.columns, 0.0);
  double of_row = 0;
  double squares = 0;
  for (int64_t row = 0; row < changes.rows; ++row) {
    double sum = 0;
    for (int64_t i = changes.begins[row]; i < changes.ends[row]; ++i) {
      const double size = std::abs(static_cast<double>(changes.entries[i].value));
      sum += size;
      squares += size * size;
      sums[changes.entries[i].column] += size;
    }
    of_row = std::max(of_row, sum);
  }
  const double of_column = *std::max_element(sums, sums + changes.columns);
  return std::sqrt(std::min(of_row * of_column, squares));
}

void multiply_change_lanes_scalar(const Changes& changes, const ChangeVectors& vectors, int64_t first) {
  multiply_lanes(changes, vectors, first);
}

void multiply_changes(SimdLevel level, const Changes& changes, const ChangeVectors& vectors) {
  in_parts(vectors.width / kChangeLanes, [&](int64_t part) {
    TG_LANES_AT_LEVEL(level, multiply_change_lanes)(changes, vectors, part * kChangeLanes);
  });
}

}  // namespace threegate::svd
