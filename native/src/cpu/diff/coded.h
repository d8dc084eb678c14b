// Comparison of quantised weights by their codes. Where codes and scales of both sides are equal, nothing differs, and only the
// sum of squares of the base is computed, from the codes. Only entries that differ are decoded.
#ifndef THREEGATE_CPU_DIFF_CODED_H
#define THREEGATE_CPU_DIFF_CODED_H

#include <cstdint>
#include <memory>

#include "block.h"

namespace threegate::diff {

// What a line of contiguous codes holds.
enum class CodeLines {
  kRows,     // the entries of a row
  kColumns,  // the entries of a column; the codes below are those of the transposed matrix
  kDown,     // words of eight columns of each row
  kAwq,      // the entries of a column, eight rows in a word in AWQ's order
};

// What the numbers of codes are, which decides how they are squared.
enum class CodeNumbers {
  kAny,
  kMultiples,  // of four bits: small integers times a unit
  kIntegers,   // of eight bits: signed integers
  kE4m3,
  kE5m2,
};

// Two matrices with codes in the same places, which stand for the same numbers in the same groups.
struct CodedPair {
  tg_codes base;
  tg_codes tuned;
  CodeLines lines;
  CodeNumbers numbers;
  int8_t multiples[16];  // of `unit`
  float unit;
};

// Counts of changed entries in cells of the map, for a block that may lie in several rows of it.
struct BlockCells {
  const uint32_t* of_rows;     // the first cell of each row of the block
  const uint32_t* of_columns;  // what each column adds to it
  uint32_t* counts;
};

// A block with lines across rows. Its rows are a multiple of a word, and its columns one of the words of the mask.
constexpr int64_t kTallRows = 2048;
constexpr int64_t kTallColumns = 128;

// Returns whether lines of the codes hold entries of several rows, so that tall blocks read longer runs of them.
bool is_tall(const tg_operand& operand);

// Returns whether an operand may be compared by its codes. Its blocks may then lie in several rows of the map, so that they do
// not become small.
bool is_coded(const tg_operand& operand);

// Returns the pair of codes, or nullptr if the operands must be decoded to be compared.
std::unique_ptr<CodedPair> make_coded_pair(const tg_operand& base, const tg_operand& tuned);

// As a BlockFunction. `cells` may be nullptr. Also returns false if so many entries differ that it is faster to decode all.
using CodedFunction = bool (*)(const CodedPair& pair, const BlockInput& input, const BlockCells* cells, BlockResult& result);

bool block_coded_avx2(const CodedPair& pair, const BlockInput& input, const BlockCells* cells, BlockResult& result);
bool block_coded_avx512(const CodedPair& pair, const BlockInput& input, const BlockCells* cells, BlockResult& result);

}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_CODED_H
