#include <cstddef>

#include "cpu/support/neon.h"
#include "extract_lanes.h"

namespace threegate::patch {
namespace {

constexpr size_t kBytes = 16;

// Compares the elements of two vectors.
template <typename Element>
[[gnu::always_inline]] inline auto equal(uint8x16_t one, uint8x16_t other) {
  if constexpr (sizeof(Element) == 1) {
    return vceqq_u8(one, other);
  } else if constexpr (sizeof(Element) == 2) {
    return vceqq_u16(vreinterpretq_u16_u8(one), vreinterpretq_u16_u8(other));
  } else if constexpr (sizeof(Element) == 4) {
    return vceqq_u32(vreinterpretq_u32_u8(one), vreinterpretq_u32_u8(other));
  } else {
    return vceqq_u64(vreinterpretq_u64_u8(one), vreinterpretq_u64_u8(other));
  }
}

template <typename Element>
struct Group {
  static int64_t take(const Run& run, int64_t at, uint64_t bits, int64_t found) {
    return take_bits<Element>(run, at, bits, found);
  }

  static uint64_t compare(const uint8_t* before, const uint8_t* after, int64_t at) {
    constexpr size_t kVectors = size_t{kGroup} * sizeof(Element) / kBytes;
    before += at * static_cast<int64_t>(sizeof(Element));
    after += at * static_cast<int64_t>(sizeof(Element));
    uint8x16_t any = vdupq_n_u8(0);
    for (size_t i = 0; i < kVectors; ++i) {
      any = vorrq_u8(any, veorq_u8(vld1q_u8(before + i * kBytes), vld1q_u8(after + i * kBytes)));
    }
    if (vmaxvq_u32(vreinterpretq_u32_u8(any)) == 0) {
      return 0;
    }
    decltype(equal<Element>(any, any)) lanes[kVectors];
    for (size_t i = 0; i < kVectors; ++i) {
      lanes[i] = equal<Element>(vld1q_u8(before + i * kBytes), vld1q_u8(after + i * kBytes));
    }
    return ~lane_bits(lanes);
  }
};

}  // namespace

int64_t extract_neon(const tg_patch_pair& pair, int64_t begin, int64_t end, Places to) {
  return extract_with<Group>(pair, begin, end, to);
}

}  // namespace threegate::patch
