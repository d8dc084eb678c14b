// The vector operations of block_wide.h with AVX-512. Addresses are those of 64 entries, of any alignment. Everything has
// internal linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_DIFF_WIDE_LANES_AVX512_H
#define THREEGATE_CPU_DIFF_WIDE_LANES_AVX512_H

#include "wide_vector.h"

namespace threegate::diff {
namespace {

struct WideLanes {
  static constexpr int64_t kVectorsPerSpill = 15;  // vectors of eight pairs, with one addition each

  // 64 for 0.
  [[gnu::always_inline]] static int64_t trailing_zeros(uint64_t bits) { return static_cast<int64_t>(_tzcnt_u64(bits)); }

  // One bit for each entry whose bits differ.
  [[gnu::always_inline]] static uint64_t differing(const uint8_t* a, const uint8_t* b, float /*type*/) {
    uint64_t result = 0;
    for (int64_t k = 0; k < 4; ++k) {
      result |= static_cast<uint64_t>(_mm512_cmpneq_epi32_mask(_mm512_loadu_si512(a + 64 * k), _mm512_loadu_si512(b + 64 * k)))
                << (16 * k);
    }
    return result;
  }
  [[gnu::always_inline]] static uint64_t differing(const uint8_t* a, const uint8_t* b, uint16_t /*type*/) {
    const __mmask32 low = _mm512_cmpneq_epi16_mask(_mm512_loadu_si512(a), _mm512_loadu_si512(b));
    const __mmask32 high = _mm512_cmpneq_epi16_mask(_mm512_loadu_si512(a + 64), _mm512_loadu_si512(b + 64));
    return low | static_cast<uint64_t>(high) << 32;
  }
  [[gnu::always_inline]] static uint64_t differing(const uint8_t* a, const uint8_t* b, double /*type*/) {
    uint64_t result = 0;
    for (int64_t k = 0; k < 8; ++k) {
      result |= static_cast<uint64_t>(_mm512_cmpneq_epi64_mask(_mm512_loadu_si512(a + 64 * k), _mm512_loadu_si512(b + 64 * k)))
                << (8 * k);
    }
    return result;
  }

  // One bit for each entry whose numbers differ, which those of zeros do not.
  [[gnu::always_inline]] static uint64_t unequal(const uint8_t* a, const uint8_t* b, float /*type*/) {
    uint64_t result = 0;
    for (int64_t k = 0; k < 4; ++k) {
      result |= static_cast<uint64_t>(_mm512_cmp_ps_mask(_mm512_loadu_ps(a + 64 * k), _mm512_loadu_ps(b + 64 * k), _CMP_NEQ_UQ))
                << (16 * k);
    }
    return result;
  }
  [[gnu::always_inline]] static uint64_t unequal(const uint8_t* a, const uint8_t* b, double /*type*/) {
    uint64_t result = 0;
    for (int64_t k = 0; k < 8; ++k) {
      result |= static_cast<uint64_t>(_mm512_cmp_pd_mask(_mm512_loadu_pd(a + 64 * k), _mm512_loadu_pd(b + 64 * k), _CMP_NEQ_UQ))
                << (8 * k);
    }
    return result;
  }

  // double_to_float_odd of 64 entries.
  static void narrow(const uint8_t* wide, float* out) {
    for (int64_t k = 0; k < 8; ++k) {
      const __m512d value = _mm512_loadu_pd(wide + 64 * k);
      const __m256 nearest = _mm512_cvtpd_ps(value);
      const __m512d back = _mm512_cvtps_pd(nearest);
      const __mmask8 inexact = _mm512_cmp_pd_mask(back, value, _CMP_NEQ_OQ);
      const __mmask8 larger = _mm512_mask_cmp_pd_mask(inexact, _mm512_abs_pd(back), _mm512_abs_pd(value), _CMP_GT_OQ);
      const __m256i one = _mm256_set1_epi32(1);
      const __m256i bits = _mm256_castps_si256(nearest);
      const __m256i below = _mm256_mask_sub_epi32(bits, larger, bits, one);  // towards zero
      store_vector(out + 8 * k, _mm256_mask_or_epi32(below, inexact, below, one));
    }
  }

