#include <cmath>

#include "api/context.h"
#include "api/operand.h"
#include "cpu/nulls/change_model.h"
#include "cpu/nulls/rescaling.h"
#include "cpu/nulls/sign_flip.h"
#include "cpu/svd/subspace.h"

namespace threegate {
namespace {

std::string shape_of(const tg_operand& operand) {
  return std::to_string(operand.values.rows) + " x " + std::to_string(operand.values.columns);
}

void require_pair(const tg_context& context, const tg_operand* base, const tg_operand* tuned) {
  require_operand(base, "base");
  require_operand(tuned, "tuned");
  require(tuned->values.rows == base->values.rows && tuned->values.columns == base->values.columns, "tuned", shape_of(*tuned),
          "it must have the shape of base");
  require_operand_on_host(context, base, "base");
  require_operand_on_host(context, tuned, "tuned");
}

void require_intact_pair(const tg_operand& base, const tg_operand& tuned) {
  require_intact_operand(base);
  require_intact_operand(tuned);
}

void require_residual(const tg_context& context, const tg_residual* residual) {
  require_struct(residual, "residual");
  require_pair(context, residual->base, residual->tuned);
  require(std::isfinite(residual->common), "residual.common", std::to_string(residual->common), "it must be finite");
}

void require_tolerance(double tolerance) {
  require(tolerance > 0 && tolerance < 1, "options.tolerance", std::to_string(tolerance), "it must be above 0 and below 1");
}

void require_steps(int64_t steps) { require(steps >= 1, "options.most_steps", std::to_string(steps), "it must be at least 1"); }

void require_rescaling(const tg_context& context, const tg_operand* base, const tg_operand* tuned,
                       const tg_rescaling_options* options) {
  require_pair(context, base, tuned);
  require_struct(options, "options");
  require_tolerance(options->tolerance);
  require_steps(options->most_steps);
}

void require_subspace(const tg_context& context, const tg_matrix* basis, const std::string& name, int64_t length) {
  if (basis == nullptr) {
    throw_invalid_argument(name.c_str(), "NULL", "it must point to a matrix");
  }
  require_matrix(*basis, name);
  require_on_host(context, basis->data, name + ".data");
  require(basis->dtype == TG_F64 || basis->dtype == TG_F32, (name + ".dtype").c_str(), std::to_string(basis->dtype),
          "allowed are TG_F64 (1) and TG_F32 (2)");
  require(basis->columns == length && length <= INT32_MAX, (name + ".columns").c_str(), std::to_string(basis->columns),
          "they must be the side of the residual");
  require(basis->rows >= 1 && basis->rows <= basis->columns, (name + ".rows").c_str(), std::to_string(basis->rows),
          "they must be 1 to the columns");
}

void require_energy(const tg_context& context, const tg_residual* residual, const tg_matrix* left, const tg_matrix* right,
                    const tg_sign_flip_energy_options* options) {
  require_residual(context, residual);
  require_subspace(context, left, "left", residual->base->values.rows);
  require_subspace(context, right, "right", residual->base->values.columns);
  require_struct(options, "options");
  constexpr int64_t kMostRanks = 1024;
  require(options->ranks != nullptr && options->rank_count >= 1 && options->rank_count <= kMostRanks, "options.rank_count",
          std::to_string(options->rank_count), "allowed are 1 to 1024 ranks");
  for (int64_t i = 0; i < options->rank_count; ++i) {
    require(options->ranks[i] >= 1 && options->ranks[i] <= std::min(left->rows, right->rows), "options.ranks",
            std::to_string(options->ranks[i]), "each must be 1 to the rows of both bases");
  }
  require(options->tolerance >= 0 && options->tolerance < 1, "options.tolerance", std::to_string(options->tolerance),
          "it must be 0 or more and below 1");
}

void require_bases(const tg_context& context, const tg_residual* residual, const tg_matrix* left, const tg_matrix* right) {
  require_residual(context, residual);
  require_subspace(context, left, "left", residual->base->values.rows);
  require_subspace(context, right, "right", residual->base->values.columns);
  require(left->rows == right->rows, "right.rows", std::to_string(right->rows), "it must be the number of rows of left");
}

void require_bins(const tg_change_model& model) {
  require(model.bin_count >= 1 && model.bin_count <= TG_MAGNITUDE_CODES, "model.bin_count", std::to_string(model.bin_count),
          "allowed are 1 to TG_MAGNITUDE_CODES");
  if (model.bin_ends != nullptr) {
    int32_t before = 0;
    for (int64_t bin = 0; bin < model.bin_count; before = model.bin_ends[bin], ++bin) {
      const bool last = bin == model.bin_count - 1;
      if (model.bin_ends[bin] <= before || (model.bin_ends[bin] == TG_MAGNITUDE_CODES) != last) {
        throw_invalid_argument("model.bin_ends", std::to_string(model.bin_ends[bin]),
                               "they must ascend, and the last must be TG_MAGNITUDE_CODES");
      }
    }
    return;
  }
  require(model.bins != nullptr, "model.bins", "NULL", "TG_MAGNITUDE_CODES bins are required");
  for (int64_t code = 0; code < TG_MAGNITUDE_CODES; ++code) {
    // A text for each bin would cost more than a small model.
    if (model.bins[code] < 0 || model.bins[code] >= model.bin_count) {
      throw_invalid_argument("model.bins", std::to_string(model.bins[code]), "each must be 0 to bin_count - 1");
    }
  }
}

tg_change_model require_model(const tg_context& context, const tg_change_model* argument) {
  const tg_change_model model = read_struct(argument, "model");
  require_operand(model.base, "base");
  require_operand_on_host(context, model.base, "base");
  const bool empty = model.base->values.rows == 0 || model.base->values.columns == 0;
  require(model.changed != nullptr || empty, "model.changed", "NULL", "a mask is required");
  require_on_host(context, model.changed, "model.changed");
  require_bins(model);
  return model;
}

void require_logits(const tg_change_model& model, const tg_change_logits* logits) {
  require_struct(logits, "logits");
  const tg_matrix& values = model.base->values;
  require((logits->rows != nullptr || values.rows == 0) && (logits->columns != nullptr || values.columns == 0) &&
              logits->bins != nullptr,
          "logits.rows, columns or bins", "NULL", "all of them are required");
}

}  // namespace
}  // namespace threegate

