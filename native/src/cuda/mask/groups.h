// A walk over a matrix in groups of columns, eight or sixteen of them. The bits of a group are one or two bytes of a mask, so
// that a thread reads 16 bytes of numbers or more, and reads or writes masks without a shuffle or an atomic operation.
#ifndef THREEGATE_CUDA_MASK_GROUPS_H
#define THREEGATE_CUDA_MASK_GROUPS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/support/entries.h"
#include "steps.h"

namespace threegate::cuda {

// A unit is a rectangle of groups, one of each thread of a block.
struct Walk {
  Steps steps;
  int64_t rows;
  int64_t columns;
  int64_t groups;       // of a row of a mask
  int32_t across_bits;  // a unit has 2^across_bits groups side by side
};

namespace {

// The walk of `blocks` blocks in groups of `each` columns. Reduces `blocks` to the number that has work.
inline Walk make_walk(int64_t rows, int64_t columns, int each, int threads, int64_t& blocks) {
  Walk walk{};
  walk.rows = rows;
  walk.columns = columns;
  walk.groups = (columns + 63) / 64 * (64 / each);
  while ((int64_t{1} << walk.across_bits) < walk.groups && (1 << walk.across_bits) < threads) {
    ++walk.across_bits;
  }
  const int64_t down = threads >> walk.across_bits;
  walk.steps = make_steps(quotient(rows, down), quotient(walk.groups, int64_t{1} << walk.across_bits), blocks);
  return walk;
}

#if defined(__CUDACC__) || defined(THREEGATE_HOST_EMULATION)

// Calls body(row, group) for each group of a row of a mask that a block visits, and after_unit() in all threads.
template <int kThreads, typename Body, typename AfterUnit>
__device__ void for_groups(const Walk& walk, uint32_t block, Body body, AfterUnit after_unit) {
  const uint32_t x = threadIdx.x & ((1U << walk.across_bits) - 1);
  const uint32_t y = threadIdx.x >> walk.across_bits;
  for_units(walk.steps, block, [&](int64_t down, uint32_t across) {
    const int64_t row = down * (kThreads >> walk.across_bits) + y;
    const int64_t group = (static_cast<int64_t>(across) << walk.across_bits) + x;
    if (row < walk.rows && group < walk.groups) {
      body(row, group);
    }
    after_unit();
  });
}

// The number of columns of a group that the matrix has.
template <int kEach>
__device__ inline int columns_of_group(const Walk& walk, int64_t group) {
  const int64_t left = walk.columns - group * kEach;
  return left >= kEach ? kEach : left > 0 ? static_cast<int>(left) : 0;
}

// How entries are read as keys: bits of magnitudes, whose order is that of the magnitudes. Each kind has
//
//   Key, kKeyBits   the type of keys, and the number of their bits
//   kEach           the entries of a group
//   load_words      loads a whole group. It returns false where that is not possible, and the entries are read one by one
//   key(words, i)   the key of entry i of a loaded group
//   key(entries)    the key of any entry
//
// The stored bits of a plain operand. Their order is that of the numbers in every format, so that nothing is converted.
template <typename Code>
struct Stored {
  using Key = std::conditional_t<sizeof(Code) == 8, uint64_t, uint32_t>;
  static constexpr int kKeyBits = 8 * static_cast<int>(sizeof(Code)) - 1;
  static constexpr int kEach = sizeof(Code) == 1 ? 16 : 8;
  static constexpr int kWords = kEach * static_cast<int>(sizeof(Code)) / 4;

  __device__ static bool load_words(const Entries& entries, int64_t row, int64_t column, int count,
                                    uint32_t (&words)[size_t{kWords}]) {
    const uint8_t* at = entries.data + (row * entries.row_stride + column) * static_cast<int64_t>(sizeof(Code));
    if (count != kEach || reinterpret_cast<uintptr_t>(at) % sizeof(uint4) != 0) {
      return false;
    }
#pragma unroll
    for (int i = 0; i < kWords; i += 4) {
      const uint4 chunk = load_vector(at + sizeof(uint32_t) * static_cast<unsigned>(i));
      words[i] = chunk.x;
      words[i + 1] = chunk.y;
      words[i + 2] = chunk.z;
      words[i + 3] = chunk.w;
    }
    return true;
  }
  __device__ static Key key(const uint32_t (&words)[size_t{kWords}], int i) {
    if constexpr (sizeof(Code) == 8) {
      return uint64_t{words[2 * i + 1] & 0x7fffffffU} << 32 | words[2 * i];
    } else if constexpr (sizeof(Code) == 4) {
      return words[i] & 0x7fffffffU;
    } else if constexpr (sizeof(Code) == 2) {
      return words[i / 2] >> (i % 2 * 16) & 0x7fffU;
    } else {
      // The magnitudes of a word, and then one of them in one instruction.
      return permuted_bytes(words[i / 4] & 0x7f7f7f7fU, 0, 0x4440U + static_cast<uint32_t>(i % 4));
    }
  }
  __device__ static Key key(const Entries& entries, int64_t row, int64_t column) {
    const uint8_t* at = entries.data + (row * entries.row_stride + column) * static_cast<int64_t>(sizeof(Code));
    return static_cast<Key>(cuda::load<Code>(at)) & ((Key{1} << kKeyBits) - 1);
  }
};

// Products of entries and the scales of their blocks, in float32. A group has one scale unless it crosses the end of a block.
struct Scaled {
  using Key = uint32_t;
  static constexpr int kKeyBits = 31;
  static constexpr int kEach = 8;
  static constexpr int kWords = 8;

