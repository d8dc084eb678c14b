// The instruction set of the CPU kernels. This header alone says which levels an architecture has.
#ifndef THREEGATE_CPU_SUPPORT_SIMD_LEVEL_H
#define THREEGATE_CPU_SUPPORT_SIMD_LEVEL_H

#include <string>

#include "threegate/threegate.h"

namespace threegate {

enum class SimdLevel {
  kScalar = TG_SIMD_SCALAR,
  kAvx2 = TG_SIMD_AVX2,
  kAvx512 = TG_SIMD_AVX512,
  kNeon = TG_SIMD_NEON,
};

// TG_AT_LEVEL(level, name) is the variant of a function for a level: name_scalar, name_avx2, name_avx512 or name_neon.
// TG_LANES_AT_LEVEL is the same for functions whose loops a compiler vectorises. AArch64 includes NEON, so that name_scalar is
// vectorised there, and no variant of its own is needed.
#if defined(__x86_64__)
constexpr SimdLevel kSimdLevels[] = {SimdLevel::kScalar, SimdLevel::kAvx2, SimdLevel::kAvx512};  // ascending
constexpr bool kHasAvx512 = true;
#define TG_AT_LEVEL(level, name)                              \
  ((level) == ::threegate::SimdLevel::kAvx512 ? name##_avx512 \
   : (level) == ::threegate::SimdLevel::kAvx2 ? name##_avx2   \
                                              : name##_scalar)
#define TG_LANES_AT_LEVEL(level, name) TG_AT_LEVEL(level, name)
#elif defined(__aarch64__)
constexpr SimdLevel kSimdLevels[] = {SimdLevel::kScalar, SimdLevel::kNeon};
constexpr bool kHasAvx512 = false;
#define TG_AT_LEVEL(level, name) ((level) == ::threegate::SimdLevel::kNeon ? name##_neon : name##_scalar)
#define TG_LANES_AT_LEVEL(level, name) ((void)(level), name##_scalar)
#else
constexpr SimdLevel kSimdLevels[] = {SimdLevel::kScalar};
constexpr bool kHasAvx512 = false;
#define TG_AT_LEVEL(level, name) ((void)(level), name##_scalar)
#define TG_LANES_AT_LEVEL(level, name) TG_AT_LEVEL(level, name)
#endif

// Returns the highest level that this machine supports.
SimdLevel best_simd_level() noexcept;

// Returns the highest level, or the one that THREEGATE_SIMD selects. Throws UNSUPPORTED or INVALID_ARGUMENT if that level cannot
// be used.
SimdLevel chosen_simd_level();

const char* simd_level_name(SimdLevel level) noexcept;

// Returns why no higher level than the chosen one is used. The text is empty for the highest one.
std::string simd_level_reason();

}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_SIMD_LEVEL_H
