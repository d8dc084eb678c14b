// The AVX2 variants. The bf16 one follows block_avx512.cpp. AVX2 has no compress instruction. If few entries changed, their
// columns are noted and the pairs are fetched at the end of the row. If many changed, a table of byte shuffles moves them
// together.
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "column_counts.h"
#include "wide_lanes_avx2.h"
// after the lanes
#include "block_float.h"
// after the pairs
#include "block_coded.h"

namespace threegate::diff {
namespace {

constexpr int64_t kQueue = 4096;
constexpr int64_t kPrefetchBytes = 8192;
constexpr int64_t kPairVectors = 8;  // vectors of eight pairs that the histogram takes as a group
constexpr int kSparse = 4;           // changed entries of 64 up to which their columns are noted one by one

// Sums over the differences of pairs, four per vector.
struct DeltaSums4 {
  __m256d squares = _mm256_setzero_pd();
  __m256d dot = _mm256_setzero_pd();
  __m256d max = _mm256_setzero_pd();

  // Returns the bits of |b - a|.
  [[gnu::always_inline]] __m256i add(__m256d a, __m256d b) {
    const __m256d delta = _mm256_sub_pd(b, a);
    const __m256d magnitude = _mm256_andnot_pd(_mm256_set1_pd(-0.0), delta);
    squares = _mm256_fmadd_pd(delta, delta, squares);
    dot = _mm256_fmadd_pd(delta, a, dot);
    max = _mm256_max_pd(max, magnitude);
    return _mm256_castpd_si256(magnitude);
  }
};

// The queue of pairs that differ. The number of waiting pairs is a local variable of the caller, because a member would go
// through memory.
class ChangedQueue {
  using Histogram = NarrowHistogram<Part8>;

 public:
  // Appends the marked ones of sixteen pairs. Returns the new number of waiting pairs.
  [[gnu::always_inline]] int64_t push(int64_t size, uint32_t lanes, __m256i base, __m256i tuned) {
    const int64_t middle = push8(size, lanes & 0xffU, _mm256_castsi256_si128(base), _mm256_castsi256_si128(tuned));
    return push8(middle, lanes >> 8 & 0xffU, _mm256_extracti128_si256(base, 1), _mm256_extracti128_si256(tuned, 1));
  }

  // Appends pairs of one row by their columns, and counts these.
  [[gnu::always_inline]] int64_t push_columns(int64_t size, const uint16_t* columns, int64_t count, const uint8_t* base,
                                              const uint8_t* tuned, uint16_t* column_changed) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t column = columns[i];
      std::memcpy(base_ + size + i, base + 2 * column, sizeof(uint16_t));
      std::memcpy(tuned_ + size + i, tuned + 2 * column, sizeof(uint16_t));
      ++column_changed[column];
    }
    return size + count;
  }

  // Empties the queue if it has no room for `room` more pairs.
  [[gnu::always_inline]] int64_t drain_when_full(int64_t size, int64_t room) {
    if (__builtin_expect(size <= kQueue - room, 1)) {
      return size;
    }
    drain(size);
    return 0;
  }

  void finish(int64_t size, BlockResult& result) {
    drain(size);
    result.sign_flips = sign_flips_;
    histogram_.flush();
    copy_bins(histogram_.bins(), result);
    result.delta_squares = sum_lanes(low_.squares, high_.squares);
    result.delta_dot_base = sum_lanes(low_.dot, high_.dot);
    const __m256d max = _mm256_max_pd(low_.max, high_.max);
    result.max_abs_delta = std::max(std::max(max[0], max[1]), std::max(max[2], max[3]));
  }

  static double sum_lanes(__m256d low, __m256d high) {
    const __m256d pairs = _mm256_add_pd(low, high);
    return (pairs[0] + pairs[2]) + (pairs[1] + pairs[3]);
  }

