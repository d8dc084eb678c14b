// Which instruction set the CPU kernels use.
#ifndef THREEGATE_CPU_SUPPORT_SIMD_LEVEL_H
#define THREEGATE_CPU_SUPPORT_SIMD_LEVEL_H

#include <string>

namespace threegate {

enum class SimdLevel { kScalar = 0, kAvx2 = 1, kAvx512 = 2 };

// The best level of this machine.
SimdLevel best_simd_level() noexcept;

// The best level, or the one that THREEGATE_SIMD forces; throws UNSUPPORTED or INVALID_ARGUMENT when that cannot be had.
SimdLevel chosen_simd_level();

const char* simd_level_name(SimdLevel level) noexcept;

// Why no higher level than the chosen one is used; empty for the highest.
std::string simd_level_reason();

}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_SIMD_LEVEL_H
