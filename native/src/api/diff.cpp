#include "cpu/diff/diff.h"

#include <algorithm>
#include <vector>

#include "api/codes.h"
#include "api/context.h"
#include "api/operand.h"
#include "common/control.h"

namespace threegate {
namespace {

void require_profiles(const tg_diff_profiles* profiles, const tg_matrix& values) {
  if (profiles == nullptr) {
    return;
  }
  require_struct(profiles, "profiles");
  if (profiles->mask != nullptr) {
    const int64_t words = checked_product(values.rows, ceiling_quotient(values.columns, 64), "the words of the mask");
    require(profiles->mask_words >= words, "profiles.mask_words", std::to_string(profiles->mask_words),
            ("it must be at least " + std::to_string(words)).c_str());
  }
  if (profiles->map != nullptr && values.rows > 0 && values.columns > 0) {
    require(profiles->map_rows >= 1 && profiles->map_rows <= values.rows, "profiles.map_rows", std::to_string(profiles->map_rows),
            "allowed are 1 to the rows of the matrix");
    require(profiles->map_columns >= 1 && profiles->map_columns <= values.columns, "profiles.map_columns",
            std::to_string(profiles->map_columns), "allowed are 1 to the columns of the matrix");
  }
}

// An operand, or quantised weights in its place.
void require_side(const tg_operand* operand, const std::string& name) {
  require_struct(operand, name.c_str());
  operand->values.dtype == TG_CODES ? require_codes_operand(*operand, name) : require_operand(operand, name);
}

// `index` is part of the name of the pair if there are several.
void require_pair(const tg_operand* base, const tg_operand* tuned, const tg_diff_profiles* profiles, const std::string& index) {
  require_side(base, "base" + index);
  require_side(tuned, "tuned" + index);
  require(base->values.rows == tuned->values.rows && base->values.columns == tuned->values.columns, ("tuned" + index).c_str(),
          std::to_string(tuned->values.rows) + " x " + std::to_string(tuned->values.columns),
          ("base is " + std::to_string(base->values.rows) + " x " + std::to_string(base->values.columns)).c_str());
  require_profiles(profiles, base->values);
}

struct Batch {
  const tg_operand* bases;
  const tg_operand* tuned;
  int64_t count;
  const tg_diff_options* options;
  const tg_diff_profiles* profiles;  // nullptr if none are wanted
};

const tg_diff_profiles* profiles_of(const Batch& batch, int64_t i) {
  return batch.profiles == nullptr ? nullptr : batch.profiles + i;
}

void require_batch(const tg_context& context, const Batch& batch) {
  require(batch.count >= 0, "count", std::to_string(batch.count), "it must not be negative");
  // A missing matrix of a single pair is reported by require_pair().
  require(batch.count <= 1 || (batch.bases != nullptr && batch.tuned != nullptr), "bases or tuned", "NULL",
          "count elements of each are required");
  require_struct(batch.options, "options");
  for (int64_t i = 0; i < batch.count; ++i) {
    const std::string name = batch.count == 1 ? "" : "[" + std::to_string(i) + "]";
    require_pair(batch.bases + i, batch.tuned + i, profiles_of(batch, i), name);
    require_own_device(context, batch.bases + i, "base" + name);
    require_own_device(context, batch.tuned + i, "tuned" + name);
    const tg_diff_profiles* profiles = profiles_of(batch, i);
    is_on_device(context, profiles == nullptr ? nullptr : profiles->mask, "profiles" + name + ".mask");
    for (const tg_operand* side : {batch.bases + i, batch.tuned + i}) {
      if (context.cuda != nullptr && side->values.dtype == TG_CODES) {
        throw Error(TG_UNSUPPORTED, "codes are compared on the CPU only; decode them with tg_codes_decode");
      }
    }
  }
}

void require_intact_side(const tg_operand& operand) {
  operand.values.dtype == TG_CODES ? require_intact_codes(operand) : require_intact_operand(operand);
}

std::vector<CudaDiff> items_of(const Batch& batch, tg_diff_result* results) {
  std::vector<CudaDiff> items;
  for (int64_t i = 0; i < batch.count; ++i) {
    items.push_back({batch.bases + i, batch.tuned + i, profiles_of(batch, i), results == nullptr ? nullptr : results + i});
  }
  return items;
}

// Host memory for one pair, because pairs are compared one after the other.
int64_t host_bytes(const tg_context& context, const Batch& batch) {
  int64_t bytes = 64;
  for (int64_t i = 0; i < batch.count && context.cuda == nullptr; ++i) {
    bytes = std::max(bytes, diff::workspace_bytes(batch.bases[i], profiles_of(batch, i), context.pool.threads()));
  }
  return bytes;
}

void query(const tg_context& context, const Batch& batch, tg_workspace_size* workspace_size) {
  require_batch(context, batch);
  require_struct(workspace_size, "workspace_size");
  workspace_size->host_bytes = host_bytes(context, batch);
  workspace_size->device_bytes = 0;
  if (context.cuda != nullptr) {
    const std::vector<CudaDiff> items = items_of(batch, nullptr);
    workspace_size->device_bytes = context.cuda->functions().diff_bytes(context.cuda->session(), items.data(), batch.count);
  }
}

void run(tg_context& context, const Batch& batch, tg_control* control, const tg_workspace* workspace, tg_diff_result* results) {
  require_batch(context, batch);
  if (control != nullptr) {
    require_struct(control, "control");
  }
  require(results != nullptr || batch.count == 0, "result", "NULL", "count elements are required");
  for (int64_t i = 0; i < batch.count; ++i) {
    require_struct(results + i, "result");
  }
  require_workspace(workspace, host_bytes(context, batch));
  if (context.cuda != nullptr) {
    const std::vector<CudaDiff> items = items_of(batch, results);
    context.cuda->call(&CudaFunctions::diff, items.data(), batch.count, control);
  } else {
    int64_t total = 0;
    for (int64_t i = 0; i < batch.count; ++i) {
      total += batch.bases[i].values.rows * batch.bases[i].values.columns;
    }
    begin_work(control, total);
    for (int64_t i = 0; i < batch.count; ++i) {
      const diff::Request request{batch.bases + i, batch.tuned + i, profiles_of(batch, i), control, workspace->host};
      if (!diff::run(context.pool, context.simd, request, results[i])) {
        throw Error(TG_CANCELLED, "cancelled");
      }
    }
  }
  for (int64_t i = 0; i < batch.count; ++i) {
    require_intact_side(batch.bases[i]);
    require_intact_side(batch.tuned[i]);
  }
}

}  // namespace
}  // namespace threegate

extern "C" {

tg_status tg_diff_workspace(tg_context* context, const tg_operand* bases, const tg_operand* tuned, int64_t count,
                            const tg_diff_options* options, const tg_diff_profiles* profiles, tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::query(*context, {bases, tuned, count, options, profiles}, workspace_size);
  });
}

tg_status tg_diff(tg_context* context, const tg_operand* bases, const tg_operand* tuned, int64_t count,
                  const tg_diff_options* options, tg_control* control, const tg_workspace* workspace,
                  const tg_diff_profiles* profiles, tg_diff_result* results) {
  return threegate::guarded_call(context, [&] {
    threegate::run(*context, {bases, tuned, count, options, profiles}, control, workspace, results);
  });
}

}  // extern "C"
