// The entries of an operand as kernels read them. The counterpart on the CPU is cpu/support/operand.h.
#ifndef THREEGATE_CUDA_SUPPORT_ENTRIES_H
#define THREEGATE_CUDA_SUPPORT_ENTRIES_H

#include <cuda_runtime.h>

#include <cstdint>

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
  const float* block_scale;  // nullptr if there is none
  int64_t scale_stride;
  int64_t block_rows;
  int64_t block_columns;
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

// The address may have any alignment.
template <typename T>
__device__ inline T load(const uint8_t* address) {
  T value;
  memcpy(&value, address, sizeof(T));
  return value;
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

// Computes an entry with the roundings of the CPU: scaled in float32, and terms added one product after the other in float64.
__device__ inline double entry(const Entries& entries, int64_t row, int64_t column) {
  const uint8_t* at = entries.data + (row * entries.row_stride + column) * element_bytes(entries.dtype);
  const int64_t i = entries.first_row + row;
  const int64_t j = entries.first_column + column;
  double value;
  if (entries.block_scale != nullptr) {
    value = static_cast<double>(load_float(at, entries.dtype) *
                                entries.block_scale[i / entries.block_rows * entries.scale_stride + j / entries.block_columns]);
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
