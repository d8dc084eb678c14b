// Properties of the CUDA emulation on which all other tests with it rely.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "cuda/support/runtime.h"
#include "planted_bugs.h"

namespace {

using threegate::cuda::DeviceMemory;

struct Order {
  explicit Order(const char* order) { setenv("THREEGATE_EMULATED_ORDER", order, 1); }
  ~Order() { unsetenv("THREEGATE_EMULATED_ORDER"); }
};
const std::vector<const char*> kOrders{"forward", "reverse", "1", "2", "3"};

// The number of thread orders that give the correct result.
int right_orders(bool has_barrier) {
  const auto stream = threegate::cuda::make_stream();
  DeviceMemory memory;
  memory.reserve(planted::kCount * static_cast<int64_t>(sizeof(int)));
  auto* out = reinterpret_cast<int*>(memory.get());
  int right = 0;
  for (const char* text : kOrders) {
    const Order order(text);
    EXPECT_EQ(cudaSuccess, planted::rotate(has_barrier, out, stream.get()));
    EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
    bool all = true;
    for (int i = 0; i < planted::kCount; ++i) {
      all = all && out[i] == (i + 1) % planted::kCount;
    }
    right += all ? 1 : 0;
  }
  return right;
}

TEST(Emulation, OrdersDoNotMatterWithABarrier) { EXPECT_EQ(static_cast<int>(kOrders.size()), right_orders(true)); }

TEST(Emulation, AMissingBarrierShows) { EXPECT_LT(right_orders(false), static_cast<int>(kOrders.size())); }

TEST(Emulation, NothingHappensBeforeTheHostWaitsForIt) {
  const auto stream = threegate::cuda::make_stream();
  const auto other = threegate::cuda::make_stream();
  const auto event = threegate::cuda::make_event();
  DeviceMemory memory;
  memory.reserve(planted::kCount * static_cast<int64_t>(sizeof(int)));
  auto* out = reinterpret_cast<int*>(memory.get());
  EXPECT_EQ(cudaSuccess, planted::write(out, planted::kCount, stream.get()));
  EXPECT_NE(1, out[0]);  // without a wait the host reads the old contents
  EXPECT_EQ(cudaSuccess, cudaEventRecord(event.get(), stream.get()));
  EXPECT_EQ(cudaSuccess, cudaStreamWaitEvent(other.get(), event.get(), 0));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(other.get()));
  EXPECT_EQ(1, out[0]);
}

// AddressSanitizer stops accesses beyond the memory. Without it there is nothing to test.
#if defined(__SANITIZE_ADDRESS__)
TEST(EmulationDeathTest, AnIndexBeyondDeviceMemoryIsCaught) {
  const auto stream = threegate::cuda::make_stream();
  DeviceMemory memory;
  memory.reserve((planted::kCount - 1) * static_cast<int64_t>(sizeof(int)));
  auto* out = reinterpret_cast<int*>(memory.get());
  EXPECT_EQ(cudaSuccess, planted::write(out, planted::kCount - 1, stream.get()));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
  EXPECT_DEATH(
      {
        static_cast<void>(planted::write(out, planted::kCount, stream.get()));
        cudaStreamSynchronize(stream.get());
      },
      "AddressSanitizer");
}

TEST(EmulationDeathTest, AnIndexBeyondSharedMemoryIsCaught) {
  const auto stream = threegate::cuda::make_stream();
  DeviceMemory memory;
  memory.reserve(64);
  auto* out = reinterpret_cast<int*>(memory.get());
  EXPECT_EQ(cudaSuccess, planted::write_shared(out, 64, 64, stream.get()));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
  EXPECT_DEATH(
      {
        static_cast<void>(planted::write_shared(out, 64, 65, stream.get()));
        cudaStreamSynchronize(stream.get());
      },
      "AddressSanitizer");
}
#endif

}  // namespace
