// SHA-256 with the SHA extensions of the processor, for up to four streams in step.
#include <immintrin.h>

#include <cstddef>

#include "sha256.h"
#include "sha256_constants.h"

namespace threegate::digest {
namespace {

// The eight words in the order that the instructions need: ABEF and CDGH.
struct Packed {
  __m128i abef;
  __m128i cdgh;
};

[[gnu::always_inline]] inline Packed pack(const uint32_t* state) {
  const __m128i dcba = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(state)), 0xB1);
  const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(state + 4)), 0x1B);
  return {_mm_alignr_epi8(dcba, efgh, 8), _mm_blend_epi16(efgh, dcba, 0xF0)};
}

[[gnu::always_inline]] inline void unpack(const Packed& packed, uint32_t* state) {
  const __m128i feba = _mm_shuffle_epi32(packed.abef, 0x1B);
  const __m128i dchg = _mm_shuffle_epi32(packed.cdgh, 0xB1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state), _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

template <size_t kStreams>
[[gnu::always_inline]] inline void compress_streams(uint32_t* const* states, const uint8_t* const* data, int64_t blocks) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  Packed packed[kStreams];
  for (size_t s = 0; s < kStreams; ++s) {
    packed[s] = pack(states[s]);
  }
  for (int64_t block = 0; block < blocks; ++block) {
    Packed before[kStreams];
    __m128i w[kStreams][4];
    for (size_t s = 0; s < kStreams; ++s) {
      before[s] = packed[s];
      for (size_t i = 0; i < 4; ++i) {
        const auto* words = reinterpret_cast<const __m128i*>(data[s] + block * kBlockBytes) + i;
        w[s][i] = _mm_shuffle_epi8(_mm_loadu_si128(words), big_endian);
      }
    }
#pragma GCC unroll 16
    for (size_t group = 0; group < 16; ++group) {
      const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(kRoundConstants) + group);
#pragma GCC unroll 4
      for (size_t s = 0; s < kStreams; ++s) {
        __m128i& now = w[s][group % 4];
        if (group >= 4) {
          const __m128i& previous = w[s][(group + 3) % 4];
          const __m128i nine = _mm_alignr_epi8(previous, w[s][(group + 2) % 4], 4);
          now = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(now, w[s][(group + 1) % 4]), nine), previous);
        }
        const __m128i sum = _mm_add_epi32(now, constants);
        packed[s].cdgh = _mm_sha256rnds2_epu32(packed[s].cdgh, packed[s].abef, sum);
        packed[s].abef = _mm_sha256rnds2_epu32(packed[s].abef, packed[s].cdgh, _mm_shuffle_epi32(sum, 0x0E));
      }
    }
    for (size_t s = 0; s < kStreams; ++s) {
      packed[s].abef = _mm_add_epi32(packed[s].abef, before[s].abef);
      packed[s].cdgh = _mm_add_epi32(packed[s].cdgh, before[s].cdgh);
    }
  }
  for (size_t s = 0; s < kStreams; ++s) {
    unpack(packed[s], states[s]);
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
