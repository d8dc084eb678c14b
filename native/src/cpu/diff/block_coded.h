// Comparison of a block of a CodedPair, with AVX2 and the vector operations of WideLanes, which are defined before this is
// included. A line of codes is compared as it is stored, and the places of bytes that differ are noted. The entries of those
// bytes are decoded and judged one by one, and all arithmetic on their differences uses full vectors of a queue.
//
// The squares of the base come from its codes. Where the numbers of codes are small integers, and their products with a scale are
// exact, the integers are squared and added, and each group is multiplied by the square of its scale. All other entries are
// decoded in registers and squared in float64. The float operations on an entry are those of entry_of() in cpu/codes.
#ifndef THREEGATE_CPU_DIFF_BLOCK_CODED_H
#define THREEGATE_CPU_DIFF_BLOCK_CODED_H

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "coded.h"
#include "cpu/codes/codes.h"

// GCC would gather the few notes of a line in a vector register, which costs more than it saves.
#ifdef __clang__
#define THREEGATE_NO_SLP [[gnu::noinline]]
#else
#define THREEGATE_NO_SLP [[gnu::noinline, gnu::optimize("no-tree-slp-vectorize")]]
#endif

namespace threegate::diff {
namespace {

constexpr int64_t kLineBytes = 64;                     // bytes that are compared at a time
constexpr int64_t kAheadBytes = 8192;                  // distance of the prefetch, in lines of at least one
constexpr int64_t kNoteFew = 4;                        // of which so many differ without a branch
constexpr int64_t kNoteBatch = 32;                     // noted bytes that are decoded at a time
constexpr int64_t kDenseShare = 8;                     // more differing bytes than one of these are decoded as a block
constexpr int64_t kDenseLeast = 512;                   // but never fewer
constexpr int kAwqRows[8] = {0, 2, 4, 6, 1, 3, 5, 7};  // the row of each place in a word of AWQ

struct ScaleGroup {
  float scale;
  float zero;
};

// What is known of scales: whether their products with numbers of few bits are exact, and whether they are ordinary, so that
// neither overflow nor denormal numbers change a product.
struct ScaleKind {
  bool exact4;  // with integers below 32
  bool exact8;  // with integers up to 128
  bool ordinary;
};

inline ScaleKind kind_of(const float* scales, int64_t count) {
  constexpr int kLeast = 27 << 23;  // 2^-100
  constexpr int kMost = 227 << 23;  // 2^100
  __m256i bits = _mm256_setzero_si256();
  __m256i bad = bits;
  for (int64_t i = 0; i < count; i += 8) {
    alignas(32) float own[8] = {};
    if (count - i < 8) {
      std::memcpy(own, scales + i, static_cast<size_t>(count - i) * sizeof(float));
    }
    const __m256i eight = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(count - i < 8 ? own : scales + i));
    const __m256i magnitude = _mm256_and_si256(eight, _mm256_set1_epi32(0x7fffffff));
    const __m256i small = _mm256_andnot_si256(_mm256_cmpeq_epi32(magnitude, _mm256_setzero_si256()),
                                              _mm256_cmpgt_epi32(_mm256_set1_epi32(kLeast), magnitude));
    bad = _mm256_or_si256(bad, _mm256_or_si256(small, _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(kMost))));
    bits = _mm256_or_si256(bits, eight);
  }
  const bool ordinary = _mm256_testz_si256(bad, bad) != 0;
  return {ordinary && _mm256_testz_si256(bits, _mm256_set1_epi32(0x1f)) != 0,
          ordinary && _mm256_testz_si256(bits, _mm256_set1_epi32(0xff)) != 0, ordinary};
}

inline bool same_bits(const float* a, const float* b, int64_t count) {
  return std::memcmp(a, b, static_cast<size_t>(count) * sizeof(float)) == 0;
}

[[gnu::always_inline]] inline __m256i load32(const uint8_t* address) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(address));
}

[[gnu::always_inline]] inline __m256i lower_nibbles(__m256i v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
[[gnu::always_inline]] inline __m256i upper_nibbles(__m256i v) { return lower_nibbles(_mm256_srli_epi16(v, 4)); }

// Four integers below 2^52 as doubles.
[[gnu::always_inline]] inline __m256d to_doubles(__m256i v) {
  const __m256d magic = _mm256_set1_pd(0x1p52);
  return _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(v, _mm256_castpd_si256(magic))), magic);
}

// One bit for each of 64 bytes that differs.
[[gnu::always_inline]] inline uint64_t differing_bytes(const uint8_t* a, const uint8_t* b) {
  const auto low = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(load32(a), load32(b))));
  const auto high = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(load32(a + 32), load32(b + 32))));
  return ~(low | static_cast<uint64_t>(high) << 32);
}

// Sums of squares in float64, as many as hide the latency of an addition.
struct SquareSums {
  __m256d sum[8] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(),
                    _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};

  template <int64_t kFirst>
  [[gnu::always_inline]] void add8(__m256 v) {
    const __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
    const __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
    sum[kFirst] = _mm256_fmadd_pd(low, low, sum[kFirst]);
    sum[kFirst + 1] = _mm256_fmadd_pd(high, high, sum[kFirst + 1]);
  }
#ifdef __AVX512F__
  __m512d wide[4] = {_mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd()};

  template <int64_t kFirst>
  [[gnu::always_inline]] void add16(__m512 v) {
    const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
    wide[kFirst] = _mm512_fmadd_pd(low, low, wide[kFirst]);
    wide[kFirst + 1] = _mm512_fmadd_pd(high, high, wide[kFirst + 1]);
  }
#endif

  // Adds integers times the square of a scale in each lane.
  [[gnu::always_inline]] void add_scaled(__m256i integers, __m256d square) {
    sum[0] = _mm256_fmadd_pd(to_doubles(integers), square, sum[0]);
  }
  [[nodiscard]] double total() const {
    const __m256d low = _mm256_add_pd(_mm256_add_pd(sum[0], sum[1]), _mm256_add_pd(sum[2], sum[3]));
    const __m256d high = _mm256_add_pd(_mm256_add_pd(sum[4], sum[5]), _mm256_add_pd(sum[6], sum[7]));
    __m256d v = _mm256_add_pd(low, high);
#ifdef __AVX512F__
    const __m512d all = _mm512_add_pd(_mm512_add_pd(wide[0], wide[1]), _mm512_add_pd(wide[2], wide[3]));
    v = _mm256_add_pd(v, _mm256_add_pd(_mm512_castpd512_pd256(all), _mm512_extractf64x4_pd(all, 1)));
#endif
    return (v[0] + v[2]) + (v[1] + v[3]);
  }
};

