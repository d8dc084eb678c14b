// Sums of outer products over tokens.
#ifndef THREEGATE_CPU_CURVATURE_TOKEN_PRODUCTS_H
#define THREEGATE_CPU_CURVATURE_TOKEN_PRODUCTS_H

#include <cstdint>

#include "cpu/support/thread_pool.h"
#include "threegate/threegate.h"
#include "token_rows.h"

namespace threegate::curvature {

// Bytes of workspace that products() needs.
int64_t products_workspace_bytes(const tg_matrix& left, const tg_matrix& right, int threads);

// Computes what tg_token_products returns. The outcome is kNotFinite if a product is not finite.
Outcome products(ThreadPool& pool, const tg_matrix& left, const double* weights, const tg_matrix& right, tg_control* control,
                 void* workspace, double* products);

}  // namespace threegate::curvature

#endif  // THREEGATE_CPU_CURVATURE_TOKEN_PRODUCTS_H
