// A residual under random signs: the moments of its energy, and draws. The caller has checked the arguments.
#ifndef THREEGATE_CPU_NULLS_SIGN_FLIP_H
#define THREEGATE_CPU_NULLS_SIGN_FLIP_H

#include <cstdint>

#include "cpu/support/simd_level.h"
#include "cpu/support/thread_pool.h"
#include "threegate/threegate.h"

namespace threegate::nulls {

struct Subspaces {
  const tg_matrix* left;
  const tg_matrix* right;
  const tg_sign_flip_energy_options* options;
};

int64_t sign_flip_workspace_bytes(const ThreadPool& pool, const tg_residual& residual, const Subspaces& subspaces);

void sign_flip_energy(ThreadPool& pool, SimdLevel level, const tg_residual& residual, const Subspaces& subspaces, void* workspace,
                      tg_sign_flip_moments* moments);

void sign_flip(ThreadPool& pool, SimdLevel level, const tg_residual& residual, const tg_sign_flip_options& options,
               void* flipped);

}  // namespace threegate::nulls

#endif  // THREEGATE_CPU_NULLS_SIGN_FLIP_H
