// SHA-256 (FIPS 180-4) of byte ranges, two at a time: the instructions for it have a latency of several cycles, so that two
// independent streams take little longer than one.
#ifndef THREEGATE_CPU_DIGEST_SHA256_H
#define THREEGATE_CPU_DIGEST_SHA256_H

#include <cstdint>

#include "threegate/threegate.h"

namespace threegate::digest {

constexpr int64_t kDigestBytes = 32;
constexpr int64_t kBlockBytes = 64;

// Updates eight words by `blocks` blocks of each of two streams. `b` may be nullptr: one stream.
using CompressFunction = void (*)(uint32_t* state_a, const uint8_t* a, uint32_t* state_b, const uint8_t* b, int64_t blocks);

void compress_scalar(uint32_t* state_a, const uint8_t* a, uint32_t* state_b, const uint8_t* b, int64_t blocks);
void compress_sha_extensions(uint32_t* state_a, const uint8_t* a, uint32_t* state_b, const uint8_t* b, int64_t blocks);

// The fastest that this machine runs.
CompressFunction choose_compress() noexcept;

// Digests of one or two ranges (count 1 or 2), 32 bytes each. Returns false when it was cancelled.
bool sha256(CompressFunction compress, const tg_span* spans, int64_t count, tg_control* control, uint8_t* digests);

}  // namespace threegate::digest

#endif  // THREEGATE_CPU_DIGEST_SHA256_H