extern "C" {

tg_status tg_rescaling_fit_workspace(tg_context* context, const tg_operand* base, const tg_operand* tuned,
                                     const tg_rescaling_options* options, tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::require_rescaling(*context, base, tuned, options);
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::nulls::rescaling_workspace_bytes(context->pool, *base);
    workspace_size->device_bytes = 0;
  });
}

tg_status tg_rescaling_fit(tg_context* context, const tg_operand* base, const tg_operand* tuned,
                           const tg_rescaling_options* options, const tg_workspace* workspace, tg_rescaling* rescaling) {
  return threegate::guarded_call(context, [&] {
    threegate::require_rescaling(*context, base, tuned, options);
    threegate::require_struct(rescaling, "rescaling");
    threegate::require((rescaling->row_factors != nullptr || base->values.rows == 0) &&
                           (rescaling->column_factors != nullptr || base->values.columns == 0),
                       "rescaling.row_factors or column_factors", "NULL", "both are required");
    threegate::require_workspace(workspace, threegate::nulls::rescaling_workspace_bytes(context->pool, *base));
    threegate::nulls::fit_rescaling(context->pool, context->simd, *base, *tuned, *options, workspace->host, *rescaling);
    threegate::require_intact_pair(*base, *tuned);
  });
}

tg_status tg_dtype_change(tg_context* context, const tg_operand* base, const tg_operand* tuned, tg_dtype dtype,
                          tg_dtype_change_result* result) {
  return threegate::guarded_call(context, [&] {
    threegate::require_pair(*context, base, tuned);
    threegate::require(dtype >= TG_F32 && dtype <= TG_F8_E5M2, "dtype", std::to_string(dtype),
                       "allowed are TG_F32 (2) to TG_F8_E5M2 (6)");
    threegate::require_struct(result, "result");
    threegate::nulls::dtype_change(context->pool, *base, *tuned, dtype, *result);
    threegate::require_intact_pair(*base, *tuned);
  });
}

tg_status tg_sign_flip_energy_workspace(tg_context* context, const tg_residual* residual, const tg_matrix* left,
                                        const tg_matrix* right, const tg_sign_flip_energy_options* options,
                                        tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::require_energy(*context, residual, left, right, options);
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::nulls::sign_flip_workspace_bytes(context->pool, *residual, {left, right, options});
    workspace_size->device_bytes = 0;
  });
}

tg_status tg_sign_flip_energy(tg_context* context, const tg_residual* residual, const tg_matrix* left, const tg_matrix* right,
                              const tg_sign_flip_energy_options* options, const tg_workspace* workspace,
                              tg_sign_flip_moments* moments) {
  return threegate::guarded_call(context, [&] {
    threegate::require_energy(*context, residual, left, right, options);
    threegate::require(moments != nullptr, "moments", "NULL", "an element for each rank is required");
    const threegate::nulls::Subspaces subspaces{left, right, options};
    threegate::require_workspace(workspace, threegate::nulls::sign_flip_workspace_bytes(context->pool, *residual, subspaces));
    threegate::nulls::sign_flip_energy(context->pool, context->simd, *residual, subspaces, workspace->host, moments);
    threegate::require_intact_pair(*residual->base, *residual->tuned);
  });
}

