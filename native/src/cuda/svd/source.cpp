#include "source.h"

#include <algorithm>
#include <cmath>

#include "cuda/support/staging.h"

namespace threegate::cuda {
namespace {

int64_t padded(int64_t bytes) { return (bytes + Layout::kAlignment - 1) / Layout::kAlignment * Layout::kAlignment; }

// The scale is 1 if squares neither overflow nor vanish in float32 anyway.
double scale_for(double largest) {
  constexpr int kSafe = 20;
  const int exponent = std::ilogb(largest);
  return std::abs(exponent) <= kSafe ? 1 : std::ldexp(1.0, std::clamp(-exponent, -1022, 1022));
}

}  // namespace

int64_t source_bytes(const CudaSvdBatch& batch, int64_t i) {
  const tg_operand* subtracted = subtracted_of(batch, i);
  return padded(staged_bytes(batch.matrices[i])) + (subtracted == nullptr ? 0 : padded(staged_bytes(*subtracted)));
}

Source stage_source(CudaSession& session, const CudaSvdBatch& batch, int64_t i, uint8_t* staging, uint64_t* largest,
                    const tg_control* control) {
  const tg_operand& matrix = batch.matrices[i];
  const tg_operand* subtracted = subtracted_of(batch, i);
  Source source{};
  source.entries = stage(session, matrix, staging, control);
  if (subtracted != nullptr) {
    source.subtracted = stage(session, *subtracted, staging + padded(staged_bytes(matrix)), control);
    source.has_subtracted = 1;
  }
  source.rows = matrix.values.rows;
  source.columns = matrix.values.columns;
  source.scale = 1;
  check(cudaMemsetAsync(largest, 0, sizeof(*largest), session.stream()), "the range of a matrix");
  return source;
}

bool find_scale(CudaSession& session, const CudaSvdBatch& batch, int64_t i, const uint64_t* largest, double& scale) {
  double found = 0;
  check(cudaMemcpyAsync(&found, largest, sizeof(found), cudaMemcpyDeviceToHost, session.stream()), "the range of a matrix");
  check(cudaStreamSynchronize(session.stream()), "the range of a matrix");
  if (!std::isfinite(found) || found == 0) {
    // The caller reports both cases.
    batch.results[i].status = TG_NOT_CONVERGED;
    return false;
  }
  scale = scale_for(found);
  return true;
}

}  // namespace threegate::cuda
