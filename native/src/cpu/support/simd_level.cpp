#include "simd_level.h"

#include <cstdlib>

#include "common/error.h"
#include "processor.h"

namespace threegate {
namespace {

constexpr const char* kVariable = "THREEGATE_SIMD";

// Why the machine does not support a level.
const char* lacking(SimdLevel level) noexcept {
  switch (level) {
    case SimdLevel::kNeon:
      return "the processor lacks Advanced SIMD";
    case SimdLevel::kAvx512:
      return "the processor lacks AVX-512 F, BW, DQ, VL or VBMI2";
    default:
      return "the processor lacks AVX2, FMA or BMI2";
  }
}

std::string names() {
  std::string list;
  for (const SimdLevel level : kSimdLevels) {
    list += (list.empty() ? "" : ", ") + std::string(simd_level_name(level));
  }
  return list;
}

}  // namespace

SimdLevel best_simd_level() noexcept {
  SimdLevel best = SimdLevel::kScalar;
  for (const SimdLevel level : kSimdLevels) {
    if (supports(level)) {
      best = level;
    }
  }
  return best;
}

const char* simd_level_name(SimdLevel level) noexcept {
  switch (level) {
    case SimdLevel::kNeon:
      return "neon";
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
  for (const SimdLevel level : kSimdLevels) {
    if (name == simd_level_name(level)) {
      if (!supports(level)) {
        throw Error(TG_UNSUPPORTED, std::string(kVariable) + "=" + name + ": the highest level of this machine is " +
                                        simd_level_name(best) + "; unset the variable or select a lower level");
      }
      return level;
    }
  }
  throw Error(TG_INVALID_ARGUMENT, std::string(kVariable) + " is \"" + name + "\"; allowed are " + names());
}

std::string simd_level_reason() {
  const SimdLevel level = chosen_simd_level();
  bool is_next = false;
  for (const SimdLevel other : kSimdLevels) {
    if (is_next) {
      return supports(other) ? std::string(kVariable) + " forces " + simd_level_name(level) : lacking(other);
    }
    is_next = other == level;
  }
  return {};
}

}  // namespace threegate
