// Counter-based random numbers. Entry i of a stream depends only on the seed, the draw, the purpose and i. Results therefore do
// not depend on threads, on the order of the work or on the device. The generator is Philox4x32-10 (Salmon et al., "Parallel
// random numbers: as easy as 1, 2, 3", 2011).
//
// Everything has internal linkage, for the reason in dtype.h. Loops run over the lanes of an array, so that compilers vectorise
// them.
#ifndef THREEGATE_COMMON_PHILOX_H
#define THREEGATE_COMMON_PHILOX_H

#include <cmath>
#include <cstdint>

#include "common/dtype.h"

namespace threegate::random {

// The purpose of a stream. Streams of different purposes are independent. Append new purposes at the end, because their values
// are part of the streams.
enum class Purpose : uint32_t {
  kGaussian = 1,
  kBucket,
  kShuffle,
  kLeft,
  kRight,
  kBelow,
  kGamma,
  kProbe,
  kCore,
  kCoreGamma,
  kCoreOrder,
  kKrylov,
  kSigns,
  kEnergyProbe
};

struct Stream {
  uint64_t seed;
  uint32_t draw;
  Purpose purpose;
};

constexpr int64_t kBlock = 64;  // numbers that are generated at a time

namespace {

constexpr int64_t kLanes = kBlock / 4;

// Writes the numbers kBlock * block .. kBlock * (block + 1) - 1 of a stream. Word w of lane l is number w * kLanes + l.
inline void random_block(const Stream& stream, int64_t block, uint32_t (&words)[4][kLanes]) {
  uint32_t key[2] = {static_cast<uint32_t>(stream.seed), static_cast<uint32_t>(stream.seed >> 32)};
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    const auto counter = static_cast<uint64_t>(block * kLanes + lane);
    words[0][lane] = static_cast<uint32_t>(counter);
    words[1][lane] = static_cast<uint32_t>(counter >> 32);
    words[2][lane] = stream.draw;
    words[3][lane] = static_cast<uint32_t>(stream.purpose);
  }
  for (int round = 0; round < 10; ++round) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const uint64_t first = uint64_t{0xD2511F53U} * words[0][lane];
      const uint64_t second = uint64_t{0xCD9E8D57U} * words[2][lane];
      const uint32_t old1 = words[1][lane];
      const uint32_t old3 = words[3][lane];
      words[0][lane] = static_cast<uint32_t>(second >> 32) ^ old1 ^ key[0];
      words[1][lane] = static_cast<uint32_t>(second);
      words[2][lane] = static_cast<uint32_t>(first >> 32) ^ old3 ^ key[1];
      words[3][lane] = static_cast<uint32_t>(first);
    }
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
}

// The natural logarithm of a positive normal float (Cephes' logf).
inline float logarithm(float x) {
  const auto bits = bit_cast<int32_t>(x);
  // The mantissa is in [sqrt(1/2), sqrt(2)).
  const int32_t exponent = (bits - 0x3f3504f3) >> 23;
  const auto f = bit_cast<float>(bits - exponent * (1 << 23)) - 1.0F;
  const float square = f * f;
  float p = 7.0376836292e-2F;
  p = p * f - 1.1514610310e-1F;
  p = p * f + 1.1676998740e-1F;
  p = p * f - 1.2420140846e-1F;
  p = p * f + 1.4249322787e-1F;
  p = p * f - 1.6668057665e-1F;
  p = p * f + 2.0000714765e-1F;
  p = p * f - 2.4999993993e-1F;
  p = p * f + 3.3333331174e-1F;
  p = p * f * square;
  const auto e = static_cast<float>(exponent);
  p += -2.12194440e-4F * e;
  p -= 0.5F * square;
  return (f + p) + 0.693359375F * e;
}

// Two independent standard normal numbers from two uniform ones (Box and Muller, 1958), with an error of about 1e-7.
inline void normal_pair(uint32_t first, uint32_t second, float* cosine, float* sine) {
  const float uniform = (static_cast<float>(first) + 0.5F) * 0x1p-32F;
  const float squared = -2.0F * logarithm(uniform);
  const float radius = std::sqrt(squared > 0.0F ? squared : 0.0F);
  // The angle is `second` in units of 1/2^32 of a turn. It is split into a quadrant and a rest in [-pi/4, pi/4).
  const auto within = static_cast<int32_t>(second & 0x3fffffffU) - 0x20000000;
  const float angle = static_cast<float>(within) * static_cast<float>(1.5707963267948966 / 0x1p30);
  const float square = angle * angle;
  const float s = angle + angle * square * (-1.6666654611e-1F + square * (8.3321608736e-3F + square * -1.9515295891e-4F));
  const float c = 1.0F - 0.5F * square +
                  square * square * (4.166664568298827e-2F + square * (-1.388731625493765e-3F + square * 2.443315711809948e-5F));
  const uint32_t quadrant = second >> 30;
  const bool swaps = (quadrant & 1U) != 0;
  const uint32_t cosine_sign = ((quadrant + 1U) & 2U) << 30;
  const uint32_t sine_sign = (quadrant & 2U) << 30;
  *cosine = radius * bit_cast<float>(bit_cast<uint32_t>(swaps ? s : c) ^ cosine_sign);
  *sine = radius * bit_cast<float>(bit_cast<uint32_t>(swaps ? c : s) ^ sine_sign);
}

// Writes kBlock standard normal numbers.
inline void normal_block(const Stream& stream, int64_t block, float* out) {
  uint32_t words[4][kLanes];
  random_block(stream, block, words);
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    normal_pair(words[0][lane], words[1][lane], out + lane, out + kLanes + lane);
  }
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    normal_pair(words[2][lane], words[3][lane], out + 2 * kLanes + lane, out + 3 * kLanes + lane);
  }
}

}  // namespace
}  // namespace threegate::random

#endif  // THREEGATE_COMMON_PHILOX_H