  // Returns one bit for each entry whose bf16 codes differ, except where both are zeros. `bits` receives the number of entries
  // whose codes differ, and `flips` that of the entries with opposite signs of which neither is 0.
  [[gnu::always_inline]] static uint64_t compare_codes(const uint8_t* a, const uint8_t* b, int64_t& bits, int64_t& flips) {
    uint64_t differ = 0;
    uint64_t changed = 0;
    uint64_t opposite = 0;
    for (int64_t k = 0; k < 4; ++k) {
      const __m512i x = _mm512_loadu_si512(a + 64 * k);
      const __m512i y = _mm512_loadu_si512(b + 64 * k);
      const __m512i x_round = rounded(x);
      const __m512i y_round = rounded(y);
      const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000U));
      const __mmask16 own = _mm512_test_epi32_mask(_mm512_xor_si512(x_round, y_round), upper);
      const __mmask16 nonzero = _mm512_test_epi32_mask(_mm512_or_si512(x_round, y_round), _mm512_set1_epi32(0x7fff0000));
      differ |= static_cast<uint64_t>(own) << (16 * k);
      changed |= static_cast<uint64_t>(static_cast<__mmask16>(own & nonzero)) << (16 * k);
      opposite |= static_cast<uint64_t>(_mm512_movepi32_mask(_mm512_xor_si512(x, y))) << (16 * k);
    }
    bits += __builtin_popcountll(differ);
    if (__builtin_expect(opposite != 0, 0)) {
      flips += __builtin_popcountll(opposite & nonzeros(a) & nonzeros(b));
    }
    return changed;
  }

  // Adds the bits of a word to 64 counters.
  [[gnu::always_inline]] static void count_columns(uint16_t* columns, uint64_t changed) {
    for (int64_t k = 0; k < 2; ++k) {
      const __m512i counts = _mm512_loadu_si512(columns + 32 * k);
      const auto lanes = static_cast<__mmask32>(changed >> (32 * k));
      _mm512_storeu_si512(columns + 32 * k, _mm512_mask_add_epi16(counts, lanes, counts, _mm512_set1_epi16(1)));
    }
  }

