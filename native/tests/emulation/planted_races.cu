// A kernel with bugs that the detector of races and misaligned accesses must find. It is compiled as the checked kernels are.
#include "planted_races.h"

#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "cuda/support/warpgroup.h"
#include "emulated_instructions.h"

namespace planted {
namespace {

constexpr int kThreads = 64;
constexpr int kWarp = threegate::cuda::kWarp;

__global__ void race_kernel(Bug bug, unsigned* out) {
  __shared__ unsigned counts[4];
  alignas(16) __shared__ unsigned values[kThreads + 4];
  const unsigned thread = threadIdx.x;
  if (thread < 4) {
    counts[thread] = 0;
  }
  __syncthreads();
  if (bug == Bug::kSharedCounter) {
    ++counts[thread % 4];
  } else {
    atomicAdd(&counts[thread % 4], 1U);
  }
  __syncthreads();
  if (thread == 0) {
    if (bug == Bug::kGlobalCounter) {
      out[0] += counts[0];
    } else {
      atomicAdd(&out[0], counts[0]);
    }
  }

  values[thread] = thread;
  if (bug != Bug::kMissingBarrier) {
    __syncthreads();
  }
  const unsigned next = values[(thread + kWarp) % kThreads];
  __syncthreads();
  values[thread] = next;
  if (bug != Bug::kMissingWarpBarrier) {
    __syncwarp();
  }
  const unsigned neighbour = values[thread ^ 1U];
  __syncthreads();

  // The second block to arrive reads what the first one wrote.
  unsigned* const parts = out + 16;
  parts[blockIdx.x * kThreads + thread] = neighbour;
  __syncthreads();
  __shared__ unsigned before;
  if (thread == 0) {
    if (bug != Bug::kMissingFence) {
      __threadfence();
    }
    before = atomicAdd(&out[1], 1U);
  }
  __syncthreads();
  if (before == 1) {
    out[512 + thread] = parts[thread] + parts[kThreads + thread];
  }

  auto* const bytes = reinterpret_cast<unsigned char*>(values);
  if (bug == Bug::kNumber) {
    *reinterpret_cast<unsigned*>(reinterpret_cast<unsigned char*>(out) + 4 * (600 + 2 * blockIdx.x) + 2) = 1;
  }
  if (thread == 0) {
    const uint4 four = *reinterpret_cast<const uint4*>(bytes + (bug == Bug::kVector ? 8 : 0));
    out[700 + blockIdx.x] = four.x;
  }
  __syncthreads();
  if (thread == 0) {
    threegate::cuda::copy_16_asynchronously(bytes + (bug == Bug::kCopy ? 8 : 0), out + 900);
    threegate::cuda::commit_copies();
    threegate::cuda::wait_for_copies<0>();
  }
  __syncthreads();
  uint32_t loaded[4];
  threegate::cuda::load_matrices(loaded, bytes + (bug == Bug::kRow ? 4 : 0) + 16 * (thread % 8));
}

__global__ void cluster_kernel(Bug bug, unsigned* out) {
  unsigned* const own = out + blockIdx.x * kThreads + threadIdx.x;
  *own = threadIdx.x;
  if (bug == Bug::kBlockBarrier) {
    __syncthreads();
  } else if (bug != Bug::kMissingClusterBarrier) {
    threegate::cuda::arrive_at_cluster();
    threegate::cuda::wait_for_cluster();
  }
  const unsigned other = out[(1 - blockIdx.x) * kThreads + threadIdx.x];
  own[2 * kThreads] = other;
  __syncthreads();
  out[4 * kThreads + blockIdx.x * kThreads + threadIdx.x] = own[2 * kThreads] + out[(2 + blockIdx.x) * kThreads];
}

}  // namespace

cudaError_t race(Bug bug, unsigned* out, cudaStream_t stream) {
  const cudaError_t error = threegate::cuda::launch({2, kThreads, 0, 2}, stream, cluster_kernel, bug, out + 32);
  return error == cudaSuccess ? threegate::cuda::launch({2, kThreads}, stream, race_kernel, bug, out) : error;
}

}  // namespace planted
