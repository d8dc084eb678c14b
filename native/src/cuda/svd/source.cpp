#include "source.h"

#include <algorithm>
#include <cmath>

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

Source stage_source(CudaSession& session, Uploads& uploads, const CudaSvdBatch& batch, int64_t i, uint8_t* staging,
                    uint64_t* largest) {
  const tg_operand& matrix = batch.matrices[i];
  const tg_operand* subtracted = subtracted_of(batch, i);
  Source source{};
  source.entries = stage(uploads, matrix, staging);
  if (subtracted != nullptr) {
    source.subtracted = stage(uploads, *subtracted, staging + padded(staged_bytes(matrix)));
    source.has_subtracted = 1;
  }
  source.rows = matrix.values.rows;
  source.columns = matrix.values.columns;
  source.scale = 1;
  check(cudaMemsetAsync(largest, 0, sizeof(*largest), session.stream()), "the range of a matrix");
  return source;
}

bool find_scale(const CudaSvdBatch& batch, int64_t i, double largest, double& scale) {
  if (!std::isfinite(largest) || largest == 0) {
    // The caller reports both cases.
    batch.results[i].status = TG_NOT_CONVERGED;
    return false;
  }
  scale = scale_for(largest);
  return true;
}

}  // namespace threegate::cuda
