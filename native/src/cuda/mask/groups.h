// A walk over a matrix in groups of eight columns. The bits of a group are one byte of a mask, so that a thread reads 16 bytes of
// bf16 numbers, and reads or writes masks without a shuffle or an atomic operation.
#ifndef THREEGATE_CUDA_MASK_GROUPS_H
#define THREEGATE_CUDA_MASK_GROUPS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/support/entries.h"
#include "steps.h"

namespace threegate::cuda {

constexpr int kGroup = 8;
constexpr int64_t kGroupsOfWord = 8;

// How the entries of a matrix can be read.
enum class Access : int32_t { kVectors, kElements, kBytes };

constexpr int kWithTerms = -1;  // in place of a dtype: entries that are sums of several operands

template <int kDtype>
struct Kind {
  static constexpr int kValue = kDtype;
};

// A unit is a rectangle of groups, one of each thread of a block.
struct Walk {
  Steps steps;
  int64_t rows;
  int64_t columns;
  int64_t words;        // of a row of a mask
  int32_t across_bits;  // a unit has 2^across_bits groups side by side
  Access access;
};

namespace {

inline Access access_of(const Entries& entries) {
  const int64_t size = element_bytes(entries.dtype);
  const auto at = static_cast<int64_t>(reinterpret_cast<uintptr_t>(entries.data));
  constexpr int64_t kVectorBytes = 16;
  const int64_t vector = size == 1 ? kGroup : kVectorBytes;
  if (at % vector == 0 && entries.row_stride * size % vector == 0) {
    return Access::kVectors;
  }
  return at % size == 0 ? Access::kElements : Access::kBytes;
}

// Calls body(Kind) with the dtype that a kernel is compiled for. Positions in the blocks of scales must have 32 bits.
template <typename Body>
cudaError_t with_kind(const Entries& entries, int64_t rows, int64_t columns, Body body) {
  constexpr int64_t kMost = int64_t{1} << 31;
  const bool scaled = entries.block_scale != nullptr;
  const bool large = rows >= kMost || columns >= kMost || entries.block_rows >= kMost || entries.block_columns >= kMost;
  if (entries.term_count > 0 || (scaled && (large || entries.dtype == TG_F64))) {
    return body(Kind<kWithTerms>{});
  }
  switch (entries.dtype) {
    case TG_F64:
      return body(Kind<TG_F64>{});
    case TG_F32:
      return body(Kind<TG_F32>{});
    case TG_F16:
      return body(Kind<TG_F16>{});
    case TG_BF16:
      return body(Kind<TG_BF16>{});
    case TG_F8_E4M3:
      return body(Kind<TG_F8_E4M3>{});
    default:
      return body(Kind<TG_F8_E5M2>{});
  }
}

// The walk of `blocks` blocks. Reduces `blocks` to the number that has work.
inline Walk make_walk(const Entries& entries, int64_t rows, int64_t columns, int threads, int64_t& blocks) {
  Walk walk{};
  walk.rows = rows;
  walk.columns = columns;
  walk.words = (columns + 63) / 64;
  walk.access = access_of(entries);
  const int64_t groups = walk.words * kGroupsOfWord;
  while ((int64_t{1} << walk.across_bits) < groups && (1 << walk.across_bits) < threads) {
    ++walk.across_bits;
  }
  const int64_t down = threads >> walk.across_bits;
  walk.steps = make_steps(quotient(rows, down), quotient(groups, int64_t{1} << walk.across_bits), blocks);
  return walk;
}

#if defined(__CUDACC__) || defined(THREEGATE_HOST_EMULATION)

// Calls body(row, group) for each group of a row of a mask that a block visits, and after_unit() in all threads.
template <int kThreads, typename Body, typename AfterUnit>
__device__ void for_groups(const Walk& walk, uint32_t block, Body body, AfterUnit after_unit) {
  const uint32_t x = threadIdx.x & ((1U << walk.across_bits) - 1);
  const uint32_t y = threadIdx.x >> walk.across_bits;
  const int64_t groups = walk.words * kGroupsOfWord;
  for_units(walk.steps, block, [&](int64_t down, uint32_t across) {
    const int64_t row = down * (kThreads >> walk.across_bits) + y;
    const int64_t group = (static_cast<int64_t>(across) << walk.across_bits) + x;
    if (row < walk.rows && group < groups) {
      body(row, group);
    }
    after_unit();
  });
}

template <int kDtype>
struct Stored {
  using Type = uint8_t;
};
template <>
struct Stored<TG_F64> {
  using Type = uint64_t;
};
template <>
struct Stored<TG_F32> {
  using Type = uint32_t;
};
template <>
struct Stored<TG_F16> {
  using Type = uint16_t;
};
template <>
struct Stored<TG_BF16> {
  using Type = uint16_t;
};

// The number of columns of a group that the matrix has.
__device__ inline int columns_of_group(const Walk& walk, int64_t group) {
  const int64_t left = walk.columns - group * kGroup;
  return left >= kGroup ? kGroup : left > 0 ? static_cast<int>(left) : 0;
}

// Reads the codes of a group. Those beyond the matrix become 0.
template <typename T>
__device__ inline void load_group(const Entries& entries, Access access, int64_t row, int64_t column, int count,
                                  T (&codes)[kGroup]) {
  const uint8_t* at = entries.data + (row * entries.row_stride + column) * static_cast<int64_t>(sizeof(T));
  if (access == Access::kVectors && count == kGroup) {
    constexpr int kEach = sizeof(T) < 4 ? 4 / static_cast<int>(sizeof(T)) : 1;  // codes of a 32-bit word
    constexpr int kWordsOfCode = sizeof(T) > 4 ? 2 : 1;
    constexpr int kWords = kGroup / kEach * kWordsOfCode;
    uint32_t words[static_cast<size_t>(kWords)];
    if constexpr (sizeof(T) == 1) {
      const auto both = *reinterpret_cast<const uint2*>(at);
      words[0] = both.x;
      words[1] = both.y;
    } else {
#pragma unroll
      for (int i = 0; i < kWords; i += 4) {
        const uint4 four = *reinterpret_cast<const uint4*>(at + 4 * i);
        words[i] = four.x;
        words[i + 1] = four.y;
        words[i + 2] = four.z;
        words[i + 3] = four.w;
      }
    }
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      if constexpr (kWordsOfCode == 2) {
        codes[i] = words[2 * i] | static_cast<T>(words[2 * i + 1]) << 32;
      } else {
        codes[i] = static_cast<T>(words[i / kEach] >> (i % kEach * 8 * static_cast<int>(sizeof(T))));
      }
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kGroup; ++i) {
    codes[i] = 0;
    if (i < count) {
      const uint8_t* own = at + i * static_cast<int64_t>(sizeof(T));
      codes[i] = access == Access::kBytes ? load<T>(own) : *reinterpret_cast<const T*>(own);
    }
  }
}

// Entries have the type that holds them exactly.
template <int kDtype>
struct ValueOf {
  using Type = float;
};
template <>
struct ValueOf<TG_F64> {
  using Type = double;
};
template <>
struct ValueOf<kWithTerms> {
  using Type = double;
};

template <int kDtype, typename T>
__device__ inline typename ValueOf<kDtype>::Type widen(T code) {
  if constexpr (kDtype == TG_F64) {
    return bit_cast<double>(code);
  } else if constexpr (kDtype == TG_F32) {
    return bit_cast<float>(code);
  } else if constexpr (kDtype == TG_F16) {
    return f16_to_float(code);
  } else if constexpr (kDtype == TG_BF16) {
    return bf16_to_float(code);
  } else if constexpr (kDtype == TG_F8_E4M3) {
    return f8_e4m3_to_float(code);
  } else {
    return f8_e5m2_to_float(code);
  }
}

// The entries of a group of columns, and 0 beyond the matrix. Scales of blocks are found with two 32-bit divisions a group.
template <int kDtype>
__device__ void load_values(const Entries& entries, Access access, int64_t row, int64_t column, int count,
                            typename ValueOf<kDtype>::Type (&values)[kGroup]) {
  if constexpr (kDtype == kWithTerms) {
#pragma unroll 1
    for (int i = 0; i < kGroup; ++i) {
      values[i] = i < count ? entry(entries, row, column + i) : 0;
    }
  } else {
    typename Stored<kDtype>::Type codes[kGroup];
    load_group(entries, access, row, column, count, codes);
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      values[i] = widen<kDtype>(codes[i]);
    }
    if (kDtype == TG_F64 || entries.block_scale == nullptr) {
      return;
    }
    const auto block_columns = static_cast<uint32_t>(entries.block_columns);
    const float* scale = entries.block_scale +
                         static_cast<uint32_t>(row) / static_cast<uint32_t>(entries.block_rows) * entries.scale_stride +
                         static_cast<uint32_t>(column) / block_columns;
    uint32_t in_block = static_cast<uint32_t>(column) % block_columns;
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      values[i] *= i < count ? *scale : 0;
      if (++in_block == block_columns) {
        in_block = 0;
        ++scale;
      }
    }
  }
}

#endif

}  // namespace
}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_GROUPS_H