// Vectors of bytes, of the width of the instruction set.
#ifdef __AVX512F__
struct ByteLanes {
  using Vector = __m512i;
  static constexpr int64_t kCount = 64;
  static Vector load(const uint8_t* address) { return _mm512_loadu_si512(address); }
  static Vector zero() { return _mm512_setzero_si512(); }
  static Vector all(uint8_t value) { return _mm512_set1_epi8(static_cast<char>(value)); }
  static Vector table(__m128i numbers) { return _mm512_broadcast_i32x4(numbers); }
  static Vector magnitudes(Vector v) { return _mm512_and_si512(v, _mm512_set1_epi8(0x7f)); }
  static Vector subtract(Vector a, Vector b) { return _mm512_sub_epi8(a, b); }
  static Vector add_saturated(Vector a, Vector b) { return _mm512_adds_epu8(a, b); }
  static Vector max(Vector a, Vector b) { return _mm512_max_epu8(a, b); }
  static Vector select(Vector table, Vector places) { return _mm512_shuffle_epi8(table, places); }
  static Vector add_squares(Vector sum, Vector v) { return _mm512_add_epi16(sum, _mm512_maddubs_epi16(v, v)); }
  static Vector widen_and_add(Vector sum, Vector v) { return _mm512_add_epi32(sum, _mm512_madd_epi16(v, _mm512_set1_epi16(1))); }
  static int64_t total(Vector v) {
    const __m512i low = _mm512_and_si512(v, _mm512_set1_epi64(0xffffffff));
    return _mm512_reduce_add_epi64(_mm512_add_epi64(low, _mm512_srli_epi64(v, 32)));
  }
  static bool any_at_least(Vector v, uint8_t value) { return _mm512_cmpge_epu8_mask(v, all(value)) != 0; }
};
#else
struct ByteLanes {
  using Vector = __m256i;
  static constexpr int64_t kCount = 32;
  static Vector load(const uint8_t* address) { return load32(address); }
  static Vector zero() { return _mm256_setzero_si256(); }
  static Vector all(uint8_t value) { return _mm256_set1_epi8(static_cast<char>(value)); }
  static Vector table(__m128i numbers) { return _mm256_broadcastsi128_si256(numbers); }
  static Vector magnitudes(Vector v) { return _mm256_and_si256(v, _mm256_set1_epi8(0x7f)); }
  static Vector subtract(Vector a, Vector b) { return _mm256_sub_epi8(a, b); }
  static Vector add_saturated(Vector a, Vector b) { return _mm256_adds_epu8(a, b); }
  static Vector max(Vector a, Vector b) { return _mm256_max_epu8(a, b); }
  static Vector select(Vector table, Vector places) { return _mm256_shuffle_epi8(table, places); }
  static Vector add_squares(Vector sum, Vector v) { return _mm256_add_epi16(sum, _mm256_maddubs_epi16(v, v)); }
  static Vector widen_and_add(Vector sum, Vector v) { return _mm256_add_epi32(sum, _mm256_madd_epi16(v, _mm256_set1_epi16(1))); }
  static int64_t total(Vector v) {
    const __m256i low = _mm256_and_si256(v, _mm256_set1_epi64x(0xffffffff));
    const __m256i four = _mm256_add_epi64(low, _mm256_srli_epi64(v, 32));
    const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
    return _mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1);
  }
  static bool any_at_least(Vector v, uint8_t value) {
    return _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(v, all(value)), v)) != 0;
  }
};
#endif

// The sum of squares of float8 codes, exactly. The lower four bits of a code select a small integer, and its upper three bits a
// power of two. Sums of the squares of those integers over all codes from a power of two on differ by the sum for that power.
template <bool kE4m3>
class Float8Squares {
 public:
  static constexpr int64_t kLeast = 1024;  // codes for which it is worth adding up the vectors

  // Adds `count` codes, a multiple of a vector.
  void add(const uint8_t* codes, int64_t count) {
    for (int64_t i = 0; i < count; i += kSteps * ByteLanes::kCount) {
      const int64_t end = std::min(count, i + kSteps * ByteLanes::kCount);
      add_part<0>(codes, i, end);
      add_part<4>(codes, i, end);
    }
  }
  // The sum, and whether a code stands for no finite number.
  [[nodiscard]] double total() const {
    double sum = static_cast<double>(ByteLanes::total(sums_[0]));
    int64_t above = 0;
    for (int k = 7; k > 0; --k) {
      const int64_t own = ByteLanes::total(sums_[k]);
      sum += static_cast<double>(own - above) * std::ldexp(1.0, kE4m3 ? 4 * k - 2 : 8 * k - 2);
      above = own;
    }
    return sum * (kE4m3 ? 0x1p-18 : 0x1p-32);  // the square of the least number
  }
  [[nodiscard]] bool has_special() const { return ByteLanes::any_at_least(largest_, kE4m3 ? 0x7f : 0x7c); }

 private:
  using Vector = ByteLanes::Vector;
  // Vectors whose pairs of squares fit in 16 bits: of 30 with E4M3, and of 56 with E5M2.
  static constexpr int64_t kSteps = kE4m3 ? 18 : 5;

  // The multiples of the unit of the lowest exponent that codes 0 to 15, or those from a higher power of two on, stand for.
  static __m128i lowest() {
    return kE4m3 ? _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
                 : _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28);
  }
  static __m128i higher() {
    return kE4m3 ? _mm_setr_epi8(8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 26, 28, 30)
                 : _mm_setr_epi8(4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56);
  }

  // Four of the eight sums, because all would not fit in sixteen registers.
  template <int kFirst>
  void add_part(const uint8_t* codes, int64_t begin, int64_t end) {
    const Vector sixteen = ByteLanes::all(16);
    const Vector table = ByteLanes::table(higher());
    Vector sums[4] = {ByteLanes::zero(), ByteLanes::zero(), ByteLanes::zero(), ByteLanes::zero()};
    Vector largest = largest_;
    for (int64_t i = begin; i < end; i += ByteLanes::kCount) {
      Vector own = ByteLanes::magnitudes(ByteLanes::load(codes + i));
      if (kFirst == 0) {
        largest = ByteLanes::max(largest, own);
        // Codes from 16 on get a place with the upper bit, which selects 0.
        const Vector places = ByteLanes::add_saturated(own, ByteLanes::all(0x70));
        sums[0] = ByteLanes::add_squares(sums[0], ByteLanes::select(ByteLanes::table(lowest()), places));
      } else {
        own = ByteLanes::subtract(own, ByteLanes::all(16 * kFirst));
        sums[0] = ByteLanes::add_squares(sums[0], ByteLanes::select(table, own));
      }
      for (int k = 1; k < 4; ++k) {
        own = ByteLanes::subtract(own, sixteen);  // negative, with the upper bit, for codes below
        sums[k] = ByteLanes::add_squares(sums[k], ByteLanes::select(table, own));
      }
    }
    largest_ = largest;
    for (int k = 0; k < 4; ++k) {
      sums_[kFirst + k] = ByteLanes::widen_and_add(sums_[kFirst + k], sums[k]);
    }
  }

  Vector sums_[8] = {ByteLanes::zero(), ByteLanes::zero(), ByteLanes::zero(), ByteLanes::zero(),
                     ByteLanes::zero(), ByteLanes::zero(), ByteLanes::zero(), ByteLanes::zero()};
  Vector largest_ = ByteLanes::zero();
};

