// The entries of an operand as kernels read them. The counterpart on the CPU is cpu/support/operand.h.
#ifndef THREEGATE_CUDA_SUPPORT_ENTRIES_H
#define THREEGATE_CUDA_SUPPORT_ENTRIES_H

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "common/dtype.h"
#include "threegate/threegate.h"

#if defined(__CUDACC__) || defined(THREEGATE_HOST_EMULATION)
#include "instructions.h"
#endif

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
// Every format of 8 or 16 bits goes through float16 or the upper half of float32, for which devices have instructions. NaN stays
// NaN, and its bits are those of the device.
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
  __device__ static float widen(uint16_t code) { return widen_f16(code); }
  __device__ static void widen_word(uint32_t codes, float* values) { widen_two_f16(codes, values[0], values[1]); }
};
template <>
struct Format<TG_BF16> {
  using Code = uint16_t;
  using Value = float;
  __device__ static float widen(uint16_t code) { return bf16_to_float(code); }
  __device__ static void widen_word(uint32_t codes, float* values) {
    values[0] = bit_cast<float>(codes << 16);
    values[1] = bit_cast<float>(codes & 0xffff0000U);
  }
};

// An E4M3 code without the instruction that compute capability 8.0 lacks. As float32 the exponent is too small by 120, also that
// of subnormal numbers.
__device__ inline float widen_e4m3_by_bits(uint32_t code) {
  const uint32_t magnitude = code & 0x7fU;
  const float value = bit_cast<float>((code & 0x80U) << 24 | magnitude << 20) * 0x1p120F;
  return magnitude == 0x7fU ? bit_cast<float>(0x7fc00000U) : value;
}
template <>
struct Format<TG_F8_E4M3> {
  using Code = uint8_t;
  using Value = float;
  __device__ static float widen(uint8_t code) {
    float values[4];
    widen_word(code, values);
    return values[0];
  }
  __device__ static void widen_word(uint32_t codes, float* values) {
#if defined(THREEGATE_HOST_EMULATION) || (defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890)
    widen_two_f16(f16_of_two_e4m3(static_cast<uint16_t>(codes)), values[0], values[1]);
    widen_two_f16(f16_of_two_e4m3(static_cast<uint16_t>(codes >> 16)), values[2], values[3]);
#else
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      values[i] = widen_e4m3_by_bits(codes >> (8 * i) & 0xffU);
    }
#endif
  }
};
// The upper half of float16.
template <>
struct Format<TG_F8_E5M2> {
  using Code = uint8_t;
  using Value = float;
  __device__ static float widen(uint8_t code) { return widen_f16(static_cast<uint16_t>(code << 8)); }
  __device__ static void widen_word(uint32_t codes, float* values) {
    widen_two_f16(permuted_bytes(codes, 0, 0x1404), values[0], values[1]);
    widen_two_f16(permuted_bytes(codes, 0, 0x3424), values[2], values[3]);
  }
};

// Loads neighbouring entries if their address allows loads of 16 bytes, or of 8 for fewer. Returns false otherwise.
template <tg_dtype kDtype, size_t kCount>
__device__ inline bool load_aligned(const uint8_t* at, typename Format<kDtype>::Value (&values)[kCount]) {
  using Code = typename Format<kDtype>::Code;
  constexpr size_t kBytes = kCount * sizeof(Code);
  using Chunk = std::conditional_t<kBytes == 8, uint2, uint4>;
  if (reinterpret_cast<uintptr_t>(at) % sizeof(Chunk) != 0) {
    return false;
  }
  Chunk chunks[kBytes / sizeof(Chunk)];
#pragma unroll
  for (size_t i = 0; i < kBytes / sizeof(Chunk); ++i) {
    chunks[i] = reinterpret_cast<const Chunk*>(at)[i];
  }
  if constexpr (sizeof(Code) >= 4) {
    memcpy(values, chunks, kBytes);
  } else {
    constexpr size_t kOfWord = 4 / sizeof(Code);
    uint32_t words[kBytes / 4];
    memcpy(words, chunks, kBytes);
#pragma unroll
    for (size_t i = 0; i < kCount / kOfWord; ++i) {
      Format<kDtype>::widen_word(words[i], values + i * kOfWord);
    }
  }
  return true;
}

// The address of an entry.
__device__ inline const uint8_t* address_of(const Entries& entries, int64_t row, int64_t column) {
  return entries.data + (row * entries.row_stride + column) * element_bytes(entries.dtype);
}

// Loads the first `count` of kCount neighbouring entries of a plain operand. The others are 0.
template <tg_dtype kDtype, size_t kCount>
__device__ inline void load_group(const Entries& entries, int64_t row, int64_t column, int count,
                                  typename Format<kDtype>::Value (&values)[kCount]) {
  using Code = typename Format<kDtype>::Code;
  const uint8_t* at = entries.data + (row * entries.row_stride + column) * static_cast<int64_t>(sizeof(Code));
  if (count == static_cast<int>(kCount) && load_aligned<kDtype>(at, values)) {
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
    for (int j = 0; j < static_cast<int>(kCount); ++j) {
      values[j] = j == i ? value : values[j];
    }
  }
}

__device__ inline float load_float(const uint8_t* address, tg_dtype dtype) {
  switch (dtype) {
    case TG_F32:
      return load<float>(address);
    case TG_F16:
      return Format<TG_F16>::widen(load<uint16_t>(address));
    case TG_BF16:
      return Format<TG_BF16>::widen(load<uint16_t>(address));
    case TG_F8_E4M3:
      return Format<TG_F8_E4M3>::widen(*address);
    default:
      return Format<TG_F8_E5M2>::widen(*address);
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
  const uint8_t* at = address_of(entries, row, column);
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
