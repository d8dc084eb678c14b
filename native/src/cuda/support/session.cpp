#include "session.h"

namespace threegate {

CudaSession::CudaSession(int32_t index, const Parallel& threads) : device(index), parallel(threads) {
  cudaDeviceProp properties{};
  cuda::check(cudaGetDeviceProperties(&properties, index), "the device's properties");
  multiprocessors = properties.multiProcessorCount;
  int limit = 0;
  cuda::check(cudaDeviceGetAttribute(&limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, index), "the shared memory of a block");
  shared_bytes_per_block = limit;
}

void CudaSession::run_parallel(int tasks, const std::function<void(int)>& body) const {
  const auto call = [](void* argument, int task) { (*static_cast<const std::function<void(int)>*>(argument))(task); };
  parallel.run(parallel.pool, tasks, call, const_cast<std::function<void(int)>*>(&body));
}

namespace cuda {

DeviceScope::DeviceScope(int32_t device) {
  check(cudaGetDevice(&previous_), "the current device");
  check(cudaSetDevice(device), "this context's device");
}

DeviceScope::~DeviceScope() { cudaSetDevice(previous_); }

bool is_on_device(const void* pointer) {
  cudaPointerAttributes attributes{};
  if (pointer == nullptr || cudaPointerGetAttributes(&attributes, pointer) != cudaSuccess) {
    cudaGetLastError();
    return false;
  }
  return attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
}

}  // namespace cuda
}  // namespace threegate
