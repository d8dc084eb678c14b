// The instruction set of the CPU kernels.
#ifndef THREEGATE_CPU_SUPPORT_SIMD_LEVEL_H
#define THREEGATE_CPU_SUPPORT_SIMD_LEVEL_H

#include <string>

namespace threegate {

enum class SimdLevel { kScalar = 0, kAvx2 = 1, kAvx512 = 2 };

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
