// The CUDA runtime with owning classes and exceptions.
#ifndef THREEGATE_CUDA_SUPPORT_RUNTIME_H
#define THREEGATE_CUDA_SUPPORT_RUNTIME_H

#include <cuda_runtime.h>

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "common/error.h"

namespace threegate::cuda {

// Throws OUT_OF_MEMORY or DEVICE with a name of the operation.
void check(cudaError_t error, const char* what);

struct FreeDevice {
  void operator()(void* memory) const noexcept { cudaFree(memory); }
};
struct FreePinned {
  void operator()(void* memory) const noexcept { cudaFreeHost(memory); }
};
struct DestroyStream {
  void operator()(cudaStream_t stream) const noexcept { cudaStreamDestroy(stream); }
};
struct DestroyEvent {
  void operator()(cudaEvent_t event) const noexcept { cudaEventDestroy(event); }
};
using StreamOwner = std::unique_ptr<std::remove_pointer_t<cudaStream_t>, DestroyStream>;
using EventOwner = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, DestroyEvent>;

StreamOwner make_stream();
EventOwner make_event();

// Memory that grows when more is needed and is then kept. It is device memory, or page-locked host memory for fast copies.
template <typename Free>
class Memory {
 public:
  // Makes room for `bytes`. Returns false if there is too little memory. The contents are lost if the memory grows.
  bool try_reserve(int64_t bytes) {
    if (bytes <= bytes_) {
      return true;
    }
    memory_.reset();
    bytes_ = 0;
    void* memory = nullptr;
    const cudaError_t error = std::is_same_v<Free, FreeDevice> ? cudaMalloc(&memory, static_cast<size_t>(bytes))
                                                               : cudaMallocHost(&memory, static_cast<size_t>(bytes));
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // resets the last error
      return false;
    }
    check(error, "memory for a kernel");
    memory_.reset(static_cast<uint8_t*>(memory));
    bytes_ = bytes;
    return true;
  }
  void reserve(int64_t bytes) {
    if (!try_reserve(bytes)) {
      throw Error(TG_OUT_OF_MEMORY, std::string(std::is_same_v<Free, FreeDevice> ? "the device" : "the host") + " has no " +
                                        std::to_string(bytes) + " bytes" +
                                        (std::is_same_v<Free, FreeDevice> ? "" : " of page-locked memory"));
    }
  }
  [[nodiscard]] uint8_t* get() const { return memory_.get(); }
  [[nodiscard]] int64_t bytes() const { return bytes_; }
  void release() {
    memory_.reset();
    bytes_ = 0;
  }

 private:
  std::unique_ptr<uint8_t, Free> memory_;
  int64_t bytes_ = 0;
};
using DeviceMemory = Memory<FreeDevice>;
using PinnedMemory = Memory<FreePinned>;

// Divides memory into aligned arrays. Without memory it only counts.
class Layout {
 public:
  explicit Layout(uint8_t* memory = nullptr) : memory_(memory) {}
  template <typename T>
  T* take(int64_t count) {
    const int64_t at = used_;
    used_ += (count * static_cast<int64_t>(sizeof(T)) + kAlignment - 1) / kAlignment * kAlignment;
    return memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + at);
  }
  [[nodiscard]] int64_t used() const { return used_; }
  static constexpr int64_t kAlignment = 256;

 private:
  uint8_t* memory_;
  int64_t used_ = 0;
};

struct Shape {
  int64_t blocks;
  int threads;
  int64_t shared_bytes = 0;
  int cluster = 1;  // blocks of a cluster. It divides `blocks`
};

// Lets blocks of the kernel have all shared memory of the current device. Throws UNSUPPORTED if `bytes` are more. The runtime is
// asked once for a kernel and a device, and always for the same size: a smaller one would fail the launches of other contexts.
void allow_shared_memory(const void* kernel, int64_t bytes);

#if defined(__CUDACC__) || defined(THREEGATE_HOST_EMULATION)
template <typename... Expected, typename... Actual>
cudaError_t launch(const Shape& shape, cudaStream_t stream, void (*kernel)(Expected...), Actual&&... arguments) {
  constexpr int64_t kWithoutAsking = 48 << 10;
  if (shape.blocks == 0) {
    return cudaSuccess;
  }
  if (shape.shared_bytes > kWithoutAsking) {
    allow_shared_memory(reinterpret_cast<const void*>(kernel), shape.shared_bytes);
  }
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(shape.blocks));
  config.blockDim = dim3(static_cast<unsigned>(shape.threads));
  config.dynamicSmemBytes = static_cast<size_t>(shape.shared_bytes);
  config.stream = stream;
  cudaLaunchAttribute cluster{};
  if (shape.cluster > 1) {
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim = {static_cast<unsigned>(shape.cluster), 1, 1};
    config.attrs = &cluster;
    config.numAttrs = 1;
  }
  return cudaLaunchKernelEx(&config, kernel, std::forward<Actual>(arguments)...);
}
#endif

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SUPPORT_RUNTIME_H
