// SHA-256 (FIPS 180-4) of several byte ranges at a time. The SHA instructions have a latency of several cycles. Independent
// streams in step are therefore almost twice as fast as one after the other.
#ifndef THREEGATE_CPU_DIGEST_SHA256_H
#define THREEGATE_CPU_DIGEST_SHA256_H

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::digest {

constexpr int64_t kDigestBytes = 32;
constexpr int64_t kBlockBytes = 64;

// The number of streams that one thread processes in step. Measured on Zen 5: 2.1, 3.0, 3.2 and 3.7 GB/s with one to four.
constexpr size_t kMostStreams = 4;

// Updates the eight words of state of 1 to kMostStreams streams by `blocks` blocks of data each.
using CompressFunction = void (*)(uint32_t* const* states, const uint8_t* const* data, size_t streams, int64_t blocks);

void compress_scalar(uint32_t* const* states, const uint8_t* const* data, size_t streams, int64_t blocks);
void compress_sha_extensions(uint32_t* const* states, const uint8_t* const* data, size_t streams, int64_t blocks);

// Returns the fastest function that this machine supports. At the scalar level it is the portable one.
CompressFunction choose_compress(SimdLevel level) noexcept;

// The work of one thread. Takes ranges from `next` up to `count`, at most `most_streams` at a time, and writes their digests of
// 32 bytes in the order of the ranges. Returns false if the call was cancelled.
bool sha256(CompressFunction compress, const tg_span* spans, int64_t count, std::atomic<int64_t>& next, size_t most_streams,
            tg_control* control, uint8_t* digests);

}  // namespace threegate::digest

#endif  // THREEGATE_CPU_DIGEST_SHA256_H
