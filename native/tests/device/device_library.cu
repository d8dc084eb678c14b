#include "device_library.h"

#include <cuda_runtime.h>

#define TG_TEST extern "C" __attribute__((visibility("default"))) int

namespace {

constexpr int kThreads = 256;
[[maybe_unused]] constexpr int64_t kLate = 200000000;  // cycles: a tenth of a second

__global__ void copy_late_kernel(uint32_t* to, const uint32_t* from, int64_t count) {
#if !defined(THREEGATE_HOST_EMULATION)
  const int64_t begin = clock64();
  while (clock64() - begin < kLate) {
  }
#endif
  for (int64_t i = threadIdx.x; i < count; i += kThreads) {
    to[i] = from[i];
  }
}

// Runs `body` with a current device, as every function here does.
template <typename Body>
int on_device(int device, Body body) {
  int previous = 0;
  cudaError_t error = cudaGetDevice(&previous);
  if (error == cudaSuccess) {
    error = cudaSetDevice(device);
  }
  if (error == cudaSuccess) {
    error = body();
    cudaSetDevice(previous);
  }
  return static_cast<int>(error);
}

}  // namespace

TG_TEST tg_test_allocate(int device, void** memory, size_t bytes) {
#if defined(THREEGATE_HOST_EMULATION)
  return on_device(device, [&] { return cudaMalloc(memory, bytes); });
#else
  return on_device(device, [&] { return cudaMallocManaged(memory, bytes); });
#endif
}
TG_TEST tg_test_allocate_zeros(int device, void** memory, size_t bytes) {
  return on_device(device, [&] {
    cudaError_t error = cudaMallocManaged(memory, bytes);
#if !defined(THREEGATE_HOST_EMULATION)
    error = error == cudaSuccess ? cudaMemset(*memory, 0, bytes) : error;
    error = error == cudaSuccess ? cudaDeviceSynchronize() : error;
#endif
    return error;
  });
}
TG_TEST tg_test_allocate_on_device(int device, void** memory, size_t bytes) {
  return on_device(device, [&] { return cudaMalloc(memory, bytes); });
}
TG_TEST tg_test_free(int device, void* memory) {
  return on_device(device, [&] { return cudaFree(memory); });
}
TG_TEST tg_test_available(int device, size_t* bytes) {
  return on_device(device, [&] {
    size_t total = 0;
    return cudaMemGetInfo(bytes, &total);
  });
}
TG_TEST tg_test_create_stream(int device, int blocking, void** stream) {
  return on_device(device, [&] {
    return cudaStreamCreateWithFlags(reinterpret_cast<cudaStream_t*>(stream),
                                     blocking != 0 ? cudaStreamDefault : cudaStreamNonBlocking);
  });
}
TG_TEST tg_test_destroy_stream(int device, void* stream) {
  return on_device(device, [&] { return cudaStreamDestroy(static_cast<cudaStream_t>(stream)); });
}
TG_TEST tg_test_copy_late(int device, uint32_t* to, const uint32_t* from, int64_t count, void* stream) {
  return on_device(device, [&] {
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(1);
    config.blockDim = dim3(kThreads);
    config.stream = static_cast<cudaStream_t>(stream);
    return cudaLaunchKernelEx(&config, copy_late_kernel, to, from, count);
  });
}
TG_TEST tg_test_synchronize(int device, void* stream) {
  return on_device(device, [&] { return cudaStreamSynchronize(static_cast<cudaStream_t>(stream)); });
}
