#include "cpu/svd/subspace.h"

#include <cmath>

#include "api/context.h"
#include "api/operand.h"
#include "cpu/svd/perturbation.h"

namespace threegate {
namespace {

void require_basis(const tg_matrix* basis, const std::string& name) {
  if (basis == nullptr) {
    throw_invalid_argument(name.c_str(), "NULL", "it must point to a matrix");
  }
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
  require(left->columns == rows, "left.columns", std::to_string(left->columns), "they must be the rows of the matrix");
  require(right->columns == columns, "right.columns", std::to_string(right->columns), "they must be the columns of the matrix");
}

void require_variances(const tg_operand* matrix, const tg_matrix* left, const tg_matrix* right) {
  require_energy(matrix, nullptr, left, right);
  require(matrix->values.dtype == TG_BF16 && matrix->block_scale.data == nullptr && matrix->low_rank_count == 0, "matrix",
          "not plain", "it must be BF16 without scales and low-rank terms");
  require(left->rows == right->rows, "right.rows", std::to_string(right->rows), "it must be the number of rows of left");
}

void require_perturbation(const tg_perturbation_options* options) {
  require_struct(options, "options");
  require(options->count >= 1 && options->count <= INT32_MAX / 2, "options.count", std::to_string(options->count),
          "it must be 1 to 2^30 - 1");
  require(options->core_rows >= options->count && options->core_rows <= 2 * options->count, "options.core_rows",
          std::to_string(options->core_rows), "it must be count to 2 count");
  require(options->base_values != nullptr && options->core != nullptr && options->ranks != nullptr, "options", "NULL",
          "base_values, core and ranks are required");
  require(options->rank_count >= 1, "options.rank_count", std::to_string(options->rank_count), "it must be at least 1");
  for (int64_t i = 0; i < options->rank_count; ++i) {
    require(options->ranks[i] >= 1 && options->ranks[i] <= options->count, "options.ranks", std::to_string(options->ranks[i]),
            "each must be 1 to count");
  }
}

}  // namespace
}  // namespace threegate

extern "C" {

tg_status tg_principal_angles_workspace(tg_context* context, const tg_matrix* first, const tg_matrix* second,
                                        tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::require_bases(first, second);
    threegate::require_on_host(*context, first->data, "first.data");
    threegate::require_on_host(*context, second->data, "second.data");
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::svd::angles_workspace_bytes(first->rows, first->columns);
    workspace_size->device_bytes = 0;
  });
}

tg_status tg_principal_angles(tg_context* context, const tg_matrix* first, const tg_matrix* second, const tg_workspace* workspace,
                              double* angles) {
  return threegate::guarded_call(context, [&] {
    threegate::require_bases(first, second);
    threegate::require_on_host(*context, first->data, "first.data");
    threegate::require_on_host(*context, second->data, "second.data");
    threegate::require(angles != nullptr, "angles", "NULL", "it must have room for the angles");
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
    threegate::require_operand_on_host(*context, matrix, "matrix");
    threegate::require_operand_on_host(*context, subtracted, "subtracted");
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::svd::energy_workspace_bytes(*matrix, *left, *right);
    workspace_size->device_bytes = 0;
  });
}

tg_status tg_projected_energy(tg_context* context, const tg_operand* matrix, const tg_operand* subtracted, const tg_matrix* left,
                              const tg_matrix* right, const tg_workspace* workspace, tg_projected_energy_result* result) {
  return threegate::guarded_call(context, [&] {
    threegate::require_energy(matrix, subtracted, left, right);
    threegate::require_operand_on_host(*context, matrix, "matrix");
    threegate::require_operand_on_host(*context, subtracted, "subtracted");
    threegate::require_struct(result, "result");
    threegate::require_workspace(workspace, threegate::svd::energy_workspace_bytes(*matrix, *left, *right));
    threegate::svd::projected_energy(*matrix, subtracted, *left, *right, workspace->host, *result);
    threegate::require_intact_operand(*matrix);
    if (subtracted != nullptr) {
      threegate::require_intact_operand(*subtracted);
    }
  });
}

tg_status tg_projected_variances_workspace(tg_context* context, const tg_operand* matrix, const tg_matrix* left,
                                           const tg_matrix* right, tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::require_variances(matrix, left, right);
    threegate::require_operand_on_host(*context, matrix, "matrix");
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::svd::variances_workspace_bytes(*matrix, left->rows);
    workspace_size->device_bytes = 0;
  });
}

tg_status tg_projected_variances(tg_context* context, const tg_operand* matrix, const double* table, const double* values,
                                 const tg_matrix* left, const tg_matrix* right, const tg_workspace* workspace,
                                 double* variances) {
  return threegate::guarded_call(context, [&] {
    threegate::require_variances(matrix, left, right);
    threegate::require_operand_on_host(*context, matrix, "matrix");
    threegate::require(table != nullptr && values != nullptr && variances != nullptr, "table, values or variances", "NULL",
                       "all of them are required");
    for (int64_t code = 0; code < TG_MAGNITUDE_CODES; ++code) {
      threegate::require(std::isfinite(table[code]) && table[code] >= 0, "table", std::to_string(table[code]),
                         "variances must be finite and not negative");
    }
    threegate::require_workspace(workspace, threegate::svd::variances_workspace_bytes(*matrix, left->rows));
    threegate::svd::projected_variances(*matrix, table, values, *left, *right, workspace->host, variances);
    threegate::require_intact_operand(*matrix);
  });
}

tg_status tg_svd_perturb_workspace(tg_context* context, const tg_perturbation_options* options,
                                   tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::require_perturbation(options);
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::svd::perturbation_workspace_bytes(*options);
    workspace_size->device_bytes = 0;
  });
}

tg_status tg_svd_perturb(tg_context* context, const tg_perturbation_options* options, const tg_workspace* workspace,
                         tg_perturbation_result* result) {
  return threegate::guarded_call(context, [&] {
    threegate::require_perturbation(options);
    threegate::require_struct(result, "result");
    threegate::require(result->values != nullptr && result->long_angles != nullptr && result->short_angles != nullptr &&
                           result->energies != nullptr,
                       "result", "NULL", "values, angles and energies must have room for the results");
    threegate::require_workspace(workspace, threegate::svd::perturbation_workspace_bytes(*options));
    if (!threegate::svd::perturb_spectrum(context->simd, *options, workspace->host, *result)) {
      throw threegate::Error(TG_INVALID_ARGUMENT, "the base's singular values or the core are not finite");
    }
  });
}

}  // extern "C"
