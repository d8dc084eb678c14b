// Properties of the CUDA emulation on which all other tests with it rely.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "cuda/support/runtime.h"
#include "planted_bugs.h"
#include "planted_races.h"

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

cudaError_t write_shared(bool with_launch, int64_t bytes) {
  const auto stream = threegate::cuda::make_stream();
  DeviceMemory memory;
  memory.reserve(64);
  auto* out = reinterpret_cast<int*>(memory.get());
  const auto room = static_cast<int>(bytes / static_cast<int64_t>(sizeof(int)));
  const cudaError_t error = with_launch ? planted::write_shared(out, room, 64, stream.get())
                                        : planted::write_shared_without_asking(out, room, stream.get());
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
  return error;
}

TEST(Emulation, SharedMemoryMustBeAskedFor) {
  EXPECT_EQ(cudaSuccess, write_shared(false, 48 << 10));
  EXPECT_EQ(cudaErrorInvalidValue, write_shared(false, (48 << 10) + 4));
}

// A launch that needs less must not take away what another context was allowed.
TEST(Emulation, AllowedSharedMemoryNeverShrinks) {
  EXPECT_EQ(cudaSuccess, write_shared(true, 200 << 10));
  EXPECT_EQ(cudaSuccess, write_shared(true, 50 << 10));
  EXPECT_EQ(cudaSuccess, write_shared(false, 200 << 10));
}

TEST(Emulation, TooMuchSharedMemoryIsRefused) {
  setenv("THREEGATE_EMULATED_CAPABILITY", "8.6", 1);
  EXPECT_EQ(cudaSuccess, planted::with_much_shared_memory(99 << 10));
  try {
    static_cast<void>(planted::with_much_shared_memory((99 << 10) + 4));
    ADD_FAILURE() << "nothing was thrown";
  } catch (const threegate::Error& error) {
    EXPECT_EQ(TG_UNSUPPORTED, error.status());
    EXPECT_STREQ("a kernel needs 101380 bytes of shared memory in a block, and the device has 101376", error.what());
  }
  unsetenv("THREEGATE_EMULATED_CAPABILITY");
}

// Sanitizers have their own functions for accesses, so the detector is not in those builds.
#if !defined(__SANITIZE_ADDRESS__)
void run_with(planted::Bug bug) {
  const auto stream = threegate::cuda::make_stream();
  DeviceMemory memory;
  memory.reserve(4096);
  EXPECT_EQ(cudaSuccess, cudaMemsetAsync(memory.get(), 0, 4096, stream.get()));
  EXPECT_EQ(cudaSuccess, planted::race(bug, reinterpret_cast<unsigned*>(memory.get()), stream.get()));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
}

TEST(EmulationDeathTest, RacesAndMisalignedAccessesAreCaught) {
  using planted::Bug;
  for (const char* text : kOrders) {
    const Order order(text);
    run_with(Bug::kNone);
    const std::vector<std::pair<Bug, const char*>> planted{
        {Bug::kSharedCounter, "without an order at .* in shared memory: block [01], thread"},
        {Bug::kGlobalCounter, "without an order at .* in global memory: block [01], thread 0, and before it block"},
        {Bug::kMissingBarrier, "without an order at .* in shared memory"},
        {Bug::kMissingWarpBarrier, "without an order at .* in shared memory"},
        {Bug::kMissingFence, "written and read without an order at .* in global memory"},
        {Bug::kVector, "misaligned: a vector"},
        {Bug::kNumber, "a misaligned access at .* in global memory"},
        {Bug::kCopy, "misaligned: the target of a copy"},
        {Bug::kRow, "misaligned: a row of ldmatrix"},
        {Bug::kMissingClusterBarrier, "written and read without an order|read and written without an order"},
        {Bug::kBlockBarrier, "written and read without an order|read and written without an order"}};
    for (const auto& [bug, message] : planted) {
      EXPECT_DEATH(run_with(bug), message) << text << " " << static_cast<int>(bug);
    }
  }
}
#endif

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
