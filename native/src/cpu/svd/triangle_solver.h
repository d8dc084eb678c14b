// Singular triplets and spectra from the triangular factor of a QR decomposition, in float64.
//
// It reaches singular values far below the first one, which the squares in a Gram matrix lose. The matrix is reduced panel by
// panel (Demmel, Grigori, Hoemmen, Langou, "Communication-optimal parallel and sequential QR and LU", 2012).
#ifndef THREEGATE_CPU_SVD_TRIANGLE_SOLVER_H
#define THREEGATE_CPU_SVD_TRIANGLE_SOLVER_H

#include <cstdint>

#include "panel.h"
#include "threegate/threegate.h"

namespace threegate::svd {

// Bytes of workspace that solve_with_triangle() needs.
int64_t triangle_solver_bytes(const View& view, const tg_svd_options& options);

// Fills the result. Its status is NOT_CONVERGED if the tolerance was not reached.
void solve_with_triangle(const View& view, const tg_svd_options& options, void* workspace, tg_svd_result& result);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_TRIANGLE_SOLVER_H
