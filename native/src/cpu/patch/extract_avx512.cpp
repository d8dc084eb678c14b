#include <immintrin.h>

#include "extract_lanes.h"

namespace threegate::patch {
namespace {

__m512i read(const uint8_t* from) { return _mm512_loadu_si512(from); }

template <typename Element>
struct Group {
  static uint64_t compare(const uint8_t* before, const uint8_t* after, int64_t at) {
    constexpr int64_t kBytes = 64;
    constexpr int64_t kVectors = kGroup * static_cast<int64_t>(sizeof(Element)) / kBytes;
    constexpr int64_t kLanes = kGroup / kVectors;
    const int64_t offset = at * static_cast<int64_t>(sizeof(Element));
    uint64_t bits = 0;
    for (int64_t i = 0; i < kVectors; ++i) {
      const __m512i first = read(before + offset + i * kBytes);
      const __m512i second = read(after + offset + i * kBytes);
      uint64_t own = 0;
      if constexpr (sizeof(Element) == 1) {
        own = _mm512_cmpneq_epi8_mask(first, second);
      } else if constexpr (sizeof(Element) == 2) {
        own = _mm512_cmpneq_epi16_mask(first, second);
      } else if constexpr (sizeof(Element) == 4) {
        own = _mm512_cmpneq_epi32_mask(first, second);
      } else {
        own = _mm512_cmpneq_epi64_mask(first, second);
      }
      bits |= own << (kLanes * i);
    }
    return bits;
  }
};

}  // namespace

int64_t extract_avx512(const tg_patch_pair& pair, int64_t begin, int64_t end, Places to) {
  return extract_with<Group>(pair, begin, end, to);
}

}  // namespace threegate::patch
