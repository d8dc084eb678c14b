// SHA-256 with the SHA-2 instructions of AArch64, for up to four streams in step.
#include <arm_neon.h>

#include <cstddef>

#include "sha256.h"
#include "sha256_constants.h"

namespace threegate::digest {
namespace {

struct Packed {
  uint32x4_t abcd;
  uint32x4_t efgh;
};

template <size_t kStreams>
[[gnu::always_inline]] inline void compress_streams(uint32_t* const* states, const uint8_t* const* data, int64_t blocks) {
  Packed packed[kStreams];
  for (size_t s = 0; s < kStreams; ++s) {
    packed[s] = {vld1q_u32(states[s]), vld1q_u32(states[s] + 4)};
  }
  for (int64_t block = 0; block < blocks; ++block) {
    Packed before[kStreams];
    uint32x4_t w[kStreams][4];
    for (size_t s = 0; s < kStreams; ++s) {
      before[s] = packed[s];
      for (size_t i = 0; i < 4; ++i) {
        w[s][i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data[s] + block * kBlockBytes + 16 * i)));
      }
    }
#pragma GCC unroll 16
    for (size_t group = 0; group < 16; ++group) {
      const uint32x4_t constants = vld1q_u32(kRoundConstants + 4 * group);
#pragma GCC unroll 4
      for (size_t s = 0; s < kStreams; ++s) {
        uint32x4_t& now = w[s][group % 4];
        if (group >= 4) {
          now = vsha256su1q_u32(vsha256su0q_u32(now, w[s][(group + 1) % 4]), w[s][(group + 2) % 4], w[s][(group + 3) % 4]);
        }
        const uint32x4_t sum = vaddq_u32(now, constants);
        const uint32x4_t abcd = packed[s].abcd;
        packed[s].abcd = vsha256hq_u32(abcd, packed[s].efgh, sum);
        packed[s].efgh = vsha256h2q_u32(packed[s].efgh, abcd, sum);
      }
    }
    for (size_t s = 0; s < kStreams; ++s) {
      packed[s].abcd = vaddq_u32(packed[s].abcd, before[s].abcd);
      packed[s].efgh = vaddq_u32(packed[s].efgh, before[s].efgh);
    }
  }
  for (size_t s = 0; s < kStreams; ++s) {
    vst1q_u32(states[s], packed[s].abcd);
    vst1q_u32(states[s] + 4, packed[s].efgh);
  }
}

}  // namespace

void compress_sha_extensions(uint32_t* const* states, const uint8_t* const* data, size_t streams, int64_t blocks) {
  switch (streams) {
    case 4:
      return compress_streams<4>(states, data, blocks);
    case 3:
      return compress_streams<3>(states, data, blocks);
    case 2:
      return compress_streams<2>(states, data, blocks);
    default:
      return compress_streams<1>(states, data, blocks);
  }
}

}  // namespace threegate::digest
