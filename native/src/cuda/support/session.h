// One device in use by one context: its streams, the memory that is kept from call to call, and whether the device still works.
#ifndef THREEGATE_CUDA_SUPPORT_SESSION_H
#define THREEGATE_CUDA_SUPPORT_SESSION_H

#include <array>
#include <cstring>
#include <functional>
#include <string>

#include "common/control.h"
#include "common/cuda_functions.h"
#include "libraries.h"
#include "runtime.h"

namespace threegate {

struct CudaSession {
  CudaSession(int32_t index, const Parallel& threads);

  // Half of a double buffer for copies, and the event that marks the end of its use.
  struct Slot {
    cuda::StreamOwner stream = cuda::make_stream();
    cuda::EventOwner finished = cuda::make_event();
    cuda::PinnedMemory host;
    cuda::DeviceMemory device;
  };

  [[nodiscard]] cudaStream_t stream() const { return slots[0].stream.get(); }

  // Later calls wait for the work of `stream`, which belongs to the caller.
  void set_stream(cudaStream_t stream);

  // Makes the streams of the session wait for the work that the caller's stream has now.
  void follow_caller() const;

  // Waits for the streams of the session.
  void finish() const;

  // Runs body(i) for i = 0 .. tasks - 1 on the threads of the context.
  void run_parallel(int tasks, const std::function<void(int)>& body) const;

  int32_t device;
  int multiprocessors = 1;
  int compute_capability = 0;          // 10 times the major version plus the minor one
  int64_t shared_bytes_per_block = 0;  // at most, for kernels that ask for it
  Parallel parallel;
  std::array<Slot, 2> slots;
  size_t turn = 0;                            // the slot of the last copy
  cuda::DeviceMemory memory;                  // memory of the current call
  cuda::PinnedMemory results;                 // memory for results
  std::unique_ptr<cuda::DenseAlgebra> dense;  // created when it is first needed
  cudaStream_t caller = cudaStreamLegacy;     // of the caller, whose work comes before that of a call
  cuda::EventOwner called = cuda::make_event();
  std::string failure;  // why the device no longer works. Empty if it works
};

namespace cuda {

// Makes the device of a session the current one, and restores the previous one at the end.
class DeviceScope {
 public:
  explicit DeviceScope(int32_t device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int previous_ = 0;
};

// Throws CANCELLED if the caller asked for it.
inline void check_cancelled(const tg_control* control) {
  if (is_cancelled(control)) {
    throw Error(TG_CANCELLED, "cancelled");
  }
}

// The attributes of any memory. That of the host is unregistered unless it is page-locked.
cudaPointerAttributes attributes_of(const void* pointer);
// Also true for managed memory.
bool is_on_device(const void* pointer);

// Runs `body` and converts its exceptions to a status. An error that ends the work of the process on the device is kept, and
// nothing runs on the session afterwards. Other errors concern this call only.
template <typename Body>
tg_status reported(CudaSession* session, CudaText error, Body body) noexcept {
  std::string message;
  tg_status status = TG_OK;
  bool lost = false;
  try {
    if (!session->failure.empty()) {
      throw Error(TG_DEVICE, "this context's device failed earlier (" + session->failure + "); close it and open another");
    }
    const DeviceScope scope(session->device);
    try {
      body();
    } catch (...) {
      cudaGetLastError();  // resets an error that can be reset
      // No operation may be in progress on memory that the caller frees. The waits also return an error that stays.
      for (auto& slot : session->slots) {
        lost = cudaStreamSynchronize(slot.stream.get()) != cudaSuccess || lost;
      }
      throw;
    }
  } catch (...) {
    status = describe_current_exception(message);
    if (lost) {
      session->failure = message;
    }
  }
  copy_text(message, error.text, error.capacity);
  return status;
}

// Runs `body` after the work of the caller's stream, and waits for its end.
template <typename Body>
tg_status guarded(CudaSession* session, CudaText error, Body body) noexcept {
  return reported(session, error, [&] {
    session->follow_caller();
    body();
    session->finish();
  });
}

}  // namespace cuda
}  // namespace threegate

#endif  // THREEGATE_CUDA_SUPPORT_SESSION_H
