// The leading singular triplets of one matrix, with a certificate.
//
// Methods are tried in the order of their cost. The Gram matrix of the short side gives the vectors of that side, and one pass
// over the matrix gives the other side and the residuals (gram_solver.h). If there are many vectors, the residuals come from the
// Gram matrix, and sums of triplets with random signs measure the errors of that (probed_certificate.h). float32 is used if the
// tolerance allows it. If the Gram matrix does not reach the tolerance in float64, a QR decomposition does (triangle_solver.h).
// With a start the singular vectors of a matrix nearby are refined first (tracking.h). If that matrix is at hand and differs in
// few entries, only these are multiplied (change_tracking.h). If the short side is too long for its square, a restarted Krylov
// space takes the place of all of this (block_solver.h).
#ifndef THREEGATE_CPU_SVD_TRUNCATED_SVD_H
#define THREEGATE_CPU_SVD_TRUNCATED_SVD_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::svd {

// Bytes of workspace for one matrix. `start` may be nullptr. Short sides above `longest_whole` have no matrix of their order, if
// there is no start and no spectrum.
int64_t workspace_bytes(const tg_operand& matrix, const tg_svd_options& options, const tg_svd_start* start,
                        const tg_svd_result& result, int64_t longest_whole);

// Fills the result, including its status, for the matrix minus `subtracted`, which may be nullptr. `matrix` is not empty, and
// `options.rank` is at most its short side. `start` may be nullptr. Throws CANCELLED if the control asks for it.
void truncated_svd(SimdLevel level, const tg_operand& matrix, const tg_operand* subtracted, const tg_svd_options& options,
                   const tg_svd_start* start, int64_t longest_whole, const tg_control* control, void* workspace,
                   tg_svd_result& result);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_TRUNCATED_SVD_H
