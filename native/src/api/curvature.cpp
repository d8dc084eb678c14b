#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "api/context.h"
#include "api/operand.h"
#include "cpu/curvature/differences.h"
#include "cpu/curvature/layer_slopes.h"
#include "cpu/curvature/token_products.h"

namespace threegate {
namespace {

void require_tokens(const tg_matrix& matrix, const std::string& name) {
  require_matrix(matrix, name);
  require(matrix.rows >= 1 && matrix.columns >= 1 && matrix.columns <= INT32_MAX, name.c_str(),
          std::to_string(matrix.rows) + " x " + std::to_string(matrix.columns), "at least one token and one entry are required");
}

void require_samples(const tg_layer_samples* samples) {
  require_struct(samples, "samples");
  require_tokens(samples->input, "samples.input");
  require_tokens(samples->gradient, "samples.gradient");
  require(samples->input.rows == samples->gradient.rows, "samples.gradient.rows", std::to_string(samples->gradient.rows),
          ("there must be one for each of the " + std::to_string(samples->input.rows) + " inputs").c_str());
}

void require_shape(const tg_operand* operand, const std::string& name, int64_t rows, int64_t columns) {
  require_operand(operand, name);
  require(operand->values.rows == rows && operand->values.columns == columns, name.c_str(),
          std::to_string(operand->values.rows) + " x " + std::to_string(operand->values.columns),
          ("the layer is " + std::to_string(rows) + " x " + std::to_string(columns)).c_str());
}

void require_direction(const tg_direction& direction, const std::string& name, int64_t rows, int64_t columns) {
  require_struct(&direction, name.c_str());
  if (direction.matrix != nullptr) {
    require_shape(direction.matrix, name + ".matrix", rows, columns);
    if (direction.subtracted != nullptr) {
      require_shape(direction.subtracted, name + ".subtracted", rows, columns);
    }
    require(direction.low_rank_count == 0, (name + ".low_rank_count").c_str(), std::to_string(direction.low_rank_count),
            "a direction has a matrix or low-rank terms, not both");
    return;
  }
  require(direction.subtracted == nullptr && direction.mask == nullptr, name.c_str(), "without a matrix",
          "subtracted and mask require a matrix");
  require(direction.low_rank != nullptr && direction.low_rank_count >= 1, (name + ".low_rank").c_str(), "empty",
          "a direction needs a matrix or low-rank terms");
  int64_t rank = 0;
  for (int64_t i = 0; i < direction.low_rank_count; ++i) {
    const tg_low_rank& term = direction.low_rank[i];
    const std::string field = name + ".low_rank[" + std::to_string(i) + "]";
    require_matrix(term.left, field + ".left");
    require_matrix(term.right, field + ".right");
    require(term.left.rows == rows && term.right.columns == columns && term.left.columns == term.right.rows, field.c_str(),
            std::to_string(term.left.rows) + " x " + std::to_string(term.left.columns) + " times " +
                std::to_string(term.right.rows) + " x " + std::to_string(term.right.columns),
            ("the layer is " + std::to_string(rows) + " x " + std::to_string(columns)).c_str());
    rank += term.left.columns;
  }
  require(rank >= 1 && rank <= INT32_MAX / 1024, (name + ".low_rank").c_str(), "of rank " + std::to_string(rank),
          "it must be at least 1 and below 2^21");
}

void require_slopes(const tg_layer_samples* samples, const tg_direction* directions, int64_t count) {
  require_samples(samples);
  require(count >= 1 && directions != nullptr, "count", std::to_string(count), "at least one direction is required");
  for (int64_t i = 0; i < count; ++i) {
    require_direction(directions[i], "directions[" + std::to_string(i) + "]", samples->gradient.columns, samples->input.columns);
  }
  checked_product(count, samples->input.rows, "count * tokens");
}

void require_samples_on_own_device(const tg_context& context, const tg_layer_samples& samples, const tg_direction* directions,
                                   int64_t count) {
  is_on_device(context, samples.input.data, "samples.input.data");
  is_on_device(context, samples.gradient.data, "samples.gradient.data");
  for (int64_t i = 0; i < count; ++i) {
    const std::string name = "directions[" + std::to_string(i) + "]";
    require_own_device(context, directions[i].matrix, name + ".matrix");
    require_own_device(context, directions[i].subtracted, name + ".subtracted");
    is_on_device(context, directions[i].mask, name + ".mask");
    for (int64_t term = 0; term < directions[i].low_rank_count; ++term) {
      is_on_device(context, directions[i].low_rank[term].left.data, name + ".low_rank.left.data");
      is_on_device(context, directions[i].low_rank[term].right.data, name + ".low_rank.right.data");
    }
  }
}

void require_products(const tg_matrix* left, const tg_matrix* right) {
  require(left != nullptr && right != nullptr, "left or right", "NULL", "both are required");
  require_tokens(*left, "left");
  require_tokens(*right, "right");
  require(left->rows == right->rows, "right.rows", std::to_string(right->rows),
          ("there must be one for each of the " + std::to_string(left->rows) + " rows of left").c_str());
  checked_product(left->columns, right->columns, "left.columns * right.columns");
}

constexpr int64_t kNothing = 64;  // host workspace of a call that runs on the device

int64_t slopes_bytes(const tg_context& context, const tg_layer_samples& samples, const tg_direction* directions, int64_t count) {
  return context.cuda != nullptr ? kNothing
                                 : curvature::slopes_workspace_bytes(samples, directions, count, context.pool.threads());
}

int64_t products_bytes(const tg_context& context, const tg_matrix& left, const tg_matrix& right) {
  return context.cuda != nullptr ? kNothing : curvature::products_workspace_bytes(left, right, context.pool.threads());
}

curvature::Outcome outcome_of(const double* numbers, int64_t count) {
  return std::all_of(numbers, numbers + count, [](double number) { return std::isfinite(number); })
             ? curvature::Outcome::kDone
             : curvature::Outcome::kNotFinite;
}

curvature::Outcome run_slopes(tg_context& context, const tg_layer_samples& samples, const tg_direction* directions, int64_t count,
                              tg_control* control, void* workspace, double* slopes, double* squares) {
  if (context.cuda == nullptr) {
    return curvature::slopes(context.pool, samples, directions, count, control, workspace, slopes, squares);
  }
  context.cuda->call(&CudaFunctions::layer_slopes, &samples, directions, count, control, slopes, squares);
  return outcome_of(slopes, count * samples.input.rows);
}

curvature::Outcome run_products(tg_context& context, const tg_matrix& left, const double* weights, const tg_matrix& right,
                                tg_control* control, void* workspace, double* products) {
  if (context.cuda == nullptr) {
    return curvature::products(context.pool, left, weights, right, control, workspace, products);
  }
  context.cuda->call(&CudaFunctions::token_products, &left, weights, &right, control, products);
  return outcome_of(products, left.columns * right.columns);
}

void finish(const tg_context& context, curvature::Outcome outcome, const tg_matrix& first, const char* first_name,
            const tg_matrix& second, const char* second_name, const char* otherwise) {
  if (outcome == curvature::Outcome::kCancelled) {
    throw Error(TG_CANCELLED, "cancelled");
  }
  if (outcome == curvature::Outcome::kDone) {
    return;
  }
  for (const auto& [matrix, name] : {std::pair{&first, first_name}, std::pair{&second, second_name}}) {
    // Data on the device is not checked here.
    const int64_t row = is_on_device(context, matrix->data, name) ? -1 : curvature::first_row_not_finite(*matrix);
    if (row >= 0) {
      throw Error(TG_INVALID_ARGUMENT, std::string(name) + " has an entry that is not finite, in row " + std::to_string(row));
    }
  }
  throw Error(TG_INVALID_ARGUMENT, otherwise);
}

struct NamedNumbers {
  const void* data;
  const char* name;
};

// Returns whether the numbers are on the context's device. Either all of them are, or none.
bool require_numbers(const tg_context& context, tg_dtype dtype, int64_t count, double step,
                     std::initializer_list<NamedNumbers> all) {
  require(dtype == TG_F32 || dtype == TG_F64, "dtype", std::to_string(dtype), "it must be TG_F32 or TG_F64");
  require(count >= 0, "count", std::to_string(count), "it must be at least 0");
  checked_product(count, dtype == TG_F32 ? 4 : 8, "count * bytes");
  require(std::isfinite(step) && step != 0, "step", std::to_string(step), "it must be finite and not 0");
  int64_t there = 0;
  for (const NamedNumbers& numbers : all) {
    require(count == 0 || numbers.data != nullptr, numbers.name, "NULL", "it must not be NULL unless count is 0");
    const bool on_device = is_on_device(context, numbers.data, numbers.name);
    require(!on_device || reinterpret_cast<uintptr_t>(numbers.data) % (dtype == TG_F32 ? 4 : 8) == 0, numbers.name, "misaligned",
            "in device memory numbers must be aligned to their size");
    there += on_device ? 1 : 0;
  }
  require(there == 0 || there == static_cast<int64_t>(all.size()), "numbers", "on the host and on the device",
          "all must be in the same memory");
  return there != 0;
}

}  // namespace
}  // namespace threegate