 private:
  [[gnu::noinline]] void drain(int64_t size) {
    // The rest of the last vector is filled with pairs of zeros, which add nothing.
    std::fill_n(base_ + size, 8 * kPairVectors, uint16_t{0});
    std::fill_n(tuned_ + size, 8 * kPairVectors, uint16_t{0});
    DeltaSums4 low = low_;
    DeltaSums4 high = high_;
    for (int64_t i = 0; i < size; i += 8 * kPairVectors) {
      Histogram::Group bins;
      for (int64_t k = 0; k < kPairVectors; ++k) {
        const __m128i a = load_vector<__m128i>(base_ + i + 8 * k);
        const __m128i b = load_vector<__m128i>(tuned_ + i + 8 * k);
        count_sign_flips(a, b);
        add(a, b, low, high, bins);
        if (k % 2 != 0) {
          bins.spill();
        }
      }
      histogram_.add(bins);
    }
    low_ = low;
    high_ = high;
  }

  [[gnu::always_inline]] static void add(__m128i a, __m128i b, DeltaSums4& low, DeltaSums4& high, Histogram::Group& histogram) {
    const __m256i a_bits = _mm256_slli_epi32(_mm256_cvtepu16_epi32(a), 16);
    const __m256 a_float = _mm256_castsi256_ps(a_bits);
    const __m256 b_float = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(b), 16));
    const __m256i magnitude_low = low.add(_mm256_cvtps_pd(_mm256_castps256_ps128(a_float)),  //
                                          _mm256_cvtps_pd(_mm256_castps256_ps128(b_float)));
    const __m256i magnitude_high = high.add(_mm256_cvtps_pd(_mm256_extractf128_ps(a_float, 1)),  //
                                            _mm256_cvtps_pd(_mm256_extractf128_ps(b_float, 1)));
    // ceiling_exponent of all eight, in 32-bit lanes in the order 0 1 4 5 2 3 6 7.
    const __m256i below = _mm256_set1_epi64x(0xfffffffffffffLL);
    const __m256 upper_halves = _mm256_shuffle_ps(_mm256_castsi256_ps(_mm256_add_epi64(magnitude_low, below)),
                                                  _mm256_castsi256_ps(_mm256_add_epi64(magnitude_high, below)), 0xdd);
    const __m256i ceiling = _mm256_srli_epi32(_mm256_castps_si256(upper_halves), 20);
    // Subtracts the exponent of the base and the bins below it.
    const __m256i biased = _mm256_srli_epi32(_mm256_slli_epi32(a_bits, 1), 24);
    const __m256i exponent = _mm256_permute4x64_epi64(_mm256_max_epi32(biased, _mm256_set1_epi32(1)), 0xd8);
    const __m256i offset = _mm256_add_epi32(exponent, _mm256_set1_epi32(static_cast<int>(kSmallestNormalExponent) - 1 - 10));
    // A real pair is at least in bin 2. A padding pair is far below 0, and a one shifted by that amount vanishes.
    const __m256i bin = _mm256_min_epi32(_mm256_sub_epi32(ceiling, offset), _mm256_set1_epi32(TG_ULP_BINS - 1));
    histogram.add(reinterpret_cast<Part8>(_mm256_sllv_epi32(_mm256_set1_epi32(1), _mm256_add_epi32(bin, bin))));
  }

  [[gnu::always_inline]] void count_sign_flips(__m128i a, __m128i b) {
    const auto opposite = static_cast<uint32_t>(_mm_movemask_epi8(_mm_srai_epi16(_mm_xor_si128(a, b), 15)));
    if (__builtin_expect(opposite != 0, 0)) {
      const __m128i magnitude = _mm_set1_epi16(0x7fff);
      const __m128i zero = _mm_setzero_si128();
      const auto either_zero = static_cast<uint32_t>(_mm_movemask_epi8(
          _mm_or_si128(_mm_cmpeq_epi16(_mm_and_si128(a, magnitude), zero), _mm_cmpeq_epi16(_mm_and_si128(b, magnitude), zero))));
      sign_flips_ += __builtin_popcount(opposite & ~either_zero) / 2;
    }
  }
  [[gnu::always_inline]] int64_t push8(int64_t size, uint32_t lanes, __m128i base, __m128i tuned) {
    const auto shuffle = load_vector<__m128i>(kCompress.shuffle[lanes]);
    store_vector(base_ + size, _mm_shuffle_epi8(base, shuffle));
    store_vector(tuned_ + size, _mm_shuffle_epi8(tuned, shuffle));
    return size + __builtin_popcount(lanes);
  }

  DeltaSums4 low_;
  DeltaSums4 high_;
  Histogram histogram_;
  int64_t sign_flips_ = 0;
  alignas(64) uint16_t base_[kQueue + 8 * kPairVectors];
  alignas(64) uint16_t tuned_[kQueue + 8 * kPairVectors];
};

