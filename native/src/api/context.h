#ifndef THREEGATE_API_CONTEXT_H
#define THREEGATE_API_CONTEXT_H

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/backend.h"
#include "common/control.h"
#include "common/error.h"
#include "cpu/support/crew.h"
#include "cpu/support/simd_level.h"
#include "cpu/support/thread_pool.h"
#include "threegate/threegate.h"

namespace threegate {

// The CUDA device of a context.
class CudaDevice {
 public:
  CudaDevice(const CudaFunctions& functions, int32_t index, ThreadPool& pool);
  ~CudaDevice() { functions_.close(session_); }
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  // Calls a function of the table with this device, and throws an Error if the function fails.
  template <typename... Expected, typename... Actual>
  void call(tg_status (*CudaFunctions::*function)(CudaSession*, Expected...), Actual... arguments) const {
    char text[kErrorBytes] = {};
    const tg_status status = (functions_.*function)(session_, arguments..., CudaText{text, kErrorBytes});
    if (status != TG_OK) {
      throw Error(status, text);
    }
  }
  [[nodiscard]] const CudaFunctions& functions() const { return functions_; }
  [[nodiscard]] CudaSession* session() const { return session_; }
  [[nodiscard]] int32_t index() const { return index_; }

 private:
  static constexpr int64_t kErrorBytes = 512;

  const CudaFunctions& functions_;
  int32_t index_;
  CudaSession* session_ = nullptr;
};

}  // namespace threegate

struct tg_context {
  explicit tg_context(const tg_context_options& options);

  threegate::SimdLevel simd;
  threegate::ThreadPool pool;
  std::unique_ptr<threegate::CudaDevice> cuda;  // nullptr if kernels run on the CPU
  const tg_control* control = nullptr;          // of the calls that take none
  std::vector<uint8_t> blocks;                  // where calls read files; kept, because fresh pages cost much
  std::atomic<bool> busy{false};
  std::mutex error_mutex;
  std::string error;
};

namespace threegate {

// The numbers of live objects and bytes, for tg_live_objects.
struct LiveObjects {
  std::atomic<int64_t> objects{0};
  std::atomic<int64_t> bytes{0};
};
LiveObjects& live_objects() noexcept;

// Reserves a context for one call.
class ContextLease {
 public:
  explicit ContextLease(tg_context& context) : context_(context) {
    if (context_.busy.exchange(true, std::memory_order_acquire)) {
      throw Error(TG_BUSY, "the context is in use by another call; use one context per thread");
    }
  }
  ~ContextLease() { context_.busy.store(false, std::memory_order_release); }
  ContextLease(const ContextLease&) = delete;
  ContextLease& operator=(const ContextLease&) = delete;

 private:
  tg_context& context_;
};

// Runs `body` on the context. If it fails, keeps the error text in the context and returns the status.
template <typename Body>
tg_status guarded_call(tg_context* context, Body body) noexcept {
  if (context == nullptr) {
    return TG_INVALID_ARGUMENT;
  }
  std::string message;
  tg_status status = TG_OK;
  try {
    const ContextLease lease(*context);
    const ControlOfCall control(context->control);
    const Crew crew(context->pool);
    body();
  } catch (...) {
    status = describe_current_exception(message);
  }
  if (status != TG_OK) {
    const std::lock_guard<std::mutex> lock(context->error_mutex);
    context->error.swap(message);
  }
  return status;
}

// The size of a struct in the first version of this SONAME. Programs that were compiled then still pass it. A struct that has
// grown since has a specialisation here, and functions that take it must read or write the smaller struct, too.
template <typename Struct>
constexpr int64_t kFirstSize = sizeof(Struct);
template <>
inline constexpr int64_t kFirstSize<tg_capabilities> = 992;  // without blas_file
template <>
inline constexpr int64_t kFirstSize<tg_change_model> = 40;  // without bin_ends
template <>
inline constexpr int64_t kFirstSize<tg_svd_start> = 56;  // without base, images and residual

// Throws INVALID_ARGUMENT unless the struct is not null and has the size that this library was built with.
template <typename Struct>
void require_struct(const Struct* argument, const char* name) {
  static_assert(kFirstSize<Struct> == sizeof(Struct), "the struct has grown: use read_struct or write_struct");
  require(argument != nullptr, name, "NULL", "it must point to a struct");
  require(argument->size == static_cast<int64_t>(sizeof(Struct)), name, "a struct of size " + std::to_string(argument->size),
          ("the size in this library is " + std::to_string(sizeof(Struct))).c_str());
}

template <typename Struct>
void require_known_size(int64_t size, const char* name) {
  require(size >= kFirstSize<Struct> && size <= static_cast<int64_t>(sizeof(Struct)), name,
          "a struct of size " + std::to_string(size), ("the size in this library is " + std::to_string(sizeof(Struct))).c_str());
}

// Returns a copy of a struct of the caller. What an older header does not have is 0.
template <typename Struct>
Struct read_struct(const Struct* argument, const char* name) {
  require(argument != nullptr, name, "NULL", "it must point to a struct");
  const int64_t size = argument->size;
  require_known_size<Struct>(size, name);
  Struct copy{};
  std::memcpy(&copy, argument, static_cast<size_t>(size));
  return copy;
}

// Writes `values` to a struct of the caller, which may end earlier because it comes from an older header. Its `size` stays as it
// is.
template <typename Struct>
void write_struct(Struct values, Struct* destination, const char* name) {
  require(destination != nullptr, name, "NULL", "it must point to a struct");
  const int64_t size = destination->size;
  require_known_size<Struct>(size, name);
  values.size = size;
  std::memcpy(destination, &values, static_cast<size_t>(size));
}

}  // namespace threegate

#endif  // THREEGATE_API_CONTEXT_H
