#include "truncated_svd.h"

#include <algorithm>
#include <map>
#include <vector>

#include "dense_svd.h"
#include "problem_layout.h"
#include "subspace_iteration.h"
#include "svd_kernels.h"

namespace threegate::cuda {
namespace {

// float32 reaches residuals of about a tenth of this tolerance. Below it residuals are rounding.
constexpr double kLeastTolerance = 1e-5;

}  // namespace

bool svd_suits(const CudaSvdBatch& batch, int64_t i) {
  const tg_svd_options& options = batch.options[i];
  const int64_t vectors = vectors_for(options.rank);
  // If the block has more than half of the short side, a whole decomposition is no slower.
  return options.vectors != 0 && batch.results[i].spectrum == nullptr && options.tolerance >= kLeastTolerance &&
         vectors <= kMostVectors && 2 * vectors <= short_side(batch.matrices[i].values);
}

int64_t svd_bytes(const CudaSvdBatch& batch) {
  int64_t bytes = 0;
  int64_t staging = 0;
  for (int64_t i = 0; i < batch.count; ++i) {
    if (svd_suits(batch, i)) {
      bytes += problem_bytes(batch, i);
      staging = std::max(staging, staging_bytes(batch, i));
    }
  }
  return bytes + staging;
}

void svd(CudaSession& session, const CudaSvdBatch& batch, tg_control* control) {
  // Matrices whose blocks have the same width are solved together, as many as there is memory for.
  std::map<int64_t, std::vector<int64_t>> groups;
  for (int64_t i = 0; i < batch.count; ++i) {
    batch.results[i].status = TG_NOT_CONVERGED;
    if (svd_suits(batch, i)) {
      groups[vectors_for(batch.options[i].rank)].push_back(i);
    }
  }
  size_t available = 0;
  size_t total = 0;
  check(cudaMemGetInfo(&available, &total), "the device's memory");
  constexpr int64_t kReserve = int64_t{256} << 20;  // for slots, lists and the driver
  const int64_t room = static_cast<int64_t>(available) + session.memory.bytes() - kReserve;
  for (const auto& [vectors, all] : groups) {
    for (size_t begin = 0; begin < all.size();) {
      int64_t bytes = 0;
      int64_t staging = 0;
      size_t end = begin;
      do {
        bytes += problem_bytes(batch, all[end]);
        staging = std::max(staging, staging_bytes(batch, all[end]));
        ++end;
      } while (end < all.size() &&
               bytes + problem_bytes(batch, all[end]) + std::max(staging, staging_bytes(batch, all[end])) <= room);
      iterate(session, batch,
              std::vector<int64_t>(all.begin() + static_cast<int64_t>(begin), all.begin() + static_cast<int64_t>(end)), control);
      begin = end;
    }
  }
  for (int64_t i = 0; i < batch.count; ++i) {
    if (batch.results[i].status != TG_OK && dense_svd_suits(batch, i)) {
      dense_svd(session, batch, i, control);
    }
  }
}

}  // namespace threegate::cuda
