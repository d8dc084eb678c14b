// XXH3 of 128 bits: the reference implementation of xxHash, compiled for each instruction set.
#ifndef THREEGATE_CPU_DIGEST_XXH3_H
#define THREEGATE_CPU_DIGEST_XXH3_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::digest {

// Adds the bytes of a part to its state.
using Xxh3Function = void (*)(const tg_xxh3_part& part);
void xxh3_update_scalar(const tg_xxh3_part& part);
void xxh3_update_avx2(const tg_xxh3_part& part);
void xxh3_update_avx512(const tg_xxh3_part& part);
void xxh3_update_neon(const tg_xxh3_part& part);

Xxh3Function choose_xxh3(SimdLevel level) noexcept;

void xxh3_digest(const void* state, uint8_t* digest);

}  // namespace threegate::digest

#endif  // THREEGATE_CPU_DIGEST_XXH3_H
