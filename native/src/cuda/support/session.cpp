#include "session.h"

namespace threegate {

CudaSession::CudaSession(int32_t index, const Parallel& threads) : device(index), parallel(threads) {
  cudaDeviceProp properties{};
  cuda::check(cudaGetDeviceProperties(&properties, index), "the device's properties");
  multiprocessors = properties.multiProcessorCount;
  compute_capability = 10 * properties.major + properties.minor;
  int limit = 0;
  cuda::check(cudaDeviceGetAttribute(&limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, index), "the shared memory of a block");
  shared_bytes_per_block = limit;
}

void CudaSession::set_stream(cudaStream_t stream) {
  if (stream != nullptr) {
    int found = 0;
    cuda::check(cudaStreamGetDevice(stream, &found), "the stream");
    if (found != device) {
      throw Error(TG_INVALID_ARGUMENT, "stream belongs to CUDA device " + std::to_string(found) + "; this context uses device " +
                                           std::to_string(device));
    }
  }
  caller = stream == nullptr ? cudaStreamLegacy : stream;
}

void CudaSession::follow_caller() const {
  cuda::check(cudaEventRecord(called.get(), caller), "the caller's stream");
  for (const Slot& slot : slots) {
    cuda::check(cudaStreamWaitEvent(slot.stream.get(), called.get(), 0), "the caller's stream");
  }
}

void CudaSession::finish() const {
  for (const Slot& slot : slots) {
    cuda::check(cudaStreamSynchronize(slot.stream.get()), "the end of a call");
  }
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

cudaPointerAttributes attributes_of(const void* pointer) {
  cudaPointerAttributes attributes{};
  if (pointer == nullptr || cudaPointerGetAttributes(&attributes, pointer) != cudaSuccess) {
    cudaGetLastError();
    attributes.type = cudaMemoryTypeUnregistered;
  }
  return attributes;
}

bool is_on_device(const void* pointer) {
  const cudaMemoryType type = attributes_of(pointer).type;
  return type == cudaMemoryTypeDevice || type == cudaMemoryTypeManaged;
}

}  // namespace cuda
}  // namespace threegate
