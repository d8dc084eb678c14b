#include "api/context.h"
#include "api/operand.h"
#include "common/control.h"
#include "common/sets.h"
#include "cpu/mask/magnitudes.h"
#include "cpu/mask/selection.h"
#include "cpu/mask/sets.h"

namespace threegate {
namespace {

void require_scores(const tg_mask_scores* scores, const tg_mask_options* options) {
  require_struct(scores, "scores");
  require_struct(options, "options");
  if (scores->matrix != nullptr) {
    require_operand(scores->matrix, "scores.matrix");
  } else {
    require(scores->rows >= 1 && scores->rows <= INT32_MAX && scores->columns >= 1 && scores->columns <= INT32_MAX, "scores",
            std::to_string(scores->rows) + " x " + std::to_string(scores->columns), "both sides must be 1 to 2^31 - 1");
    require(scores->rank >= 1 && scores->rank <= INT32_MAX / 64, "scores.rank", std::to_string(scores->rank),
            "it must be positive");
    require(scores->values != nullptr && scores->left != nullptr && scores->right != nullptr, "scores.values, left or right",
            "NULL", "scores need a matrix or triplets");
  }
  const int64_t entries = checked_product(mask::rows_of(*scores), mask::columns_of(*scores), "rows * columns");
  require(options->count >= 0 && options->count <= entries, "options.count", std::to_string(options->count),
          ("allowed are 0 to " + std::to_string(entries)).c_str());
  require(options->smallest == 0 || options->smallest == 1, "options.smallest", std::to_string(options->smallest),
          "allowed are 0 and 1");
}

void require_mask(const tg_mask_scores& scores, const uint64_t* mask, int64_t mask_words) {
  const int64_t words =
      checked_product(mask::rows_of(scores), ceiling_quotient(mask::columns_of(scores), 64), "the words of the mask");
  require(mask_words >= words, "mask_words", std::to_string(mask_words),
          ("it must be at least " + std::to_string(words)).c_str());
  require(mask != nullptr || words == 0, "mask", "NULL", "it must have room for the mask");
}

void require_sets(const tg_mask_sets* sets) {
  require_struct(sets, "sets");
  require(sets->count >= 1 && sets->count <= TG_MASK_MOST_SETS, "sets.count", std::to_string(sets->count),
          ("allowed are 1 to " + std::to_string(TG_MASK_MOST_SETS)).c_str());
  require(sets->rows >= 0 && sets->columns >= 0, "sets.rows or columns",
          std::to_string(sets->rows) + " x " + std::to_string(sets->columns), "neither may be negative");
  checked_product(sets->rows, sets->columns, "rows * columns");
  const int64_t words = checked_product(sets->rows, ceiling_quotient(sets->columns, 64), "the words of a mask");
  checked_product(words, 8, "the bytes of a mask");
  require(sets->masks != nullptr, "sets.masks", "NULL", "it must point to the masks");
  for (int64_t i = 0; i < sets->count; ++i) {
    require(sets->masks[i] != nullptr || words == 0, ("sets.masks[" + std::to_string(i) + "]").c_str(), "NULL",
            "every mask must have its bits");
  }
}

void require_sets_on_own_device(const tg_context& context, const tg_mask_sets& sets) {
  for (int64_t i = 0; i < sets.count; ++i) {
    is_on_device(context, sets.masks[i], "sets.masks[" + std::to_string(i) + "]");
  }
}

void require_result(const tg_mask_sets& sets, int32_t operation, const uint64_t* result, int64_t result_words,
                    const int64_t* entries) {
  require(operation >= TG_MASK_UNION && operation <= TG_MASK_COMPLEMENT, "operation", std::to_string(operation),
          "allowed are 1 to 5, TG_MASK_*");
  require(result == nullptr || result_words >= words_of(sets), "result_words", std::to_string(result_words),
          ("it must be at least " + std::to_string(words_of(sets))).c_str());
  require(entries != nullptr, "entries", "NULL", "it must point to an int64_t");
}

void require_room(int64_t capacity, const int32_t* codes, const int64_t* all, const int64_t* common, const int64_t* code_count,
                  bool has_sets) {
  require(capacity >= 0 && capacity <= TG_MAGNITUDE_CODES, "capacity", std::to_string(capacity),
          "allowed are 0 to TG_MAGNITUDE_CODES");
  require((codes != nullptr && all != nullptr) || capacity == 0, "codes or all", "NULL", "both arrays are required");
  require(common != nullptr || capacity == 0 || !has_sets, "common", "NULL", "it must have room for all pairs of masks");
  require(code_count != nullptr, "code_count", "NULL", "it must point to an int64_t");
}

void require_tables(const tg_operand& matrix, const mask::KeyedTables& tables, const double* row_sums,
                    const double* column_sums) {
  require(tables.code_count >= 0 && tables.code_count <= TG_MAGNITUDE_CODES, "code_count", std::to_string(tables.code_count),
          "allowed are 0 to TG_MAGNITUDE_CODES");
  require(tables.table_count >= 1 && tables.table_count <= TG_MASK_MOST_SETS, "table_count", std::to_string(tables.table_count),
          "allowed are 1 to TG_MASK_MOST_SETS");
  require((tables.codes != nullptr && tables.values != nullptr) || tables.code_count == 0, "codes or values", "NULL",
          "both are required");
  for (int64_t i = 0; i < tables.code_count; ++i) {
    if (tables.codes[i] < 0 || tables.codes[i] >= TG_MAGNITUDE_CODES) {
      throw_invalid_argument("codes", std::to_string(tables.codes[i]), "each must be 0 to TG_MAGNITUDE_CODES - 1");
    }
  }
  require((row_sums != nullptr || matrix.values.rows == 0) && (column_sums != nullptr || matrix.values.columns == 0),
          "row_sums or column_sums", "NULL", "both arrays of sums are required");
}

// Bytes of host memory.
int64_t mask_workspace_bytes(const tg_context& context, const tg_mask_scores& scores) {
  constexpr int64_t kNothing = 64;
  return context.cuda != nullptr ? kNothing : mask::workspace_bytes(scores, context.pool.threads());
}

void select(tg_context& context, const tg_mask_scores& scores, const tg_mask_options& options, tg_control* control,
            const tg_workspace* workspace, uint64_t* mask) {
  if (context.cuda != nullptr) {
    context.cuda->call(&CudaFunctions::mask_select, &scores, &options, control, mask);
    return;
  }
  begin_work(control, mask::rows_of(scores) * mask::columns_of(scores));
  switch (mask::select(context.pool, context.simd, scores, options, control, workspace->host, mask)) {
    case mask::Outcome::kCancelled:
      throw Error(TG_CANCELLED, "cancelled");
    case mask::Outcome::kNotFinite:
      throw Error(TG_INVALID_ARGUMENT, "scores has an entry that is not finite");
    case mask::Outcome::kDone:
      break;
  }
}

}  // namespace
}  // namespace threegate

