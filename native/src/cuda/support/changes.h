// Finds the elements of two sides that differ. Patches and the diff begin with it.
#ifndef THREEGATE_CUDA_SUPPORT_CHANGES_H
#define THREEGATE_CUDA_SUPPORT_CHANGES_H

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace threegate::cuda {

constexpr int kChunkBytes = 16;  // the widest load of a thread
constexpr int kChunkWords = 4;

namespace {

// The elements of `Element` in a chunk.
template <typename Element>
constexpr unsigned kChunkElements = kChunkBytes / sizeof(Element);

__device__ inline uint32_t word_of(const uint4& chunk, int i) {
  return i == 0 ? chunk.x : i == 1 ? chunk.y : i == 2 ? chunk.z : chunk.w;
}

// Moves bit i of the low half to bit 2 i, and bit i of the high half to bit 2 i + 1 (Warren, "Hacker's Delight", 7-2).
__device__ inline uint32_t interleave_halves(uint32_t bits) {
  bits = (bits & 0xff0000ffU) | (bits & 0x00ff0000U) >> 8 | (bits & 0x0000ff00U) << 8;
  uint32_t moved = (bits ^ bits >> 4) & 0x00f000f0U;
  bits ^= moved ^ moved << 4;
  moved = (bits ^ bits >> 2) & 0x0c0c0c0cU;
  bits ^= moved ^ moved << 2;
  moved = (bits ^ bits >> 1) & 0x22222222U;
  return bits ^ moved ^ moved << 1;
}

// Sets the lowest bit of each element of a word that is not 0.
template <typename Element>
__device__ inline uint32_t nonzero_elements(uint32_t word) {
  static_assert(sizeof(Element) <= sizeof(uint32_t));
  if constexpr (sizeof(Element) == 4) {
    return word == 0 ? 0U : 1U;
  } else if constexpr (sizeof(Element) == 2) {
    return __vminu2(word, 0x00010001U);  // one instruction from compute capability 9.0 on
  } else {
    return (((word & 0x7f7f7f7fU) + 0x7f7f7f7fU) | word) >> 7 & 0x01010101U;
  }
}

// Bit i of the result tells whether element i differs. 16-byte comparisons come first: a warp whose lanes are all equal does
// nothing else. There are at most 32 elements.
template <typename Element, size_t kChunks>
__device__ inline uint32_t differing(const uint4 (&a)[kChunks], const uint4 (&b)[kChunks]) {
  constexpr int kWords = static_cast<int>(kChunks) * kChunkWords;
  static_assert(kWords * 4 <= 32 * static_cast<int>(sizeof(Element)));
  const auto difference = [&](int i) {
    return word_of(a[i / kChunkWords], i % kChunkWords) ^ word_of(b[i / kChunkWords], i % kChunkWords);
  };
  uint32_t any = 0;
#pragma unroll
  for (int i = 0; i < kWords; ++i) {
    any |= difference(i);
  }
  if (any == 0) {
    return 0;
  }
  uint32_t bits = 0;
#pragma unroll
  for (int i = kWords - 1; i >= 0; --i) {
    if constexpr (sizeof(Element) <= 4) {
      bits = 2 * bits + nonzero_elements<Element>(difference(i));
    } else if (i % 2 == 0) {
      bits = 2 * bits + nonzero_elements<uint32_t>(difference(i) | difference(i + 1));
    }
  }
  // The bits of a half or of a byte are those of one place in each word.
#pragma unroll
  for (int narrower = 4; narrower > static_cast<int>(sizeof(Element)); narrower /= 2) {
    bits = interleave_halves(bits);
  }
  return bits;
}

}  // namespace
}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SUPPORT_CHANGES_H
