#include "convergence.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "svd_kernels.h"

namespace threegate::cuda {
namespace {

// Degrees of the first filters, while Ritz values are far from singular values.
constexpr int kFirstDegrees[] = {2, 4, 8};
// A filter may amplify the first vector that is not locked by this factor more than the last one. float32 loses as many digits.
constexpr double kMostAmplified = 1e5;
// The share of the tolerance from which on a vector is locked and no longer changed.
constexpr double kLockShare = 0.25;
// Degrees of the filters that are applied even to a good start. Without them the random directions have not turned to components
// that the start does not contain. The first filter is weak, because such a component may be far above all others.
constexpr int kProbingDegrees[] = {1, 4};
// The residual of a start that leads to the wanted triplets.
constexpr double kNear = 0.1;
// A filter uses as many bf16 terms as the residuals require. One term has an error of 2^-9, which limits residuals to about 1e-3.
// Two terms limit them to about 1e-6. Measurements always use three.
constexpr double kOneTerm = 1e-2;
// The residual relative to the one before. Less progress than this is attributed to too few terms.
constexpr double kStagnation = 0.5;
// A share of the largest squared singular value below which values are rounding.
constexpr double kNothing = 1e-14;

int degree_for(const State& state, const tg_svd_options& options, bool has_start, int cycle) {
  const double last = state.values.back();
  // A filter of degree d amplifies vector k by about cosh(d * growth).
  const auto growth = [&](int64_t k) {
    return std::acosh(std::max(2 * state.values[static_cast<size_t>(k)] / last - 1, 1.0 + 1e-6));
  };
  double wanted = 2;
  for (int64_t k = state.locked; k < options.rank; ++k) {
    const double reduction = 4 * state.residuals[static_cast<size_t>(k)] / (options.tolerance * std::sqrt(state.values[0]));
    if (reduction > 1) {
      wanted = std::max(wanted, std::acosh(reduction) / growth(k));
    }
  }
  const double allowed = std::acosh(kMostAmplified) / growth(state.locked);
  const auto first_cycles = static_cast<int>(std::size(kFirstDegrees));
  int most = cycle < first_cycles ? kFirstDegrees[cycle] : kMostDegree;
  if (has_start) {
    const bool probes = cycle < static_cast<int>(std::size(kProbingDegrees));
    most = probes ? kProbingDegrees[cycle] : kMostDegree;
    wanted = probes ? most : wanted;
  }
  return std::clamp(static_cast<int>(std::ceil(std::min(wanted, allowed))), 1, most);
}

}  // namespace

void judge(State& state, const tg_svd_options& options, bool has_start, int cycle) {
  const double first = std::sqrt(state.values[0]);
  const auto relative = [&](int64_t k) { return state.residuals[static_cast<size_t>(k)] / first; };
  const double before = state.residual;
  state.residual = 0;
  for (int64_t k = 0; k < options.rank; ++k) {
    state.residual = std::max(state.residual, relative(k));
  }
  state.near_start = cycle == 0 ? state.residual <= kNear : state.near_start;
  const bool probes = has_start && cycle < static_cast<int>(std::size(kProbingDegrees));
  state.converged = state.residual <= options.tolerance / 2 && !probes;
  const double last = state.values.back();
  if (state.converged || !(last > kNothing * state.values[0])) {
    state.done = true;
    return;
  }
  // Locks are decided anew each time, because a new vector may belong before those that were locked.
  state.locked = 0;
  while (state.locked < options.rank - 1 && relative(state.locked) <= kLockShare * options.tolerance) {
    ++state.locked;
  }
  state.degree = degree_for(state, options, has_start, cycle);
  const int least = state.residual > kOneTerm ? 1 : 2;
  const bool stagnates = cycle > static_cast<int>(std::size(kFirstDegrees)) && state.residual > kStagnation * before;
  state.terms = std::min(kPlanes, stagnates ? std::max(least, state.terms + 1) : least);
}

}  // namespace threegate::cuda