// The squares of the base of one block.
class CodedSquares {
 public:
  explicit CodedSquares(const CodedPair& pair) : pair_(pair), codes_(pair.base) {
    if (pair.numbers == CodeNumbers::kMultiples) {
      multiples_ = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pair.multiples));
      two_classes_ = codes_.zeros == nullptr;
      consecutive_ = true;
      for (int code = 0; code < 16; ++code) {
        const int size = std::abs(pair.multiples[code]);
        const int odd = size == 0 ? 1 : size >> __builtin_ctz(static_cast<unsigned>(size));
        two_classes_ = two_classes_ && odd <= 3;
        consecutive_ = consecutive_ && pair.unit == 1 && pair.multiples[code] == pair.multiples[0] + code;
        // Powers of two, and three times them.
        ones_[code] = odd == 1 ? static_cast<int8_t>(size * size) : int8_t{0};
        threes_[code] = odd == 3 ? static_cast<int8_t>(size / 3 * (size / 3)) : int8_t{0};
      }
    }
    if (codes_.bits == 4) {
      low_ = _mm256_loadu_ps(codes_.table);
      high_ = _mm256_loadu_ps(codes_.table + 8);
    }
  }

  // Adds entries of a row. `scales` and `zeros` are those of the row, from group 0 on.
  void add_row(int64_t row, int64_t begin, int64_t end, const ScaleKind& kind) {
    const int64_t scale_row = row / codes_.scale_rows * codes_.scale_stride;
    scales_ = codes_.scales + scale_row;
    zeros_ = codes_.zeros == nullptr ? nullptr : codes_.zeros + scale_row;
    const uint8_t* line = static_cast<const uint8_t*>(codes_.codes) + row * codes_.stride;
    if (!kind.ordinary || (codes_.bits != 4 && pair_.numbers == CodeNumbers::kAny)) {
      add_decoded(row, begin, end);
    } else if (codes_.bits == 4) {
      add_nibbles(line, row, begin, end, kind);
    } else {
      add_bytes(line, begin, end, kind);
    }
  }

  // Adds rows and columns of a block whose words hold several columns or rows.
  void add_words(const BlockInput& input) {
    const bool down = pair_.lines == CodeLines::kDown;
    const bool grouped = codes_.group_of == nullptr && consecutive_ && (!down || codes_.group_columns % codes::kWordColumns == 0);
    const int64_t end_row = input.row + input.rows;
    const int64_t end = input.column + input.columns;
    if (!grouped) {
      add_decoded_block(input.row, end_row, input.column, end);
      return;
    }
    const int64_t step = down ? 8 : 64;
    const int64_t fast_end = input.row + input.rows / step * step;
    for_groups(input.column, end, [&](int64_t first, int64_t last, int64_t group) {
      // A word that is not full has no columns of its own behind the last one.
      const int64_t whole = down ? first + (last - first) / codes::kWordColumns * codes::kWordColumns : last;
      for (int64_t row = input.row; row < fast_end; row += step) {
        const bool added = down ? add_down(row, first, whole, group) : add_awq(row, first, whole, group);
        if (!added) {
          add_decoded_block(row, row + step, first, whole);
        }
      }
      add_decoded_block(input.row, fast_end, whole, last);
      add_decoded_block(fast_end, end_row, first, last);
    });
  }

  [[nodiscard]] double total() const {
    return is_nan_ ? std::numeric_limits<double>::quiet_NaN() : (sums_.total() + wide_.total());
  }

 private:
  // Calls run(begin, end, group) for the parts of a range of columns.
  template <typename Run>
  [[gnu::always_inline]] void for_groups(int64_t begin, int64_t end, Run run) const {
    int64_t group = begin / codes_.group_columns;
    int64_t left = codes_.group_columns - begin % codes_.group_columns;
    while (begin < end) {
      const int64_t next = end - begin < left ? end : begin + left;
      run(begin, next, group);
      begin = next;
      left = codes_.group_columns;
      ++group;
    }
  }

  [[nodiscard]] ScaleGroup scale(int64_t group) const { return {scales_[group], zeros_ == nullptr ? 0.0F : zeros_[group]}; }

  // Decodes entries, as the comparison of other operands does.
  [[gnu::noinline]] void add_decoded(int64_t row, int64_t begin, int64_t end) {
    alignas(64) float entries[kRun];
    for (int64_t first = begin; first < end; first += kRun) {
      const int64_t last = std::min(end, first + kRun);
      codes::decode_avx2(codes_, {row, row + 1, first, last}, {entries, row, first, kRun});
      const int64_t count = last - first;
      const int64_t padded = (count + kWideGroup - 1) / kWideGroup * kWideGroup;
      std::fill(entries + count, entries + padded, 0.0F);
      add_floats(entries, padded);
    }
  }
  [[gnu::noinline]] void add_decoded_block(int64_t row, int64_t end_row, int64_t column, int64_t end_column) {
    constexpr int64_t kHeight = 64;
    alignas(64) float entries[kHeight * kTallColumns];
    for (int64_t first = row; column < end_column && first < end_row; first += kHeight) {
      const int64_t last = std::min(end_row, first + kHeight);
      const int64_t width = end_column - column;
      codes::decode_avx2(codes_, {first, last, column, end_column}, {entries, first, column, width});
      const int64_t count = (last - first) * width;
      const int64_t padded = (count + kWideGroup - 1) / kWideGroup * kWideGroup;
      std::fill(entries + count, entries + padded, 0.0F);
      add_floats(entries, padded);
    }
  }
  void add_floats(const float* entries, int64_t count) {
    for (int64_t i = 0; i < count; i += kWideGroup) {
      wide_.add64<float>(reinterpret_cast<const uint8_t*>(entries + i));
    }
  }

  // The squares of the integers of all codes less a zero point. Returns false if a byte does not hold one of them.
  bool set_table(float zero) {
    if (has_table_ && bit_cast<uint32_t>(zero) == bit_cast<uint32_t>(table_zero_)) {
      return true;
    }
    const float steps = zero / pair_.unit;
    if (!(std::abs(steps) <= 30) || std::rint(steps) != steps) {
      return false;
    }
    const __m128i own = _mm_abs_epi8(_mm_sub_epi8(multiples_, _mm_set1_epi8(static_cast<char>(steps))));
    if (_mm_movemask_epi8(_mm_cmpgt_epi8(own, _mm_set1_epi8(15))) != 0) {
      return false;
    }
    table_ = _mm256_broadcastsi128_si256(_mm_shuffle_epi8(small_squares(), own));
    table_zero_ = zero;
    has_table_ = true;
    return true;
  }
  static __m128i small_squares() {
    return _mm_setr_epi8(0, 1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, static_cast<char>(144), static_cast<char>(169),
                         static_cast<char>(196), static_cast<char>(225));
  }

  [[gnu::always_inline]] static __m256i sums_of(__m256i table, __m256i codes) {
    const __m256i zero = _mm256_setzero_si256();
    return _mm256_add_epi64(_mm256_sad_epu8(_mm256_shuffle_epi8(table, lower_nibbles(codes)), zero),
                            _mm256_sad_epu8(_mm256_shuffle_epi8(table, upper_nibbles(codes)), zero));
  }

  void add_nibbles(const uint8_t* line, int64_t row, int64_t begin, int64_t end, const ScaleKind& kind) {
    const int64_t whole = begin + (end - begin) / 64 * 64;
    const bool integers = pair_.numbers == CodeNumbers::kMultiples && (kind.exact4 || two_classes_);
    const int64_t width = codes_.group_columns;
    if (begin % 64 != 0) {
      add_decoded(row, begin, end);
      return;
    }
    if (width >= whole || width % 64 == 0) {
      for_groups(begin, whole, [&](int64_t first, int64_t last, int64_t group) {
        const ScaleGroup own = scale(group);
        if (integers && kind.exact4 && set_table(own.zero)) {
          add_integers(line, first, last, own.scale);
        } else if (integers && two_classes_) {
          add_two_classes(line, first, last, own.scale);
        } else {
          add_nibble_floats(line, first, last, own);
        }
      });
    } else if ((width == 16 || width == 32) && integers && zeros_ == nullptr && two_classes_) {
      width == 16 ? add_small_groups<16>(line, begin, whole) : add_small_groups<32>(line, begin, whole);
    } else if ((width == 16 || width == 32) && integers && zeros_ == nullptr && set_table(0)) {
      width == 16 ? add_small_integers<16>(line, begin, whole) : add_small_integers<32>(line, begin, whole);
    } else {
      add_decoded(row, begin, whole);
    }
    if (whole < end) {
      add_decoded(row, whole, end);
    }
  }

  [[gnu::always_inline]] __m256d square_of(float scale) const {
    const double own = static_cast<double>(scale) * static_cast<double>(pair_.unit);
    return _mm256_set1_pd(own * own);
  }

  void add_integers(const uint8_t* line, int64_t begin, int64_t end, float scale) {
    __m256i sum = _mm256_setzero_si256();
    const __m256i table = table_;
    for (int64_t j = begin; j < end; j += 64) {
      sum = _mm256_add_epi64(sum, sums_of(table, load32(line + j / 2)));
    }
    sums_.add_scaled(sum, square_of(scale));
  }

  // Numbers that are powers of two are exact with every scale, and three times those have the rounding of three times the scale.
  void add_two_classes(const uint8_t* line, int64_t begin, int64_t end, float scale) {
    __m256i ones = _mm256_setzero_si256();
    __m256i threes = _mm256_setzero_si256();
    const __m256i ones_table = broadcast(ones_);
    const __m256i threes_table = broadcast(threes_);
    for (int64_t j = begin; j < end; j += 64) {
      const __m256i codes = load32(line + j / 2);
      ones = _mm256_add_epi64(ones, sums_of(ones_table, codes));
      threes = _mm256_add_epi64(threes, sums_of(threes_table, codes));
    }
    sums_.add_scaled(ones, square_of(scale));
    sums_.add_scaled(threes, square_of(3 * scale));
  }

  static __m256i broadcast(const int8_t* table) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  }

  // The squares of scales of groups of 16 or 32 entries, for 64 entries.
  template <int64_t kWidth>
  [[gnu::always_inline]] __m256d squares_of(int64_t at, float factor) const {
    __m128 scales;
    if constexpr (kWidth == 16) {
      scales = _mm_loadu_ps(scales_ + at / 16);
    } else {
      const __m128 two = _mm_castpd_ps(_mm_load_sd(reinterpret_cast<const double*>(scales_ + at / 32)));
      scales = _mm_unpacklo_ps(two, two);
    }
    const __m256d own = _mm256_mul_pd(_mm256_cvtps_pd(_mm_mul_ps(scales, _mm_set1_ps(factor))), _mm256_set1_pd(pair_.unit));
    return _mm256_mul_pd(own, own);
  }
  template <int64_t kWidth>
  void add_small_groups(const uint8_t* line, int64_t begin, int64_t end) {
    const __m256i ones_table = broadcast(ones_);
    const __m256i threes_table = broadcast(threes_);
    __m256d sum = _mm256_setzero_pd();
    __m256d other = _mm256_setzero_pd();
    for (int64_t j = begin; j < end; j += 64) {
      const __m256i codes = load32(line + j / 2);
      const __m256i zero = _mm256_setzero_si256();
      const __m256i low = lower_nibbles(codes);
      const __m256i high = upper_nibbles(codes);
      // The squares are at most 64, so that two of them fit in a byte.
      const __m256i ones = _mm256_add_epi8(_mm256_shuffle_epi8(ones_table, low), _mm256_shuffle_epi8(ones_table, high));
      const __m256i threes = _mm256_add_epi8(_mm256_shuffle_epi8(threes_table, low), _mm256_shuffle_epi8(threes_table, high));
      sum = _mm256_fmadd_pd(to_doubles(_mm256_sad_epu8(ones, zero)), squares_of<kWidth>(j, 1), sum);
      other = _mm256_fmadd_pd(to_doubles(_mm256_sad_epu8(threes, zero)), squares_of<kWidth>(j, 3), other);
    }
    sums_.sum[2] = _mm256_add_pd(sums_.sum[2], sum);
    sums_.sum[3] = _mm256_add_pd(sums_.sum[3], other);
  }
  template <int64_t kWidth>
  void add_small_integers(const uint8_t* line, int64_t begin, int64_t end) {
    const __m256i table = table_;
    __m256d sum = _mm256_setzero_pd();
    for (int64_t j = begin; j < end; j += 64) {
      sum = _mm256_fmadd_pd(to_doubles(sums_of(table, load32(line + j / 2))), squares_of<kWidth>(j, 1), sum);
    }
    sums_.sum[2] = _mm256_add_pd(sums_.sum[2], sum);
  }

  void add_nibble_floats(const uint8_t* line, int64_t begin, int64_t end, const ScaleGroup& own) {
    const __m256 zero = _mm256_set1_ps(own.zero);
    const __m256 scale = _mm256_set1_ps(own.scale);
    const __m256 low = _mm256_mul_ps(_mm256_sub_ps(low_, zero), scale);
    const __m256 high = _mm256_mul_ps(_mm256_sub_ps(high_, zero), scale);
#ifdef __AVX512F__
    const __m512 table = _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
    const auto add = [&](__m512i words) __attribute__((always_inline)) {
      sums_.add16<0>(_mm512_permutexvar_ps(words, table));
      sums_.add16<2>(_mm512_permutexvar_ps(_mm512_srli_epi32(words, 4), table));
    };
    for (int64_t j = begin; j < end; j += 64) {
      const __m512i words = _mm512_cvtepu16_epi32(load32(line + j / 2));
      add(words);
      add(_mm512_srli_epi32(words, 8));
    }
#else
    SquareSums sums = sums_;
    for (int64_t j = begin; j < end; j += 64) {
      const __m256i words = load32(line + j / 2);
      const auto entry = [&](int shift) __attribute__((always_inline)) {
        const __m256i codes = _mm256_srli_epi32(words, shift);
        const __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(words, 28 - shift));  // bit 3 of the code as the sign
        return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, codes), _mm256_permutevar8x32_ps(high, codes), upper);
      };
      sums.add8<0>(entry(0));
      sums.add8<2>(entry(4));
      sums.add8<4>(entry(8));
      sums.add8<6>(entry(12));
      sums.add8<0>(entry(16));
      sums.add8<2>(entry(20));
      sums.add8<4>(entry(24));
      sums.add8<6>(entry(28));
    }
    sums_ = sums;
