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
    [[nodiscard]] double total() const {
      return add_lanes(_mm512_add_pd(_mm512_add_pd(sum[0], sum[1]), _mm512_add_pd(sum[2], sum[3])));
    }
  };

  // The sums over the differences of pairs, eight at a time.
  struct Deltas {
    __m512d squares = _mm512_setzero_pd();
    __m512d dot = _mm512_setzero_pd();
    __m512d max = _mm512_setzero_pd();

    // Makes one addition to the histogram. A pair without a difference comes to bin 0, which is not counted.
    template <typename V>
    [[gnu::always_inline]] void add8(const V* a, const V* b, UlpHistogram<Word8>& histogram) {
      const __m512d base = load8<V>(reinterpret_cast<const uint8_t*>(a));
      const __m512d delta = _mm512_sub_pd(load8<V>(reinterpret_cast<const uint8_t*>(b)), base);
      const __m512d size = _mm512_abs_pd(delta);
      squares = _mm512_fmadd_pd(delta, delta, squares);
      dot = _mm512_fmadd_pd(delta, base, dot);
      max = _mm512_max_pd(max, size);
      // ulp_bin
      const __m512i below = _mm512_set1_epi64(0xfffffffffffffLL);
      const __m512i ceiling = _mm512_srli_epi64(_mm512_add_epi64(_mm512_castpd_si512(size), below), 52);
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

 private:
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