// The squares of 64 bf16 codes. Each sum takes two of sixteen vectors, so that its latency is hidden, also that of the memory
// that it lies in between groups.
struct BaseSquares {
  __m256d sum[8] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(),
                    _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};

  [[gnu::always_inline]] void add(__m256i codes, int half) {
    const __m256 even = _mm256_castsi256_ps(_mm256_slli_epi32(codes, 16));
    const __m256 odd = _mm256_castsi256_ps(_mm256_and_si256(codes, _mm256_set1_epi32(static_cast<int>(0xffff0000U))));
    const __m256d v[4] = {_mm256_cvtps_pd(_mm256_castps256_ps128(even)), _mm256_cvtps_pd(_mm256_extractf128_ps(even, 1)),
                          _mm256_cvtps_pd(_mm256_castps256_ps128(odd)), _mm256_cvtps_pd(_mm256_extractf128_ps(odd, 1))};
    for (int k = 0; k < 4; ++k) {
      sum[4 * half + k] = _mm256_fmadd_pd(v[k], v[k], sum[4 * half + k]);
    }
  }
  [[nodiscard]] double total() const {
    const __m256d low = _mm256_add_pd(_mm256_add_pd(sum[0], sum[1]), _mm256_add_pd(sum[2], sum[3]));
    return ChangedQueue::sum_lanes(low, _mm256_add_pd(_mm256_add_pd(sum[4], sum[5]), _mm256_add_pd(sum[6], sum[7])));
  }
};

// One bit for each lane of two vectors of comparison results.
[[gnu::always_inline]] inline uint64_t lane_bits(__m256i first, __m256i second) {
  const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(first, second), 0xd8);
  return static_cast<uint32_t>(_mm256_movemask_epi8(bytes));
}

// 64 pairs.
struct Group {
  __m256i base[4];
  __m256i tuned[4];

  [[gnu::always_inline]] void load(const uint8_t* base_codes, const uint8_t* tuned_codes) {
    for (int k = 0; k < 4; ++k) {
      base[k] = load_vector<__m256i>(base_codes + static_cast<std::ptrdiff_t>(32) * k);
      tuned[k] = load_vector<__m256i>(tuned_codes + static_cast<std::ptrdiff_t>(32) * k);
    }
  }
  // 0 if both entries are zeros.
  [[nodiscard, gnu::always_inline]] __m256i without_signs(int k) const {
    const __m256i either = _mm256_or_si256(base[k], tuned[k]);
    return _mm256_add_epi16(either, either);
  }
  // Only pairs with opposite signs may differ and both be zeros.
  [[nodiscard, gnu::always_inline]] bool has_opposite_signs() const {
    const __m256i low = _mm256_or_si256(_mm256_xor_si256(base[0], tuned[0]), _mm256_xor_si256(base[1], tuned[1]));
    const __m256i high = _mm256_or_si256(_mm256_xor_si256(base[2], tuned[2]), _mm256_xor_si256(base[3], tuned[3]));
    return _mm256_testz_si256(_mm256_or_si256(low, high), _mm256_set1_epi16(INT16_MIN)) == 0;
  }
  [[nodiscard, gnu::always_inline]] __m256i both_zero(int k) const {
    return _mm256_cmpeq_epi16(without_signs(k), _mm256_setzero_si256());
  }
  [[nodiscard, gnu::always_inline]] __m256i equal(int k) const { return _mm256_cmpeq_epi16(base[k], tuned[k]); }
  [[nodiscard, gnu::always_inline]] uint64_t differing_bits() const {
    return ~(lane_bits(equal(0), equal(1)) | lane_bits(equal(2), equal(3)) << 32);
  }
  [[nodiscard]] uint64_t zeros() const {
    return lane_bits(both_zero(0), both_zero(1)) | lane_bits(both_zero(2), both_zero(3)) << 32;
  }
};

}  // namespace

bool block_wide_avx2(const BlockInput& input, BlockResult& result) { return block_wide_any(input, result); }