#endif
  }

  void add_bytes(const uint8_t* line, int64_t begin, int64_t end, const ScaleKind& kind) {
    for_groups(begin, end, [&](int64_t first, int64_t last, int64_t group) {
      const ScaleGroup own = scale(group);
      const int64_t whole = first + (last - first) / 32 * 32;
      if (pair_.numbers == CodeNumbers::kIntegers && kind.exact8 && zeros_ == nullptr) {
        add_byte_integers(line, first, whole, own.scale);
      } else if (pair_.numbers == CodeNumbers::kIntegers) {
#ifdef __AVX512F__
        for (int64_t j = first; j < whole; j += 32) {
          const auto sixteen = [&](int64_t at) __attribute__((always_inline)) {
            const __m512i bytes = _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(line + at)));
            const __m512 value = _mm512_sub_ps(_mm512_cvtepi32_ps(bytes), _mm512_set1_ps(own.zero));
            return _mm512_mul_ps(value, _mm512_set1_ps(own.scale));
          };
          sums_.add16<0>(sixteen(j));
          sums_.add16<2>(sixteen(j + 16));
        }
#else
        add_byte_floats(
            line, first, whole, [&](const uint8_t* at) __attribute__((always_inline)) {
              const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(at));
              const __m256 value = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
              return _mm256_mul_ps(_mm256_sub_ps(value, _mm256_set1_ps(own.zero)), _mm256_set1_ps(own.scale));
            });
#endif
      } else if (zeros_ != nullptr) {
        add_byte_table(line, first, whole, own);
      } else if (kind.exact4 && last - first >= Float8Squares<true>::kLeast) {
        const int64_t end_of_vectors = first + (last - first) / ByteLanes::kCount * ByteLanes::kCount;
        pair_.numbers == CodeNumbers::kE4m3 ? add_float8_integers<true>(line + first, end_of_vectors - first, own.scale)
                                            : add_float8_integers<false>(line + first, end_of_vectors - first, own.scale);
        add_float8(line, end_of_vectors, whole, own.scale);
      } else {
        add_float8(line, first, whole, own.scale);
      }
      add_byte_table(line, whole, last, own);
    });
  }
  void add_byte_integers(const uint8_t* line, int64_t begin, int64_t end, float scale) {
    __m256i sum = _mm256_setzero_si256();
    for (int64_t j = begin; j < end; j += 16) {
      const __m256i own = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(line + j)));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(own, own));
    }
    const __m256i low = _mm256_and_si256(sum, _mm256_set1_epi64x(0xffffffff));
    const double own = scale;
    sums_.add_scaled(_mm256_add_epi64(low, _mm256_srli_epi64(sum, 32)), _mm256_set1_pd(own * own));
  }
  template <typename Value>
  [[gnu::always_inline]] void add_byte_floats(const uint8_t* line, int64_t begin, int64_t end, Value value) {
    SquareSums sums = sums_;
    for (int64_t j = begin; j < end; j += 32) {
      sums.add8<0>(value(line + j));
      sums.add8<2>(value(line + j + 8));
      sums.add8<4>(value(line + j + 16));
      sums.add8<6>(value(line + j + 24));
    }
    sums_ = sums;
  }
  void add_float8(const uint8_t* line, int64_t begin, int64_t end, float scale) {
    const bool e4m3 = pair_.numbers == CodeNumbers::kE4m3;
    // An E4M3 code without its sign is the F16 code of its number / 256, but for NaN.
    [[maybe_unused]] const __m256 factor = _mm256_set1_ps(e4m3 ? scale * 256 : scale);
    const __m256i magnitude = _mm256_set1_epi8(0x7f);
    const __m256i zero = _mm256_setzero_si256();
    __m256i largest = zero;
#ifdef __AVX512F__
    const __m128i shift = _mm_cvtsi32_si128(e4m3 ? 7 : 8);
    const __m512 factor16 = _mm512_set1_ps(e4m3 ? scale * 256 : scale);
    for (int64_t j = begin; j < end; j += 32) {
      const __m256i codes = _mm256_and_si256(load32(line + j), magnitude);
      largest = _mm256_max_epu8(largest, codes);
      const __m512i halves = _mm512_sll_epi16(_mm512_cvtepu8_epi16(codes), shift);
      sums_.add16<0>(_mm512_mul_ps(_mm512_cvtph_ps(_mm512_castsi512_si256(halves)), factor16));
      sums_.add16<2>(_mm512_mul_ps(_mm512_cvtph_ps(_mm512_extracti64x4_epi64(halves, 1)), factor16));
    }
#else
    SquareSums sums = sums_;
    for (int64_t j = begin; j < end; j += 32) {
      const __m256i codes = _mm256_and_si256(load32(line + j), magnitude);
      largest = _mm256_max_epu8(largest, codes);
      __m256i low = _mm256_unpacklo_epi8(zero, codes);
      __m256i high = _mm256_unpackhi_epi8(zero, codes);
      if (e4m3) {
        low = _mm256_srli_epi16(low, 1);
        high = _mm256_srli_epi16(high, 1);
      }
      sums.add8<0>(_mm256_mul_ps(_mm256_cvtph_ps(_mm256_castsi256_si128(low)), factor));
      sums.add8<2>(_mm256_mul_ps(_mm256_cvtph_ps(_mm256_extracti128_si256(low, 1)), factor));
      sums.add8<4>(_mm256_mul_ps(_mm256_cvtph_ps(_mm256_castsi256_si128(high)), factor));
      sums.add8<6>(_mm256_mul_ps(_mm256_cvtph_ps(_mm256_extracti128_si256(high, 1)), factor));
    }
    sums_ = sums;
#endif
    is_nan_ = is_nan_ || (e4m3 && _mm256_movemask_epi8(_mm256_cmpeq_epi8(largest, magnitude)) != 0);
  }
  template <bool kE4m3>
  void add_float8_integers(const uint8_t* codes, int64_t count, float scale) {
    Float8Squares<kE4m3> squares;
    squares.add(codes, count);
    is_nan_ = is_nan_ || squares.has_special();
    const double own = scale;
    sums_.sum[0] = _mm256_add_pd(sums_.sum[0], _mm256_setr_pd(squares.total() * (own * own), 0, 0, 0));
  }
  void add_byte_table(const uint8_t* line, int64_t begin, int64_t end, const ScaleGroup& own) {
    double sum = 0;
    for (int64_t j = begin; j < end; ++j) {
      const float entry = (codes_.table[line[j]] - own.zero) * own.scale;
      sum += static_cast<double>(entry) * static_cast<double>(entry);
    }
    sums_.sum[0] = _mm256_add_pd(sums_.sum[0], _mm256_setr_pd(sum, 0, 0, 0));
  }

  // Zero points, less the number of code 0. Returns false unless they are numbers of codes.
  bool set_zeros(const float* zeros, int64_t count, int8_t* out) const {
    bool fits = true;
    for (int64_t i = 0; i < count; ++i) {
      const float own = (zeros == nullptr ? 0.0F : zeros[i]) - static_cast<float>(pair_.multiples[0]);
      const bool good = own >= 0 && own <= 15 && std::rint(own) == own;
      fits = fits && good;
      out[i] = good ? static_cast<int8_t>(own) : int8_t{0};
    }
    return fits;
  }

  // Eight rows of the columns of one group.
  [[gnu::always_inline]] bool add_down(int64_t row, int64_t begin, int64_t end, int64_t group) {
    const float* scales = codes_.scales + group * codes_.scale_stride + row;
    if (!kind_of(scales, 8).exact4) {
      return false;
    }
    const __m256i words = zero_words(codes_.zeros == nullptr ? nullptr : codes_.zeros + group * codes_.scale_stride + row);
    if (has_wide_zeros(words)) {
      return false;
    }
    const __m256i zeros = _mm256_mullo_epi32(_mm256_and_si256(words, _mm256_set1_epi32(0xff)), _mm256_set1_epi32(0x01010101));
    const uint8_t* at = static_cast<const uint8_t*>(codes_.codes) + begin / 8 * codes_.stride + 4 * row;
    __m256i sum = _mm256_setzero_si256();
    int64_t lines = (end - begin) / 8;
    while (lines > 0) {
      constexpr int64_t kLines = 8;  // of which sums of squares, of at most 31, fit in 16 bits
      __m256i part = _mm256_setzero_si256();
      const int64_t count = std::min(lines, kLines);
      for (int64_t line = 0; line < count; ++line, at += codes_.stride) {
        const __m256i codes = load32(at);
        const __m256i low = _mm256_abs_epi8(_mm256_sub_epi8(lower_nibbles(codes), zeros));
        const __m256i high = _mm256_abs_epi8(_mm256_sub_epi8(upper_nibbles(codes), zeros));
        part = _mm256_add_epi16(part, _mm256_add_epi16(_mm256_maddubs_epi16(low, low), _mm256_maddubs_epi16(high, high)));
      }
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(part, _mm256_set1_epi16(1)));
      lines -= count;
    }
    for (int half = 0; half < 2; ++half) {
      const __m128i own = half == 0 ? _mm256_castsi256_si128(sum) : _mm256_extracti128_si256(sum, 1);
      const __m256d scale = _mm256_cvtps_pd(_mm_loadu_ps(scales + static_cast<int64_t>(4) * half));
      sums_.sum[half] = _mm256_fmadd_pd(_mm256_cvtepi32_pd(own), _mm256_mul_pd(scale, scale), sums_.sum[half]);
    }
    return true;
  }
  // Eight zero points, less the number of code 0, or 99 for one that is no integer.
  [[nodiscard]] __m256i zero_words(const float* zeros) const {
    const __m256 own = _mm256_sub_ps(zeros == nullptr ? _mm256_setzero_ps() : _mm256_loadu_ps(zeros),
                                     _mm256_set1_ps(static_cast<float>(pair_.multiples[0])));
    const __m256i integers = _mm256_cvtps_epi32(own);
    const __m256 good = _mm256_cmp_ps(_mm256_cvtepi32_ps(integers), own, _CMP_EQ_OQ);
    return _mm256_blendv_epi8(_mm256_set1_epi32(99), integers, _mm256_castps_si256(good));
  }
  // Whether a code less one of the zero points may be above 31.
  static bool has_wide_zeros(__m256i words) {
    const __m256i bad =
        _mm256_or_si256(_mm256_cmpgt_epi32(words, _mm256_set1_epi32(31)), _mm256_cmpgt_epi32(_mm256_set1_epi32(-16), words));
    return _mm256_testz_si256(bad, bad) == 0;
  }

  // Sixty-four rows of the columns of one group.
  bool add_awq(int64_t row, int64_t begin, int64_t end, int64_t group) {
    static_assert(kTallColumns * 225 < 65536);
    constexpr int64_t kRows = 64;
    const float* scales = codes_.scales + group * codes_.scale_stride + row;
    int8_t zeros[kRows];
    if (!kind_of(scales, kRows).exact4 ||
        !set_zeros(codes_.zeros == nullptr ? nullptr : codes_.zeros + group * codes_.scale_stride + row, kRows, zeros)) {
      return false;
    }
    alignas(32) int8_t low_zeros[32];
    alignas(32) int8_t high_zeros[32];
    for (int64_t byte = 0; byte < 32; ++byte) {
      low_zeros[byte] = zeros[row_of(byte, 0)];
      high_zeros[byte] = zeros[row_of(byte, 1)];
    }
    const __m256i low_zero = load32(reinterpret_cast<const uint8_t*>(low_zeros));
    const __m256i high_zero = load32(reinterpret_cast<const uint8_t*>(high_zeros));
    const __m256i squares = _mm256_broadcastsi128_si256(small_squares());
    const __m256i none = _mm256_setzero_si256();
    __m256i sums[4] = {none, none, none, none};
    const uint8_t* at = static_cast<const uint8_t*>(codes_.codes) + begin * codes_.stride + row / 2;
    for (int64_t column = begin; column < end; ++column, at += codes_.stride) {
      const __m256i codes = load32(at);
      const __m256i low = _mm256_shuffle_epi8(squares, _mm256_abs_epi8(_mm256_sub_epi8(lower_nibbles(codes), low_zero)));
      const __m256i high = _mm256_shuffle_epi8(squares, _mm256_abs_epi8(_mm256_sub_epi8(upper_nibbles(codes), high_zero)));
      sums[0] = _mm256_add_epi16(sums[0], _mm256_unpacklo_epi8(low, none));
      sums[1] = _mm256_add_epi16(sums[1], _mm256_unpackhi_epi8(low, none));
      sums[2] = _mm256_add_epi16(sums[2], _mm256_unpacklo_epi8(high, none));
      sums[3] = _mm256_add_epi16(sums[3], _mm256_unpackhi_epi8(high, none));
    }
    double total = 0;
    for (int64_t k = 0; k < 4; ++k) {
      alignas(32) uint16_t own[16];
      _mm256_store_si256(reinterpret_cast<__m256i*>(own), sums[k]);
      for (int64_t i = 0; i < 16; ++i) {
        const int64_t byte = i % 8 + i / 8 * 16 + k % 2 * 8;
        const double scale = scales[row_of(byte, static_cast<int>(k / 2))];
        total += scale * scale * own[i];
      }
    }
    sums_.sum[0] = _mm256_add_pd(sums_.sum[0], _mm256_setr_pd(total, 0, 0, 0));
    return true;
  }
  // The row of a half of a byte of words in AWQ's order.
  static int64_t row_of(int64_t byte, int half) { return byte / 4 * 8 + kAwqRows[byte % 4 * 2 + half]; }

  const CodedPair& pair_;
  const tg_codes& codes_;
  bool two_classes_ = false;
  bool consecutive_ = false;
  bool is_nan_ = false;
  bool has_table_ = false;
  float table_zero_ = 0;
  __m128i multiples_ = _mm_setzero_si128();
  __m256i table_ = _mm256_setzero_si256();
  int8_t ones_[16] = {};
  int8_t threes_[16] = {};
  __m256 low_ = _mm256_setzero_ps();
  __m256 high_ = _mm256_setzero_ps();
  const float* scales_ = nullptr;
  const float* zeros_ = nullptr;
  SquareSums sums_;
  WideLanes::Squares wide_;
};

