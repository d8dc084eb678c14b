// What the processor can do. All questions to the processor are asked here.
#ifndef THREEGATE_CPU_SUPPORT_PROCESSOR_H
#define THREEGATE_CPU_SUPPORT_PROCESSOR_H

#include "simd_level.h"

namespace threegate {

bool supports(SimdLevel level) noexcept;

// Returns whether there are instructions for SHA-256.
bool has_sha256_instructions() noexcept;

// Returns whether there is AVX512_BF16.
bool has_bf16_dot() noexcept;

// Tells the processor that this thread waits for another one.
inline void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_PROCESSOR_H
