#include "cpu/random/perturb.h"

#include <cmath>

#include "api/context.h"
#include "api/operand.h"
#include "cpu/random/core.h"

namespace threegate {
namespace {

void require_random(int64_t draw) {
  require(draw >= 0 && draw <= UINT32_MAX, "options.draw", std::to_string(draw), "allowed are 0 to 2^32 - 1");
}

void require_perturbation(const tg_operand* base, const tg_operand* tuned, const tg_perturb_options* options,
                          const void* perturbed) {
  require_operand(base, "base");
  require_struct(options, "options");
  require(options->kind == TG_PERTURB_GAUSSIAN || options->kind == TG_PERTURB_PERMUTED, "options.kind",
          std::to_string(options->kind), "allowed are TG_PERTURB_GAUSSIAN (1) and TG_PERTURB_PERMUTED (2)");
  require_random(options->draw);
  const bool permuted = options->kind == TG_PERTURB_PERMUTED;
  require(options->dtype == TG_F32 || (options->dtype == TG_BF16 && !permuted), "options.dtype", std::to_string(options->dtype),
          "allowed is TG_F32 (2), for Gaussian updates TG_BF16 (4) too");
  require(permuted || (std::isfinite(options->deviation) && options->deviation >= 0), "options.deviation",
          std::to_string(options->deviation), "it must be finite and not negative");
  if (permuted) {
    require_operand(tuned, "tuned");
    require(tuned->values.rows == base->values.rows && tuned->values.columns == base->values.columns, "tuned",
            std::to_string(tuned->values.rows) + " x " + std::to_string(tuned->values.columns), "it must have the shape of base");
  }
  const int64_t entries = checked_product(base->values.rows, base->values.columns, "rows * columns");
  require(perturbed != nullptr || entries == 0, "perturbed", "NULL", "it must have room for the entries");
}

void require_core(int64_t count, int64_t long_side) {
  require(count >= 1 && count <= INT32_MAX / 2 && count <= long_side, "options.count", std::to_string(count),
          "it must be 1 to long_side");
}

void require_rotation(const tg_rotation_options* options) {
  require_struct(options, "options");
  require_random(options->draw);
  require_core(options->count, options->long_side);
  require(options->update_values != nullptr, "options.update_values", "NULL", "count singular values are required");
}

void require_shuffle(const tg_shuffle_options* options, const float* core, const float* shuffled) {
  require_struct(options, "options");
  require_random(options->draw);
  require_core(options->count, options->core_rows);
  require(options->core_rows <= 2 * options->count, "options.core_rows", std::to_string(options->core_rows),
          "it must be count to 2 count");
  require(core != nullptr && shuffled != nullptr && core != shuffled, "core or shuffled", "NULL or the same",
          "they must be two different arrays");
}

void require_normal(const tg_normal_options* options) {
  require_struct(options, "options");
  require_random(options->draw);
  require_core(options->count, options->long_side);
  require(options->leading >= 0 && options->leading <= options->count, "options.leading", std::to_string(options->leading),
          "it must be 0 to count");
  require(options->values != nullptr && options->variances != nullptr, "options.values or variances", "NULL",
          "count singular values and (leading + 2)^2 variances are required");
  for (int64_t i = 0; i < (options->leading + 2) * (options->leading + 2); ++i) {
    require(std::isfinite(options->variances[i]), "options.variances", std::to_string(options->variances[i]),
            "they must be finite");
  }
}

}  // namespace
}  // namespace threegate

extern "C" {

tg_status tg_perturb(tg_context* context, const tg_operand* base, const tg_operand* tuned, const tg_perturb_options* options,
                     tg_control* control, void* perturbed) {
  return threegate::guarded_call(context, [&] {
    threegate::require_perturbation(base, tuned, options, perturbed);
    threegate::require_operand_on_host(*context, base, "base");
    threegate::require_operand_on_host(*context, tuned, "tuned");
    if (control != nullptr) {
      threegate::require_struct(control, "control");
    }
    const auto outcome =
        options->kind == TG_PERTURB_GAUSSIAN
            ? threegate::random::perturb_gaussian(context->simd, *base, *options, control, perturbed)
            : threegate::random::perturb_permuted(*base, *tuned, *options, control, static_cast<float*>(perturbed));
    if (outcome == threegate::random::Outcome::kCancelled) {
      throw threegate::Error(TG_CANCELLED, "cancelled");
    }
    threegate::require_intact_operand(*base);
    if (options->kind == TG_PERTURB_PERMUTED) {
      threegate::require_intact_operand(*tuned);
    }
  });
}

tg_status tg_rotate_update_workspace(tg_context* context, const tg_rotation_options* options, tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::require_rotation(options);
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::random::rotation_workspace_bytes(*options);
    workspace_size->device_bytes = 0;
  });
}

tg_status tg_rotate_update(tg_context* context, const tg_rotation_options* options, const tg_workspace* workspace, float* core) {
  return threegate::guarded_call(context, [&] {
    threegate::require_rotation(options);
    threegate::require(core != nullptr, "core", "NULL", "it must have room for the entries");
    threegate::require_workspace(workspace, threegate::random::rotation_workspace_bytes(*options));
    if (!threegate::random::rotate_update(context->simd, *options, workspace->host, core)) {
      throw threegate::Error(TG_NOT_CONVERGED, "a random matrix was singular; use another draw");
    }
  });
}

tg_status tg_shuffle_update(tg_context* context, const tg_shuffle_options* options, const float* core, float* shuffled) {
  return threegate::guarded_call(context, [&] {
    threegate::require_shuffle(options, core, shuffled);
    threegate::random::shuffle_update(*options, core, shuffled);
  });
}

tg_status tg_normal_update(tg_context* context, const tg_normal_options* options, float* core) {
  return threegate::guarded_call(context, [&] {
    threegate::require_normal(options);
    threegate::require(core != nullptr, "core", "NULL", "it must have room for the entries");
    threegate::random::normal_update(context->simd, *options, core);
  });
}

}  // extern "C"