  // Appends the marked ones of 64 entries to a queue, which may be written up to 64 entries beyond its new end.
  [[gnu::always_inline]] static void compress(const uint8_t* from, uint64_t marked, float* to) {
    for (int64_t k = 0; k < 4; ++k) {
      const auto lanes = static_cast<__mmask16>(marked >> (16 * k));
      _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(lanes, _mm512_loadu_si512(from + 64 * k)));
      to += __builtin_popcount(lanes);
    }
  }
  [[gnu::always_inline]] static void compress(const uint8_t* from, uint64_t marked, double* to) {
    for (int64_t k = 0; k < 8; ++k) {
      const auto lanes = static_cast<__mmask8>(marked >> (8 * k));
      _mm512_storeu_si512(to, _mm512_maskz_compress_epi64(lanes, _mm512_loadu_si512(from + 64 * k)));
      to += __builtin_popcount(lanes);
    }
  }

  // The sum of squares of all entries.
  struct Squares {
    __m512d sum[4] = {_mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd()};

    template <typename V>
    [[gnu::always_inline]] void add64(const uint8_t* a) {
      for (int64_t k = 0; k < 8; ++k) {
        const __m512d v = load8<V>(a + static_cast<int64_t>(8 * sizeof(V)) * k);
        sum[k % 4] = _mm512_fmadd_pd(v, v, sum[k % 4]);
      }
    }
    // Of F16 codes.
    [[gnu::always_inline]] void add64_half(const uint8_t* a) {
      for (int64_t k = 0; k < 4; ++k) {
        const __m512 sixteen = _mm512_cvtph_ps(load_vector<__m256i>(a + 32 * k));
        const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(sixteen));
        const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(sixteen, 1));
        sum[2 * (k % 2)] = _mm512_fmadd_pd(low, low, sum[2 * (k % 2)]);
        sum[2 * (k % 2) + 1] = _mm512_fmadd_pd(high, high, sum[2 * (k % 2) + 1]);
      }
    }
    [[nodiscard]] double total() const {
      return add_lanes(_mm512_add_pd(_mm512_add_pd(sum[0], sum[1]), _mm512_add_pd(sum[2], sum[3])));
    }
  };

  // The sums over the differences of pairs, eight at a time.
  struct Deltas {
    __m512d squares = _mm512_setzero_pd();
    __m512d dot = _mm512_setzero_pd();
    __m512d max = _mm512_setzero_pd();

    // Returns the bits of the sizes of the differences.
    [[gnu::always_inline]] __m512i add(__m512d base, __m512d tuned) {
      const __m512d delta = _mm512_sub_pd(tuned, base);
      const __m512d size = _mm512_abs_pd(delta);
      squares = _mm512_fmadd_pd(delta, delta, squares);
      dot = _mm512_fmadd_pd(delta, base, dot);
      max = _mm512_max_pd(max, size);
      return _mm512_castpd_si512(size);
    }
    void add(const Deltas& other) {
      squares = _mm512_add_pd(squares, other.squares);
      dot = _mm512_add_pd(dot, other.dot);
      max = _mm512_max_pd(max, other.max);
    }

    // Makes one addition to the histogram. A pair without a difference comes to bin 0, which is not counted.
    template <typename V>
    [[gnu::always_inline]] void add8(const V* a, const V* b, UlpHistogram<Word8>& histogram) {
      const __m512d base = load8<V>(reinterpret_cast<const uint8_t*>(a));
      const __m512i size = add(base, load8<V>(reinterpret_cast<const uint8_t*>(b)));
      // ulp_bin
      const __m512i below = _mm512_set1_epi64(0xfffffffffffffLL);
      const __m512i ceiling = _mm512_srli_epi64(_mm512_add_epi64(size, below), 52);
      const __m512i own = _mm512_srli_epi64(_mm512_castpd_si512(_mm512_abs_pd(base)), 52);
      const __m512i exponent = _mm512_max_epi32(own, _mm512_set1_epi64(kSmallestNormalExponent));
      const __m512i power = _mm512_add_epi32(_mm512_sub_epi32(ceiling, exponent), _mm512_set1_epi64(10));
      const __m512i least = _mm512_min_epi32(ceiling, _mm512_set1_epi64(1));  // 1 where there is a difference, even a tiny one
      const __m512i bin = _mm512_min_epi32(_mm512_max_epi32(power, least), _mm512_set1_epi64(TG_ULP_BINS - 1));
      histogram.add(reinterpret_cast<Word8>(_mm512_sllv_epi64(_mm512_set1_epi64(1), _mm512_slli_epi64(bin, 2))));
    }

    void finish(BlockResult& result) const {
      result.delta_squares = add_lanes(squares);
      result.delta_dot_base = add_lanes(dot);
      result.max_abs_delta = _mm512_reduce_max_pd(max);
    }
  };
  using Histogram = UlpHistogram<Word8>;

  // Statistics of groups of 64 pairs of which many differ, without a queue.
  struct Dense {
    Deltas deltas[2];
    NarrowHistogram<Part16> histogram;

    // Adds a group, and its squares to those of the base if `squares` is not nullptr. Returns one bit for each pair whose bf16
    // codes differ. `opposite` receives whether signs do.
    [[gnu::noinline]] uint64_t add64(const uint8_t* a, const uint8_t* b, Squares* squares, bool& opposite) {
      Deltas own[2] = {deltas[0], deltas[1]};
      __m512d base_sum[2] = {_mm512_setzero_pd(), _mm512_setzero_pd()};
      __m512i signs = _mm512_setzero_si512();
      NarrowHistogram<Part16>::Group bins;
      uint64_t differ = 0;
      for (int64_t k = 0; k < 4; ++k) {
        const __m512i x = _mm512_loadu_si512(a + 64 * k);
        const __m512i y = _mm512_loadu_si512(b + 64 * k);
        __m512i magnitude[2];
        for (int64_t part = 0; part < 2; ++part) {
          const __m512d base = load8<float>(a + 64 * k + 32 * part);
          base_sum[part] = _mm512_fmadd_pd(base, base, base_sum[part]);
          magnitude[part] = own[part].add(base, load8<float>(b + 64 * k + 32 * part));
        }
        bins.add(one_hot(magnitude, x));
        if (k % 2 != 0) {
          bins.spill();
        }
        signs = _mm512_or_si512(signs, _mm512_xor_si512(x, y));
        const __m512i codes = _mm512_xor_si512(rounded(x), rounded(y));
        const __mmask16 lanes = _mm512_test_epi32_mask(codes, _mm512_set1_epi32(static_cast<int>(0xffff0000U)));
        differ |= static_cast<uint64_t>(lanes) << (16 * k);
      }
      histogram.add(bins);
      deltas[0] = own[0];
      deltas[1] = own[1];
      opposite = _mm512_movepi32_mask(signs) != 0;
      if (squares != nullptr) {
        squares->sum[0] = _mm512_add_pd(squares->sum[0], base_sum[0]);
        squares->sum[1] = _mm512_add_pd(squares->sum[1], base_sum[1]);
      }
      return differ;
    }

    [[nodiscard]] Deltas total() const {
      Deltas all = deltas[0];
      all.add(deltas[1]);
      return all;
    }
  };

  // Statistics of groups of 64 pairs of a float32 and a bf16 number, of which most are equal in bf16. Such a pair has a
  // difference below half a unit of the last place of bf16, which float32 holds exactly.
  struct Close {
    Squares squares;
    __m512d delta_squares[2] = {_mm512_setzero_pd(), _mm512_setzero_pd()};
    __m512d dot[2] = {_mm512_setzero_pd(), _mm512_setzero_pd()};
    __m512 max = _mm512_setzero_ps();
    int64_t far = 0;
    int64_t same = 0;

    // Adds the pairs of a group that are close. Returns one bit for each of the others.
    template <bool kWideIsBase>
    [[gnu::always_inline]] uint64_t add64(const uint8_t* wide, const uint8_t* codes) {
      uint64_t close_bits = 0;
      uint64_t same_bits = 0;
      uint64_t far_bits = 0;
      const __m512i exponent_bits = _mm512_set1_epi32(0x7f800000);
      const __m512i eight = _mm512_set1_epi32(8 << 23);
      for (int64_t k = 0; k < 4; ++k) {
        const __m512i w = _mm512_loadu_si512(wide + 64 * k);
        const __m512i n = _mm512_slli_epi32(_mm512_cvtepu16_epi32(load_vector<__m256i>(codes + 32 * k)), 16);
        const __m512 w_float = _mm512_castsi512_ps(w);
        const __m512 n_float = _mm512_castsi512_ps(n);
        const __m512 delta = kWideIsBase ? _mm512_sub_ps(n_float, w_float) : _mm512_sub_ps(w_float, n_float);
        const __m512 size = _mm512_abs_ps(delta);
        // Half a unit, or a negative number for entries whose half unit is not normal.
        const __m512 half = _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_and_si512(w, exponent_bits), eight));
        const __mmask16 equal = _mm512_cmpeq_epi32_mask(w, n);
        const __mmask16 near = _mm512_cmp_ps_mask(size, half, _CMP_LT_OQ);
        const auto close = static_cast<__mmask16>(near | equal);
        const __m512 base_half =
            kWideIsBase ? half : _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_and_si512(n, exponent_bits), eight));
        const __mmask16 beyond = _mm512_mask_cmp_ps_mask(near, _mm512_add_ps(size, size), base_half, _CMP_GT_OQ);
        max = _mm512_mask_max_ps(max, close, max, size);
        const __m512 own = _mm512_maskz_mov_ps(close, delta);
        const __m512d delta_part[2] = {_mm512_cvtps_pd(_mm512_castps512_ps256(own)),
                                       _mm512_cvtps_pd(_mm512_extractf32x8_ps(own, 1))};
        for (int64_t part = 0; part < 2; ++part) {
          const __m512d base = kWideIsBase ? load8<float>(wide + 64 * k + 32 * part)
                               : part == 0 ? _mm512_cvtps_pd(_mm512_castps512_ps256(n_float))
                                           : _mm512_cvtps_pd(_mm512_extractf32x8_ps(n_float, 1));
          squares.sum[part] = _mm512_fmadd_pd(base, base, squares.sum[part]);
          delta_squares[part] = _mm512_fmadd_pd(delta_part[part], delta_part[part], delta_squares[part]);
          dot[part] = _mm512_fmadd_pd(delta_part[part], base, dot[part]);
        }
        close_bits |= static_cast<uint64_t>(close) << (16 * k);
        same_bits |= static_cast<uint64_t>(equal) << (16 * k);
        far_bits |= static_cast<uint64_t>(beyond) << (16 * k);
      }
      far += __builtin_popcountll(far_bits);
      same += __builtin_popcountll(same_bits);
      return ~close_bits;
    }

    void finish(CloseTotals& totals) const {
      totals.base_squares = squares.total();
      totals.delta_squares = add_lanes(_mm512_add_pd(delta_squares[0], delta_squares[1]));
      totals.dot = add_lanes(_mm512_add_pd(dot[0], dot[1]));
      totals.max = _mm512_reduce_max_ps(max);
      totals.far = far;
      totals.same = same;
    }
  };

  // Widens 64 bf16 codes.
  static void widen(const uint8_t* codes, float* out) {
    for (int64_t k = 0; k < 4; ++k) {
      _mm512_storeu_si512(out + 16 * k, _mm512_slli_epi32(_mm512_cvtepu16_epi32(load_vector<__m256i>(codes + 32 * k)), 16));
    }
  }
  // Widens 64 F16 codes.
  static void widen_half(const uint8_t* codes, float* out) {
    for (int64_t k = 0; k < 4; ++k) {
      store_vector(out + 16 * k, _mm512_cvtph_ps(load_vector<__m256i>(codes + 32 * k)));
    }
  }
  // Replaces those of 64 entries that are not marked by others.
  static void keep_marked(float* entries, const uint8_t* others, uint64_t marked) {
    for (int64_t k = 0; k < 4; ++k) {
      const auto lanes = static_cast<__mmask16>(~marked >> (16 * k));
      _mm512_mask_storeu_epi32(entries + 16 * k, lanes, _mm512_loadu_si512(others + 64 * k));
    }
  }
  // Returns one bit for each entry whose bf16 codes are zeros on both sides, and counts the pairs with opposite signs of which
  // neither is 0.
  [[gnu::noinline]] static uint64_t judge_signs(const uint8_t* a, const uint8_t* b, int64_t& flips) {
    uint64_t zeros = 0;
    uint64_t opposite = 0;
    for (int64_t k = 0; k < 4; ++k) {
      const __m512i x = _mm512_loadu_si512(a + 64 * k);
      const __m512i y = _mm512_loadu_si512(b + 64 * k);
      const __m512i either = _mm512_or_si512(rounded(x), rounded(y));
      const __mmask16 none = _mm512_testn_epi32_mask(either, _mm512_set1_epi32(0x7fff0000));
      zeros |= static_cast<uint64_t>(none) << (16 * k);
      opposite |= static_cast<uint64_t>(_mm512_movepi32_mask(_mm512_xor_si512(x, y))) << (16 * k);
    }
    flips += __builtin_popcountll(opposite & nonzeros(a) & nonzeros(b));
    return zeros;
  }

 private:
  // The bins of sixteen pairs as fields of NarrowHistogram, from the bits of the sizes of their differences and the base. A pair
  // without a difference comes to bin 1.
  [[gnu::always_inline]] static Part16 one_hot(const __m512i (&magnitude)[2], __m512i base) {
    const __m512i bias = _mm512_set1_epi64(0xfffffffffffffLL - ((kSmallestNormalExponent - 1 - 10) << 52));
    const __m512i upper = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    const __m512i ceiling = _mm512_srai_epi32(
        _mm512_permutex2var_epi32(_mm512_add_epi64(magnitude[0], bias), upper, _mm512_add_epi64(magnitude[1], bias)), 20);
    const __m512i own = _mm512_max_epi32(_mm512_srli_epi32(_mm512_slli_epi32(base, 1), 24), _mm512_set1_epi32(1));
    const __m512i power = _mm512_sub_epi32(ceiling, own);
    const __m512i bin = _mm512_min_epi32(_mm512_max_epi32(power, _mm512_set1_epi32(1)), _mm512_set1_epi32(TG_ULP_BINS - 1));
    return reinterpret_cast<Part16>(_mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_add_epi32(bin, bin)));
  }
  template <typename V>
  [[gnu::always_inline]] static __m512d load8(const uint8_t* address) {
    if constexpr (sizeof(V) == sizeof(double)) {
      return _mm512_loadu_pd(address);
    } else {
      return _mm512_cvtps_pd(load_vector<__m256>(address));
    }
  }
  [[gnu::always_inline]] static double add_lanes(__m512d v) { return sum_lanes(reinterpret_cast<Double8>(v)); }
  // The bf16 code in the upper half, above bits of no meaning.
  [[gnu::always_inline]] static __m512i rounded(__m512i v) {
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(v, 16), _mm512_set1_epi32(1));
    return _mm512_add_epi32(_mm512_add_epi32(v, _mm512_set1_epi32(0x7fff)), odd);
  }
  // One bit for each entry that is not 0.
  [[gnu::always_inline]] static uint64_t nonzeros(const uint8_t* a) {
    uint64_t result = 0;
    for (int64_t k = 0; k < 4; ++k) {
      const __mmask16 own = _mm512_test_epi32_mask(_mm512_loadu_si512(a + 64 * k), _mm512_set1_epi32(0x7fffffff));
      result |= static_cast<uint64_t>(own) << (16 * k);
    }
    return result;
  }
};

}  // namespace
}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_WIDE_LANES_AVX512_H
