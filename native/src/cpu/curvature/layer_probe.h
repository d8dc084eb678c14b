// Curvature of a linear layer from activations and gradients of its tokens: KERNELS.md, section 4.
#ifndef THREEGATE_CPU_CURVATURE_LAYER_PROBE_H
#define THREEGATE_CPU_CURVATURE_LAYER_PROBE_H

#include <cstdint>

#include "cpu/support/thread_pool.h"
#include "threegate/threegate.h"

namespace threegate::curvature {

enum class Outcome { kDone, kCancelled, kNotFinite };

int64_t slopes_workspace_bytes(const tg_layer_samples& samples, const tg_direction* directions, int64_t count, int threads);

// As tg_layer_slopes. kNotFinite: a slope is not.
Outcome slopes(ThreadPool& pool, const tg_layer_samples& samples, const tg_direction* directions, int64_t count,
               tg_control* control, void* workspace, double* slopes, double* squares);

// Of a direction of entries.
void direction_entries(ThreadPool& pool, const tg_direction& direction, double* entries);

int64_t products_workspace_bytes(const tg_matrix& left, const tg_matrix& right, int threads);

// As tg_token_products. kNotFinite: a product is not.
Outcome products(ThreadPool& pool, const tg_matrix& left, const double* weights, const tg_matrix& right, tg_control* control,
                 void* workspace, double* products);

// The first row with an entry that is not finite; -1: none.
int64_t first_row_not_finite(const tg_matrix& matrix);

}  // namespace threegate::curvature

#endif  // THREEGATE_CPU_CURVATURE_LAYER_PROBE_H
