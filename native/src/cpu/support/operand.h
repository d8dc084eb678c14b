// Reading the entries of an operand as float or double, one run of a row at a time. Everything has internal linkage, for the
// reason in dtype.h.
#ifndef THREEGATE_CPU_SUPPORT_OPERAND_H
#define THREEGATE_CPU_SUPPORT_OPERAND_H

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/dtype.h"
#include "threegate/threegate.h"

namespace threegate {
namespace {

constexpr int64_t kRun = 512;  // entries of a run, a multiple of 64

inline int64_t element_bytes(tg_dtype dtype) {
  switch (dtype) {
    case TG_F64:
      return 8;
    case TG_F32:
      return 4;
    case TG_F16:
    case TG_BF16:
      return 2;
    default:
      return 1;
  }
}

inline const uint8_t* element_address(const tg_matrix& matrix, int64_t row, int64_t column) {
  return static_cast<const uint8_t*>(matrix.data) + (row * matrix.row_stride + column) * element_bytes(matrix.dtype);
}

template <typename T>
T load(const uint8_t* address) {
  T value;
  std::memcpy(&value, address, sizeof(T));
  return value;
}

// Returns whether the entries are computed in float64. If not, float32 holds them exactly.
inline bool is_double(const tg_operand& operand) { return operand.values.dtype == TG_F64 || operand.low_rank_count > 0; }

inline bool is_plain(const tg_operand& operand) { return operand.block_scale.data == nullptr && operand.low_rank_count == 0; }

// Widens `count` entries to float. `convert16` converts a run of F16 codes.
template <typename ConvertF16>
void widen(const tg_matrix& matrix, int64_t row, int64_t column, int64_t count, float* out, ConvertF16 convert16) {
  const uint8_t* in = element_address(matrix, row, column);
  switch (matrix.dtype) {
    case TG_F32:
      std::memcpy(out, in, static_cast<size_t>(count) * sizeof(float));
      break;
    case TG_BF16:
      for (int64_t i = 0; i < count; ++i) {
        out[i] = bf16_to_float(load<uint16_t>(in + 2 * i));
      }
      break;
    case TG_F16:
      convert16(in, count, out);
      break;
    case TG_F8_E4M3:
      for (int64_t i = 0; i < count; ++i) {
        out[i] = f8_e4m3_to_float(in[i]);
      }
      break;
    default:
      for (int64_t i = 0; i < count; ++i) {
        out[i] = f8_e5m2_to_float(in[i]);
      }
      break;
  }
}

// The conversion of F16 codes without special instructions.
inline void convert_f16_plain(const uint8_t* in, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = f16_to_float(load<uint16_t>(in + 2 * i));
  }
}

// Multiplies a run by the scales of its blocks, in float32, as the frameworks that read such checkpoints do.
inline void apply_block_scale(const tg_operand& operand, int64_t row, int64_t column, int64_t count, float* out) {
  const int64_t scale_row = row / operand.block_rows;
  for (int64_t i = 0; i < count;) {
    const int64_t block = (column + i) / operand.block_columns;
    const int64_t end = std::min(count, (block + 1) * operand.block_columns - column);
    const auto scale = load<float>(element_address(operand.block_scale, scale_row, block));
    for (; i < end; ++i) {
      out[i] *= scale;
    }
  }
}

inline double load_double(const tg_matrix& matrix, int64_t row, int64_t column) {
  const uint8_t* in = element_address(matrix, row, column);
  switch (matrix.dtype) {
    case TG_F64:
      return load<double>(in);
    case TG_F32:
      return load<float>(in);
    case TG_F16:
      return f16_to_float(load<uint16_t>(in));
    case TG_BF16:
      return bf16_to_float(load<uint16_t>(in));
    case TG_F8_E4M3:
      return f8_e4m3_to_float(*in);
    default:
      return f8_e5m2_to_float(*in);
  }
}

// Reads a run as float32. It is exact unless is_double().
template <typename ConvertF16>
void stage_float(const tg_operand& operand, int64_t row, int64_t column, int64_t count, float* out, ConvertF16 convert16) {
  widen(operand.values, row, column, count, out, convert16);
  if (operand.block_scale.data != nullptr) {
    apply_block_scale(operand, row, column, count, out);
  }
}

// Reads a run as float64: values * scale + sum of scale * left * right, with the terms in the given order.
template <typename ConvertF16>
void stage_double(const tg_operand& operand, int64_t row, int64_t column, int64_t count, double* out, ConvertF16 convert16) {
  if (operand.values.dtype == TG_F64) {
    std::memcpy(out, element_address(operand.values, row, column), static_cast<size_t>(count) * sizeof(double));
  } else {
    float narrow[kRun];
    stage_float(operand, row, column, count, narrow, convert16);
    for (int64_t i = 0; i < count; ++i) {
      out[i] = narrow[i];
    }
  }
  for (int64_t term = 0; term < operand.low_rank_count; ++term) {
    const tg_low_rank& product = operand.low_rank[term];
    for (int64_t k = 0; k < product.left.columns; ++k) {
      const double factor = product.scale * load_double(product.left, row, k);
      if (product.right.dtype == TG_F64) {
        const uint8_t* in = element_address(product.right, k, column);
        for (int64_t i = 0; i < count; ++i) {
          out[i] += factor * load<double>(in + 8 * i);
        }
      } else {
        float narrow[kRun];
        widen(product.right, k, column, count, narrow, convert16);
        for (int64_t i = 0; i < count; ++i) {
          out[i] += factor * static_cast<double>(narrow[i]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_OPERAND_H
