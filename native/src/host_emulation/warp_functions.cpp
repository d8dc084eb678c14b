// Functions of CUDA that the threads of a warp execute together.
#include "cuda_runtime.h"
#include "executor.h"

namespace {
struct Vote {
  unsigned value;
  unsigned result;
};
}  // namespace

unsigned __ballot_sync(unsigned mask, int predicate) {
  Vote own{predicate != 0 ? 1U : 0U, 0};
  emulation::warp_collective("__ballot_sync", mask, &own, [](void* const all[32]) {
    unsigned bits = 0;
    for (unsigned i = 0; i < 32; ++i) {
      bits |= static_cast<Vote*>(all[i])->value << i;
    }
    for (int i = 0; i < 32; ++i) {
      static_cast<Vote*>(all[i])->result = bits;
    }
  });
  return own.result;
}

unsigned __reduce_add_sync(unsigned mask, unsigned value) {
  Vote own{value, 0};
  emulation::warp_collective("__reduce_add_sync", mask, &own, [](void* const all[32]) {
    unsigned sum = 0;
    for (int i = 0; i < 32; ++i) {
      sum += static_cast<Vote*>(all[i])->value;
    }
    for (int i = 0; i < 32; ++i) {
      static_cast<Vote*>(all[i])->result = sum;
    }
  });
  return own.result;
}

unsigned __reduce_max_sync(unsigned mask, unsigned value) {
  Vote own{value, 0};
  emulation::warp_collective("__reduce_max_sync", mask, &own, [](void* const all[32]) {
    unsigned most = 0;
    for (int i = 0; i < 32; ++i) {
      const unsigned given = static_cast<Vote*>(all[i])->value;
      most = given > most ? given : most;
    }
    for (int i = 0; i < 32; ++i) {
      static_cast<Vote*>(all[i])->result = most;
    }
  });
  return own.result;
}

void __syncwarp(unsigned mask) { emulation::sync_warp(mask); }
