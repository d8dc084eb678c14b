#include "differences.h"

#include <algorithm>
#include <array>

#include "common/control.h"
#include "differences_lanes.h"

namespace threegate::curvature {
namespace {

constexpr int64_t kParts = 64;    // fixed, because the sums of the parts are added in order for any number of threads
constexpr int64_t kAlone = 4096;  // numbers below which another thread does not pay

int64_t begin_of(int64_t part, int64_t count) {
  const int64_t each = (count / kParts / kTogether + 1) * kTogether;
  return std::min(part * each, count);
}

// Calls body(part, begin, end) for all parts.
template <typename Body>
void in_parts(ThreadPool& pool, int64_t count, Body body) {
  const int threads = count <= kAlone ? 1 : pool.threads();
  pool.run(threads, [&](int thread) {
    for (int64_t part = thread; part < kParts; part += threads) {
      require_not_cancelled();
      body(static_cast<size_t>(part), begin_of(part, count), begin_of(part + 1, count));
    }
  });
}

}  // namespace

double displace_scalar(const tg_displacement& displacement, int64_t begin, int64_t end, void* displaced) {
  return displace_range(displacement, begin, end, displaced);
}
tg_difference_sums difference_scalar(const tg_gradient_difference& difference, int64_t begin, int64_t end, void* product) {
  return difference_range(difference, begin, end, product);
}

double displace(ThreadPool& pool, SimdLevel level, const tg_displacement& displacement, void* displaced) {
  const auto range = TG_LANES_AT_LEVEL(level, displace);
  std::array<double, kParts> sums{};
  in_parts(pool, displacement.count,
           [&](size_t part, int64_t begin, int64_t end) { sums[part] = range(displacement, begin, end, displaced); });
  double sum = 0;
  for (const double part : sums) {
    sum += part;
  }
  return sum;
}

void difference_gradients(ThreadPool& pool, SimdLevel level, const tg_gradient_difference& difference, void* product,
                          tg_difference_sums& sums) {
  const auto range = TG_LANES_AT_LEVEL(level, difference);
  std::array<tg_difference_sums, kParts> parts{};
  in_parts(pool, difference.count,
           [&](size_t part, int64_t begin, int64_t end) { parts[part] = range(difference, begin, end, product); });
  sums.ahead = sums.behind = sums.change = sums.along = 0;
  for (const tg_difference_sums& part : parts) {
    sums.ahead += part.ahead;
    sums.behind += part.behind;
    sums.change += part.change;
    sums.along += part.along;
  }
}

}  // namespace threegate::curvature