tg_status tg_sign_flip_variances_workspace(tg_context* context, const tg_residual* residual, const tg_matrix* left,
                                           const tg_matrix* right, tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::require_bases(*context, residual, left, right);
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::svd::variances_workspace_bytes(*residual->base, left->rows);
    workspace_size->device_bytes = 0;
  });
}

tg_status tg_sign_flip_variances(tg_context* context, const tg_residual* residual, const double* values, const tg_matrix* left,
                                 const tg_matrix* right, const tg_workspace* workspace, double* variances) {
  return threegate::guarded_call(context, [&] {
    threegate::require_bases(*context, residual, left, right);
    threegate::require(values != nullptr && variances != nullptr, "values or variances", "NULL", "both are required");
    threegate::require_workspace(workspace, threegate::svd::variances_workspace_bytes(*residual->base, left->rows));
    threegate::svd::residual_variances(context->simd, *residual, values, *left, *right, workspace->host, variances);
    threegate::require_intact_pair(*residual->base, *residual->tuned);
  });
}

tg_status tg_sign_flip(tg_context* context, const tg_residual* residual, const tg_sign_flip_options* options, void* flipped) {
  return threegate::guarded_call(context, [&] {
    threegate::require_residual(*context, residual);
    threegate::require_struct(options, "options");
    threegate::require(options->draw >= 0 && options->draw <= UINT32_MAX, "options.draw", std::to_string(options->draw),
                       "allowed are 0 to 2^32 - 1");
    threegate::require(options->dtype == TG_F32 || options->dtype == TG_BF16, "options.dtype", std::to_string(options->dtype),
                       "allowed are TG_F32 (2) and TG_BF16 (4)");
    threegate::require(options->flips == 0 || options->flips == 1, "options.flips", std::to_string(options->flips),
                       "allowed are 0 and 1");
    const tg_matrix& values = residual->base->values;
    threegate::require(flipped != nullptr || threegate::checked_product(values.rows, values.columns, "rows * columns") == 0,
                       "flipped", "NULL", "it must have room for the entries");
    threegate::require_on_host(*context, flipped, "flipped");
    threegate::nulls::sign_flip(context->pool, context->simd, *residual, *options, flipped);
    threegate::require_intact_pair(*residual->base, *residual->tuned);
  });
}

tg_status tg_change_workspace(tg_context* context, const tg_change_model* model, tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    const tg_change_model known = threegate::require_model(*context, model);
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::nulls::change_workspace_bytes(context->pool, known);
    workspace_size->device_bytes = 0;
  });
}

tg_status tg_change_fit(tg_context* context, const tg_change_model* model, const tg_change_options* options,
                        const tg_workspace* workspace, tg_change_logits* logits) {
  return threegate::guarded_call(context, [&] {
    const tg_change_model known = threegate::require_model(*context, model);
    threegate::require_struct(options, "options");
    threegate::require_tolerance(options->tolerance);
    threegate::require_steps(options->most_steps);
    threegate::require_logits(known, logits);
    threegate::require_workspace(workspace, threegate::nulls::change_workspace_bytes(context->pool, known));
    threegate::nulls::fit_changes(context->pool, context->simd, known, *options, workspace->host, *logits);
    threegate::require_intact_operand(*known.base);
  });
}

tg_status tg_change_score(tg_context* context, const tg_change_model* model, const tg_change_logits* logits,
                          const uint64_t* const* sets, int64_t set_count, const tg_workspace* workspace,
                          tg_change_score_result* results) {
  return threegate::guarded_call(context, [&] {
    const tg_change_model known = threegate::require_model(*context, model);
    threegate::require_logits(known, logits);
    threegate::require(set_count >= 1 && sets != nullptr && results != nullptr, "sets or results", "NULL",
                       "at least one set and as many results are required");
    for (int64_t i = 0; i < set_count; ++i) {
      threegate::require(sets[i] != nullptr, "sets", "NULL", "each must be a mask");
      threegate::require_on_host(*context, sets[i], "sets");
    }
    threegate::require_workspace(workspace, threegate::nulls::change_workspace_bytes(context->pool, known));
    threegate::nulls::score_changes(context->pool, context->simd, known, *logits, sets, set_count, workspace->host, results);
    threegate::require_intact_operand(*known.base);
  });
}

}  // extern "C"