extern "C" {

tg_status tg_mask_select_workspace(tg_context* context, const tg_mask_scores* scores, const tg_mask_options* options,
                                   tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::require_scores(scores, options);
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::mask_workspace_bytes(*context, *scores);
    workspace_size->device_bytes =
        context->cuda != nullptr ? context->cuda->functions().mask_bytes(context->cuda->session(), scores) : 0;
  });
}

tg_status tg_mask_select(tg_context* context, const tg_mask_scores* scores, const tg_mask_options* options, tg_control* control,
                         const tg_workspace* workspace, uint64_t* mask, int64_t mask_words) {
  return threegate::guarded_call(context, [&] {
    threegate::require_scores(scores, options);
    threegate::require_mask(*scores, mask, mask_words);
    threegate::require_own_device(*context, scores->matrix, "scores.matrix");
    threegate::is_on_device(*context, mask, "mask");
    threegate::require_on_host(*context, scores->left, "scores.left");
    threegate::require_on_host(*context, scores->right, "scores.right");
    if (control != nullptr) {
      threegate::require_struct(control, "control");
    }
    threegate::require_workspace(workspace, threegate::mask_workspace_bytes(*context, *scores));
    threegate::select(*context, *scores, *options, control, workspace, mask);
    if (scores->matrix != nullptr) {
      threegate::require_intact_operand(*scores->matrix);
    }
  });
}

tg_status tg_mask_combine(tg_context* context, const tg_mask_sets* sets, int32_t operation, uint64_t* result,
                          int64_t result_words, int64_t* entries) {
  return threegate::guarded_call(context, [&] {
    threegate::require_sets(sets);
    threegate::require_result(*sets, operation, result, result_words, entries);
    threegate::require_sets_on_own_device(*context, *sets);
    threegate::is_on_device(*context, result, "result");
    if (context->cuda != nullptr) {
      context->cuda->call(&threegate::CudaFunctions::mask_combine, sets, operation, result, entries);
    } else {
      *entries = threegate::mask::combine(context->pool, *sets, operation, result);
    }
  });
}

