#include "backend.h"

#include <dlfcn.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "api/context.h"
#include "api/processor_name.h"
#include "common/error.h"
#include "cpu/support/blas.h"
#include "cpu/support/library_directory.h"
#include "cpu/support/simd_level.h"

namespace threegate {
namespace {

constexpr const char* kCudaLibrary = "libthreegate_cuda.so.1";
constexpr const char* kCudaLibraryVariable = "THREEGATE_CUDA_LIBRARY";

CudaBackend load_cuda() {
  CudaBackend backend;
  const char* given = std::getenv(kCudaLibraryVariable);
  const std::string path = given != nullptr ? given : shipped_library(kCudaLibrary);
  const bool searched = given == nullptr && path == kCudaLibrary;  // by the loader, for the static library
  if (!searched && access(path.c_str(), F_OK) != 0) {
    backend.reason = given != nullptr ? std::string(kCudaLibraryVariable) + " names " + path + ", which cannot be read"
                                      : "this build does not include " + std::string(kCudaLibrary) + " beside libthreegate";
    return backend;
  }
  // The library is never unloaded, because its static destructors must not run before those of the driver.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    backend.reason = dlerror();
    return backend;
  }
  const auto getter = reinterpret_cast<CudaFunctionsGetter>(dlsym(library, kCudaFunctionsSymbol));
  const CudaFunctions* functions = getter == nullptr ? nullptr : getter();
  if (functions == nullptr || functions->size != static_cast<int64_t>(sizeof(CudaFunctions)) ||
      functions->abi_version != TG_ABI_VERSION) {
    backend.reason = path + " belongs to another version";
    return backend;
  }
  char reason[256] = {};
  char name[160] = {};
  functions->count_devices(&backend.devices, {name, sizeof(name)}, {reason, sizeof(reason)});
  backend.name = name;
  backend.reason = backend.devices == 0 ? reason : "";
  backend.functions = functions;
  return backend;
}

}  // namespace

const CudaBackend& cuda_backend() {
  static const CudaBackend backend = load_cuda();
  return backend;
}

int32_t hardware_threads() noexcept {
  cpu_set_t usable;
  CPU_ZERO(&usable);
  if (sched_getaffinity(0, sizeof(usable), &usable) == 0) {
    return CPU_COUNT(&usable);
  }
  const int64_t online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? static_cast<int32_t>(online) : 1;
}

}  // namespace threegate

extern "C" tg_status tg_capabilities_query(tg_capabilities* capabilities) {
  std::string message;
  try {
    const threegate::CudaBackend& cuda = threegate::cuda_backend();
    tg_capabilities values{};
    values.hardware_threads = threegate::hardware_threads();
    values.simd = static_cast<int32_t>(threegate::chosen_simd_level());
    values.cuda_devices = cuda.devices;
    values.memory_bytes = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGE_SIZE);
    const auto copy = [](const std::string& text, auto& field) {
      threegate::copy_text(text, field, static_cast<int64_t>(sizeof(field)));
    };
    copy(THREEGATE_VERSION, values.version);
    std::ifstream info("/proc/cpuinfo");
    copy(threegate::processor_name(info), values.cpu);
    copy(threegate::simd_level_reason(), values.simd_reason);
    copy(cuda.reason, values.cuda_reason);
    copy(threegate::blas().description, values.blas);
    copy(cuda.name, values.cuda);
    copy(threegate::blas().file, values.blas_file);
    threegate::write_struct(values, capabilities, "capabilities");
  } catch (...) {
    return threegate::describe_current_exception(message);
  }
  return TG_OK;
}

extern "C" tg_status tg_set_cuda_library_path(const char* path) {
  std::string message;
  try {
    const threegate::CudaBackend& cuda = threegate::cuda_backend();
    return cuda.devices == 0 ? TG_UNSUPPORTED : cuda.functions->set_library_path(path == nullptr ? "" : path);
  } catch (...) {
    return threegate::describe_current_exception(message);
  }
}
