#include "cpu/diff/diff.h"

#include <limits>

#include "api/context.h"
#include "api/mapped_file.h"
#include "cpu/diff/operand.h"

namespace threegate {
namespace {

// Bytes from the first to the last entry.
int64_t span_bytes(const tg_matrix& matrix) {
  if (matrix.rows == 0 || matrix.columns == 0) {
    return 0;
  }
  const int64_t before = checked_product(matrix.rows - 1, matrix.row_stride, "rows * row_stride");
  require(before <= std::numeric_limits<int64_t>::max() - matrix.columns, "rows * row_stride", std::to_string(before),
          "the matrix must fit in 2^63 bytes");
  return checked_product(before + matrix.columns, diff::element_bytes(matrix.dtype), "the matrix' bytes");
}

void require_matrix(const tg_matrix& matrix, const std::string& name) {
  require(matrix.dtype >= TG_F64 && matrix.dtype <= TG_F8_E5M2, (name + ".dtype").c_str(), std::to_string(matrix.dtype),
          "allowed are TG_F64 (1) to TG_F8_E5M2 (6)");
  require(matrix.rows >= 0, (name + ".rows").c_str(), std::to_string(matrix.rows), "it must not be negative");
  require(matrix.columns >= 0, (name + ".columns").c_str(), std::to_string(matrix.columns), "it must not be negative");
  require(matrix.row_stride >= matrix.columns, (name + ".row_stride").c_str(), std::to_string(matrix.row_stride),
          "it must be at least columns");
  checked_product(matrix.rows, matrix.columns, (name + " rows * columns").c_str());
  require(matrix.data != nullptr || span_bytes(matrix) == 0, (name + ".data").c_str(), "NULL",
          "a matrix with entries needs data");
}

int64_t ceiling_quotient(int64_t a, int64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

void require_operand(const tg_operand* operand, const std::string& name) {
  require_struct(operand, name.c_str());
  const tg_matrix& values = operand->values;
  require_matrix(values, name + ".values");
  if (operand->block_scale.data != nullptr) {
    const tg_matrix& scale = operand->block_scale;
    const std::string field = name + ".block_scale";
    require_matrix(scale, field);
    require(scale.dtype == TG_F32, (field + ".dtype").c_str(), std::to_string(scale.dtype), "it must be TG_F32 (2)");
    require(values.dtype != TG_F64, (name + ".values.dtype").c_str(), "TG_F64", "scaled values must be narrower");
    require(operand->block_rows > 0 && operand->block_columns > 0, (name + ".block_rows").c_str(),
            std::to_string(operand->block_rows) + " and block_columns " + std::to_string(operand->block_columns),
            "both must be positive");
    require(scale.rows == ceiling_quotient(values.rows, operand->block_rows) &&
                scale.columns == ceiling_quotient(values.columns, operand->block_columns),
            field.c_str(), std::to_string(scale.rows) + " x " + std::to_string(scale.columns),
            "it must have one entry a block of values");
  }
  require(operand->low_rank_count >= 0 && operand->low_rank_count <= 1024, (name + ".low_rank_count").c_str(),
          std::to_string(operand->low_rank_count), "allowed are 0 to 1024");
  require(operand->low_rank != nullptr || operand->low_rank_count == 0, (name + ".low_rank").c_str(), "NULL",
          "low_rank_count terms are needed");
  for (int64_t term = 0; term < operand->low_rank_count; ++term) {
    const tg_low_rank& product = operand->low_rank[term];
    const std::string field = name + ".low_rank[" + std::to_string(term) + "]";
    require_matrix(product.left, field + ".left");
    require_matrix(product.right, field + ".right");
    require(
        product.left.rows == values.rows && product.right.columns == values.columns && product.left.columns == product.right.rows,
        field.c_str(),
        std::to_string(product.left.rows) + " x " + std::to_string(product.left.columns) + " times " +
            std::to_string(product.right.rows) + " x " + std::to_string(product.right.columns),
        "the product must have the shape of values");
  }
}

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

void require_intact_operand(const tg_operand& operand) {
  const auto check = [](const tg_matrix& matrix) { require_intact(matrix.data, span_bytes(matrix)); };
  check(operand.values);
  if (operand.block_scale.data != nullptr) {
    check(operand.block_scale);
  }
  for (int64_t term = 0; term < operand.low_rank_count; ++term) {
    check(operand.low_rank[term].left);
    check(operand.low_rank[term].right);
  }
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
    threegate::require_struct(workspace, "workspace");
    threegate::require_struct(result, "result");
    const int64_t needed = threegate::diff::workspace_bytes(*base, profiles, context->pool.threads());
    threegate::require(workspace->host != nullptr && workspace->host_bytes >= needed, "workspace.host_bytes",
                       std::to_string(workspace->host_bytes), ("needed are " + std::to_string(needed)).c_str());
    threegate::require(reinterpret_cast<uintptr_t>(workspace->host) % 64 == 0, "workspace.host", "misaligned",
                       "it must be 64-byte aligned");
    const threegate::diff::Request request{base, tuned, profiles, control, workspace->host};
    if (!threegate::diff::run(context->pool, context->simd, request, *result)) {
      throw threegate::Error(TG_CANCELLED, "cancelled");
    }
    threegate::require_intact_operand(*base);
    threegate::require_intact_operand(*tuned);
  });
}

}  // extern "C"