tg_status tg_mask_overlaps(tg_context* context, const tg_mask_sets* sets, int64_t* common, int64_t* memberships) {
  return threegate::guarded_call(context, [&] {
    threegate::require_sets(sets);
    threegate::require(common != nullptr, "common", "NULL", "it must have room for count * count counts");
    threegate::require_sets_on_own_device(*context, *sets);
    if (context->cuda != nullptr) {
      context->cuda->call(&threegate::CudaFunctions::mask_overlaps, sets, common, memberships);
    } else {
      threegate::mask::overlaps(context->pool, *sets, common, memberships);
    }
  });
}

tg_status tg_magnitude_histogram(tg_context* context, const tg_operand* matrix, const uint64_t* first, const uint64_t* second,
                                 int64_t* all, int64_t* in_first, int64_t* in_second, int64_t* in_both) {
  return threegate::guarded_call(context, [&] {
    threegate::require_operand(matrix, "matrix");
    const bool empty = matrix->values.rows == 0 || matrix->values.columns == 0;
    threegate::require(empty || (first != nullptr && second != nullptr), "first or second", "NULL", "both masks are required");
    threegate::require(all != nullptr && in_first != nullptr && in_second != nullptr && in_both != nullptr, "an output", "NULL",
                       "all four arrays of counts are required");
    threegate::require_own_device(*context, matrix, "matrix");
    threegate::is_on_device(*context, first, "first");
    threegate::is_on_device(*context, second, "second");
    if (context->cuda != nullptr) {
      int64_t* const counts[] = {all, in_first, in_second, in_both};
      context->cuda->call(&threegate::CudaFunctions::magnitude_histogram, matrix, first, second, &counts[0]);
    } else {
      threegate::mask::magnitude_histogram(*matrix, first, second, {all, in_first, in_second, in_both});
    }
    threegate::require_intact_operand(*matrix);
  });
}

tg_status tg_magnitude_profile(tg_context* context, const tg_operand* matrix, const double* table, double* row_sums,
                               double* column_sums) {
  return threegate::guarded_call(context, [&] {
    threegate::require_operand(matrix, "matrix");
    threegate::require(table != nullptr && row_sums != nullptr && column_sums != nullptr, "table, row_sums or column_sums",
                       "NULL", "the table and both arrays of sums are required");
    threegate::require_own_device(*context, matrix, "matrix");
    if (context->cuda != nullptr) {
      context->cuda->call(&threegate::CudaFunctions::magnitude_profile, matrix, table, row_sums, column_sums);
    } else {
      threegate::mask::magnitude_profile(*matrix, table, row_sums, column_sums);
    }
    threegate::require_intact_operand(*matrix);
  });
}

tg_status tg_magnitude_overlaps(tg_context* context, const tg_operand* matrix, const tg_mask_sets* sets, int64_t capacity,
                                int32_t* codes, int64_t* all, int64_t* common, int64_t* code_count) {
  return threegate::guarded_call(context, [&] {
    threegate::require_operand(matrix, "matrix");
    threegate::require_operand_on_host(*context, matrix, "matrix");
    if (sets != nullptr) {
      threegate::require_sets(sets);
      threegate::require(sets->rows == matrix->values.rows && sets->columns == matrix->values.columns, "sets.rows or columns",
                         std::to_string(sets->rows) + " x " + std::to_string(sets->columns), "they must be those of the matrix");
      for (int64_t i = 0; i < sets->count; ++i) {
        threegate::require_on_host(*context, sets->masks[i], "sets.masks");
      }
    }
    threegate::require_room(capacity, codes, all, common, code_count, sets != nullptr);
    const int64_t found = threegate::mask::magnitude_overlaps(*matrix, sets, {capacity, codes, all, common});
    threegate::require(found <= capacity, "capacity", std::to_string(capacity),
                       ("the matrix has " + std::to_string(found) + " codes").c_str());
    *code_count = found;
    threegate::require_intact_operand(*matrix);
  });
}

tg_status tg_magnitude_sums(tg_context* context, const tg_operand* matrix, const int32_t* codes, int64_t code_count,
                            const double* values, int64_t table_count, double* row_sums, double* column_sums) {
  return threegate::guarded_call(context, [&] {
    threegate::require_operand(matrix, "matrix");
    threegate::require_operand_on_host(*context, matrix, "matrix");
    threegate::require_tables(*matrix, {codes, code_count, values, table_count}, row_sums, column_sums);
    threegate::mask::magnitude_sums(*matrix, {codes, code_count, values, table_count}, row_sums, column_sums);
    threegate::require_intact_operand(*matrix);
  });
}

}  // extern "C"
