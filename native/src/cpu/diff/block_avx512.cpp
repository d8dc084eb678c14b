// The AVX-512 variants. The bf16 one reads 32 pairs at a time. For an unchanged vector it only compares, and squares the base.
// Pairs that differ are compressed into a short queue, and all arithmetic on them uses full vectors of that queue.
#include <immintrin.h>

#include <cmath>

#include "column_counts.h"
#include "wide_lanes_avx512.h"
// after the lanes
#include "block_float.h"
// after the pairs
#include "block_coded.h"

namespace threegate::diff {
namespace {

constexpr int64_t kQueue = 2048;
// The distance of the prefetch from the current entries. It keeps the memory busy while a queue is drained.
constexpr int64_t kPrefetchBytes = 8192;
constexpr int64_t kFetchedBytes = 192;  // bytes of each matrix that are prefetched for every 32 pairs of a queue
constexpr int64_t kPairVectors = 3;     // vectors of 32 pairs before the histogram must be spilled

// The queue of pairs that differ, in element order. The number of waiting pairs is a local variable of the caller. A member would
// go through memory, and each vector would wait for the one before.
class ChangedQueue {
 public:
  // Returns the new number of waiting pairs.
  [[gnu::always_inline]] int64_t push(int64_t size, __mmask32 lanes, __m512i base, __m512i tuned) {
    const __m512i a = _mm512_maskz_compress_epi16(lanes, base);
    const __m512i b = _mm512_maskz_compress_epi16(lanes, tuned);
    const int count = __builtin_popcount(lanes);
    // Half vectors are used if they suffice, because they cross cache lines half as often.
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(base_ + size), _mm512_castsi512_si256(a));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(tuned_ + size), _mm512_castsi512_si256(b));
    if (__builtin_expect(count > 16, 0)) {
      _mm512_storeu_si512(base_ + size, a);
      _mm512_storeu_si512(tuned_ + size, b);
    }
    return size + count;
  }

  // Empties the queue if it has no room for two more pushes. At the same time it prefetches the next entries, at `base` and
  // `tuned`, so that the memory is not idle.
  [[gnu::always_inline]] int64_t drain_when_full(int64_t size, const uint8_t* base, const uint8_t* tuned) {
    if (__builtin_expect(size <= kQueue - 64, 1)) {
      return size;
    }
    drain(size, base, tuned);
    return 0;
  }

  void finish(int64_t size, BlockResult& result) {
    drain(size, nullptr, nullptr);
    result.sign_flips = sign_flips_;
    copy_bins(bins_, result);
    sums_.add(more_);
    sums_.finish(result);
  }

 private:
  [[gnu::noinline]] void drain(int64_t size, const uint8_t* base, const uint8_t* tuned) {
    // The rest of the last vector is filled with pairs of zeros, which add nothing.
    for (int64_t i = 0; i < kPairVectors; ++i) {
      _mm512_storeu_si512(base_ + size + 32 * i, _mm512_setzero_si512());
      _mm512_storeu_si512(tuned_ + size + 32 * i, _mm512_setzero_si512());
    }
    // Two sets of sums, so that an addition need not wait for the one before.
    DeltaSums sums = sums_;
    DeltaSums more = more_;
    UlpHistogram<Word8> histogram;
    int64_t flips = 0;
    for (int64_t i = 0; i < size; i += 32 * kPairVectors) {
      for (int64_t j = i; j < i + 32 * kPairVectors; j += 32) {
        for (int64_t line = 0; line < kFetchedBytes; line += 64) {
          _mm_prefetch(base + j / 32 * kFetchedBytes + line, _MM_HINT_T1);
          _mm_prefetch(tuned + j / 32 * kFetchedBytes + line, _MM_HINT_T1);
        }
        flips += add(_mm512_loadu_si512(base_ + j), _mm512_loadu_si512(tuned_ + j), sums, more, histogram);
      }
      histogram.spill(bins_);
    }
    histogram.flush(bins_);
    sums_ = sums;
    more_ = more;
    sign_flips_ += flips;
  }

