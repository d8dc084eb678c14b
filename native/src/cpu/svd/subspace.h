// Angles between subspaces, and the parts of a matrix in subspaces.
#ifndef THREEGATE_CPU_SVD_SUBSPACE_H
#define THREEGATE_CPU_SVD_SUBSPACE_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::svd {

int64_t angles_workspace_bytes(int64_t rank, int64_t length);
// Returns false if LAPACK failed.
bool principal_angles(const tg_matrix& first, const tg_matrix& second, void* workspace, double* angles);

int64_t energy_workspace_bytes(const tg_operand& matrix, const tg_matrix& left, const tg_matrix& right);
void projected_energy(const tg_operand& matrix, const tg_operand* subtracted, const tg_matrix& left, const tg_matrix& right,
                      void* workspace, tg_projected_energy_result& result);

int64_t variances_workspace_bytes(const tg_operand& matrix, int64_t rank);
void projected_variances(const tg_operand& matrix, const double* table, const double* values, const tg_matrix& left,
                         const tg_matrix& right, void* workspace, double* variances);
// The same with the squares of a residual as the variances of the entries, in the singular bases of residual.base.
void residual_variances(SimdLevel level, const tg_residual& residual, const double* values, const tg_matrix& left,
                        const tg_matrix& right, void* workspace, double* variances);

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_SUBSPACE_H
