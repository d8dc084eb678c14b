#include "cpu/svd/subspace.h"

#include "api/context.h"
#include "api/operand.h"

namespace threegate {
namespace {

void require_basis(const tg_matrix* basis, const std::string& name) {
  require(basis != nullptr, name.c_str(), "NULL", "it must point to a matrix");
  require_matrix(*basis, name);
  require(basis->dtype == TG_F64 || basis->dtype == TG_F32, (name + ".dtype").c_str(), std::to_string(basis->dtype),
          "allowed are TG_F64 (1) and TG_F32 (2)");
  require(basis->rows >= 1 && basis->rows <= basis->columns && basis->columns <= INT32_MAX, name.c_str(),
          std::to_string(basis->rows) + " x " + std::to_string(basis->columns), "it must have 1 to columns orthonormal rows");
}

void require_bases(const tg_matrix* first, const tg_matrix* second) {
  require_basis(first, "first");
  require_basis(second, "second");
  require(first->rows == second->rows && first->columns == second->columns, "second",
          std::to_string(second->rows) + " x " + std::to_string(second->columns), "it must have the shape of first");
}

void require_energy(const tg_operand* matrix, const tg_operand* subtracted, const tg_matrix* left, const tg_matrix* right) {
  require_operand(matrix, "matrix");
  const int64_t rows = matrix->values.rows;
  const int64_t columns = matrix->values.columns;
  if (subtracted != nullptr) {
    require_operand(subtracted, "subtracted");
    require(subtracted->values.rows == rows && subtracted->values.columns == columns, "subtracted",
            std::to_string(subtracted->values.rows) + " x " + std::to_string(subtracted->values.columns),
            "it must have the shape of the matrix");
  }
  require_basis(left, "left");
  require_basis(right, "right");
  require(left->columns == rows, "left.columns", std::to_string(left->columns), "they must be the matrix' rows");
  require(right->columns == columns, "right.columns", std::to_string(right->columns), "they must be the matrix' columns");
}

}  // namespace
}  // namespace threegate

extern "C" {

tg_status tg_principal_angles_workspace(tg_context* context, const tg_matrix* first, const tg_matrix* second,
                                        tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::require_bases(first, second);
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::svd::angles_workspace_bytes(first->rows, first->columns);
    workspace_size->device_bytes = 0;
  });
}

tg_status tg_principal_angles(tg_context* context, const tg_matrix* first, const tg_matrix* second, const tg_workspace* workspace,
                              double* angles) {
  return threegate::guarded_call(context, [&] {
    threegate::require_bases(first, second);
    threegate::require(angles != nullptr, "angles", "NULL", "a place for each angle is needed");
    threegate::require_workspace(workspace, threegate::svd::angles_workspace_bytes(first->rows, first->columns));
    if (!threegate::svd::principal_angles(*first, *second, workspace->host, angles)) {
      throw threegate::Error(TG_NOT_CONVERGED, "the singular values of the products did not converge; are all entries finite?");
    }
  });
}

tg_status tg_projected_energy_workspace(tg_context* context, const tg_operand* matrix, const tg_operand* subtracted,
                                        const tg_matrix* left, const tg_matrix* right, tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::require_energy(matrix, subtracted, left, right);
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::svd::energy_workspace_bytes(*matrix, *left, *right);
    workspace_size->device_bytes = 0;
  });
}

tg_status tg_projected_energy(tg_context* context, const tg_operand* matrix, const tg_operand* subtracted, const tg_matrix* left,
                              const tg_matrix* right, const tg_workspace* workspace, tg_projected_energy_result* result) {
  return threegate::guarded_call(context, [&] {
    threegate::require_energy(matrix, subtracted, left, right);
    threegate::require_struct(result, "result");
    threegate::require_workspace(workspace, threegate::svd::energy_workspace_bytes(*matrix, *left, *right));
    threegate::svd::projected_energy(*matrix, subtracted, *left, *right, workspace->host, *result);
    threegate::require_intact_operand(*matrix);
    if (subtracted != nullptr) {
      threegate::require_intact_operand(*subtracted);
    }
  });
}

}  // extern "C"