  // Returns the number of pairs that differ in sign.
  [[gnu::always_inline]] static int add(__m512i a, __m512i b, DeltaSums& sums, DeltaSums& more, UlpHistogram<Word8>& histogram) {
    const __m512i magnitude = _mm512_set1_epi16(0x7fff);
    const __mmask32 opposite = _mm512_movepi16_mask(_mm512_xor_si512(a, b));
    // The value that ceiling_exponent is compared with: the exponent of the base minus the bins below it.
    const __m512i exponent = _mm512_max_epu16(_mm512_srli_epi16(_mm512_and_si512(a, magnitude), 7), _mm512_set1_epi16(1));
    const __m512i offset = _mm512_add_epi16(exponent, _mm512_set1_epi16(kSmallestNormalExponent - 1 - 10));
    const auto quarter = [&](__m512 a_float, __m512 b_float, __m128i offsets, bool upper) __attribute__((always_inline)) {
      const Double8 a_wide = upper ? high(a_float) : low(a_float);
      const Double8 b_wide = upper ? high(b_float) : low(b_float);
      const Word8 bin =
          ceiling_exponent((upper ? more : sums).add(a_wide, b_wide)) - reinterpret_cast<Word8>(_mm512_cvtepu16_epi64(offsets));
      // A real pair is at least in bin 2. A padding pair is far below 0, and a one shifted by that amount vanishes.
      const __m512i highest = _mm512_set1_epi64(TG_ULP_BINS - 1);
      const auto clamped = reinterpret_cast<Word8>(_mm512_min_epi64(reinterpret_cast<__m512i>(bin), highest));
      const auto shift = reinterpret_cast<__m512i>(clamped << 2);
      histogram.add(reinterpret_cast<Word8>(_mm512_sllv_epi64(_mm512_set1_epi64(1), shift)));
    };
    const __m512 a_low = widen(_mm512_castsi512_si256(a));
    const __m512 b_low = widen(_mm512_castsi512_si256(b));
    quarter(a_low, b_low, _mm512_castsi512_si128(offset), false);
    quarter(a_low, b_low, _mm512_extracti32x4_epi32(offset, 1), true);
    const __m512 a_high = widen(_mm512_extracti64x4_epi64(a, 1));
    const __m512 b_high = widen(_mm512_extracti64x4_epi64(b, 1));
    quarter(a_high, b_high, _mm512_extracti32x4_epi32(offset, 2), false);
    quarter(a_high, b_high, _mm512_extracti32x4_epi32(offset, 3), true);
    if (__builtin_expect(opposite == 0, 1)) {
      return 0;
    }
    const __mmask32 nonzero = _mm512_mask_test_epi16_mask(_mm512_test_epi16_mask(a, magnitude), b, magnitude);
    return __builtin_popcount(opposite & nonzero);
  }
  [[gnu::always_inline]] static __m512 widen(__m256i codes) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(codes), 16));
  }
  [[gnu::always_inline]] static Double8 low(__m512 v) {
    return reinterpret_cast<Double8>(_mm512_cvtps_pd(_mm512_castps512_ps256(v)));
  }
  [[gnu::always_inline]] static Double8 high(__m512 v) {
    return reinterpret_cast<Double8>(_mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)));
  }

  DeltaSums sums_;
  DeltaSums more_;
  int64_t bins_[16] = {};
  int64_t sign_flips_ = 0;
  alignas(64) uint16_t base_[kQueue + 32 * kPairVectors];
  alignas(64) uint16_t tuned_[kQueue + 32 * kPairVectors];
};

// The squares of the even and odd entries of 32 bf16 codes, each in two vectors of doubles.
struct BaseSquares {
  __m512d sum[4] = {_mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd()};

  [[gnu::always_inline]] void add(__m512i codes) {
    const __m512 even = _mm512_castsi512_ps(_mm512_slli_epi32(codes, 16));
    const __m512 odd = _mm512_castsi512_ps(_mm512_and_si512(codes, _mm512_set1_epi32(static_cast<int>(0xffff0000U))));
    const __m512d v0 = _mm512_cvtps_pd(_mm512_castps512_ps256(even));
    const __m512d v1 = _mm512_cvtps_pd(_mm512_extractf32x8_ps(even, 1));
    const __m512d v2 = _mm512_cvtps_pd(_mm512_castps512_ps256(odd));
    const __m512d v3 = _mm512_cvtps_pd(_mm512_extractf32x8_ps(odd, 1));
    sum[0] = _mm512_fmadd_pd(v0, v0, sum[0]);
    sum[1] = _mm512_fmadd_pd(v1, v1, sum[1]);
    sum[2] = _mm512_fmadd_pd(v2, v2, sum[2]);
    sum[3] = _mm512_fmadd_pd(v3, v3, sum[3]);
  }
  [[nodiscard]] double total() const {
    const __m512d pairs = _mm512_add_pd(_mm512_add_pd(sum[0], sum[1]), _mm512_add_pd(sum[2], sum[3]));
    return sum_lanes(reinterpret_cast<Double8>(pairs));
  }
};

}  // namespace

