// The leading singular triplets of one matrix, with a certificate, on one thread.
//
// The Gram matrix of the short side is formed panel by panel and tridiagonalised; the wanted eigenvectors are those of one side,
// one pass over the matrix gives the other side and the residuals. In float32 where the tolerance allows that, in float64 where
// it does not; where even that cannot reach it (singular values far below the first, which squaring loses) the panels are reduced
// to a triangle by Householder QR (Demmel, Grigori, Hoemmen, Langou, "Communication-optimal parallel and sequential QR and LU",
// 2012) and the SVD is of that.
#ifndef THREEGATE_CPU_SVD_TRUNCATED_SVD_H
#define THREEGATE_CPU_SVD_TRUNCATED_SVD_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::svd {

// Bytes of workspace for one matrix.
// `tracked`: there is a start.
int64_t workspace_bytes(const tg_operand& matrix, const tg_svd_options& options, bool tracked, const tg_svd_result& result);

// Fills the result, its status included, for the matrix less what is subtracted (nullptr: nothing). `matrix` has entries and
// `options.rank` is at most its short side; `start` may be nullptr. Throws CANCELLED through the control.
void truncated_svd(SimdLevel level, const tg_operand& matrix, const tg_operand* subtracted, const tg_svd_options& options,
                   const tg_svd_start* start, const tg_control* control, void* workspace, tg_svd_result& result);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_TRUNCATED_SVD_H
