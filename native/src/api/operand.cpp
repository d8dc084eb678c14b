#include "api/operand.h"

#include <limits>

#include "api/context.h"
#include "api/mapped_file.h"
#include "cpu/support/operand.h"

namespace threegate {
namespace {

// The number of bytes from the first to the last entry.
int64_t span_bytes(const tg_matrix& matrix) {
  if (matrix.rows == 0 || matrix.columns == 0) {
    return 0;
  }
  const int64_t before = checked_product(matrix.rows - 1, matrix.row_stride, "rows * row_stride");
  require(before <= std::numeric_limits<int64_t>::max() - matrix.columns, "rows * row_stride", std::to_string(before),
          "the matrix must fit in 2^63 bytes");
  return checked_product(before + matrix.columns, element_bytes(matrix.dtype), "the bytes of the matrix");
}

}  // namespace

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
            "it must have one entry per block of values");
  }
  require(operand->low_rank_count >= 0 && operand->low_rank_count <= 1024, (name + ".low_rank_count").c_str(),
          std::to_string(operand->low_rank_count), "allowed are 0 to 1024");
  require(operand->low_rank != nullptr || operand->low_rank_count == 0, (name + ".low_rank").c_str(), "NULL",
          "low_rank_count terms are required");
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

bool is_on_device(const tg_context& context, const void* data, const std::string& name) {
  if (context.cuda == nullptr || data == nullptr) {
    return false;
  }
  int32_t device = 0;
  const bool there = context.cuda->functions().place_of(context.cuda->session(), data, &device) != 0;
  require(!there || device == context.cuda->index(), name.c_str(), "in the memory of CUDA device " + std::to_string(device),
          ("this context uses device " + std::to_string(context.cuda->index())).c_str());
  return there;
}

void require_on_host(const tg_context& context, const void* data, const std::string& name) {
  require(!is_on_device(context, data, name), name.c_str(), "in device memory", "it must be in host memory");
}

void require_own_device(const tg_context& context, const tg_operand* operand, const std::string& name) {
  if (context.cuda == nullptr || operand == nullptr) {
    return;
  }
  is_on_device(context, operand->values.data, name + ".values.data");
  is_on_device(context, operand->block_scale.data, name + ".block_scale.data");
  for (int64_t term = 0; term < operand->low_rank_count; ++term) {
    is_on_device(context, operand->low_rank[term].left.data, name + ".low_rank.left.data");
    is_on_device(context, operand->low_rank[term].right.data, name + ".low_rank.right.data");
  }
}

void require_operand_on_host(const tg_context& context, const tg_operand* operand, const std::string& name) {
  if (context.cuda == nullptr || operand == nullptr) {
    return;
  }
  require_on_host(context, operand->values.data, name + ".values.data");
  require_on_host(context, operand->block_scale.data, name + ".block_scale.data");
  for (int64_t term = 0; term < operand->low_rank_count; ++term) {
    require_on_host(context, operand->low_rank[term].left.data, name + ".low_rank.left.data");
    require_on_host(context, operand->low_rank[term].right.data, name + ".low_rank.right.data");
  }
}

void require_workspace(const tg_workspace* workspace, int64_t needed) {
  require_struct(workspace, "workspace");
  require(workspace->host != nullptr && workspace->host_bytes >= needed, "workspace.host_bytes",
          std::to_string(workspace->host_bytes), ("it must be at least " + std::to_string(needed)).c_str());
  require(reinterpret_cast<uintptr_t>(workspace->host) % 64 == 0, "workspace.host", "misaligned", "it must be 64-byte aligned");
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

}  // namespace threegate
