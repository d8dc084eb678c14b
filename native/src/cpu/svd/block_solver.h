// Leading triplets of a matrix whose short side is too long for its square to be stored, or so long that its Gram matrix costs
// more.
#ifndef THREEGATE_CPU_SVD_BLOCK_SOLVER_H
#define THREEGATE_CPU_SVD_BLOCK_SOLVER_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "panel.h"

namespace threegate::svd {

// Returns whether there is room for that many vectors in a Krylov space.
bool block_solver_suits(const View& view, int64_t rank);

int64_t block_solver_bytes(const View& view, const tg_svd_options& options);

// Writes the result of a matrix with entries other than zero. The status is NOT_CONVERGED if the tolerance was not reached.
void solve_by_blocks(const View& view, SimdLevel level, const tg_svd_options& options, void* workspace, tg_svd_result& result);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_BLOCK_SOLVER_H
