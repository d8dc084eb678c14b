// What the NEON variants share. Everything has internal linkage, for the reason in dtype.h.
#ifndef THREEGATE_CPU_SUPPORT_NEON_H
#define THREEGATE_CPU_SUPPORT_NEON_H

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace threegate {
namespace {

// One bit for each of the 64 lanes of some vectors, which are comparison results: all bits of a lane are equal. NEON has no
// instruction for it. Each byte keeps the bit of its place, and additions of neighbours collect eight of them in a byte. Wider
// lanes are narrowed to bytes before.
[[gnu::always_inline]] inline uint64_t lane_bits(const uint8x16_t (&lanes)[4]) {
  const uint8x16_t places = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201U));
  const uint8x16_t low = vpaddq_u8(vandq_u8(lanes[0], places), vandq_u8(lanes[1], places));
  const uint8x16_t high = vpaddq_u8(vandq_u8(lanes[2], places), vandq_u8(lanes[3], places));
  const uint8x16_t quarters = vpaddq_u8(low, high);
  return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(quarters, quarters)), 0);
}

[[gnu::always_inline]] inline uint64_t lane_bits(const uint16x8_t (&lanes)[8]) {
  uint8x16_t narrow[4];
  for (size_t i = 0; i < 4; ++i) {
    narrow[i] = vuzp1q_u8(vreinterpretq_u8_u16(lanes[2 * i]), vreinterpretq_u8_u16(lanes[2 * i + 1]));
  }
  return lane_bits(narrow);
}

[[gnu::always_inline]] inline uint64_t lane_bits(const uint32x4_t (&lanes)[16]) {
  uint16x8_t narrow[8];
  for (size_t i = 0; i < 8; ++i) {
    narrow[i] = vuzp1q_u16(vreinterpretq_u16_u32(lanes[2 * i]), vreinterpretq_u16_u32(lanes[2 * i + 1]));
  }
  return lane_bits(narrow);
}

[[gnu::always_inline]] inline uint64_t lane_bits(const uint64x2_t (&lanes)[32]) {
  uint32x4_t narrow[16];
  for (size_t i = 0; i < 16; ++i) {
    narrow[i] = vuzp1q_u32(vreinterpretq_u32_u64(lanes[2 * i]), vreinterpretq_u32_u64(lanes[2 * i + 1]));
  }
  return lane_bits(narrow);
}

}  // namespace
}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_NEON_H
