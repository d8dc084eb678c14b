// The vector operations of block_wide.h with AVX2. Addresses are those of 64 entries, of any alignment. Everything has internal
// linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_DIFF_WIDE_LANES_AVX2_H
#define THREEGATE_CPU_DIFF_WIDE_LANES_AVX2_H

#include <algorithm>

#include "compress_table.h"
#include "wide_vector.h"

namespace threegate::diff {
namespace {

struct WideLanes {
  static constexpr int64_t kVectorsPerSpill = 7;  // vectors of eight pairs, with two additions each

  [[gnu::always_inline]] static __m256i load8(const uint8_t* address) { return load_vector<__m256i>(address); }
  [[gnu::always_inline]] static uint32_t sign_bits(__m256i v) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(v)));
  }
  [[gnu::always_inline]] static uint32_t sign_bits64(__m256i v) {
    return static_cast<uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(v)));
  }

  // 64 for 0.
  [[gnu::always_inline]] static int64_t trailing_zeros(uint64_t bits) { return static_cast<int64_t>(_tzcnt_u64(bits)); }

  // One bit for each entry whose bits differ.
  [[gnu::always_inline]] static uint64_t differing(const uint8_t* a, const uint8_t* b, float /*type*/) {
    uint64_t equal = 0;
    for (int64_t k = 0; k < 2; ++k) {
      const uint8_t* x = a + 128 * k;
      const uint8_t* y = b + 128 * k;
      const __m256i low =
          _mm256_packs_epi32(_mm256_cmpeq_epi32(load8(x), load8(y)), _mm256_cmpeq_epi32(load8(x + 32), load8(y + 32)));
      const __m256i high =
          _mm256_packs_epi32(_mm256_cmpeq_epi32(load8(x + 64), load8(y + 64)), _mm256_cmpeq_epi32(load8(x + 96), load8(y + 96)));
      const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
      const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
      equal |= static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(bytes))) << (32 * k);
    }
    return ~equal;
  }
  [[gnu::always_inline]] static uint64_t differing(const uint8_t* a, const uint8_t* b, uint16_t /*type*/) {
    uint64_t equal = 0;
    for (int64_t k = 0; k < 2; ++k) {
      const __m256i low = _mm256_cmpeq_epi16(load8(a + 64 * k), load8(b + 64 * k));
      const __m256i high = _mm256_cmpeq_epi16(load8(a + 64 * k + 32), load8(b + 64 * k + 32));
      const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xd8);
      equal |= static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(bytes))) << (32 * k);
    }
    return ~equal;
  }
  [[gnu::always_inline]] static uint64_t differing(const uint8_t* a, const uint8_t* b, double /*type*/) {
    uint64_t equal = 0;
    for (int64_t k = 0; k < 16; ++k) {
      equal |= static_cast<uint64_t>(sign_bits64(_mm256_cmpeq_epi64(load8(a + 32 * k), load8(b + 32 * k)))) << (4 * k);
    }
    return ~equal;
  }

  // One bit for each entry whose numbers differ, which those of zeros do not.
  [[gnu::always_inline]] static uint64_t unequal(const uint8_t* a, const uint8_t* b, float /*type*/) {
    uint64_t result = 0;
    for (int64_t k = 0; k < 8; ++k) {
      const __m256 differs = _mm256_cmp_ps(load_vector<__m256>(a + 32 * k), load_vector<__m256>(b + 32 * k), _CMP_NEQ_UQ);
      result |= static_cast<uint64_t>(_mm256_movemask_ps(differs)) << (8 * k);
    }
    return result;
  }
  [[gnu::always_inline]] static uint64_t unequal(const uint8_t* a, const uint8_t* b, double /*type*/) {
    uint64_t result = 0;
    for (int64_t k = 0; k < 16; ++k) {
      const __m256d differs = _mm256_cmp_pd(load_vector<__m256d>(a + 32 * k), load_vector<__m256d>(b + 32 * k), _CMP_NEQ_UQ);
      result |= static_cast<uint64_t>(_mm256_movemask_pd(differs)) << (4 * k);
    }
    return result;
  }

  // double_to_float_odd of 64 entries.
  static void narrow(const uint8_t* wide, float* out) {
    const __m256d sign = _mm256_set1_pd(-0.0);
    for (int64_t k = 0; k < 16; ++k) {
      const auto value = load_vector<__m256d>(wide + 32 * k);
      const __m128 nearest = _mm256_cvtpd_ps(value);
      const __m256d back = _mm256_cvtps_pd(nearest);
      const __m256d inexact = _mm256_cmp_pd(back, value, _CMP_NEQ_OQ);
      const __m256d larger = _mm256_cmp_pd(_mm256_andnot_pd(sign, back), _mm256_andnot_pd(sign, value), _CMP_GT_OQ);
      // Towards zero where the rounding went up, which is -1.
      const __m128i bits = _mm_add_epi32(_mm_castps_si128(nearest), halves(_mm256_and_pd(larger, inexact)));
      const __m128i odd = _mm_srli_epi32(halves(inexact), 31);
      store_vector(out + 4 * k, _mm_or_si128(bits, odd));
    }
  }

  // Returns one bit for each entry whose bf16 codes differ, except where both are zeros. `bits` receives the number of entries
  // whose codes differ, and `flips` that of the entries with opposite signs of which neither is 0.
  [[gnu::always_inline]] static uint64_t compare_codes(const uint8_t* a, const uint8_t* b, int64_t& bits, int64_t& flips) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i same_count = zero;
    __m256i signs = zero;
    uint64_t changed = 0;
    for (int64_t k = 0; k < 8; ++k) {
      const __m256i x = load8(a + 32 * k);
      const __m256i y = load8(b + 32 * k);
      const __m256i x_round = rounded(x);
      const __m256i y_round = rounded(y);
      const __m256i same = _mm256_cmpeq_epi32(_mm256_srli_epi32(_mm256_xor_si256(x_round, y_round), 16), zero);
      const __m256i magnitude = _mm256_and_si256(_mm256_or_si256(x_round, y_round), _mm256_set1_epi32(0x7fff0000));
      const __m256i unchanged = _mm256_or_si256(same, _mm256_cmpeq_epi32(magnitude, zero));
      same_count = _mm256_sub_epi32(same_count, same);
      signs = _mm256_or_si256(signs, _mm256_xor_si256(x, y));
      changed |= static_cast<uint64_t>(sign_bits(unchanged)) << (8 * k);
    }
    bits += 64 - sum(same_count);
    if (__builtin_expect(sign_bits(signs) != 0, 0)) {
      flips += count_flips(a, b);
    }
    return ~changed;
  }

  // Adds the bits of a word to 64 counters.
  [[gnu::always_inline]] static void count_columns(uint16_t* columns, uint64_t changed) {
    const __m256i places = _mm256_set_epi16(static_cast<int16_t>(0x8000), 0x4000, 0x2000, 0x1000, 0x800, 0x400, 0x200, 0x100,
                                            0x80, 0x40, 0x20, 0x10, 8, 4, 2, 1);
    for (int64_t k = 0; k < 4; ++k) {
      const __m256i own = _mm256_and_si256(_mm256_set1_epi16(static_cast<int16_t>(changed >> (16 * k))), places);
      const __m256i minus = _mm256_cmpeq_epi16(own, places);
      store_vector(columns + 16 * k, _mm256_sub_epi16(load_vector<__m256i>(columns + 16 * k), minus));
    }
  }

  // Appends the marked ones of 64 entries to a queue, which may be written up to 64 entries beyond its new end.
  [[gnu::always_inline]] static void compress(const uint8_t* from, uint64_t marked, float* to) {
    for (int64_t k = 0; k < 8; ++k) {
      const uint32_t set = static_cast<uint32_t>(marked >> (8 * k)) & 0xffU;
      const __m256i lanes = _mm256_cvtepu8_epi32(load_vector<__m128i>(kLanes8.lanes[set]));
      store_vector(to, _mm256_permutevar8x32_epi32(load8(from + 32 * k), lanes));
      to += __builtin_popcount(set);
    }
  }
  [[gnu::always_inline]] static void compress(const uint8_t* from, uint64_t marked, double* to) {
    for (int64_t k = 0; k < 16; ++k) {
      const uint32_t set = static_cast<uint32_t>(marked >> (4 * k)) & 0xfU;
      const __m256i lanes = _mm256_cvtepu8_epi32(load_vector<__m128i>(kLanes4.lanes[set]));
      store_vector(to, _mm256_permutevar8x32_epi32(load8(from + 32 * k), lanes));
      to += __builtin_popcount(set);
    }
  }

  // The sum of squares of all entries.
  struct Squares {
    __m256d sum[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};

    template <typename V>
    [[gnu::always_inline]] void add64(const uint8_t* a) {
      for (int64_t k = 0; k < 16; ++k) {
        const __m256d v = load4<V>(a + static_cast<int64_t>(4 * sizeof(V)) * k);
        sum[k % 4] = _mm256_fmadd_pd(v, v, sum[k % 4]);
      }
    }
    // Of F16 codes.
    [[gnu::always_inline]] void add64_half(const uint8_t* a) {
      for (int64_t k = 0; k < 8; ++k) {
        const __m256 eight = _mm256_cvtph_ps(load_vector<__m128i>(a + 16 * k));
        const __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(eight));
        const __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(eight, 1));
        sum[2 * (k % 2)] = _mm256_fmadd_pd(low, low, sum[2 * (k % 2)]);
        sum[2 * (k % 2) + 1] = _mm256_fmadd_pd(high, high, sum[2 * (k % 2) + 1]);
      }
    }
    [[nodiscard]] double total() const {
      return add_lanes(_mm256_add_pd(_mm256_add_pd(sum[0], sum[1]), _mm256_add_pd(sum[2], sum[3])));
    }
  };

  // The sums over the differences of pairs, eight at a time.
  struct Deltas {
    __m256d squares[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
    __m256d dot[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
    __m256d max[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};

    Deltas() = default;
    Deltas(const Deltas& other) { *this = other; }
    // By vectors, because GCC would copy through memory.
    [[gnu::always_inline]] Deltas& operator=(const Deltas& other) {  // NOLINT(bugprone-unhandled-self-assignment): it is harmless
      for (int64_t k = 0; k < 2; ++k) {
        squares[k] = other.squares[k];
        dot[k] = other.dot[k];
        max[k] = other.max[k];
      }
      return *this;
    }

    // Adds four pairs to sums `k`. Returns the bits of the sizes of their differences.
    [[gnu::always_inline]] __m256i add4(int64_t k, __m256d base, __m256d tuned) {
      const __m256d delta = _mm256_sub_pd(tuned, base);
      const __m256d size = _mm256_andnot_pd(_mm256_set1_pd(-0.0), delta);
      squares[k] = _mm256_fmadd_pd(delta, delta, squares[k]);
      dot[k] = _mm256_fmadd_pd(delta, base, dot[k]);
      max[k] = _mm256_max_pd(max[k], size);
      return _mm256_castpd_si256(size);
    }

    void add(const Deltas& other) {
      for (int64_t k = 0; k < 2; ++k) {
        squares[k] = _mm256_add_pd(squares[k], other.squares[k]);
        dot[k] = _mm256_add_pd(dot[k], other.dot[k]);
        max[k] = _mm256_max_pd(max[k], other.max[k]);
      }
    }

    // Makes two additions to the histogram. A pair without a difference comes to bin 0, which is not counted.
    template <typename V>
    [[gnu::always_inline]] void add8(const V* a, const V* b, UlpHistogram<Word4>& histogram) {
      __m256i magnitude[2];
      __m256d base[2];
      for (int64_t k = 0; k < 2; ++k) {
        base[k] = load4<V>(reinterpret_cast<const uint8_t*>(a + 4 * k));
        magnitude[k] = add4(k, base[k], load4<V>(reinterpret_cast<const uint8_t*>(b + 4 * k)));
      }
      // ulp_bin of all eight, in 32-bit lanes in the order 0 1 4 5 2 3 6 7.
      const __m256i below = _mm256_set1_epi64x(0xfffffffffffffLL);
      const __m256i ceiling =
          _mm256_srli_epi32(upper_halves(_mm256_add_epi64(magnitude[0], below), _mm256_add_epi64(magnitude[1], below)), 20);
      const __m256i sign_gone = _mm256_slli_epi32(upper_halves(_mm256_castpd_si256(base[0]), _mm256_castpd_si256(base[1])), 1);
      const __m256i exponent =
          _mm256_max_epi32(_mm256_srli_epi32(sign_gone, 21), _mm256_set1_epi32(static_cast<int>(kSmallestNormalExponent)));
      const __m256i power = _mm256_add_epi32(_mm256_sub_epi32(ceiling, exponent), _mm256_set1_epi32(10));
      const __m256i least = _mm256_min_epi32(ceiling, _mm256_set1_epi32(1));  // 1 where there is a difference, even a tiny one
      const __m256i bin = _mm256_min_epi32(_mm256_max_epi32(power, least), _mm256_set1_epi32(TG_ULP_BINS - 1));
      // The order of lanes does not matter. The even ones are shifted in place, and the odd ones after they have moved down.
      const __m256i shift = _mm256_slli_epi32(bin, 2);
      const __m256i one = _mm256_set1_epi64x(1);
      const __m256i even = _mm256_and_si256(shift, _mm256_set1_epi64x(0xff));
      histogram.add(reinterpret_cast<Word4>(_mm256_sllv_epi64(one, even)));
      histogram.add(reinterpret_cast<Word4>(_mm256_sllv_epi64(one, _mm256_srli_epi64(shift, 32))));
    }

    void finish(BlockResult& result) const {
      result.delta_squares = add_lanes(_mm256_add_pd(squares[0], squares[1]));
      result.delta_dot_base = add_lanes(_mm256_add_pd(dot[0], dot[1]));
      const __m256d largest = _mm256_max_pd(max[0], max[1]);
      result.max_abs_delta = std::max(std::max(largest[0], largest[1]), std::max(largest[2], largest[3]));
    }
  };
  using Histogram = UlpHistogram<Word4>;

  // Statistics of groups of 64 pairs of which many differ, without a queue.
  struct Dense {
    Deltas deltas;
    NarrowHistogram<Part8> histogram;

    // Adds a group, and its squares to those of the base if `squares` is not nullptr. Returns one bit for each pair whose bf16
    // codes differ. `opposite` receives whether signs do.
    [[gnu::noinline]] uint64_t add64(const uint8_t* a, const uint8_t* b, Squares* squares, bool& opposite) {
      alignas(32) int32_t ceiling[64];
      add_sums(a, b, squares, ceiling);
      const __m256i zero = _mm256_setzero_si256();
      __m256i signs = zero;
      NarrowHistogram<Part8>::Group bins;
      uint64_t same = 0;
      for (int64_t k = 0; k < 2; ++k) {
        __m256i codes[4];
        for (int64_t i = 0; i < 4; ++i) {
          const int64_t at = 4 * k + i;
          const __m256i x = load8(a + 32 * at);
          const __m256i y = load8(b + 32 * at);
          bins.add(one_hot(load_vector<__m256i>(ceiling + 8 * at), x));
          if (i % 2 != 0) {
            bins.spill();
          }
          codes[i] = _mm256_srli_epi32(_mm256_xor_si256(rounded(x), rounded(y)), 16);
        }
        // One lane of 16 bits for each entry, in the order 0-3 8-11 4-7 12-15, and then one byte.
        const __m256i low_codes = _mm256_packus_epi32(codes[0], codes[1]);
        const __m256i high_codes = _mm256_packus_epi32(codes[2], codes[3]);
        signs = _mm256_or_si256(signs, _mm256_or_si256(low_codes, high_codes));
        const __m256i low = _mm256_cmpeq_epi16(low_codes, zero);
        const __m256i high = _mm256_cmpeq_epi16(high_codes, zero);
        const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
        same |= static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(bytes))) << (32 * k);
      }
      histogram.add(bins);
      opposite = _mm256_testz_si256(signs, _mm256_set1_epi16(INT16_MIN)) == 0;
      return ~same;
    }

    [[nodiscard]] const Deltas& total() const { return deltas; }

   private:
    // Adds to all sums of a group. Alone, because there are sixteen registers.
    [[gnu::noinline]] void add_sums(const uint8_t* a, const uint8_t* b, Squares* squares, int32_t* ceiling) {
      Deltas own = deltas;
      __m256d base_sum[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
      for (int64_t k = 0; k < 8; ++k) {
        __m256i magnitude[2];
        for (int64_t part = 0; part < 2; ++part) {
          const __m256d base = load4<float>(a + 32 * k + 16 * part);
          base_sum[part] = _mm256_fmadd_pd(base, base, base_sum[part]);
          magnitude[part] = own.add4(part, base, load4<float>(b + 32 * k + 16 * part));
        }
        store_vector(ceiling + 8 * k, ceilings(magnitude));
      }
      deltas = own;
      if (squares != nullptr) {
        squares->sum[0] = _mm256_add_pd(squares->sum[0], base_sum[0]);
        squares->sum[1] = _mm256_add_pd(squares->sum[1], base_sum[1]);
      }
    }
  };

  // Statistics of groups of 64 pairs of a float32 and a bf16 number, of which most are equal in bf16. Such a pair has a
  // difference below half a unit of the last place of bf16, which float32 holds exactly.
  struct Close {
    Squares squares;
    __m256d delta_squares[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
    __m256d dot[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
    __m256i max = _mm256_setzero_si256();
    __m256i far = _mm256_setzero_si256();
    __m256i same = _mm256_setzero_si256();

    // Adds the pairs of a group that are close. Returns one bit for each of the others.
    template <bool kWideIsBase>
    [[gnu::always_inline]] uint64_t add64(const uint8_t* wide, const uint8_t* codes) {
      alignas(64) float deltas[64];
      alignas(64) float widened[64];
      const uint64_t others = judge<kWideIsBase>(wide, codes, deltas, widened);
      add_sums(kWideIsBase ? wide : reinterpret_cast<const uint8_t*>(widened), deltas);
      return others;
    }

    void finish(CloseTotals& totals) const {
      totals.base_squares = squares.total();
      totals.delta_squares = add_lanes(_mm256_add_pd(delta_squares[0], delta_squares[1]));
      totals.dot = add_lanes(_mm256_add_pd(dot[0], dot[1]));
      alignas(32) float own[8];
      _mm256_store_ps(own, _mm256_castsi256_ps(max));
      totals.max = *std::max_element(own, own + 8);
      totals.far = WideLanes::sum(far);
      totals.same = WideLanes::sum(same);
    }

   private:
    // Counts the pairs of a group that are close, and writes their differences, with zeros for the others.
    template <bool kWideIsBase>
    [[gnu::noinline]] uint64_t judge(const uint8_t* wide, const uint8_t* codes, float* deltas, float* widened) {
      __m256i own_far = far;
      __m256i own_same = same;
      __m256i own_max = max;
      uint64_t close_bits = 0;
      const auto eight = [&](int64_t at, __m256i n) __attribute__((always_inline)) {
        const __m256i exponent_bits = _mm256_set1_epi32(0x7f800000);
        const __m256i w = load8(wide + 4 * at);
        const __m256 delta = kWideIsBase ? _mm256_sub_ps(_mm256_castsi256_ps(n), _mm256_castsi256_ps(w))
                                         : _mm256_sub_ps(_mm256_castsi256_ps(w), _mm256_castsi256_ps(n));
        const __m256i size = _mm256_and_si256(_mm256_castps_si256(delta), _mm256_set1_epi32(0x7fffffff));
        // Differences that are not normal count as the least normal one, so that no entry whose half unit is not normal is near.
        const __m256i normal = _mm256_max_epi32(size, _mm256_set1_epi32(1 << 23));
        const __m256i from_wide = _mm256_sub_epi32(normal, _mm256_and_si256(w, exponent_bits));
        const __m256i near = _mm256_cmpgt_epi32(_mm256_set1_epi32(-(8 << 23)), from_wide);
        const __m256i equal = _mm256_cmpeq_epi32(w, n);
        const __m256i close = _mm256_or_si256(near, equal);
        const __m256i from_base = kWideIsBase ? from_wide : _mm256_sub_epi32(normal, _mm256_and_si256(n, exponent_bits));
        const __m256i beyond = _mm256_and_si256(_mm256_cmpgt_epi32(from_base, _mm256_set1_epi32(-(9 << 23))), near);
        own_far = _mm256_sub_epi32(own_far, beyond);
        own_same = _mm256_sub_epi32(own_same, equal);
        own_max = _mm256_max_epi32(own_max, _mm256_and_si256(size, close));
        store_vector(deltas + at, _mm256_and_ps(delta, _mm256_castsi256_ps(close)));
        if constexpr (!kWideIsBase) {
          store_vector(widened + at, n);
        }
        close_bits |= static_cast<uint64_t>(sign_bits(close)) << at;
      };
      for (int64_t k = 0; k < 64; k += 16) {
        const __m256i sixteen = _mm256_permute4x64_epi64(load8(codes + 2 * k), 0xd8);
        eight(k, _mm256_unpacklo_epi16(_mm256_setzero_si256(), sixteen));
        eight(k + 8, _mm256_unpackhi_epi16(_mm256_setzero_si256(), sixteen));
      }
      far = own_far;
      same = own_same;
      max = own_max;
      return ~close_bits;
    }
    [[gnu::noinline]] void add_sums(const uint8_t* base, const float* deltas) {
      __m256d own[3][2] = {{squares.sum[0], squares.sum[1]}, {delta_squares[0], delta_squares[1]}, {dot[0], dot[1]}};
      for (int64_t k = 0; k < 8; ++k) {
        for (int64_t part = 0; part < 2; ++part) {
          const __m256d a = load4<float>(base + 32 * k + 16 * part);
          const __m256d delta = load4<float>(reinterpret_cast<const uint8_t*>(deltas + 8 * k + 4 * part));
          own[0][part] = _mm256_fmadd_pd(a, a, own[0][part]);
          own[1][part] = _mm256_fmadd_pd(delta, delta, own[1][part]);
          own[2][part] = _mm256_fmadd_pd(delta, a, own[2][part]);
        }
      }
      for (int64_t part = 0; part < 2; ++part) {
        squares.sum[part] = own[0][part];
        delta_squares[part] = own[1][part];
        dot[part] = own[2][part];
      }
    }
  };

  // Widens 64 bf16 codes.
  static void widen(const uint8_t* codes, float* out) {
    for (int64_t k = 0; k < 8; ++k) {
      store_vector(out + 8 * k, _mm256_slli_epi32(_mm256_cvtepu16_epi32(load_vector<__m128i>(codes + 16 * k)), 16));
    }
  }
  // Widens 64 F16 codes.
  static void widen_half(const uint8_t* codes, float* out) {
    for (int64_t k = 0; k < 8; ++k) {
      store_vector(out + 8 * k, _mm256_cvtph_ps(load_vector<__m128i>(codes + 16 * k)));
    }
  }
  // Replaces those of 64 entries that are not marked by others.
  static void keep_marked(float* entries, const uint8_t* others, uint64_t marked) {
    for (int64_t k = 0; k < 8; ++k) {
      const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
      const __m256i own = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(marked >> (8 * k) & 0xffU)), bit);
      const __m256i keep = _mm256_cmpeq_epi32(own, bit);
      store_vector(entries + 8 * k, _mm256_blendv_epi8(load8(others + 32 * k), load_vector<__m256i>(entries + 8 * k), keep));
    }
  }
  // Returns one bit for each entry whose bf16 codes are zeros on both sides, and counts the pairs with opposite signs of which
  // neither is 0.
  [[gnu::noinline]] static uint64_t judge_signs(const uint8_t* a, const uint8_t* b, int64_t& flips) {
    const __m256i zero = _mm256_setzero_si256();
    uint64_t zeros = 0;
    for (int64_t k = 0; k < 8; ++k) {
      const __m256i either = _mm256_or_si256(rounded(load8(a + 32 * k)), rounded(load8(b + 32 * k)));
      const __m256i none = _mm256_cmpeq_epi32(_mm256_and_si256(either, _mm256_set1_epi32(0x7fff0000)), zero);
      zeros |= static_cast<uint64_t>(sign_bits(none)) << (8 * k);
    }
    flips += count_flips(a, b);
    return zeros;
  }

 private:
  // The exponent of the smallest power of two that is not below each of eight numbers given as bits, as ulp_bin counts them, in
  // the order 0 1 4 5 2 3 6 7.
  [[gnu::always_inline]] static __m256i ceilings(const __m256i (&magnitude)[2]) {
    const __m256i bias = _mm256_set1_epi64x(0xfffffffffffffLL - ((kSmallestNormalExponent - 1 - 10) << 52));
    return _mm256_srai_epi32(upper_halves(_mm256_add_epi64(magnitude[0], bias), _mm256_add_epi64(magnitude[1], bias)), 20);
  }
  // The bins as fields of NarrowHistogram. A pair without a difference comes to bin 1.
  [[gnu::always_inline]] static Part8 one_hot(__m256i ceiling, __m256i base) {
    const __m256i own = _mm256_max_epi32(_mm256_srli_epi32(_mm256_slli_epi32(base, 1), 24), _mm256_set1_epi32(1));
    const __m256i power = _mm256_sub_epi32(ceiling, _mm256_permute4x64_epi64(own, 0xd8));
    const __m256i bin = _mm256_min_epi32(_mm256_max_epi32(power, _mm256_set1_epi32(1)), _mm256_set1_epi32(TG_ULP_BINS - 1));
    return reinterpret_cast<Part8>(_mm256_sllv_epi32(_mm256_set1_epi32(1), _mm256_add_epi32(bin, bin)));
  }
  // For each set of lanes, the lanes of 32 bits that come to the front.
  template <size_t kSets>
  struct LaneTable {
    uint8_t lanes[kSets + 1][8];  // one more, because sixteen bytes are read
  };
  template <size_t kSets, size_t kWidth>
  static constexpr LaneTable<kSets> make_lanes() {
    LaneTable<kSets> table{};
    for (size_t set = 0; set < kSets; ++set) {
      size_t out = 0;
      for (size_t lane = 0; lane < 8; ++lane) {
        if ((set >> (lane / kWidth) & 1) != 0) {
          table.lanes[set][out++] = static_cast<uint8_t>(lane);
        }
      }
    }
    return table;
  }
  static const LaneTable<256> kLanes8;
  static const LaneTable<16> kLanes4;

  template <typename V>
  [[gnu::always_inline]] static __m256d load4(const uint8_t* address) {
    if constexpr (sizeof(V) == sizeof(double)) {
      return load_vector<__m256d>(address);
    } else {
      return _mm256_cvtps_pd(load_vector<__m128>(address));
    }
  }
  [[gnu::always_inline]] static double add_lanes(__m256d v) { return (v[0] + v[2]) + (v[1] + v[3]); }
  [[gnu::always_inline]] static int64_t sum(__m256i v) {
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    return _mm_cvtsi128_si32(two) + _mm_extract_epi32(two, 1);
  }
  // The bf16 code in the upper half, above bits of no meaning.
  [[gnu::always_inline]] static __m256i rounded(__m256i v) {
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(v, 16), _mm256_set1_epi32(1));
    return _mm256_add_epi32(_mm256_add_epi32(v, _mm256_set1_epi32(0x7fff)), odd);
  }
  // The lower halves of four 64-bit comparison results.
  [[gnu::always_inline]] static __m128i halves(__m256d v) {
    const __m256 parts = _mm256_castpd_ps(v);
    return _mm_castps_si128(_mm_shuffle_ps(_mm256_castps256_ps128(parts), _mm256_extractf128_ps(parts, 1), 0x88));
  }
  [[gnu::always_inline]] static __m256i upper_halves(__m256i low, __m256i high) {
    return _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high), 0xdd));
  }
  [[gnu::noinline]] static int64_t count_flips(const uint8_t* a, const uint8_t* b) {
    int64_t flips = 0;
    for (int64_t k = 0; k < 8; ++k) {
      const __m256i x = load8(a + 32 * k);
      const __m256i y = load8(b + 32 * k);
      const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
      const __m256i zero = _mm256_setzero_si256();
      const __m256i either_zero = _mm256_or_si256(_mm256_cmpeq_epi32(_mm256_and_si256(x, magnitude), zero),
                                                  _mm256_cmpeq_epi32(_mm256_and_si256(y, magnitude), zero));
      flips += __builtin_popcount(sign_bits(_mm256_andnot_si256(either_zero, _mm256_xor_si256(x, y))));
    }
    return flips;
  }
};

const WideLanes::LaneTable<256> WideLanes::kLanes8 = WideLanes::make_lanes<256, 1>();
const WideLanes::LaneTable<16> WideLanes::kLanes4 = WideLanes::make_lanes<16, 2>();

}  // namespace
}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_WIDE_LANES_AVX2_H
