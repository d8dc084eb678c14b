// Functions of BLAS and LAPACK whose outputs are divided into blocks, which the threads of a crew compute. They have the
// signatures of the functions that compute the blocks.
#ifndef THREEGATE_CPU_SUPPORT_DIVIDED_BLAS_H
#define THREEGATE_CPU_SUPPORT_DIVIDED_BLAS_H

#include "cpu/support/blas.h"

namespace threegate {

// Replaces functions of a table by divided ones, which call those of the given table. The latter must stay valid.
void divide_blas(const Blas& whole, Blas& divided);

}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_DIVIDED_BLAS_H
