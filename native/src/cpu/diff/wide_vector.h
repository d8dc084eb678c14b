// Eight-lane arithmetic that the SIMD implementations share, with the vector extensions of GCC. Each translation unit that
// includes this is compiled for one instruction set. Everything has internal linkage, so that no linker can merge the variants.
// Counts do not depend on the instruction set. The last bits of sums may, where one instruction set fuses a multiplication with
// an addition.
#ifndef THREEGATE_CPU_DIFF_WIDE_VECTOR_H
#define THREEGATE_CPU_DIFF_WIDE_VECTOR_H

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "block.h"
#include "ulp_histogram.h"

namespace threegate::diff {
namespace {

typedef double Double8 __attribute__((vector_size(64)));
typedef uint64_t Word4 __attribute__((vector_size(32)));
typedef uint64_t Word8 __attribute__((vector_size(64)));
typedef uint32_t Part8 __attribute__((vector_size(32)));
typedef uint32_t Part16 __attribute__((vector_size(64)));

template <typename V>
[[gnu::always_inline]] inline V load_vector(const void* address) {
  V v;
  std::memcpy(&v, address, sizeof(V));
  return v;
}

template <typename V>
[[gnu::always_inline]] inline void store_vector(void* address, const V& v) {
  std::memcpy(address, &v, sizeof(V));
}

[[gnu::always_inline]] inline double sum_lanes(const Double8& v) {
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

#if defined(__AVX512F__)
[[gnu::always_inline]] inline Word8 max_words(const Word8& a, const Word8& b) {
  return reinterpret_cast<Word8>(_mm512_max_epu64(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
}
#else
[[gnu::always_inline]] inline Word8 max_words(const Word8& a, const Word8& b) { return a > b ? a : b; }
#endif

// What WideLanes::Close has counted and added.
struct CloseTotals {
  double base_squares;
  double delta_squares;
  double dot;
  double max;
  int64_t far;   // differences above a quarter of a unit of the base
  int64_t same;  // pairs whose bits are equal
};

// |delta| of eight pairs as bits. As integers they are ordered as the numbers are.
[[gnu::always_inline]] inline Word8 magnitude_bits(const Double8& v) { return load_vector<Word8>(&v) & 0x7fffffffffffffffULL; }

// The exponent of the smallest power of two that is not below a number given as bits, or 0 for zero.
[[gnu::always_inline]] inline Word8 ceiling_exponent(const Word8& magnitude) { return (magnitude + 0xfffffffffffffULL) >> 52; }

// Sums over the differences of pairs.
class DeltaSums {
 public:
  // Returns the bits of |b - a|.
  [[gnu::always_inline]] Word8 add(const Double8& a, const Double8& b) {
    const Double8 delta = b - a;
    squares_ += delta * delta;
    dot_ += delta * a;
    const Word8 magnitude = magnitude_bits(delta);
    max_ = max_words(max_, magnitude);
    return magnitude;
  }

  void add(const DeltaSums& other) {
    squares_ += other.squares_;
    dot_ += other.dot_;
    max_ = max_words(max_, other.max_);
  }

  void finish(BlockResult& result) const {
    result.delta_squares = sum_lanes(squares_);
    result.delta_dot_base = sum_lanes(dot_);
    uint64_t max = 0;
    for (int lane = 0; lane < 8; ++lane) {
      max = max_[lane] > max ? max_[lane] : max;
    }
    std::memcpy(&result.max_abs_delta, &max, sizeof(max));
  }

 private:
  Double8 squares_{};
  Double8 dot_{};
  Word8 max_{};
};

}  // namespace
}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_WIDE_VECTOR_H
