#include "cpu/diff/diff.h"

#include "api/context.h"
#include "api/operand.h"

namespace threegate {
namespace {

void require_profiles(const tg_diff_profiles* profiles, const tg_matrix& values) {
  if (profiles == nullptr) {
    return;
  }
  require_struct(profiles, "profiles");
  if (profiles->mask != nullptr) {
    const int64_t words = checked_product(values.rows, ceiling_quotient(values.columns, 64), "the mask's words");
    require(profiles->mask_words >= words, "profiles.mask_words", std::to_string(profiles->mask_words),
            ("needed are " + std::to_string(words)).c_str());
  }
  if (profiles->map != nullptr && values.rows > 0 && values.columns > 0) {
    require(profiles->map_rows >= 1 && profiles->map_rows <= values.rows, "profiles.map_rows", std::to_string(profiles->map_rows),
            "allowed are 1 to the matrix' rows");
    require(profiles->map_columns >= 1 && profiles->map_columns <= values.columns, "profiles.map_columns",
            std::to_string(profiles->map_columns), "allowed are 1 to the matrix' columns");
  }
}

void require_diff_inputs(const tg_operand* base, const tg_operand* tuned, const tg_diff_options* options,
                         const tg_diff_profiles* profiles) {
  require_operand(base, "base");
  require_operand(tuned, "tuned");
  require_struct(options, "options");
  require(base->values.rows == tuned->values.rows && base->values.columns == tuned->values.columns, "tuned",
          std::to_string(tuned->values.rows) + " x " + std::to_string(tuned->values.columns),
          ("base is " + std::to_string(base->values.rows) + " x " + std::to_string(base->values.columns)).c_str());
  require_profiles(profiles, base->values);
}

}  // namespace
}  // namespace threegate

extern "C" {

tg_status tg_diff_workspace(tg_context* context, const tg_operand* base, const tg_operand* tuned, const tg_diff_options* options,
                            const tg_diff_profiles* profiles, tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::require_diff_inputs(base, tuned, options, profiles);
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::diff::workspace_bytes(*base, profiles, context->pool.threads());
    workspace_size->device_bytes = 0;
  });
}

tg_status tg_diff(tg_context* context, const tg_operand* base, const tg_operand* tuned, const tg_diff_options* options,
                  tg_control* control, const tg_workspace* workspace, const tg_diff_profiles* profiles, tg_diff_result* result) {
  return threegate::guarded_call(context, [&] {
    threegate::require_diff_inputs(base, tuned, options, profiles);
    if (control != nullptr) {
      threegate::require_struct(control, "control");
    }
    threegate::require_struct(result, "result");
    threegate::require_workspace(workspace, threegate::diff::workspace_bytes(*base, profiles, context->pool.threads()));
    const threegate::diff::Request request{base, tuned, profiles, control, workspace->host};
    if (!threegate::diff::run(context->pool, context->simd, request, *result)) {
      throw threegate::Error(TG_CANCELLED, "cancelled");
    }
    threegate::require_intact_operand(*base);
    threegate::require_intact_operand(*tuned);
  });
}

}  // extern "C"
