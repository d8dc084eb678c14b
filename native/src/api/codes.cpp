#include "api/codes.h"

#include <algorithm>

#include "api/context.h"
#include "api/mapped_file.h"
#include "api/operand.h"
#include "cpu/codes/codes.h"

namespace threegate {
namespace {

constexpr int64_t kMostRows = int64_t{1} << 56;

void require_positive(int64_t value, const char* field) {
  require(value > 0, field, std::to_string(value), "it must be positive");
}

// Throws INVALID_ARGUMENT unless every group exists.
void require_groups(const tg_codes& codes) {
  require_positive(codes.groups, "codes.groups");
  if (codes.group_of == nullptr) {
    require_positive(codes.group_columns, "codes.group_columns");
    require(ceiling_quotient(codes.columns, codes.group_columns) <= codes.groups, "codes.groups", std::to_string(codes.groups),
            "each group of columns needs one");
    return;
  }
  for (int64_t j = 0; j < codes.columns; ++j) {
    require(codes.group_of[j] >= 0 && codes.group_of[j] < codes.groups, "codes.group_of", std::to_string(codes.group_of[j]),
            "it must be less than groups");
  }
}

void require_codes(const tg_codes* codes) {
  require_struct(codes, "codes");
  require(codes->order >= TG_CODES_LOW_FIRST && codes->order <= TG_CODES_AWQ, "codes.order", std::to_string(codes->order),
          "allowed are TG_CODES_LOW_FIRST (1) to TG_CODES_AWQ (5)");
  require(codes->bits == 4 || (codes->bits == 8 && codes->order == TG_CODES_LOW_FIRST), "codes.bits", std::to_string(codes->bits),
          "allowed are 4, and 8 with TG_CODES_LOW_FIRST");
  require(codes->rows >= 0 && codes->columns >= 0, "codes.rows",
          std::to_string(codes->rows) + " x " + std::to_string(codes->columns), "neither may be negative");
  require(codes->first_row >= 0 && (codes->first_row == 0 || codes->order > TG_CODES_DOWN), "codes.first_row",
          std::to_string(codes->first_row), "it must be 0 where no word has codes of several rows");
  require(codes->first_row <= kMostRows && codes->rows <= kMostRows, "codes.rows", std::to_string(codes->rows),
          "rows and first_row must be at most 2^56");
  require_positive(codes->scale_rows, "codes.scale_rows");
  if (checked_product(codes->rows, codes->columns, "rows * columns") == 0) {
    return;
  }
  require_groups(*codes);
  const int64_t bits = checked_product(codes->columns, codes->bits, "columns * bits");
  const bool across = codes::is_across(*codes);
  require(across ? codes->stride >= 4 : codes->stride >= ceiling_quotient(bits, 8), "codes.stride", std::to_string(codes->stride),
          "it must hold the codes of a row");
  const int64_t bytes = checked_product(std::max(codes->rows, codes->columns), codes->stride, "the bytes of the codes");
  require(bytes <= INT64_MAX / 2, "codes.stride", std::to_string(codes->stride), "the codes must fit in 2^62 bytes");
  const int64_t blocks = ceiling_quotient(codes->first_row + codes->rows, codes->scale_rows);
  require(codes->scale_stride >= (across ? blocks : codes->groups), "codes.scale_stride", std::to_string(codes->scale_stride),
          "it must hold the scales of a group or a row");
  require(codes->codes != nullptr && codes->code_bytes >= codes::code_span(*codes), "codes.code_bytes",
          std::to_string(codes->code_bytes), "the codes must lie within");
  require(codes->table != nullptr && codes->scales != nullptr, "codes.table or codes.scales", "NULL", "both are required");
}

}  // namespace

void require_codes_operand(const tg_operand& operand, const std::string& name) {
  const tg_matrix& values = operand.values;
  const auto* codes = static_cast<const tg_codes*>(values.data);
  require_codes(codes);
  require(codes->rows == values.rows && codes->columns == values.columns, (name + ".values").c_str(),
          std::to_string(values.rows) + " x " + std::to_string(values.columns),
          ("its codes are " + std::to_string(codes->rows) + " x " + std::to_string(codes->columns)).c_str());
  require(operand.block_scale.data == nullptr && operand.low_rank_count == 0, name.c_str(), "codes with more scales or terms",
          "codes have their own scales, and no low-rank terms");
}

void require_intact_codes(const tg_operand& operand) {
  const auto* codes = static_cast<const tg_codes*>(operand.values.data);
  require_intact(codes->codes, codes::code_span(*codes));
}

}  // namespace threegate

extern "C" {

tg_status tg_codes_decode(tg_context* context, const tg_codes* codes, float* entries) {
  return threegate::guarded_call(context, [&] {
    threegate::require_codes(codes);
    threegate::require(entries != nullptr || codes->rows == 0 || codes->columns == 0, "entries", "NULL",
                       "it must have room for the entries");
    threegate::require_on_host(*context, codes->codes, "codes.codes");
    threegate::require_on_host(*context, entries, "entries");
    if (!threegate::codes::decode(context->pool, context->simd, *codes, context->control, entries)) {
      throw threegate::Error(TG_CANCELLED, "cancelled");
    }
    threegate::require_intact(codes->codes, threegate::codes::code_span(*codes));
  });
}

}  // extern "C"
