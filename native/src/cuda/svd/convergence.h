// The decisions of the host between two filters of the subspace iteration.
#ifndef THREEGATE_CUDA_SVD_CONVERGENCE_H
#define THREEGATE_CUDA_SVD_CONVERGENCE_H

#include <cstdint>
#include <vector>

#include "threegate/threegate.h"

namespace threegate::cuda {

constexpr int kMostDegree = 24;  // of a filter

// What the host knows of one problem.
struct State {
  int64_t index;  // index of the problem in the caller's batch
  double scale = 1;
  int32_t x = 0;  // index of the current x
  int32_t locked = 0;
  int degree = 0;
  int terms = 1;
  bool done = false;
  bool converged = false;
  bool near_start = false;
  double residual = 1;
  std::vector<double> values;     // squared singular values
  std::vector<double> residuals;  // not yet divided by the largest singular value
};

// Decides whether a problem is done, which of its vectors are, and the degree and the precision of its next filter. Expects the
// values and residuals that the last cycle measured in the state.
void judge(State& state, const tg_svd_options& options, bool has_start, int cycle);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_CONVERGENCE_H
