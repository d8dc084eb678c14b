// Writes what a solver found to the arrays of the caller, in the scale of the matrix.
#ifndef THREEGATE_CPU_SVD_OUTPUT_H
#define THREEGATE_CPU_SVD_OUTPUT_H

#include "panel.h"
#include "singular_vectors.h"
#include "threegate/threegate.h"

namespace threegate::svd {

// Writes the triplets, their certificate and the status.
template <typename T>
void write_triplets(const View& view, const tg_svd_options& options, const Vectors<T>& vectors, const Certificate& certificate,
                    tg_svd_result& result);

// Undoes the scaling of the spectrum, which the result holds, and copies its leading values where no vectors are wanted.
void write_spectrum(const View& view, const tg_svd_options& options, tg_svd_result& result);

// Writes the result of a matrix of zeros, for which any orthonormal vectors are singular vectors.
void write_zero(const View& view, const tg_svd_options& options, tg_svd_result& result);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_OUTPUT_H
