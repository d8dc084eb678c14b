// Blocks of the emulation never overlap, so that a kernel finds complete sums only. Here a block meets all that it could find.
#include "look_back.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "cuda/patch/look_back.h"
#include "cuda/support/runtime.h"

namespace {

TEST(LookBack, AddsSumsOfTilesUpToTheNearestCompleteOne) {
  constexpr int64_t kMost = 130;
  const auto stream = threegate::cuda::make_stream();
  threegate::cuda::DeviceMemory memory;
  memory.reserve((2 * kMost + 1) * static_cast<int64_t>(sizeof(uint64_t)));
  auto* const given = reinterpret_cast<uint64_t*>(memory.get());
  uint64_t* const states = given + kMost;
  uint64_t* const sum = states + kMost;
  for (const char* order : {"forward", "reverse", "1", "2"}) {
    setenv("THREEGATE_EMULATED_ORDER", order, 1);
    for (const int64_t tile : {0, 1, 2, 31, 32, 33, 64, 65, 130}) {
      for (const int64_t complete : {0, 1, 30, 31, 32, 33, 63, 64, 129}) {
        if (complete >= std::max<int64_t>(tile, 1)) {
          continue;
        }
        uint64_t expected = 0;
        uint64_t so_far = 0;
        for (int64_t i = 0; i < tile; ++i) {
          const uint64_t own = (uint64_t{1} << 31) + static_cast<uint64_t>(i * i);
          so_far += own;
          expected += own;
          given[i] = i <= complete ? threegate::cuda::kSumSoFar | so_far : threegate::cuda::kSumOfTile | own;
        }
        std::fill(states, states + kMost, uint64_t{0});
        *sum = ~uint64_t{0};
        ASSERT_EQ(cudaSuccess, look_back::sum_before(given, states, tile, sum, stream.get()));
        ASSERT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
        ASSERT_EQ(expected, *sum) << "tile " << tile << ", complete up to " << complete << ", order " << order;
      }
    }
  }
  unsetenv("THREEGATE_EMULATED_ORDER");
}

}  // namespace
