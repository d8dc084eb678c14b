#include "patch.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "look_back.h"
#include "patch_kernels.h"

namespace threegate::cuda {
namespace {

constexpr uint64_t kMostPositions = uint64_t{1} << 32;

template <typename T>
std::vector<T> to_host(CudaSession& session, const T* from, int64_t count) {
  std::vector<T> all(static_cast<size_t>(count));
  check(cudaMemcpyAsync(all.data(), from, all.size() * sizeof(T), cudaMemcpyDeviceToHost, session.stream()),
        "copying to the host");
  check(cudaStreamSynchronize(session.stream()), "copying to the host");
  return all;
}

// Returns the index of the first misplaced position, or entries.count.
int64_t first_misplaced(CudaSession& session, const tg_patch_entries& entries, int64_t count) {
  const int64_t blocks = patch_blocks(entries.count);
  session.memory.reserve(blocks * static_cast<int64_t>(sizeof(int64_t)));
  auto* const first = reinterpret_cast<int64_t*>(session.memory.get());
  check(launch_find_misplaced(entries, count, first, session.stream()), "checking positions");
  const std::vector<int64_t> of_blocks = to_host(session, first, blocks);
  return *std::min_element(of_blocks.begin(), of_blocks.end());
}

}  // namespace

int64_t extract(CudaSession& session, const tg_patch_pair& pair, const tg_patch_entries& entries) {
  const int64_t tiles = patch_tiles(pair);
  const int64_t bytes = (tiles + 1) * static_cast<int64_t>(sizeof(uint64_t));
  session.memory.reserve(bytes);
  auto* const progress = reinterpret_cast<uint64_t*>(session.memory.get());
  check(cudaMemsetAsync(progress, 0, static_cast<size_t>(bytes), session.stream()), "finding changes");
  check(launch_extract(pair, entries, progress, session.multiprocessors, session.stream()), "finding changes");
  return static_cast<int64_t>(to_host(session, progress + tiles - 1, 1)[0] & kSumBits);
}

int64_t apply(CudaSession& session, const tg_patch_entries& entries, void* target, int64_t count) {
  const int64_t misplaced = first_misplaced(session, entries, count);
  if (misplaced == entries.count) {
    check(launch_apply(entries, target, session.stream()), "applying a patch");
    check(cudaStreamSynchronize(session.stream()), "applying a patch");
  }
  return misplaced;
}

int64_t verify(CudaSession& session, const tg_patch_entries& entries, const void* target, int64_t count, int64_t& differing) {
  const int64_t misplaced = first_misplaced(session, entries, count);
  if (misplaced == entries.count) {
    const int64_t blocks = patch_blocks(entries.count);
    session.memory.reserve(blocks * static_cast<int64_t>(sizeof(uint32_t)));
    auto* const found = reinterpret_cast<uint32_t*>(session.memory.get());
    check(launch_verify(entries, target, found, session.stream()), "verifying a patch");
    const std::vector<uint32_t> of_blocks = to_host(session, found, blocks);
    differing = std::accumulate(of_blocks.begin(), of_blocks.end(), int64_t{0});
  }
  return misplaced;
}

void gaps(CudaSession& session, uint32_t* positions, int64_t count, int64_t previous) {
  const int64_t bytes = count * static_cast<int64_t>(sizeof(uint32_t));
  session.memory.reserve(bytes);
  auto* const out = reinterpret_cast<uint32_t*>(session.memory.get());
  check(launch_gaps(positions, count, previous, out, session.stream()), "gaps");
  check(cudaMemcpyAsync(positions, out, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, session.stream()), "gaps");
  check(cudaStreamSynchronize(session.stream()), "gaps");
}

int64_t positions(CudaSession& session, uint32_t* gaps, int64_t count, int64_t previous) {
  const int64_t blocks = patch_blocks(count);
  session.memory.reserve(blocks * static_cast<int64_t>(sizeof(uint64_t)));
  auto* const sums = reinterpret_cast<uint64_t*>(session.memory.get());
  check(launch_sum_gaps(gaps, count, sums, session.stream()), "summing gaps");
  std::vector<uint64_t> begins = to_host(session, sums, blocks);
  // A position is one less than the sum up to it, which is at most 2^32.
  uint64_t sum = static_cast<uint64_t>(previous + 1);
  for (int64_t block = 0; block < blocks; ++block) {
    const uint64_t own = begins[static_cast<size_t>(block)];
    if (sum + own > kMostPositions) {
      const int64_t first = block * patch_block_entries();
      const std::vector<uint32_t> all = to_host(session, gaps + first, std::min(patch_block_entries(), count - first));
      int64_t entry = 0;
      for (; sum + all[static_cast<size_t>(entry)] + 1 <= kMostPositions; ++entry) {
        sum += all[static_cast<size_t>(entry)] + uint64_t{1};
      }
      return first + entry;
    }
    begins[static_cast<size_t>(block)] = sum;
    sum += own;
  }
  check(cudaMemcpyAsync(sums, begins.data(), begins.size() * sizeof(uint64_t), cudaMemcpyHostToDevice, session.stream()),
        "summing gaps");
  check(launch_positions(gaps, count, sums, session.stream()), "summing gaps");
  check(cudaStreamSynchronize(session.stream()), "summing gaps");
  return count;
}

void byte_planes(CudaSession& session, const void* from, int64_t count, int32_t width, void* to) {
  check(launch_planes(from, count, width, to, session.stream()), "byte planes");
  check(cudaStreamSynchronize(session.stream()), "byte planes");
}

void byte_elements(CudaSession& session, const void* from, int64_t count, int32_t width, void* to) {
  check(launch_elements(from, count, width, to, session.stream()), "byte planes");
  check(cudaStreamSynchronize(session.stream()), "byte planes");
}

}  // namespace threegate::cuda
