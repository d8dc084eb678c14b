// Scores of one tile at a time: they are recomputed where they are needed and never stored as a whole.
#ifndef THREEGATE_CPU_MASK_SCORES_H
#define THREEGATE_CPU_MASK_SCORES_H

#include <cstdint>

#include "cpu/support/arena.h"
#include "threegate/threegate.h"
#include "tiles.h"

namespace threegate::mask {

int64_t rows_of(const tg_mask_scores& scores);
int64_t columns_of(const tg_mask_scores& scores);

constexpr int64_t kTileRows = 64;
constexpr int64_t kTileColumns = 2048;  // a tile of float64 scores takes 1 MiB and fits the second-level cache
// Scores of a matrix with at most as many entries are stored and selected at once, because the counters of digits would cost
// more.
constexpr int64_t kFewEntries = int64_t{1} << 15;
constexpr int kDigitBits = 16;
constexpr int64_t kDigits = int64_t{1} << kDigitBits;
constexpr uint64_t kInfinity = 0x7ff0000000000000ULL;

bool has_few_entries(const tg_mask_scores& scores);

// The memory of one thread.
struct Scratch {
  Scratch(Arena& arena, const tg_mask_scores& scores);
  uint64_t* keys;    // the scores of a tile as keys; with few entries, all scores
  double* factor;    // rank x rows of the tile: the singular values times the left vectors
  int64_t* digits;   // the counts of one digit of the keys; with few entries, nothing
  uint64_t* sorted;  // with few entries, room for as many keys
};

// Computes the scores of a tile into `scratch.keys`, as the bits of their absolute values. These keys are ordered as the scores
// are. The tile is passed by value, so that loops of the caller over the tile need not expect it to change.
void fill_keys(const tg_mask_scores& scores, Tile tile, const Scratch& scratch);

}  // namespace threegate::mask

#endif  // THREEGATE_CPU_MASK_SCORES_H
