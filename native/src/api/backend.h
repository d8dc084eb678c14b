// The hardware of this machine, and the optional library libthreegate_cuda, which lies in the same directory as this library.
#ifndef THREEGATE_API_BACKEND_H
#define THREEGATE_API_BACKEND_H

#include <cstdint>
#include <string>

#include "common/cuda_functions.h"

namespace threegate {

struct CudaBackend {
  int32_t devices = 0;
  std::string name;                          // the name of the first device
  std::string reason;                        // why no device can be used
  const CudaFunctions* functions = nullptr;  // the functions of the library, if it could be loaded
};

// Loads libthreegate_cuda once, from the directory of this library or from the file that THREEGATE_CUDA_LIBRARY names. Keeps the
// reason if that fails.
const CudaBackend& cuda_backend();

// The number of hardware threads that this process may use.
int32_t hardware_threads() noexcept;

}  // namespace threegate

#endif  // THREEGATE_API_BACKEND_H
