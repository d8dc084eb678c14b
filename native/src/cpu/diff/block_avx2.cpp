// AVX2 variants. The bf16 one follows block_avx512.cpp, with a table of byte shuffles in place of the compress instruction.
#include <immintrin.h>

#include <array>
#include <cmath>

#include "block_wide.h"

namespace threegate::diff {
namespace {

constexpr int64_t kQueue = 2048;
constexpr int64_t kPrefetchBytes = 8192;
constexpr int64_t kPairVectors = 15;  // vectors of eight pairs before the histogram must be spilled

// For each set of eight 16-bit lanes, the byte shuffle that moves them to the front.
struct CompressTable {
  alignas(64) uint8_t shuffle[256][16];
};

constexpr CompressTable make_compress_table() {
  CompressTable table{};
  for (size_t set = 0; set < 256; ++set) {
    size_t out = 0;
    for (size_t lane = 0; lane < 8; ++lane) {
      if ((set >> lane & 1) != 0) {
        table.shuffle[set][2 * out] = static_cast<uint8_t>(2 * lane);
        table.shuffle[set][2 * out + 1] = static_cast<uint8_t>(2 * lane + 1);
        ++out;
      }
    }
    for (size_t byte = 2 * out; byte < 16; ++byte) {
      table.shuffle[set][byte] = 0x80;
    }
  }
  return table;
}

constexpr CompressTable kCompress = make_compress_table();

class ChangedQueue {
 public:
  // Returns the new number of waiting pairs.
  [[gnu::always_inline]] int64_t push(int64_t size, uint32_t lanes, __m256i base, __m256i tuned) {
    const int64_t middle = push8(size, lanes & 0xffU, _mm256_castsi256_si128(base), _mm256_castsi256_si128(tuned));
    return push8(middle, lanes >> 8, _mm256_extracti128_si256(base, 1), _mm256_extracti128_si256(tuned, 1));
  }

  [[gnu::always_inline]] int64_t drain_when_full(int64_t size) {
    if (__builtin_expect(size <= kQueue - 64, 1)) {
      return size;
    }
    drain(size);
    return 0;
  }

  void finish(int64_t size, BlockResult& result) {
    drain(size);
    result.sign_flips = sign_flips_;
    copy_bins(bins_, result);
    sums_.finish(result);
  }

 private:
  [[gnu::noinline]] void drain(int64_t size) {
    // The margin up to whole vectors becomes pairs of zeros, which add nothing.
    std::fill_n(base_ + size, 8 * kPairVectors, uint16_t{0});
    std::fill_n(tuned_ + size, 8 * kPairVectors, uint16_t{0});
    DeltaSums sums = sums_;
    UlpHistogram histogram;
    for (int64_t i = 0; i < size; i += 8 * kPairVectors) {
      for (int64_t j = i; j < i + 8 * kPairVectors; j += 8) {
        const __m128i a = load_vector<__m128i>(base_ + j);
        const __m128i b = load_vector<__m128i>(tuned_ + j);
        count_sign_flips(a, b);
        const Double8 a_wide = widen(a);
        histogram.add(one_hot_bins(sums.add(a_wide, widen(b)), a_wide));
      }
      histogram.spill(bins_);
    }
    histogram.flush(bins_);
    sums_ = sums;
  }

