#include "processor.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace threegate {

#if defined(__x86_64__)

namespace {

// Registers of a leaf of CPUID, or zeros if the processor lacks it.
struct Leaf {
  Leaf(unsigned leaf, unsigned part) noexcept {
    if (__get_cpuid_count(leaf, part, &eax, &ebx, &ecx, &edx) == 0) {
      eax = ebx = ecx = edx = 0;
    }
  }
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
};

// Every processor with AVX2 has F16C. Compilers do not agree on a name for it.
bool has_avx2() noexcept {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && __builtin_cpu_supports("bmi2") != 0;
}

bool has_avx512() noexcept {
  return has_avx2() && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512vbmi2") != 0;
}

}  // namespace

bool supports(SimdLevel level) noexcept {
  return level == SimdLevel::kScalar || (level == SimdLevel::kAvx2 && has_avx2()) ||
         (level == SimdLevel::kAvx512 && has_avx512());
}

bool has_sha256_instructions() noexcept {
  constexpr unsigned kShaBit = 1U << 29;
  return (Leaf(7, 0).ebx & kShaBit) != 0;
}

bool has_bf16_dot() noexcept {
  constexpr unsigned kBf16Bit = 1U << 5;
  return (Leaf(7, 1).eax & kBf16Bit) != 0;
}

#elif defined(__aarch64__)

bool supports(SimdLevel level) noexcept {
  return level == SimdLevel::kScalar || (level == SimdLevel::kNeon && (getauxval(AT_HWCAP) & HWCAP_ASIMD) != 0);
}

bool has_sha256_instructions() noexcept { return (getauxval(AT_HWCAP) & HWCAP_SHA2) != 0; }

bool has_bf16_dot() noexcept { return false; }

#else

bool supports(SimdLevel level) noexcept { return level == SimdLevel::kScalar; }

bool has_sha256_instructions() noexcept { return false; }

bool has_bf16_dot() noexcept { return false; }

#endif

}  // namespace threegate
