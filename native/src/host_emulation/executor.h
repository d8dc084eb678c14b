#ifndef THREEGATE_HOST_EMULATION_EXECUTOR_H
#define THREEGATE_HOST_EMULATION_EXECUTOR_H

#include "cuda_runtime.h"

namespace emulation {

// Runs a kernel to its end. `body` is the work of one thread.
void execute(const Launch& launch, const Task& body);

}  // namespace emulation

#endif  // THREEGATE_HOST_EMULATION_EXECUTOR_H
