#include <immintrin.h>

#include "extract_lanes.h"

namespace threegate::patch {
namespace {

__m256i read(const uint8_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }

template <typename Element>
struct Group {
  static int64_t take(const Run& run, int64_t at, uint64_t bits, int64_t found) {
    return take_bits<Element>(run, at, bits, found);
  }

  static uint64_t compare(const uint8_t* before, const uint8_t* after, int64_t at) {
    constexpr int64_t kBytes = 32;
    constexpr int64_t kVectors = kGroup * static_cast<int64_t>(sizeof(Element)) / kBytes;
    const int64_t offset = at * static_cast<int64_t>(sizeof(Element));
    uint64_t bits = 0;
    for (int64_t i = 0; i < kVectors; ++i) {
      const __m256i first = read(before + offset + i * kBytes);
      const __m256i second = read(after + offset + i * kBytes);
      if constexpr (sizeof(Element) == 1) {
        bits |= static_cast<uint64_t>(static_cast<uint32_t>(~_mm256_movemask_epi8(_mm256_cmpeq_epi8(first, second)))) << (32 * i);
      } else if constexpr (sizeof(Element) == 2) {
        // Packs halves of 16 bits to bytes, in order.
        const __m256i equal = _mm256_cmpeq_epi16(first, second);
        const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(equal), _mm256_extracti128_si256(equal, 1));
        bits |= static_cast<uint64_t>(~_mm_movemask_epi8(bytes) & 0xffff) << (16 * i);
      } else if constexpr (sizeof(Element) == 4) {
        const __m256 equal = _mm256_castsi256_ps(_mm256_cmpeq_epi32(first, second));
        bits |= static_cast<uint64_t>(~_mm256_movemask_ps(equal) & 0xff) << (8 * i);
      } else {
        const __m256d equal = _mm256_castsi256_pd(_mm256_cmpeq_epi64(first, second));
        bits |= static_cast<uint64_t>(~_mm256_movemask_pd(equal) & 0xf) << (4 * i);
      }
    }
    return bits;
  }
};

}  // namespace

int64_t extract_avx2(const tg_patch_pair& pair, int64_t begin, int64_t end, Places to) {
  return extract_with<Group>(pair, begin, end, to);
}

}  // namespace threegate::patch