  __device__ static bool load_words(const Entries& entries, int64_t row, int64_t column, int count,
                                    uint32_t (&words)[size_t{kWords}]) {
    const int64_t i = entries.first_row + row;
    const int64_t j = entries.first_column + column;
    const int64_t across = block_of(j, entries.block_columns, entries.columns_reciprocal);
    float values[size_t{kEach}];
    if (count != kEach || (across + 1) * entries.block_columns - j < kEach ||
        !load_aligned(address_of(entries, row, column), entries.dtype, values)) {
      return false;
    }
    const int64_t block = block_of(i, entries.block_rows, entries.rows_reciprocal) * entries.scale_stride + across;
    const float scale = cuda::load<float>(entries.block_scale + 4 * block);
#pragma unroll
    for (int k = 0; k < kEach; ++k) {
      words[k] = bit_cast<uint32_t>(values[k] * scale);
    }
    return true;
  }
  __device__ static Key key(const uint32_t (&words)[size_t{kWords}], int i) { return words[i] & 0x7fffffffU; }
  __device__ static Key key(const Entries& entries, int64_t row, int64_t column) {
    return bit_cast<uint32_t>(static_cast<float>(entry(entries, row, column))) & 0x7fffffffU;
  }

 private:
  __device__ static bool load_aligned(const uint8_t* at, tg_dtype dtype, float (&values)[size_t{kEach}]) {
    switch (dtype) {
      case TG_F32:
        return cuda::load_aligned<TG_F32>(at, values);
      case TG_F16:
        return cuda::load_aligned<TG_F16>(at, values);
      case TG_BF16:
        return cuda::load_aligned<TG_BF16>(at, values);
      case TG_F8_E4M3:
        return cuda::load_aligned<TG_F8_E4M3>(at, values);
      default:
        return cuda::load_aligned<TG_F8_E5M2>(at, values);
    }
  }
};

// Entries that are sums of several operands, in float64. Each is used before the next one is computed, and none is kept.
struct Sums {
  using Key = uint64_t;
  static constexpr int kKeyBits = 63;
  static constexpr int kEach = 8;
  static constexpr int kWords = 1;

  __device__ static bool load_words(const Entries&, int64_t, int64_t, int, uint32_t (&)[size_t{kWords}]) { return false; }
  __device__ static Key key(const uint32_t (&)[size_t{kWords}], int) { return 0; }
  __device__ static Key key(const Entries& entries, int64_t row, int64_t column) {
    return bit_cast<uint64_t>(entry(entries, row, column)) & 0x7fffffffffffffffULL;
  }
};

// The bits of a group in a mask.
template <typename Kind>
using GroupBits = std::conditional_t<Kind::kEach == 16, uint16_t, uint8_t>;

// Calls body(i, key) for the entries of a group.
template <typename Kind, typename Body>
__device__ void for_keys(const Entries& entries, int64_t row, int64_t column, int count, Body body) {
  uint32_t words[size_t{Kind::kWords}];
  if (Kind::load_words(entries, row, column, count, words)) {
#pragma unroll
    for (int i = 0; i < Kind::kEach; ++i) {
      body(i, Kind::key(words, i));
    }
    return;
  }
#pragma unroll 1
  for (int i = 0; i < count; ++i) {
    body(i, Kind::key(entries, row, column + i));
  }
}

// Calls body(kind) with the kind of entries that a kernel is compiled for.
template <typename Body>
auto with_kind(const Entries& entries, Body body) {
  if (entries.term_count > 0) {
    return body(Sums{});
  }
  if (entries.block_scale != nullptr) {
    return body(Scaled{});
  }
  switch (element_bytes(entries.dtype)) {
    case 8:
      return body(Stored<uint64_t>{});
    case 4:
      return body(Stored<uint32_t>{});
    case 2:
      return body(Stored<uint16_t>{});
    default:
      return body(Stored<uint8_t>{});
  }
}

#endif

}  // namespace
}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_GROUPS_H
