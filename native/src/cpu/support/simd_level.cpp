#include "simd_level.h"

#include <cstdlib>

#include "common/error.h"

namespace threegate {
namespace {

constexpr const char* kVariable = "THREEGATE_SIMD";

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

SimdLevel best_simd_level() noexcept {
  if (has_avx512()) {
    return SimdLevel::kAvx512;
  }
  return has_avx2() ? SimdLevel::kAvx2 : SimdLevel::kScalar;
}

const char* simd_level_name(SimdLevel level) noexcept {
  switch (level) {
    case SimdLevel::kAvx512:
      return "avx512";
    case SimdLevel::kAvx2:
      return "avx2";
    case SimdLevel::kScalar:
      break;
  }
  return "scalar";
}

SimdLevel chosen_simd_level() {
  const SimdLevel best = best_simd_level();
  const char* forced = std::getenv(kVariable);
  if (forced == nullptr || *forced == '\0') {
    return best;
  }
  const std::string name(forced);
  for (const SimdLevel level : {SimdLevel::kScalar, SimdLevel::kAvx2, SimdLevel::kAvx512}) {
    if (name == simd_level_name(level)) {
      if (level > best) {
        throw Error(TG_UNSUPPORTED, std::string(kVariable) + "=" + name + ": the highest level of this machine is " +
                                        simd_level_name(best) + "; unset the variable or select a lower level");
      }
      return level;
    }
  }
  throw Error(TG_INVALID_ARGUMENT, std::string(kVariable) + " is \"" + name + "\"; allowed are scalar, avx2, avx512");
}

std::string simd_level_reason() {
  const SimdLevel level = chosen_simd_level();
  if (level == SimdLevel::kAvx512) {
    return {};
  }
  if (level < best_simd_level()) {
    return std::string(kVariable) + " forces " + simd_level_name(level);
  }
  return level == SimdLevel::kAvx2 ? "the processor lacks AVX-512 F, BW, DQ, VL or VBMI2"
                                   : "the processor lacks AVX2, FMA or BMI2";
}

}  // namespace threegate
