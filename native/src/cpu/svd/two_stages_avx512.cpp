#include "two_stages_lanes.h"

namespace threegate::svd {

TwoStagesKernelSet two_stages_kernels_avx512() { return two_stages_kernels(); }

}  // namespace threegate::svd