extern "C" {

tg_status tg_direction_entries(tg_context* context, const tg_direction* direction, double* entries) {
  return threegate::guarded_call(context, [&] {
    threegate::require_struct(direction, "direction");
    threegate::require(direction->matrix != nullptr, "direction.matrix", "NULL", "only directions with a matrix have entries");
    threegate::require_operand(direction->matrix, "direction.matrix");
    threegate::require_direction(*direction, "direction", direction->matrix->values.rows, direction->matrix->values.columns);
    threegate::require_operand_on_host(*context, direction->matrix, "direction.matrix");
    threegate::require_operand_on_host(*context, direction->subtracted, "direction.subtracted");
    threegate::require_on_host(*context, direction->mask, "direction.mask");
    threegate::require(entries != nullptr, "entries", "NULL", "it must have room for the entries");
    threegate::curvature::direction_entries(context->pool, *direction, entries);
    threegate::require_intact_operand(*direction->matrix);
    if (direction->subtracted != nullptr) {
      threegate::require_intact_operand(*direction->subtracted);
    }
  });
}

tg_status tg_layer_slopes_workspace(tg_context* context, const tg_layer_samples* samples, const tg_direction* directions,
                                    int64_t count, tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::require_slopes(samples, directions, count);
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::slopes_bytes(*context, *samples, directions, count);
    workspace_size->device_bytes = context->cuda != nullptr ? context->cuda->functions().layer_slopes_bytes(
                                                                  context->cuda->session(), samples, directions, count)
                                                            : 0;
  });
}

