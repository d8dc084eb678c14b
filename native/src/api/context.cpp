#include "context.h"

#include <sched.h>

#include <new>

#include "backend.h"

namespace threegate {

LiveObjects& live_objects() noexcept {
  static LiveObjects live;
  return live;
}

namespace {

constexpr int kMaxThreads = 1024;

int thread_count(const tg_context_options& options) {
  require(options.threads >= 0 && options.threads <= kMaxThreads, "options.threads", std::to_string(options.threads),
          "allowed are 0 (all) to 1024");
  return options.threads == 0 ? hardware_threads() : options.threads;
}

void require_device(const tg_context_options& options) {
  require(options.device == TG_CPU || options.device == TG_CUDA, "options.device", std::to_string(options.device),
          "allowed are TG_CPU (0) and TG_CUDA (1)");
  if (options.device == TG_CUDA) {
    const CudaBackend& backend = cuda_backend();
    if (backend.devices == 0) {
      throw Error(TG_UNSUPPORTED, "CUDA is not available: " + backend.reason);
    }
    require(options.device_index >= 0 && options.device_index < backend.devices, "options.device_index",
            std::to_string(options.device_index), ("allowed are 0 to " + std::to_string(backend.devices - 1)).c_str());
  }
}

void run_on_pool(void* pool, int tasks, void (*body)(void* argument, int task), void* argument) {
  static_cast<ThreadPool*>(pool)->run(tasks, [&](int task) { body(argument, task); });
}

}  // namespace

CudaDevice::CudaDevice(const CudaFunctions& functions, int32_t index, ThreadPool& pool) : functions_(functions), index_(index) {
  char text[kErrorBytes] = {};
  const Parallel parallel{&pool, run_on_pool, pool.threads()};
  const tg_status status = functions.open(index, &parallel, &session_, {text, kErrorBytes});
  if (status != TG_OK) {
    throw Error(status, text);
  }
}

}  // namespace threegate

tg_context::tg_context(const tg_context_options& options)
    : simd(threegate::chosen_simd_level()), pool(threegate::thread_count(options)) {
  if (options.device == TG_CUDA) {
    cuda = std::make_unique<threegate::CudaDevice>(*threegate::cuda_backend().functions, options.device_index, pool);
  }
  ++threegate::live_objects().objects;
}

extern "C" {

int32_t tg_abi_version(void) { return TG_ABI_VERSION; }

tg_status tg_context_create(const tg_context_options* options, tg_context** context, char* error, int64_t error_capacity) {
  std::string message;
  tg_status status = TG_OK;
  try {
    threegate::require_struct(options, "options");
    threegate::require(context != nullptr, "context", "NULL", "it must point to a tg_context*");
    threegate::require_device(*options);
    *context = std::make_unique<tg_context>(*options).release();
  } catch (...) {
    status = threegate::describe_current_exception(message);
  }
  threegate::copy_text(message, error, error_capacity);
  return status;
}

tg_status tg_context_destroy(tg_context* context) {
  if (context == nullptr) {
    return TG_OK;
  }
  if (context->busy.exchange(true)) {
    return TG_BUSY;
  }
  const std::unique_ptr<tg_context> owned(context);
  --threegate::live_objects().objects;
  return TG_OK;
}

tg_status tg_error_message(tg_context* context, char* buffer, int64_t capacity) {
  if (context == nullptr || buffer == nullptr || capacity <= 0) {
    return TG_INVALID_ARGUMENT;
  }
  const std::lock_guard<std::mutex> lock(context->error_mutex);
  threegate::copy_text(context->error, buffer, capacity);
  return TG_OK;
}

tg_status tg_context_threads(tg_context* context, int32_t* threads) {
  return threegate::guarded_call(context, [&] {
    threegate::require(threads != nullptr, "threads", "NULL", "it must point to an int32_t");
    *threads = context->pool.threads();
  });
}

tg_status tg_context_set_control(tg_context* context, tg_control* control) {
  return threegate::guarded_call(context, [&] {
    if (control != nullptr) {
      threegate::require_struct(control, "control");
    }
    context->control = control;
  });
}

tg_status tg_context_set_stream(tg_context* context, void* stream) {
  return threegate::guarded_call(context, [&] {
    if (context->cuda != nullptr) {
      context->cuda->call(&threegate::CudaFunctions::set_stream, stream);
    } else {
      threegate::require(stream == nullptr, "stream", "a stream", "a context of the CPU takes NULL only");
    }
  });
}

}  // extern "C"
