#include <immintrin.h>

#include "extract_lanes.h"

namespace threegate::patch {
namespace {

__m512i read(const uint8_t* from) { return _mm512_loadu_si512(from); }

template <typename Element>
struct Lanes;

// The mask of the elements that differ, and the compression of the elements of a mask.
#define TG_LANES(type, bits, mask)                                                                            \
  template <>                                                                                                 \
  struct Lanes<type> {                                                                                        \
    static uint64_t differ(__m512i one, __m512i other) { return _mm512_cmpneq_epi##bits##_mask(one, other); } \
    static __m512i compress(uint64_t kept, __m512i all) {                                                     \
      return _mm512_maskz_compress_epi##bits(static_cast<mask>(kept), all);                                   \
    }                                                                                                         \
  }
TG_LANES(uint8_t, 8, __mmask64);
TG_LANES(uint16_t, 16, __mmask32);
TG_LANES(uint32_t, 32, __mmask16);
TG_LANES(uint64_t, 64, __mmask8);
#undef TG_LANES

template <typename Element>
struct Group {
  static constexpr int64_t kBytes = 64;
  static constexpr int64_t kWidth = static_cast<int64_t>(sizeof(Element));
  static constexpr int64_t kLanes = kBytes / kWidth;

  static uint64_t compare(const uint8_t* before, const uint8_t* after, int64_t at) {
    uint64_t bits = 0;
    for (int64_t i = 0; i < kGroup / kLanes; ++i) {
      const int64_t offset = at * kWidth + i * kBytes;
      bits |= Lanes<Element>::differ(read(before + offset), read(after + offset)) << (kLanes * i % kGroup);
    }
    return bits;
  }

  // Avoids a branch on the bits, which is unpredictable. Vectors are stored whole. The elements after the entries are overwritten
  // by the next ones, and never lie beyond the place of the last element of this group.
  static int64_t take(const Run& run, int64_t at, uint64_t bits, int64_t found) {
    constexpr int64_t kPositions = 16;
    int64_t place = found;
    for (int64_t i = 0; i < kGroup / kLanes; ++i) {
      const int64_t offset = at * kWidth + i * kBytes;
      const __m512i after = read(run.after + offset);
      const uint64_t own = bits >> (kLanes * i % kGroup) & kAll;
      const __m512i values = run.is_xor ? _mm512_xor_si512(read(run.before + offset), after) : after;
      _mm512_storeu_si512(run.to.values + place * kWidth, Lanes<Element>::compress(own, values));
      place += __builtin_popcountll(own);
    }
    __m512i positions = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int32_t>(run.first + at)),
                                         _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    for (int64_t i = 0; i < kGroup / kPositions; ++i) {
      const uint64_t own = bits >> (kPositions * i) & 0xffff;
      _mm512_storeu_si512(run.to.positions + 4 * found, Lanes<uint32_t>::compress(own, positions));
      positions = _mm512_add_epi32(positions, _mm512_set1_epi32(kPositions));
      found += __builtin_popcountll(own);
    }
    return found;
  }

  static constexpr uint64_t kAll = kLanes == kGroup ? ~uint64_t{0} : (uint64_t{1} << (kLanes % kGroup)) - 1;
};

}  // namespace

int64_t extract_avx512(const tg_patch_pair& pair, int64_t begin, int64_t end, Places to) {
  return extract_with<Group>(pair, begin, end, to);
}

}  // namespace threegate::patch
