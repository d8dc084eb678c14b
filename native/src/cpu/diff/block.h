// One block of a comparison: the unit of work of a thread, and of the fixed order of summation.
#ifndef THREEGATE_CPU_DIFF_BLOCK_H
#define THREEGATE_CPU_DIFF_BLOCK_H

#include <cstdint>

#include "threegate/threegate.h"

namespace threegate::diff {

constexpr int64_t kBlockColumns = 8192;      // a multiple of 64, so that blocks share no word of the mask
constexpr int64_t kBlockRows = 4096;         // below 65536, so that 16-bit column counters cannot overflow
constexpr int64_t kBlockElements = 1 << 18;  // about 1 MiB of bf16 input per block

// A matrix that holds the entries of a block, and the place of its first entry there.
struct BlockSide {
  const tg_operand* operand;
  int64_t row;
  int64_t column;
};

// A rectangle of the two matrices. `columns` <= kBlockColumns and `rows` <= kBlockRows.
struct BlockInput {
  BlockSide base;
  BlockSide tuned;
  int64_t row;
  int64_t rows;
  int64_t column;
  int64_t columns;
  uint64_t* mask;       // first word of the mask of the matrix, or nullptr
  int64_t mask_stride;  // words per row
};

struct BlockResult {
  int64_t changed = 0;
  int64_t changed_bits = 0;
  int64_t changed_stored = 0;
  int64_t hidden = 0;
  int64_t non_finite = 0;
  int64_t sign_flips = 0;
  int64_t ulp_histogram[TG_ULP_BINS] = {};  // bin 0 stays 0, because it follows from the others
  double base_squares = 0;
  double delta_squares = 0;
  double delta_dot_base = 0;
  double max_abs_delta = 0;
  uint32_t row_changed[kBlockRows];
  alignas(64) uint16_t column_changed[kBlockColumns + 64];  // the margin allows whole vectors at the end

  void clear(int64_t rows, int64_t columns);
};

// Every implementation fills all of `result` and the block's part of the mask. The SIMD implementations return false if a sum is
// not finite, and both outputs are then undefined. The caller runs the scalar implementation instead, which handles entries that
// are not finite.
using BlockFunction = bool (*)(const BlockInput& input, BlockResult& result);

// For all dtypes and operands.
bool block_scalar(const BlockInput& input, BlockResult& result);
bool block_wide_avx2(const BlockInput& input, BlockResult& result);
bool block_wide_avx512(const BlockInput& input, BlockResult& result);
bool block_wide_neon(const BlockInput& input, BlockResult& result);

// For plain bf16 on both sides.
bool block_bf16_avx2(const BlockInput& input, BlockResult& result);
bool block_bf16_avx512(const BlockInput& input, BlockResult& result);
bool block_bf16_neon(const BlockInput& input, BlockResult& result);

// What is done with the counts of the columns of a block.
struct ColumnCounts {
  void (*add)(const uint16_t* counts, int64_t size, int64_t* to);
  int64_t (*sum)(const uint16_t* counts, int64_t size);
};
extern const ColumnCounts kColumnCounts_scalar;
extern const ColumnCounts kColumnCounts_avx2;
extern const ColumnCounts kColumnCounts_avx512;
extern const ColumnCounts kColumnCounts_neon;

}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_BLOCK_H
