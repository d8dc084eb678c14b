// Derivatives of the objectives of tokens along directions in the space of the weights of a linear layer.
#ifndef THREEGATE_CPU_CURVATURE_LAYER_SLOPES_H
#define THREEGATE_CPU_CURVATURE_LAYER_SLOPES_H

#include <cstdint>

#include "cpu/support/thread_pool.h"
#include "threegate/threegate.h"
#include "token_rows.h"

namespace threegate::curvature {

// Bytes of workspace that slopes() needs.
int64_t slopes_workspace_bytes(const tg_layer_samples& samples, const tg_direction* directions, int64_t count, int threads);

// Computes what tg_layer_slopes returns. The outcome is kNotFinite if a slope is not finite.
Outcome slopes(ThreadPool& pool, const tg_layer_samples& samples, const tg_direction* directions, int64_t count,
               tg_control* control, void* workspace, double* slopes, double* squares);

// Writes the entries of a direction that is given by entries.
void direction_entries(ThreadPool& pool, const tg_direction& direction, double* entries);

}  // namespace threegate::curvature

#endif  // THREEGATE_CPU_CURVATURE_LAYER_SLOPES_H