// The places of entries of a line that differ, and their codes.
struct CodedEntries {
  int64_t count = 0;
  uint16_t place[2 * kNoteBatch + 2];  // of the entry, counted in the order of the codes
  uint8_t base[2 * kNoteBatch + 2];
  uint8_t tuned[2 * kNoteBatch + 2];

  // Adds an entry, and keeps it if `wanted` is 1. There is no branch, because it would be mispredicted too often.
  [[gnu::always_inline]] void add(int64_t at, uint32_t a, uint32_t b, int64_t wanted) {
    place[count] = static_cast<uint16_t>(at);
    base[count] = static_cast<uint8_t>(a);
    tuned[count] = static_cast<uint8_t>(b);
    count += wanted;
  }
};

// One comparison of a block.
class CodedBlock {
 public:
  CodedBlock(const CodedPair& pair, const BlockInput& input, const BlockCells* cells, BlockResult& result)
      : pair_(pair), input_(input), cells_(cells), result_(result), squares_(pair) {}

  bool run() {
    result_.clear(input_.rows, input_.columns);
    if (input_.mask != nullptr) {
      const int64_t words = (input_.columns + 63) / 64;
      for (int64_t i = 0; i < input_.rows; ++i) {
        std::fill_n(input_.mask + (input_.row + i) * input_.mask_stride + input_.column / 64, words, uint64_t{0});
      }
    }
    const bool done = pair_.lines == CodeLines::kRows      ? run_rows<false>()
                      : pair_.lines == CodeLines::kColumns ? run_rows<true>()
                      : pair_.lines == CodeLines::kDown    ? run_words<true>()
                                                           : run_words<false>();
    if (!done) {
      return false;
    }
    judge_rest();
    queue_.finish(result_);
    for (int64_t i = 0; i < input_.rows; ++i) {
      result_.changed += result_.row_changed[i];
    }
    result_.changed_bits = counts_.bits;
    result_.changed_stored = counts_.stored;
    result_.hidden = counts_.stored - result_.changed;
    result_.sign_flips = counts_.flips;
    result_.base_squares = squares_.total();
    return std::isfinite(result_.base_squares) && std::isfinite(result_.delta_squares);
  }