bool block_coded_avx2(const CodedPair& pair, const BlockInput& input, const BlockCells* cells, BlockResult& result) {
  return block_coded(pair, input, cells, result);
}

bool block_bf16_avx2(const BlockInput& input, BlockResult& result) {
  result.clear(input.rows, input.columns);
  ChangedQueue queue;
  BaseSquares squares;
  int64_t waiting = 0;
  int64_t bits_count = 0;
  uint16_t noted[kSparse * (kBlockColumns / 64 + 1)];
  for (int64_t i = 0; i < input.rows; ++i) {
    const int64_t row = input.row + i;
    const uint8_t* base = element_address(input.base.operand->values, input.base.row + i, input.base.column);
    const uint8_t* tuned = element_address(input.tuned.operand->values, input.tuned.row + i, input.tuned.column);
    int64_t changed_count = 0;
    int64_t noted_count = 0;
    const auto step = [&](int64_t j, const Group& group) __attribute__((always_inline)) {
      for (int k = 0; k < 4; ++k) {
        squares.add(group.base[k], k / 2);
      }
      const uint64_t bits = group.differing_bits();
      uint64_t changed = bits;
      if (__builtin_expect(group.has_opposite_signs(), 0)) {
        changed &= ~group.zeros();
      }
      const int count = __builtin_popcountll(changed);
      bits_count += __builtin_popcountll(bits);
      changed_count += count;
      if (count <= kSparse) {
        // Always runs to the largest possible count, because a loop to the actual one would be mispredicted too often.
        uint64_t left = changed;
        for (int k = 0; k < kSparse; ++k) {
          noted[noted_count + k] = static_cast<uint16_t>(j + static_cast<int64_t>(_tzcnt_u64(left)));
          left = _blsr_u64(left);
        }
        noted_count += count;
      } else {
        waiting = queue.drain_when_full(waiting, 64);
        for (int k = 0; k < 4; ++k) {
          auto* columns = reinterpret_cast<__m256i*>(result.column_changed + j + int64_t{16} * k);
          const __m256i same = _mm256_or_si256(group.equal(k), group.both_zero(k));
          const __m256i one_or_zero = _mm256_add_epi16(same, _mm256_set1_epi16(1));
          _mm256_storeu_si256(columns, _mm256_add_epi16(_mm256_loadu_si256(columns), one_or_zero));
          waiting = queue.push(waiting, static_cast<uint32_t>(changed >> (16 * k)) & 0xffffU, group.base[k], group.tuned[k]);
        }
      }
      return changed;
    };
    uint64_t* words = input.mask == nullptr ? nullptr : input.mask + row * input.mask_stride + input.column / 64;
    for (int64_t j = 0; j < input.columns; j += 64) {
      for (int64_t line = 0; line < 128; line += 64) {
        _mm_prefetch(base + 2 * j + kPrefetchBytes + line, _MM_HINT_NTA);
        _mm_prefetch(tuned + 2 * j + kPrefetchBytes + line, _MM_HINT_NTA);
      }
      Group group;
      const int64_t left = input.columns - j;
      if (__builtin_expect(left >= 64, 1)) {
        group.load(base + 2 * j, tuned + 2 * j);
      } else {
        alignas(32) uint8_t a[128] = {};
        alignas(32) uint8_t b[128] = {};
        std::memcpy(a, base + 2 * j, static_cast<size_t>(2 * left));
        std::memcpy(b, tuned + 2 * j, static_cast<size_t>(2 * left));
        group.load(a, b);
      }
      const uint64_t word = step(j, group);
      if (words != nullptr) {
        words[j / 64] = word;
      }
    }
    waiting = queue.drain_when_full(waiting, noted_count);
    waiting = queue.push_columns(waiting, noted, noted_count, base, tuned, result.column_changed);
    result.row_changed[i] = static_cast<uint32_t>(changed_count);
    result.changed += changed_count;
  }
  queue.finish(waiting, result);
  result.changed_bits = bits_count;
  result.changed_stored = result.changed;
  result.base_squares = squares.total();
  return std::isfinite(result.base_squares) && std::isfinite(result.delta_squares);
}

const ColumnCounts kColumnCounts_avx2 = kOwnColumnCounts;

}  // namespace threegate::diff
