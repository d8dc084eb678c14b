// Tolerances that decide in which precision a singular value decomposition is attempted.
#ifndef THREEGATE_CPU_SVD_TOLERANCE_H
#define THREEGATE_CPU_SVD_TOLERANCE_H

namespace threegate::svd {

// From this tolerance on float32 is tried first. Its rounding leaves residuals that are about ten times smaller.
constexpr double kSingleTolerance = 1e-5;

// Between this tolerance and kSingleTolerance the Gram matrix is in float32 and everything after its vectors in float64. The
// residual then keeps only the rounding of the Gram matrix, about 1e-7.
constexpr double kMixedTolerance = 7e-7;

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_TOLERANCE_H