 private:
  // Rows of contiguous codes, or columns of the matrix.
  template <bool kTransposed>
  bool run_rows() {
    const tg_codes& a = pair_.base;
    const tg_codes& b = pair_.tuned;
    const int64_t first_line = kTransposed ? input_.column : input_.row;
    const int64_t lines = kTransposed ? input_.columns : input_.rows;
    const int64_t begin = kTransposed ? input_.row : input_.column;
    const int64_t width = kTransposed ? input_.rows : input_.columns;
    const int64_t bytes = (width * a.bits + 7) / 8;
    const int64_t first_group = begin / a.group_columns;
    const int64_t groups = (begin + width - 1) / a.group_columns - first_group + 1;
    groups_ = GroupIndex(a.group_columns, begin % a.group_columns, width);
    int64_t scale_row = -1;
    bool same = false;
    ScaleKind kind{};
    for (int64_t i = 0; i < lines; ++i) {
      const int64_t line = first_line + i;
      if (line / a.scale_rows != scale_row) {
        scale_row = line / a.scale_rows;
        for (int side = 0; side < 2; ++side) {
          const tg_codes& own = side == 0 ? a : b;
          scales_[side] = own.scales + scale_row * own.scale_stride + first_group;
          zeros_[side] = own.zeros == nullptr ? nullptr : own.zeros + scale_row * own.scale_stride + first_group;
        }
        same = same_bits(scales_[0], scales_[1], groups) && (zeros_[0] == nullptr || same_bits(zeros_[0], zeros_[1], groups));
        kind = kind_of(scales_[0], groups);
      }
      const uint8_t* x = static_cast<const uint8_t*>(a.codes) + line * a.stride + begin * a.bits / 8;
      const uint8_t* y = static_cast<const uint8_t*>(b.codes) + line * b.stride + begin * b.bits / 8;
      squares_.add_row(line, begin, begin + width, kind);
      const int64_t ahead = (kAheadBytes + bytes - 1) / bytes;
      const int64_t noted = scan(x, y, bytes, ahead * (kTransposed ? a.stride : bytes), ahead * (kTransposed ? b.stride : bytes));
      if (is_dense(noted, bytes)) {
        return false;
      }
      const auto take = [&](const CodedEntries& entries) __attribute__((always_inline)) { decode_row<kTransposed>(entries, i); };
      const int64_t swap = a.order == TG_CODES_HIGH_FIRST ? 1 : 0;
      const auto inside = [&](int64_t at) __attribute__((always_inline)) { return static_cast<int64_t>(at < width); };
      const auto inside_same = [&](int64_t at) { return static_cast<int64_t>(at < width && same_group(groups_.of(at))); };
      if (a.bits == 4) {
        same ? take_nibbles(x, y, noted, swap, inside, take) : take_nibbles(x, y, noted, swap, inside_same, take);
      } else {
        same ? take_bytes(x, y, noted, inside, take) : take_bytes(x, y, noted, inside_same, take);
      }
      for (int64_t group = 0; !same && group < groups; ++group) {
        if (!same_group(group)) {
          const int64_t from = std::max<int64_t>(0, group * a.group_columns - begin % a.group_columns);
          const int64_t left = a.group_columns - (group == 0 ? begin % a.group_columns : 0);
          const int64_t to = width - from < left ? width : from + left;
          if (is_dense(to - from, 0)) {
            return false;
          }
          take_all(from, to, take, [&](int64_t at, int side) {
            const uint8_t* own = side == 0 ? x : y;
            const uint32_t pairs = a.bits == 4 ? own[at / 2] : own[at];
            const bool upper = (at % 2 != 0) != (a.order == TG_CODES_HIGH_FIRST);
            return a.bits == 8 ? pairs : (upper ? pairs >> 4 : pairs & 15U);
          });
        }
      }
    }
    return true;
  }

