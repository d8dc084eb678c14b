// The compression function of BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020, section 2) for one block, or for blocks of
// several nodes of the tree at a time, with one node in each lane of a vector. `Word` is uint32_t or a vector of them, and
// Rotate<Word, N> rotates it to the right. Everything has internal linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_DIGEST_BLAKE3_COMPRESS_H
#define THREEGATE_CPU_DIGEST_BLAKE3_COMPRESS_H

#include <cstddef>
#include <cstdint>
#include <utility>

#include "blake3.h"
#include "sha256_constants.h"

namespace threegate::digest {
namespace {

template <size_t kBytes>
struct BytesOf {
  using Type [[gnu::vector_size(kBytes)]] = uint8_t;
};
template <size_t kBytes>
using Bytes = typename BytesOf<kBytes>::Type;

// Flags of a compression.
constexpr uint32_t kChunkStart = 1;
constexpr uint32_t kChunkEnd = 2;
constexpr uint32_t kParent = 4;
constexpr uint32_t kRoot = 8;

constexpr size_t kRounds = 7;

struct Schedule {
  size_t word[kRounds][16];
};

// The words of the message in the order of each round: each is the permutation of the one before.
constexpr Schedule schedule() {
  constexpr size_t kPermutation[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};
  Schedule all{};
  for (size_t i = 0; i < 16; ++i) {
    all.word[0][i] = i;
  }
  for (size_t round = 1; round < kRounds; ++round) {
    for (size_t i = 0; i < 16; ++i) {
      all.word[round][i] = all.word[round - 1][kPermutation[i]];
    }
  }
  return all;
}

constexpr Schedule kSchedule = schedule();

template <int kBits, typename Word>
[[gnu::always_inline]] inline Word shifted(Word x) {
  return (x >> kBits) | (x << (32 - kBits));
}

template <int kBits, size_t... kByte>
[[gnu::always_inline]] inline auto shuffled(Bytes<sizeof...(kByte)> x, std::index_sequence<kByte...> /*bytes*/) {
  return __builtin_shufflevector(x, x, (kByte / 4 * 4 + (kByte + kBits / 8) % 4)...);
}

// Rotates words to the right. A shuffle of bytes is one instruction, where a rotation of vectors is three. AVX-512 can rotate.
template <int kBits, typename Word>
[[gnu::always_inline]] inline Word rotated(Word x) {
  if constexpr (kBits % 8 == 0 && (sizeof(Word) == 16 || sizeof(Word) == 32)) {
    return reinterpret_cast<Word>(
        shuffled<kBits>(reinterpret_cast<Bytes<sizeof(Word)>>(x), std::make_index_sequence<sizeof(Word)>()));
  } else {
    return shifted<kBits>(x);
  }
}

template <typename Word>
[[gnu::always_inline]] inline void mix(Word* v, size_t a, size_t b, size_t c, size_t d, const Word& x, const Word& y) {
  v[a] = (v[a] + x) + v[b];
  v[d] = rotated<16>(v[d] ^ v[a]);
  v[c] = v[c] + v[d];
  v[b] = rotated<12>(v[b] ^ v[c]);
  v[a] = (v[a] + y) + v[b];
  v[d] = rotated<8>(v[d] ^ v[a]);
  v[c] = v[c] + v[d];
  v[b] = rotated<7>(v[b] ^ v[c]);
}

// Replaces the eight words of `value` by the compression of a block. `v` begins with them, and goes on with four words of the
// initial value, the two words of the counter, the length of the block and the flags.
template <typename Word>
[[gnu::always_inline]] inline void compress(Word* value, Word* v, const Word* message) {
#pragma GCC unroll 7
  for (size_t round = 0; round < kRounds; ++round) {
    const size_t* const word = kSchedule.word[round];
    mix(v, 0, 4, 8, 12, message[word[0]], message[word[1]]);
    mix(v, 1, 5, 9, 13, message[word[2]], message[word[3]]);
    mix(v, 2, 6, 10, 14, message[word[4]], message[word[5]]);
    mix(v, 3, 7, 11, 15, message[word[6]], message[word[7]]);
    mix(v, 0, 5, 10, 15, message[word[8]], message[word[9]]);
    mix(v, 1, 6, 11, 12, message[word[10]], message[word[11]]);
    mix(v, 2, 7, 8, 13, message[word[12]], message[word[13]]);
    mix(v, 3, 4, 9, 14, message[word[14]], message[word[15]]);
  }
#pragma GCC unroll 8
  for (size_t i = 0; i < 8; ++i) {
    value[i] = v[i] ^ v[i + 8];
  }
}

}  // namespace
}  // namespace threegate::digest

#endif  // THREEGATE_CPU_DIGEST_BLAKE3_COMPRESS_H