tg_status tg_layer_slopes(tg_context* context, const tg_layer_samples* samples, const tg_direction* directions, int64_t count,
                          tg_control* control, const tg_workspace* workspace, double* slopes, double* squares) {
  return threegate::guarded_call(context, [&] {
    threegate::require_slopes(samples, directions, count);
    threegate::require(slopes != nullptr, "slopes", "NULL", "it must have room for count * tokens slopes");
    if (control != nullptr) {
      threegate::require_struct(control, "control");
    }
    threegate::require_samples_on_own_device(*context, *samples, directions, count);
    threegate::require_workspace(workspace, threegate::slopes_bytes(*context, *samples, directions, count));
    const auto outcome = threegate::run_slopes(*context, *samples, directions, count, control, workspace->host, slopes, squares);
    threegate::require_intact_operand({sizeof(tg_operand), samples->input, {}, 1, 1, nullptr, 0});
    threegate::require_intact_operand({sizeof(tg_operand), samples->gradient, {}, 1, 1, nullptr, 0});
    threegate::finish(*context, outcome, samples->input, "samples.input", samples->gradient, "samples.gradient",
                      "a direction has an entry that is not finite, or slopes exceed float32");
  });
}

tg_status tg_token_products_workspace(tg_context* context, const tg_matrix* left, const tg_matrix* right,
                                      tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::require_products(left, right);
    threegate::require_struct(workspace_size, "workspace_size");
    workspace_size->host_bytes = threegate::products_bytes(*context, *left, *right);
    workspace_size->device_bytes =
        context->cuda != nullptr ? context->cuda->functions().token_products_bytes(context->cuda->session(), left, right) : 0;
  });
}

tg_status tg_token_products(tg_context* context, const tg_matrix* left, const double* weights, const tg_matrix* right,
                            tg_control* control, const tg_workspace* workspace, double* products) {
  return threegate::guarded_call(context, [&] {
    threegate::require_products(left, right);
    threegate::require(products != nullptr, "products", "NULL", "it must have room for the products");
    if (control != nullptr) {
      threegate::require_struct(control, "control");
    }
    threegate::is_on_device(*context, left->data, "left.data");
    threegate::is_on_device(*context, right->data, "right.data");
    threegate::require_workspace(workspace, threegate::products_bytes(*context, *left, *right));
    const auto outcome = threegate::run_products(*context, *left, weights, *right, control, workspace->host, products);
    threegate::require_intact_operand({sizeof(tg_operand), *left, {}, 1, 1, nullptr, 0});
    threegate::require_intact_operand({sizeof(tg_operand), *right, {}, 1, 1, nullptr, 0});
    threegate::finish(*context, outcome, *left, "left", *right, "right", "a weight is not finite, or products exceed float32");
  });
}

tg_status tg_displace(tg_context* context, const tg_displacement* displacement, void* displaced, double* rounding) {
  return threegate::guarded_call(context, [&] {
    threegate::require_struct(displacement, "displacement");
    const tg_displacement& own = *displacement;
    const bool there = threegate::require_numbers(
        *context, own.dtype, own.count, own.step,
        {{own.point, "displacement.point"}, {own.direction, "displacement.direction"}, {displaced, "displaced"}});
    threegate::require(rounding != nullptr, "rounding", "NULL", "it must not be NULL");
    if (own.count == 0) {
      *rounding = 0;
    } else if (there) {
      context->cuda->call(&threegate::CudaFunctions::displace, displacement, displaced, rounding);
    } else {
      *rounding = threegate::curvature::displace(context->pool, context->simd, own, displaced);
    }
  });
}

tg_status tg_difference_gradients(tg_context* context, const tg_gradient_difference* difference, void* product,
                                  tg_difference_sums* sums) {
  return threegate::guarded_call(context, [&] {
    threegate::require_struct(difference, "difference");
    threegate::require_struct(sums, "sums");
    const tg_gradient_difference& own = *difference;
    const bool there = threegate::require_numbers(*context, own.dtype, own.count, own.step,
                                                  {{own.ahead, "difference.ahead"},
                                                   {own.behind, "difference.behind"},
                                                   // An absent input is replaced by another one for this check.
                                                   {own.wider != nullptr ? own.wider : own.ahead, "difference.wider"},
                                                   {own.direction, "difference.direction"},
                                                   {product, "product"}});
    if (there && own.count > 0) {
      context->cuda->call(&threegate::CudaFunctions::difference_gradients, difference, product, sums);
    } else {
      threegate::curvature::difference_gradients(context->pool, context->simd, own, product, *sums);
    }
  });
}

}  // extern "C"