  // Words of codes of several rows.
  template <bool kDown>
  bool run_words() {
    const tg_codes& a = pair_.base;
    const tg_codes& b = pair_.tuned;
    const int64_t lines = kDown ? (input_.columns + 7) / 8 : input_.columns;
    const int64_t bytes = kDown ? 4 * input_.rows : (input_.rows + 7) / 8 * 4;
    const int64_t column_step = kDown ? codes::kWordColumns : 1;
    int64_t compared = -1;  // the group whose scales were compared last
    for (int64_t i = 0; i < lines; ++i) {
      const int64_t column = input_.column + i * column_step;
      const int64_t width = std::min(column_step, input_.column + input_.columns - column);
      bool same = true;
      for (int64_t k = 0; k < width; ++k) {
        const int64_t group = a.group_of == nullptr ? (column + k) / a.group_columns : a.group_of[column + k];
        if (k == 0 || group != group_[k - 1]) {
          same = compare_rows(group, compared) && same;
        }
        group_[k] = group;
        for (int side = 0; side < 2; ++side) {
          const tg_codes& own = side == 0 ? a : b;
          const int64_t at = group * own.scale_stride + input_.row;
          column_scales_[side][k] = own.scales + at;
          column_zeros_[side][k] = own.zeros == nullptr ? nullptr : own.zeros + at;
        }
      }
      const int64_t offset = kDown ? column / 8 : column;
      const int64_t first_byte = kDown ? 4 * input_.row : input_.row / 2;
      const uint8_t* x = static_cast<const uint8_t*>(a.codes) + offset * a.stride + first_byte;
      const uint8_t* y = static_cast<const uint8_t*>(b.codes) + offset * b.stride + first_byte;
      const int64_t noted = scan(x, y, bytes, a.stride, b.stride);
      if (is_dense(noted, bytes)) {
        return false;
      }
      const auto take = [&](const CodedEntries& entries) __attribute__((always_inline)) {
        decode_words<kDown>(entries, i * column_step);
      };
      const auto row_of = [&](int64_t at) __attribute__((always_inline)) {
        return kDown ? at / 8 : at / 8 * 8 + kAwqRows[at % 8];
      };
      const auto column_of = [&](int64_t at) __attribute__((always_inline)) { return kDown ? at % 8 : 0; };
      const auto inside = [&](int64_t at) __attribute__((always_inline)) {
        return static_cast<int64_t>(row_of(at) < input_.rows) & static_cast<int64_t>(column_of(at) < width);
      };
      const auto inside_same = [&](int64_t at) {
        return inside(at) != 0 && same_scale(row_of(at), column_of(at)) ? int64_t{1} : int64_t{0};
      };
      same ? take_nibbles(x, y, noted, 0, inside, take) : take_nibbles(x, y, noted, 0, inside_same, take);
      for (int64_t row = 0; !same && row < input_.rows; ++row) {
        for (int64_t k = 0; k < width; ++k) {
          if (!same_scale(row, k)) {
            const int64_t at = kDown ? 8 * row + k : row / 8 * 8 + codes_place(row % 8);
            if (is_dense(1, 0)) {
              return false;
            }
            const int shift = at % 2 != 0 ? 4 : 0;
            CodedEntries entries;
            entries.add(at, x[at / 2] >> shift & 15, y[at / 2] >> shift & 15, 1);
            take(entries);
          }
        }
      }
    }
    squares_.add_words(input_);
    return true;
  }

