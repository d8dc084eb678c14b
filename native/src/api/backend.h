// What this machine offers, and the optional CUDA library beside this one.
#ifndef THREEGATE_API_BACKEND_H
#define THREEGATE_API_BACKEND_H

#include <cstdint>
#include <string>

namespace threegate {

struct CudaBackend {
  int32_t devices = 0;
  std::string reason;  // why there is none
};

// Loads libthreegate_cuda from this library's own directory, once; the reason of a failure is kept.
const CudaBackend& cuda_backend();

// Hardware threads that this process may use.
int32_t hardware_threads() noexcept;

}  // namespace threegate

#endif  // THREEGATE_API_BACKEND_H
