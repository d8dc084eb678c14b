// Kernels with bugs that the emulation must detect, and the same kernels without them. A test that cannot fail proves nothing.
#include "planted_bugs.h"

#include "cuda/support/runtime.h"

namespace planted {
namespace {

constexpr int kThreads = 128;

// Each thread passes its number to its neighbour through shared memory.
template <bool kHasBarrier>
__global__ void rotate_kernel(int* out) {
  __shared__ int values[kThreads];
  values[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (kHasBarrier) {
    __syncthreads();
  }
  out[threadIdx.x] = values[(threadIdx.x + 1) % kThreads];
  __syncthreads();
}

__global__ void write_kernel(int* out, int count) {
  if (static_cast<int>(threadIdx.x) < count) {
    out[threadIdx.x] = 1;
  }
}

__global__ void idle_kernel() {}

__global__ void write_shared_kernel(int* out, int count) {
  auto* values = static_cast<int*>(emulation::dynamic_shared_memory());
  if (static_cast<int>(threadIdx.x) < count) {
    values[threadIdx.x] = 1;
  }
  __syncthreads();
  out[0] = values[0];
}

}  // namespace

cudaError_t rotate(bool has_barrier, int* out, cudaStream_t stream) {
  return threegate::cuda::launch({1, kThreads}, stream, has_barrier ? rotate_kernel<true> : rotate_kernel<false>, out);
}
cudaError_t write(int* out, int count, cudaStream_t stream) {
  return threegate::cuda::launch({1, kThreads}, stream, write_kernel, out, count);
}
cudaError_t write_shared(int* out, int room, int count, cudaStream_t stream) {
  return threegate::cuda::launch({1, kThreads, room * static_cast<int64_t>(sizeof(int))}, stream, write_shared_kernel, out,
                                 count);
}

cudaError_t write_shared_without_asking(int* out, int room, cudaStream_t stream) {
  cudaLaunchConfig_t config{};
  config.blockDim = dim3(kThreads);
  config.dynamicSmemBytes = static_cast<size_t>(room) * sizeof(int);
  config.stream = stream;
  return cudaLaunchKernelEx(&config, write_shared_kernel, out, 64);
}
cudaError_t with_much_shared_memory(int64_t bytes) { return threegate::cuda::launch({1, kThreads, bytes}, nullptr, idle_kernel); }

}  // namespace planted
