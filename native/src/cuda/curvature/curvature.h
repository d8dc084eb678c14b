// Curvature of a linear layer on the device, to which tokens are copied in parts. The counterparts on the CPU are
// cpu/curvature/layer_slopes.h and cpu/curvature/token_products.h.
#ifndef THREEGATE_CUDA_CURVATURE_CURVATURE_H
#define THREEGATE_CUDA_CURVATURE_CURVATURE_H

#include "cuda/support/session.h"

namespace threegate::cuda {

int64_t slopes_bytes(const tg_layer_samples& samples, const tg_direction* directions, int64_t count);

void slopes(CudaSession& session, const tg_layer_samples& samples, const tg_direction* directions, int64_t count,
            tg_control* control, double* slopes, double* squares);

int64_t products_bytes(const tg_matrix& left, const tg_matrix& right);

void products(CudaSession& session, const tg_matrix& left, const double* weights, const tg_matrix& right, tg_control* control,
              double* sums);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_CURVATURE_CURVATURE_H
