#include "runtime.h"

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
  throw DeviceFailure(TG_DEVICE, text);
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
