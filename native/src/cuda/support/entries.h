// The entries of an operand as kernels read them. The counterpart on the CPU is cpu/support/operand.h.
#ifndef THREEGATE_CUDA_SUPPORT_ENTRIES_H
#define THREEGATE_CUDA_SUPPORT_ENTRIES_H

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "common/dtype.h"
#include "threegate/threegate.h"

namespace threegate::cuda {

struct Term {
  const uint8_t* left;
  const uint8_t* right;
  int64_t left_stride;
  int64_t right_stride;
  int64_t rank;
  double scale;
  tg_dtype left_dtype;
  tg_dtype right_dtype;
};

// A rectangle of an operand whose first entry is `data`. Scales and terms are those of the whole operand.
struct Entries {
  const uint8_t* data;
  int64_t row_stride;  // in elements
  int64_t first_row;   // position of the rectangle in the operand
  int64_t first_column;
  const uint8_t* block_scale;  // float32 numbers, or nullptr if there are none
  int64_t scale_stride;
  int64_t block_rows;
  int64_t block_columns;
  double rows_reciprocal;  // 1 / block_rows
  double columns_reciprocal;
  const Term* terms;
  int32_t term_count;
  tg_dtype dtype;
};

namespace {

TG_HOST_DEVICE inline int64_t element_bytes(tg_dtype dtype) {
  return dtype == TG_F64 ? 8 : dtype == TG_F32 ? 4 : dtype == TG_F16 || dtype == TG_BF16 ? 2 : 1;
}

inline bool is_plain(const tg_operand& operand) { return operand.block_scale.data == nullptr && operand.low_rank_count == 0; }

#if defined(__CUDACC__) || defined(THREEGATE_HOST_EMULATION)

// The address may have any alignment. It is nearly always aligned.
template <typename T>
__device__ inline T load(const uint8_t* address) {
  if (reinterpret_cast<uintptr_t>(address) % sizeof(T) == 0) {
    return *reinterpret_cast<const T*>(address);
  }
  // Byte by byte. The compiler would merge a copy of all bytes with the load above, and make bytes of both.
  using Bits = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  Bits bits = 0;
#pragma unroll
  for (size_t i = 0; i < sizeof(T); ++i) {
    bits |= static_cast<Bits>(address[i]) << (8 * i);
  }
  T value;
  memcpy(&value, &bits, sizeof(T));
  return value;
}

// A dtype that the compiler knows: the type of its codes, and that of its numbers, to which all of its codes are widened exactly.
template <tg_dtype kDtype>
struct Format;
template <>
struct Format<TG_F64> {
  using Code = double;
  using Value = double;
  __device__ static double widen(double code) { return code; }
};
template <>
struct Format<TG_F32> {
  using Code = float;
  using Value = float;
  __device__ static float widen(float code) { return code; }
};
template <>
struct Format<TG_F16> {
  using Code = uint16_t;
  using Value = float;
  __device__ static float widen(uint16_t code) { return f16_to_float(code); }
};
template <>
struct Format<TG_BF16> {
  using Code = uint16_t;
  using Value = float;
  __device__ static float widen(uint16_t code) { return bf16_to_float(code); }
};
template <>
struct Format<TG_F8_E4M3> {
  using Code = uint8_t;
  using Value = float;
  __device__ static float widen(uint8_t code) { return f8_e4m3_to_float(code); }
};
template <>
struct Format<TG_F8_E5M2> {
  using Code = uint8_t;
  using Value = float;
  __device__ static float widen(uint8_t code) { return f8_e5m2_to_float(code); }
};

constexpr int kGroup = 8;  // neighbouring entries of a row that a thread reads together

// Loads the first `count` of kGroup neighbouring entries of a plain operand. The others are 0. The loads are as wide as the
// address is aligned: 16 bytes for most operands.
template <tg_dtype kDtype>
__device__ inline void load_group(const Entries& entries, int64_t row, int64_t column, int count,
                                  typename Format<kDtype>::Value (&values)[kGroup]) {
  using Code = typename Format<kDtype>::Code;
  constexpr size_t kBytes = kGroup * sizeof(Code);
  using Word = std::conditional_t<kBytes == 8, uint2, uint4>;
  const uint8_t* at = entries.data + (row * entries.row_stride + column) * static_cast<int64_t>(sizeof(Code));
  if (count == kGroup && reinterpret_cast<uintptr_t>(at) % sizeof(Word) == 0) {
    Word words[kBytes / sizeof(Word)];
#pragma unroll
    for (size_t i = 0; i < kBytes / sizeof(Word); ++i) {
      words[i] = reinterpret_cast<const Word*>(at)[i];
    }
    Code codes[kGroup];
    memcpy(codes, words, kBytes);
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      values[i] = Format<kDtype>::widen(codes[i]);
    }
    return;
  }
#pragma unroll
  for (auto& value : values) {
    value = 0;
  }
#pragma unroll 1
  for (int i = 0; i < count; ++i) {
    const auto value = Format<kDtype>::widen(load<Code>(at + i * static_cast<int64_t>(sizeof(Code))));
    // Constant indices keep the values in registers.
#pragma unroll
    for (int j = 0; j < kGroup; ++j) {
      values[j] = j == i ? value : values[j];
    }
  }
}

__device__ inline float load_float(const uint8_t* address, tg_dtype dtype) {
  switch (dtype) {
    case TG_F32:
      return load<float>(address);
    case TG_F16:
      return f16_to_float(load<uint16_t>(address));
    case TG_BF16:
      return bf16_to_float(load<uint16_t>(address));
    case TG_F8_E4M3:
      return f8_e4m3_to_float(*address);
    default:
      return f8_e5m2_to_float(*address);
  }
}

__device__ inline double load_double(const uint8_t* address, tg_dtype dtype) {
  return dtype == TG_F64 ? load<double>(address) : static_cast<double>(load_float(address, dtype));
}

// index / divisor for indices below 2^52, without a division of 64-bit integers, which is a call.
__device__ inline int64_t block_of(int64_t index, int64_t divisor, double reciprocal) {
  const auto near = static_cast<int64_t>(static_cast<double>(index) * reciprocal);
  const int64_t rest = index - near * divisor;
  return near + static_cast<int64_t>(rest >= divisor) - static_cast<int64_t>(rest < 0);
}

// Computes an entry with the roundings of the CPU: scaled in float32, and terms added one product after the other in float64.
__device__ inline double entry(const Entries& entries, int64_t row, int64_t column) {
  const uint8_t* at = entries.data + (row * entries.row_stride + column) * element_bytes(entries.dtype);
  const int64_t i = entries.first_row + row;
  const int64_t j = entries.first_column + column;
  double value;
  if (entries.block_scale != nullptr) {
    const int64_t block = block_of(i, entries.block_rows, entries.rows_reciprocal) * entries.scale_stride +
                          block_of(j, entries.block_columns, entries.columns_reciprocal);
    value = static_cast<double>(load_float(at, entries.dtype) * load<float>(entries.block_scale + 4 * block));
  } else {
    value = load_double(at, entries.dtype);
  }
  for (int32_t t = 0; t < entries.term_count; ++t) {
    const Term& term = entries.terms[t];
    for (int64_t k = 0; k < term.rank; ++k) {
      const double left = load_double(term.left + (i * term.left_stride + k) * element_bytes(term.left_dtype), term.left_dtype);
      const double right =
          load_double(term.right + (k * term.right_stride + j) * element_bytes(term.right_dtype), term.right_dtype);
      value = __dadd_rn(value, __dmul_rn(__dmul_rn(term.scale, left), right));
    }
  }
  return value;
}

__device__ inline bool is_plain_bf16(const Entries& entries) {
  return entries.dtype == TG_BF16 && entries.block_scale == nullptr && entries.term_count == 0;
}

// The bf16 code of an entry: the stored one, or that of the rounded value.
__device__ inline uint16_t entry_code(const Entries& entries, int64_t row, int64_t column, double value) {
  return is_plain_bf16(entries) ? load<uint16_t>(entries.data + (row * entries.row_stride + column) * 2) : double_to_bf16(value);
}

#endif

}  // namespace
}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SUPPORT_ENTRIES_H
