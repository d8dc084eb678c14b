#include "runtime.h"

#include <map>
#include <mutex>
#include <string>

namespace threegate::cuda {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) {
    return;
  }
  const std::string text = std::string(what) + ": " + cudaGetErrorName(error) + ", " + cudaGetErrorString(error);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw Error(TG_OUT_OF_MEMORY, text);
  }
  throw Error(TG_DEVICE, text);
}

void allow_shared_memory(const void* kernel, int64_t bytes) {
  static std::mutex mutex;
  static std::map<std::pair<const void*, int>, int64_t> allowed;
  int device = 0;
  check(cudaGetDevice(&device), "the current device");
  const std::lock_guard<std::mutex> lock(mutex);
  const auto known = allowed.find({kernel, device});
  int64_t room = known == allowed.end() ? -1 : known->second;
  if (room < 0) {
    int limit = 0;
    check(cudaDeviceGetAttribute(&limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), "the shared memory of a block");
    cudaFuncAttributes attributes{};
    check(cudaFuncGetAttributes(&attributes, kernel), "the attributes of a kernel");
    room = limit - static_cast<int64_t>(attributes.sharedSizeBytes);
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(room)),
          "the shared memory of a kernel");
    allowed[{kernel, device}] = room;
  }
  if (bytes > room) {
    throw Error(TG_UNSUPPORTED, "a kernel needs " + std::to_string(bytes) +
                                    " bytes of shared memory in a block, and the device has " + std::to_string(room));
  }
}

StreamOwner make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
  return StreamOwner(stream);
}

EventOwner make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "an event");
  return EventOwner(event);
}

}  // namespace threegate::cuda
