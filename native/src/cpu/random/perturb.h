#ifndef THREEGATE_CPU_RANDOM_PERTURB_H
#define THREEGATE_CPU_RANDOM_PERTURB_H

#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::random {

enum class Outcome { kDone, kCancelled };

// Writes base + a Gaussian update, rounded to options.dtype.
Outcome perturb_gaussian(SimdLevel level, const tg_operand& base, const tg_perturb_options& options, const tg_control* control,
                         void* perturbed);

// Writes base + the entries of tuned - base at random positions.
Outcome perturb_permuted(const tg_operand& base, const tg_operand& tuned, const tg_perturb_options& options,
                         const tg_control* control, float* perturbed);

}  // namespace threegate::random

#endif  // THREEGATE_CPU_RANDOM_PERTURB_H
