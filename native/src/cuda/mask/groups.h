// A walk over a matrix in groups of eight columns. The bits of a group are one byte of a mask, so that a thread reads 16 bytes of
// bf16 numbers, and reads or writes masks without a shuffle or an atomic operation.
#ifndef THREEGATE_CUDA_MASK_GROUPS_H
#define THREEGATE_CUDA_MASK_GROUPS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/support/entries.h"
#include "steps.h"

namespace threegate::cuda {

constexpr int64_t kGroupsOfWord = 8;

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
};

namespace {

// Calls body(Kind) with the dtype that a kernel is compiled for.
template <typename Body>
cudaError_t with_kind(const Entries& entries, Body body) {
  if (entries.term_count > 0) {
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
inline Walk make_walk(int64_t rows, int64_t columns, int threads, int64_t& blocks) {
  Walk walk{};
  walk.rows = rows;
  walk.columns = columns;
  walk.words = (columns + 63) / 64;
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

// The number of columns of a group that the matrix has.
__device__ inline int columns_of_group(const Walk& walk, int64_t group) {
  const int64_t left = walk.columns - group * kGroup;
  return left >= kGroup ? kGroup : left > 0 ? static_cast<int>(left) : 0;
}

// Entries have the type that holds them exactly.
template <int kDtype>
struct ValueOf {
  using Type = typename Format<kDtype>::Value;
};
template <>
struct ValueOf<kWithTerms> {
  using Type = double;
};

// The entries of a group of columns, and 0 beyond the matrix. The first scale of a block is located for a group, and the others
// follow.
template <int kDtype>
__device__ void load_values(const Entries& entries, int64_t row, int64_t column, int count,
                            typename ValueOf<kDtype>::Type (&values)[kGroup]) {
  if constexpr (kDtype == kWithTerms) {
#pragma unroll 1
    for (int i = 0; i < kGroup; ++i) {
      values[i] = i < count ? entry(entries, row, column + i) : 0;
    }
  } else {
    load_group<kDtype>(entries, row, column, count, values);
    if (kDtype == TG_F64 || entries.block_scale == nullptr) {
      return;
    }
    const int64_t across = block_of(column, entries.block_columns, entries.columns_reciprocal);
    const uint8_t* scale =
        entries.block_scale + 4 * (block_of(row, entries.block_rows, entries.rows_reciprocal) * entries.scale_stride + across);
    int64_t in_block = column - across * entries.block_columns;
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      values[i] *= i < count ? load<float>(scale) : 0;
      if (++in_block == entries.block_columns) {
        in_block = 0;
        scale += 4;
      }
    }
  }
}

#endif

}  // namespace
}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_GROUPS_H
