#ifndef THREEGATE_CPU_SVD_PERTURBATION_H
#define THREEGATE_CPU_SVD_PERTURBATION_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::svd {

int64_t perturbation_workspace_bytes(const tg_perturbation_options& options);

// Does what tg_svd_perturb does. Returns false if an input is not finite.
bool perturb_spectrum(SimdLevel level, const tg_perturbation_options& options, void* workspace, tg_perturbation_result& result);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_PERTURBATION_H