bool block_wide_avx512(const BlockInput& input, BlockResult& result) { return block_wide_any(input, result); }

bool block_coded_avx512(const CodedPair& pair, const BlockInput& input, const BlockCells* cells, BlockResult& result) {
  return block_coded(pair, input, cells, result);
}

bool block_bf16_avx512(const BlockInput& input, BlockResult& result) {
  result.clear(input.rows, input.columns);
  ChangedQueue queue;
  BaseSquares squares;
  int64_t waiting = 0;
  int64_t bits_count = 0;
  const __m512i magnitude = _mm512_set1_epi16(0x7fff);
  const __m512i one = _mm512_set1_epi16(1);
  for (int64_t i = 0; i < input.rows; ++i) {
    const int64_t row = input.row + i;
    const uint8_t* base = element_address(input.base.operand->values, input.base.row + i, input.base.column);
    const uint8_t* tuned = element_address(input.tuned.operand->values, input.tuned.row + i, input.tuned.column);
    int64_t changed_count = 0;
    const auto step = [&](int64_t j, __m512i a, __m512i b, uint64_t & bits_of_both, int shift) __attribute__((always_inline)) {
      const __mmask32 bits = _mm512_cmpneq_epi16_mask(a, b);
      const __mmask32 changed = _mm512_mask_test_epi16_mask(bits, _mm512_or_si512(a, b), magnitude);
      squares.add(a);
      bits_of_both |= static_cast<uint64_t>(bits) << shift;
      uint16_t* columns = result.column_changed + j;
      const __m512i counts = _mm512_loadu_si512(columns);
      _mm512_storeu_si512(columns, _mm512_mask_add_epi16(counts, changed, counts, one));
      waiting = queue.push(waiting, changed, a, b);
      return static_cast<uint64_t>(changed) << shift;
    };
    uint64_t* words = input.mask == nullptr ? nullptr : input.mask + row * input.mask_stride + input.column / 64;
    for (int64_t j = 0; j < input.columns; j += 64) {
      const int64_t left = input.columns - j;
      for (int64_t line = 0; line < 128; line += 64) {
        _mm_prefetch(base + 2 * j + kPrefetchBytes + line, _MM_HINT_NTA);
        _mm_prefetch(tuned + 2 * j + kPrefetchBytes + line, _MM_HINT_NTA);
      }
      waiting = queue.drain_when_full(waiting, base + 2 * j + kPrefetchBytes, tuned + 2 * j + kPrefetchBytes);
      uint64_t word = 0;
      uint64_t bits = 0;
      if (left >= 64) {
        word = step(j, _mm512_loadu_si512(base + 2 * j), _mm512_loadu_si512(tuned + 2 * j), bits, 0);
        word |= step(j + 32, _mm512_loadu_si512(base + 2 * j + 64), _mm512_loadu_si512(tuned + 2 * j + 64), bits, 32);
      } else {
        const uint64_t lanes = (uint64_t{1} << left) - 1;
        const auto low = static_cast<__mmask32>(lanes);
        const auto high = static_cast<__mmask32>(lanes >> 32);
        word = step(j, _mm512_maskz_loadu_epi16(low, base + 2 * j), _mm512_maskz_loadu_epi16(low, tuned + 2 * j), bits, 0);
        word |= step(j + 32, _mm512_maskz_loadu_epi16(high, base + 2 * j + 64),
                     _mm512_maskz_loadu_epi16(high, tuned + 2 * j + 64), bits, 32);
      }
      changed_count += __builtin_popcountll(word);
      bits_count += __builtin_popcountll(bits);
      if (words != nullptr) {
        words[j / 64] = word;
      }
    }
    result.row_changed[i] = static_cast<uint32_t>(changed_count);
    result.changed += changed_count;
  }
  queue.finish(waiting, result);
  result.changed_bits = bits_count;
  result.changed_stored = result.changed;
  result.base_squares = squares.total();
  return std::isfinite(result.base_squares) && std::isfinite(result.delta_squares);
}

const ColumnCounts kColumnCounts_avx512 = kOwnColumnCounts;

}  // namespace threegate::diff
