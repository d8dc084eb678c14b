#include "coded.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "common/dtype.h"

namespace threegate::diff {
namespace {

constexpr float kOne = 1;

// The numbers of all codes of a float8 dtype.
const float* float8_table(tg_dtype dtype) {
  static const auto e4m3 = [] {
    std::array<float, 256> table{};
    for (uint32_t code = 0; code < 256; ++code) {
      table[code] = f8_e4m3_to_float(static_cast<uint8_t>(code));
    }
    return table;
  }();
  static const auto e5m2 = [] {
    std::array<float, 256> table{};
    for (uint32_t code = 0; code < 256; ++code) {
      table[code] = f8_e5m2_to_float(static_cast<uint8_t>(code));
    }
    return table;
  }();
  return dtype == TG_F8_E4M3 ? e4m3.data() : e5m2.data();
}

bool same_floats(const float* a, const float* b, size_t count) { return std::memcmp(a, b, count * sizeof(float)) == 0; }

// Returns whether a table has the numbers of another one. Every NaN is the same.
bool has_numbers(const float* table, const float* numbers) {
  for (int code = 0; code < 256; ++code) {
    if (table[code] != numbers[code] && !(std::isnan(table[code]) && std::isnan(numbers[code]))) {
      return false;
    }
  }
  return true;
}

// The operand as codes, if it is one.
bool read_codes(const tg_operand& operand, tg_codes& codes) {
  const tg_matrix& values = operand.values;
  if (values.dtype == TG_CODES) {
    codes = *static_cast<const tg_codes*>(values.data);
    return true;
  }
  if ((values.dtype != TG_F8_E4M3 && values.dtype != TG_F8_E5M2) || operand.low_rank_count > 0) {
    return false;
  }
  codes = {};
  codes.codes = values.data;
  codes.rows = values.rows;
  codes.columns = values.columns;
  codes.stride = values.row_stride;
  codes.bits = 8;
  codes.order = TG_CODES_LOW_FIRST;
  codes.table = float8_table(values.dtype);
  const bool scaled = operand.block_scale.data != nullptr;
  codes.scales = scaled ? static_cast<const float*>(operand.block_scale.data) : &kOne;
  codes.scale_stride = scaled ? operand.block_scale.row_stride : 0;
  codes.scale_rows = scaled ? operand.block_rows : INT64_MAX;
  codes.group_columns = scaled ? operand.block_columns : INT64_MAX;
  codes.groups = scaled ? operand.block_scale.columns : 1;
  // Scales of any alignment are read by the other implementation.
  return reinterpret_cast<uintptr_t>(codes.scales) % alignof(float) == 0;
}

bool same_groups(const tg_codes& a, const tg_codes& b) {
  if ((a.group_of == nullptr) != (b.group_of == nullptr) || a.scale_rows != b.scale_rows ||
      (a.zeros == nullptr) != (b.zeros == nullptr)) {
    return false;
  }
  if (a.group_of == nullptr) {
    return a.group_columns == b.group_columns;
  }
  return std::equal(a.group_of, a.group_of + a.columns, b.group_of);
}

// The matrix whose rows are the columns of codes in the order TG_CODES_ACROSS.
void transpose(tg_codes& codes) {
  std::swap(codes.rows, codes.columns);
  std::swap(codes.scale_rows, codes.group_columns);
  codes.order = TG_CODES_LOW_FIRST;
}

// Finds small integers k and a unit with table = k * unit.
bool find_multiples(CodedPair& pair) {
  for (const float unit : {1.0F, 0.5F}) {
    bool fits = true;
    for (int code = 0; code < 16; ++code) {
      const float multiple = pair.base.table[code] / unit;
      fits = fits && std::abs(multiple) <= 15 && std::rint(multiple) == multiple;
      pair.multiples[code] = fits ? static_cast<int8_t>(multiple) : int8_t{0};
    }
    if (fits) {
      pair.unit = unit;
      return true;
    }
  }
  return false;
}

CodeNumbers numbers_of(CodedPair& pair) {
  if (pair.base.bits == 4) {
    return find_multiples(pair) ? CodeNumbers::kMultiples : CodeNumbers::kAny;
  }
  bool integers = true;
  for (int code = 0; code < 256; ++code) {
    integers = integers && pair.base.table[code] == static_cast<float>(static_cast<int8_t>(code));
  }
  return integers                                                 ? CodeNumbers::kIntegers
         : has_numbers(pair.base.table, float8_table(TG_F8_E4M3)) ? CodeNumbers::kE4m3
         : has_numbers(pair.base.table, float8_table(TG_F8_E5M2)) ? CodeNumbers::kE5m2
                                                                  : CodeNumbers::kAny;
}

}  // namespace

bool is_tall(const tg_operand& operand) {
  return operand.values.dtype == TG_CODES && static_cast<const tg_codes*>(operand.values.data)->order >= TG_CODES_DOWN;
}

bool is_coded(const tg_operand& operand) {
  tg_codes codes{};
  return read_codes(operand, codes);
}

std::unique_ptr<CodedPair> make_coded_pair(const tg_operand& base, const tg_operand& tuned) {
  auto pair = std::make_unique<CodedPair>();
  tg_codes& a = pair->base;
  tg_codes& b = pair->tuned;
  if (!read_codes(base, a) || !read_codes(tuned, b) || a.rows == 0 || a.columns == 0 || a.bits != b.bits || a.order != b.order ||
      a.first_row != 0 || b.first_row != 0 || !same_floats(a.table, b.table, size_t{1} << a.bits) || !same_groups(a, b)) {
    return nullptr;
  }
  if (a.order == TG_CODES_DOWN || a.order == TG_CODES_AWQ) {
    if (a.scale_rows != 1) {
      return nullptr;
    }
    pair->lines = a.order == TG_CODES_DOWN ? CodeLines::kDown : CodeLines::kAwq;
  } else if (a.group_of != nullptr) {
    return nullptr;
  } else if (a.order == TG_CODES_ACROSS) {
    transpose(a);
    transpose(b);
    pair->lines = CodeLines::kColumns;
  } else {
    pair->lines = CodeLines::kRows;
  }
  pair->numbers = numbers_of(*pair);
  return pair;
}

}  // namespace threegate::diff