  static int64_t codes_place(int64_t row) {
    constexpr int kPlaces[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    return kPlaces[row];
  }

  // Returns whether the scales of a group are the same for all rows of the block.
  bool compare_rows(int64_t group, int64_t& compared) {
    if (group != compared) {
      const tg_codes& a = pair_.base;
      const tg_codes& b = pair_.tuned;
      const int64_t x = group * a.scale_stride + input_.row;
      const int64_t y = group * b.scale_stride + input_.row;
      group_same_ = same_bits(a.scales + x, b.scales + y, input_.rows) &&
                    (a.zeros == nullptr || same_bits(a.zeros + x, b.zeros + y, input_.rows));
      compared = group;
    }
    return group_same_;
  }
  [[nodiscard]] bool same_scale(int64_t row, int64_t k) const {
    return same_bits(column_scales_[0][k] + row, column_scales_[1][k] + row, 1) &&
           (column_zeros_[0][k] == nullptr || same_bits(column_zeros_[0][k] + row, column_zeros_[1][k] + row, 1));
  }
  [[nodiscard]] bool same_group(int64_t group) const {
    return same_bits(scales_[0] + group, scales_[1] + group, 1) &&
           (zeros_[0] == nullptr || same_bits(zeros_[0] + group, zeros_[1] + group, 1));
  }

  // Counts bytes that were compared and those that differ. Returns whether too many of them do.
  bool is_dense(int64_t differing, int64_t compared) {
    compared_ += compared;
    differing_ += differing;
    return differing_ > kDenseLeast + compared_ / kDenseShare;
  }

#ifdef __AVX512VBMI2__
  // The numbers 0 to 63.
  [[gnu::always_inline]] static __m512i place_numbers() {
    alignas(64) static constexpr auto kNumbers = [] {
      std::array<uint8_t, kLineBytes> numbers{};
      for (size_t i = 0; i < numbers.size(); ++i) {
        numbers[i] = static_cast<uint8_t>(i);
      }
      return numbers;
    }();
    return _mm512_load_si512(kNumbers.data());
  }
#endif

  // Notes the bytes of a line that differ. Returns their number. Lines to prefetch are `next` bytes apart.
  int64_t scan(const uint8_t* x, const uint8_t* y, int64_t bytes, int64_t x_next, int64_t y_next) {
    const int64_t noted = rare_ ? scan_as<true>(x, y, bytes, x_next, y_next) : scan_as<false>(x, y, bytes, x_next, y_next);
    rare_ = noted * 16 < bytes / kLineBytes;
    return noted;
  }
  template <bool kRare>
  THREEGATE_NO_SLP int64_t scan_as(const uint8_t* x, const uint8_t* y, int64_t bytes, int64_t x_next, int64_t y_next) {
    int64_t noted = 0;
    const auto note = [&](int64_t at, uint64_t differing) __attribute__((always_inline)) {
      const int64_t count = __builtin_popcountll(differing);
#ifdef __AVX512VBMI2__
      const __m512i places = _mm512_maskz_compress_epi8(differing, place_numbers());
      const __m512i first = _mm512_set1_epi16(static_cast<int16_t>(at));
      _mm512_storeu_si512(notes_ + noted, _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(places)), first));
      if (__builtin_expect(count > 32, 0)) {
        const __m256i rest = _mm512_extracti64x4_epi64(places, 1);
        _mm512_storeu_si512(notes_ + noted + 32, _mm512_add_epi16(_mm512_cvtepu8_epi16(rest), first));
      }
      noted += count;
#else
      if (__builtin_expect(count > kNoteFew, 0)) {
        for (; differing != 0; differing &= differing - 1) {
          notes_[noted++] = static_cast<uint16_t>(at + WideLanes::trailing_zeros(differing));
        }
        return;
      }
      for (int64_t k = 0; k < kNoteFew; ++k) {
        notes_[noted + k] = static_cast<uint16_t>(at + WideLanes::trailing_zeros(differing));
        differing &= differing - 1;
      }
      noted += count;
#endif
    };
    int64_t at = 0;
    for (; at + kLineBytes <= bytes; at += kLineBytes) {
      _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(x + at) + static_cast<uintptr_t>(x_next)),
                   _MM_HINT_T0);
      _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(y + at) + static_cast<uintptr_t>(y_next)),
                   _MM_HINT_T0);
      const uint64_t differing = differing_bytes(x + at, y + at);
      if (kRare && __builtin_expect(differing == 0, 1)) {
        continue;
      }
      note(at, differing);
    }
    if (at < bytes) {
      uint8_t rest[2][kLineBytes] = {};
      std::memcpy(rest[0], x + at, static_cast<size_t>(bytes - at));
      std::memcpy(rest[1], y + at, static_cast<size_t>(bytes - at));
      note(at, differing_bytes(rest[0], rest[1]));
    }
    return noted;
  }

  // Takes the entries of noted bytes with two codes each, if they are wanted. The first is in the upper half if `swap` is 1.
  template <typename Wanted, typename Take>
  [[gnu::always_inline]] void take_nibbles(const uint8_t* x, const uint8_t* y, int64_t noted, int64_t swap, Wanted wanted,
                                           Take take) {
    for (int64_t n = 0; n < noted;) {
      CodedEntries entries;
      for (const int64_t end = std::min(noted, n + kNoteBatch); n < end; ++n) {
        const int64_t byte = notes_[n];
        const uint32_t a = x[byte];
        const uint32_t b = y[byte];
        const int64_t low = 2 * byte + swap;
        const int64_t high = 2 * byte + 1 - swap;
        entries.add(low, a & 15U, b & 15U, static_cast<int64_t>(((a ^ b) & 15U) != 0) & wanted(low));
        entries.add(high, a >> 4, b >> 4, static_cast<int64_t>((a ^ b) >> 4 != 0) & wanted(high));
      }
      take(entries);
    }
  }
  template <typename Wanted, typename Take>
  [[gnu::always_inline]] void take_bytes(const uint8_t* x, const uint8_t* y, int64_t noted, Wanted wanted, Take take) {
    for (int64_t n = 0; n < noted;) {
      CodedEntries entries;
      for (const int64_t end = std::min(noted, n + 2 * kNoteBatch); n < end; ++n) {
        entries.add(notes_[n], x[notes_[n]], y[notes_[n]], wanted(notes_[n]));
      }
      take(entries);
    }
  }
  // Takes all entries of a range of a line, whose scales differ.
  template <typename Take, typename Code>
  [[gnu::always_inline]] void take_all(int64_t from, int64_t to, Take take, Code code) {
    for (int64_t at = from; at < to;) {
      CodedEntries entries;
      for (const int64_t end = std::min(to, at + 2 * kNoteBatch); at < end; ++at) {
        entries.add(at, code(at, 0), code(at, 1), 1);
      }
      take(entries);
    }
  }

  template <bool kTransposed>
  [[gnu::always_inline]] void decode_row(const CodedEntries& entries, int64_t line) {
    const float* table = pair_.base.table;
    const bool zeros = zeros_[0] != nullptr;
    for (int64_t n = 0; n < entries.count; ++n) {
      const int64_t at = entries.place[n];
      const int64_t group = groups_.of(at);
      const float a = (table[entries.base[n]] - (zeros ? zeros_[0][group] : 0.0F)) * scales_[0][group];
      const float b = (table[entries.tuned[n]] - (zeros ? zeros_[1][group] : 0.0F)) * scales_[1][group];
      kTransposed ? put(n, a, b, at, line) : put(n, a, b, line, at);
    }
    took(entries.count);
  }
  template <bool kDown>
  [[gnu::always_inline]] void decode_words(const CodedEntries& entries, int64_t column) {
    const float* table = pair_.base.table;
    const bool zeros = column_zeros_[0][0] != nullptr;
    for (int64_t n = 0; n < entries.count; ++n) {
      const int64_t at = entries.place[n];
      const int64_t row = kDown ? at / 8 : at / 8 * 8 + kAwqRows[at % 8];
      const int64_t k = kDown ? at % 8 : 0;
      const float a = (table[entries.base[n]] - (zeros ? column_zeros_[0][k][row] : 0.0F)) * column_scales_[0][k][row];
      const float b = (table[entries.tuned[n]] - (zeros ? column_zeros_[1][k][row] : 0.0F)) * column_scales_[1][k][row];
      put(n, a, b, row, column + k);
    }
    took(entries.count);
  }

  // Puts an entry behind those that wait.
  [[gnu::always_inline]] void put(int64_t n, float a, float b, int64_t row, int64_t column) {
    waiting_base_[waiting_ + n] = a;
    waiting_tuned_[waiting_ + n] = b;
    waiting_row_[waiting_ + n] = static_cast<uint16_t>(row);
    waiting_column_[waiting_ + n] = static_cast<uint16_t>(column);
  }
  void took(int64_t count) {
    waiting_ += count;
    if (waiting_ >= kWideGroup) {
      judge_group(kWideGroup);
      waiting_ -= kWideGroup;
      std::copy_n(waiting_base_ + kWideGroup, kWideGroup, waiting_base_);
      std::copy_n(waiting_tuned_ + kWideGroup, kWideGroup, waiting_tuned_);
      std::copy_n(waiting_row_ + kWideGroup, kWideGroup, waiting_row_);
      std::copy_n(waiting_column_ + kWideGroup, kWideGroup, waiting_column_);
    }
  }
  // Judges the rest, which is padded with pairs of zeros.
  void judge_rest() {
    std::fill(waiting_base_ + waiting_, waiting_base_ + kWideGroup, 0.0F);
    std::fill(waiting_tuned_ + waiting_, waiting_tuned_ + kWideGroup, 0.0F);
    judge_group(waiting_);
  }

  // Judges 64 entries that wait, of which `count` are no padding.
  void judge_group(int64_t count) {
    const auto* a = reinterpret_cast<const uint8_t*>(waiting_base_);
    const auto* b = reinterpret_cast<const uint8_t*>(waiting_tuned_);
    const uint64_t changed = WideLanes::compare_codes(a, b, counts_.bits, counts_.flips);
    counts_.stored += __builtin_popcountll(WideLanes::unequal(a, b, float{}));
    queue_.drain_when_full();
    queue_.push(a, b, ~uint64_t{0}, kWideGroup);
    pair_.lines == CodeLines::kRows
        ? count_lines(changed, count, waiting_row_, waiting_column_, result_.row_changed, result_.column_changed)
    : pair_.lines == CodeLines::kDown
        ? count_words(changed, count)
        : count_lines(changed, count, waiting_column_, waiting_row_, result_.column_changed, result_.row_changed);
    for (int64_t n = 0; input_.mask != nullptr && n < count; ++n) {
      const int64_t at = input_.column + waiting_column_[n];
      input_.mask[(input_.row + waiting_row_[n]) * input_.mask_stride + at / 64] |= (changed >> n & 1) << (at % 64);
    }
    for (int64_t n = 0; cells_ != nullptr && n < count; ++n) {
      const uint32_t cell = cells_->of_rows[waiting_row_[n]] + cells_->of_columns[waiting_column_[n]];
      cells_->counts[cell] += static_cast<uint32_t>(changed >> n & 1);
    }
  }

  void count_words(uint64_t changed, int64_t count) {
    for (int64_t n = 0; n < count; ++n) {
      const uint64_t own = changed >> n & 1;
      result_.row_changed[waiting_row_[n]] += static_cast<uint32_t>(own);
      uint16_t& column = result_.column_changed[waiting_column_[n]];
      column = static_cast<uint16_t>(column + own);
    }
  }

  // The group of each place of a line, as a product and a shift.
  class GroupIndex {
   public:
    GroupIndex() = default;
    // `offset` entries of the first group lie before the line.
    GroupIndex(int64_t columns, int64_t offset, int64_t width) {
      if (width <= columns - offset) {
        return;  // one group
      }
      constexpr int64_t kMost = 2 * kBlockColumns;  // a line has at most one boundary of wider groups
      const int64_t excess = std::max<int64_t>(0, columns - kMost);
      const auto own = static_cast<uint64_t>(columns - excess);
      offset_ = static_cast<uint64_t>(offset - excess);
      factor_ = ((uint64_t{1} << 40) + own - 1) / own;
    }
    [[nodiscard, gnu::always_inline]] int64_t of(int64_t at) const {
      return static_cast<int64_t>((static_cast<uint64_t>(at) + offset_) * factor_ >> 40);
    }

   private:
    uint64_t offset_ = 0;
    uint64_t factor_ = 0;
  };

  const CodedPair& pair_;
  const BlockInput& input_;
  const BlockCells* cells_;
  BlockResult& result_;
  CodedSquares squares_;
  PairQueue<float> queue_;
  WideCounts counts_;
  GroupIndex groups_;
  int64_t compared_ = 0;
  int64_t differing_ = 0;
  bool rare_ = false;
  int64_t waiting_ = 0;
  bool group_same_ = false;
  const float* scales_[2] = {};  // of a line, from the first group of the block on
  const float* zeros_[2] = {};
  int64_t group_[8] = {};
  const float* column_scales_[2][8] = {};  // of columns of a word, from the first row of the block on
  const float* column_zeros_[2][8] = {};
  alignas(64) float waiting_base_[2 * kWideGroup];
  alignas(64) float waiting_tuned_[2 * kWideGroup];
  uint16_t waiting_row_[2 * kWideGroup] = {};
  uint16_t waiting_column_[2 * kWideGroup] = {};
  uint16_t notes_[kBlockColumns + kLineBytes];
};

inline bool block_coded(const CodedPair& pair, const BlockInput& input, const BlockCells* cells, BlockResult& result) {
  CodedBlock block(pair, input, cells, result);
  return block.run();
}

}  // namespace
}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_BLOCK_CODED_H
