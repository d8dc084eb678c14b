// Singular triplets and spectra from the Gram matrix of the short side.
#ifndef THREEGATE_CPU_SVD_GRAM_SOLVER_H
#define THREEGATE_CPU_SVD_GRAM_SOLVER_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "panel.h"
#include "threegate/threegate.h"

namespace threegate::svd {

enum class GramPrecision {
  kSingle,  // float32 throughout
  kMixed,   // the Gram matrix in float32, everything after its eigenvectors in float64
  kDouble,  // float64 throughout
};

// Bytes of workspace that solve_with_gram_matrix() needs.
int64_t gram_solver_bytes(GramPrecision precision, const View& view, const tg_svd_options& options);

// Fills the result and returns true if it is within the tolerance. Returns false if the caller should try another method.
bool solve_with_gram_matrix(GramPrecision precision, const View& view, SimdLevel level, const tg_svd_options& options,
                            void* workspace, tg_svd_result& result);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_GRAM_SOLVER_H
