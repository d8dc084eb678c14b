// SHA-256 (FIPS 180-4) of byte ranges, several at a time: the instructions for it have a latency of several cycles, so that
// independent streams in step go through a core almost twice as fast as one after the other.
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

// Streams that one thread keeps in step. Measured on Zen 5: 2.1, 3.0, 3.2 and 3.7 GB/s with one to four.
constexpr size_t kMostStreams = 4;

// Updates eight words of state for each of 1 to kMostStreams streams by `blocks` blocks of its data.
using CompressFunction = void (*)(uint32_t* const* states, const uint8_t* const* data, size_t streams, int64_t blocks);

void compress_scalar(uint32_t* const* states, const uint8_t* const* data, size_t streams, int64_t blocks);
void compress_sha_extensions(uint32_t* const* states, const uint8_t* const* data, size_t streams, int64_t blocks);

// The fastest that this machine runs; at the scalar level the one that any machine runs.
CompressFunction choose_compress(SimdLevel level) noexcept;

// One thread's share: takes ranges from `next` on, up to `count`, at most `most_streams` at a time, and writes their digests, 32
// bytes each, in the order of the ranges. Returns false when it was cancelled.
bool sha256(CompressFunction compress, const tg_span* spans, int64_t count, std::atomic<int64_t>& next, size_t most_streams,
            tg_control* control, uint8_t* digests);

}  // namespace threegate::digest

#endif  // THREEGATE_CPU_DIGEST_SHA256_H