  [[gnu::always_inline]] void count_sign_flips(__m128i a, __m128i b) {
    const auto opposite = static_cast<uint32_t>(_mm_movemask_epi8(_mm_srai_epi16(_mm_xor_si128(a, b), 15)));
    if (opposite != 0) {
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
  [[gnu::always_inline]] static Double8 widen(__m128i codes) {
    const __m256i bits = _mm256_slli_epi32(_mm256_cvtepu16_epi32(codes), 16);
    return __builtin_convertvector(load_vector<Float8>(&bits), Double8);
  }

  DeltaSums sums_;
  int64_t bins_[16] = {};
  int64_t sign_flips_ = 0;
  alignas(64) uint16_t base_[kQueue + 8 * kPairVectors];
  alignas(64) uint16_t tuned_[kQueue + 8 * kPairVectors];
};

struct BaseSquares {
  __m256d sum[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};

  [[gnu::always_inline]] void add(__m256i codes) {
    const __m256 even = _mm256_castsi256_ps(_mm256_slli_epi32(codes, 16));
    const __m256 odd = _mm256_castsi256_ps(_mm256_and_si256(codes, _mm256_set1_epi32(static_cast<int>(0xffff0000U))));
    const __m256d v0 = _mm256_cvtps_pd(_mm256_castps256_ps128(even));
    const __m256d v1 = _mm256_cvtps_pd(_mm256_extractf128_ps(even, 1));
    const __m256d v2 = _mm256_cvtps_pd(_mm256_castps256_ps128(odd));
    const __m256d v3 = _mm256_cvtps_pd(_mm256_extractf128_ps(odd, 1));
    sum[0] = _mm256_fmadd_pd(v0, v0, sum[0]);
    sum[1] = _mm256_fmadd_pd(v1, v1, sum[1]);
    sum[2] = _mm256_fmadd_pd(v2, v2, sum[2]);
    sum[3] = _mm256_fmadd_pd(v3, v3, sum[3]);
  }
  [[nodiscard]] double total() const {
    const __m256d pairs = _mm256_add_pd(_mm256_add_pd(sum[0], sum[1]), _mm256_add_pd(sum[2], sum[3]));
    return (pairs[0] + pairs[2]) + (pairs[1] + pairs[3]);
  }
};

[[gnu::always_inline]] inline uint32_t lane_bits(__m256i mask) {
  return _pext_u32(static_cast<uint32_t>(_mm256_movemask_epi8(mask)), 0x55555555U);
}

}  // namespace

bool block_wide_avx2(const BlockInput& input, BlockResult& result) { return block_wide_any(input, result); }

bool block_bf16_avx2(const BlockInput& input, BlockResult& result) {
  result.clear(input.rows, input.columns);
  ChangedQueue queue;
  BaseSquares squares;
  int64_t waiting = 0;
  int64_t bits_count = 0;
  const __m256i magnitude = _mm256_set1_epi16(0x7fff);
  for (int64_t i = 0; i < input.rows; ++i) {
    const int64_t row = input.row + i;
    const uint8_t* base = element_address(input.base->values, row, input.column);
    const uint8_t* tuned = element_address(input.tuned->values, row, input.column);
    int64_t changed_count = 0;
    const auto step = [&](int64_t j, __m256i a, __m256i b) __attribute__((always_inline)) {
      const __m256i equal = _mm256_cmpeq_epi16(a, b);
      squares.add(a);
      if (_mm256_movemask_epi8(equal) == -1) {
        return 0U;
      }
      const __m256i zero = _mm256_cmpeq_epi16(_mm256_and_si256(_mm256_or_si256(a, b), magnitude), _mm256_setzero_si256());
      const __m256i same = _mm256_or_si256(equal, zero);
      const __m256i differs = _mm256_xor_si256(same, _mm256_set1_epi16(-1));
      const uint32_t changed = lane_bits(differs);
      bits_count += 16 - __builtin_popcount(static_cast<uint32_t>(_mm256_movemask_epi8(equal))) / 2;
      changed_count += __builtin_popcount(changed);
      auto* columns = reinterpret_cast<__m256i*>(result.column_changed + j);
      _mm256_storeu_si256(columns, _mm256_sub_epi16(_mm256_loadu_si256(columns), differs));
      waiting = queue.push(waiting, changed, a, b);
      return changed;
    };
    const auto whole = [&](int64_t j) __attribute__((always_inline)) {
      return step(j, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(base + 2 * j)),
                  _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tuned + 2 * j)));
    };
    const auto tail = [&](int64_t j, int64_t count) {
      alignas(32) uint16_t a[16] = {};
      alignas(32) uint16_t b[16] = {};
      std::memcpy(a, base + 2 * j, static_cast<size_t>(2 * count));
      std::memcpy(b, tuned + 2 * j, static_cast<size_t>(2 * count));
      return step(j, _mm256_load_si256(reinterpret_cast<const __m256i*>(a)),
                  _mm256_load_si256(reinterpret_cast<const __m256i*>(b)));
    };
    uint64_t* words = input.mask == nullptr ? nullptr : input.mask + row * input.mask_stride + input.column / 64;
    for (int64_t j = 0; j < input.columns; j += 64) {
      const int64_t end = std::min(j + 64, input.columns);
      for (int64_t line = 0; line < 128; line += 64) {
        _mm_prefetch(base + 2 * j + kPrefetchBytes + line, _MM_HINT_T0);
        _mm_prefetch(tuned + 2 * j + kPrefetchBytes + line, _MM_HINT_T0);
      }
      waiting = queue.drain_when_full(waiting);
      uint64_t word = 0;
      for (int64_t k = j; k < end; k += 16) {
        const uint64_t lanes = end - k >= 16 ? whole(k) : tail(k, end - k);
        word |= lanes << (k - j);
      }
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

}  // namespace threegate::diff
