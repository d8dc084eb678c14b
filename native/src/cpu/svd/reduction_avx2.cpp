#include "reduction_lanes.h"

namespace threegate::svd {

ReductionKernelSet reduction_kernels_avx2() { return reduction_kernels(); }

}  // namespace threegate::svd
