#include "patch.h"

#include <algorithm>
#include <vector>

#include "patch_kernels.h"

namespace threegate::cuda {

int64_t extract(CudaSession& session, const tg_patch_pair& pair, const tg_patch_entries& entries) {
  const int64_t tiles = patch_tiles(pair.count);
  Layout sizes;
  sizes.take<uint32_t>(tiles);
  sizes.take<int64_t>(tiles);
  session.memory.reserve(sizes.used());
  Layout layout(session.memory.get());
  auto* const changed = layout.take<uint32_t>(tiles);
  auto* const offsets = layout.take<int64_t>(tiles);
  check(launch_count_changed(pair, changed, session.stream()), "counting changes");
  std::vector<uint32_t> of_tiles(static_cast<size_t>(tiles));
  check(cudaMemcpyAsync(of_tiles.data(), changed, of_tiles.size() * sizeof(uint32_t), cudaMemcpyDeviceToHost, session.stream()),
        "counting changes");
  check(cudaStreamSynchronize(session.stream()), "counting changes");
  std::vector<int64_t> begins(of_tiles.size());
  int64_t sum = 0;
  for (size_t i = 0; i < of_tiles.size(); ++i) {
    begins[i] = sum;
    sum += of_tiles[i];
  }
  if (sum > 0 && sum <= entries.count) {
    check(cudaMemcpyAsync(offsets, begins.data(), begins.size() * sizeof(int64_t), cudaMemcpyHostToDevice, session.stream()),
          "writing changes");
    check(launch_write_changed(pair, offsets, entries, session.stream()), "writing changes");
    check(cudaStreamSynchronize(session.stream()), "writing changes");
  }
  return sum;
}

int64_t apply(CudaSession& session, const tg_patch_entries& entries, void* target, int64_t count) {
  const int64_t blocks = patch_blocks(entries.count);
  session.memory.reserve(blocks * static_cast<int64_t>(sizeof(int64_t)));
  auto* const first = reinterpret_cast<int64_t*>(session.memory.get());
  check(launch_find_misplaced(entries, count, first, session.stream()), "checking positions");
  std::vector<int64_t> of_blocks(static_cast<size_t>(blocks));
  check(cudaMemcpyAsync(of_blocks.data(), first, of_blocks.size() * sizeof(int64_t), cudaMemcpyDeviceToHost, session.stream()),
        "checking positions");
  check(cudaStreamSynchronize(session.stream()), "checking positions");
  const int64_t misplaced = *std::min_element(of_blocks.begin(), of_blocks.end());
  if (misplaced == entries.count) {
    check(launch_apply(entries, target, session.stream()), "applying a patch");
    check(cudaStreamSynchronize(session.stream()), "applying a patch");
  }
  return misplaced;
}

}  // namespace threegate::cuda
