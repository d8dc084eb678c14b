#include "differences.h"

#include <array>
#include <vector>

#include "cuda/support/staging.h"
#include "difference_kernels.h"

namespace threegate::cuda {
namespace {

// Launches a kernel that writes the sums of its blocks, and adds these in order.
template <size_t kSums, typename Launch>
std::array<double, kSums> summed(CudaSession& session, int64_t count, Launch launch) {
  const int64_t blocks = difference_blocks(count);
  const int64_t bytes = blocks * static_cast<int64_t>(kSums * sizeof(double));
  session.memory.reserve(bytes);
  auto* const partial = reinterpret_cast<double*>(session.memory.get());
  check(launch(partial, session.stream()), "finite differences");
  std::vector<double> numbers(static_cast<size_t>(blocks) * kSums);
  check(cudaMemcpyAsync(numbers.data(), partial, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, session.stream()),
        "finite differences");
  check(cudaStreamSynchronize(session.stream()), "finite differences");
  std::array<double, kSums> sums{};
  for (size_t i = 0; i < numbers.size(); ++i) {
    sums[i % kSums] += numbers[i];
  }
  return sums;
}

}  // namespace

double displace(CudaSession& session, const tg_displacement& displacement, void* displaced) {
  return summed<1>(session, displacement.count, [&](double* partial, cudaStream_t stream) {
    return launch_displace(displacement, displaced, partial, stream);
  })[0];
}

void difference_gradients(CudaSession& session, const tg_gradient_difference& difference, void* product,
                          tg_difference_sums& sums) {
  const auto found = summed<kDifferenceSums>(session, difference.count, [&](double* partial, cudaStream_t stream) {
    return launch_difference(difference, product, partial, stream);
  });
  sums.ahead = found[0];
  sums.behind = found[1];
  sums.change = found[2];
  sums.along = found[3];
}

}  // namespace threegate::cuda
