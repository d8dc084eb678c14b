// What this machine offers, and the optional CUDA library beside this one.
#ifndef THREEGATE_API_BACKEND_H
#define THREEGATE_API_BACKEND_H

#include <cstdint>
#include <string>

#include "common/cuda_functions.h"

namespace threegate {

struct CudaBackend {
  int32_t devices = 0;
  std::string name;                          // of the first one
  std::string reason;                        // why there is none
  const CudaFunctions* functions = nullptr;  // of a library that could be loaded
};

// Loads libthreegate_cuda from this library's own directory, or the file that THREEGATE_CUDA_LIBRARY names, once; the reason of a
// failure is kept.
const CudaBackend& cuda_backend();

// Hardware threads that this process may use.
int32_t hardware_threads() noexcept;

}  // namespace threegate

#endif  // THREEGATE_API_BACKEND_H
