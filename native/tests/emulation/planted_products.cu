// A kernel of one warpgroup and one more warp with the bugs that kernels with asynchronous products may have. It has one stage,
// so that each copy must wait for the products with the one before it.
#include "planted_products.h"

#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "cuda/support/warpgroup.h"

namespace planted {
namespace {

using namespace threegate::cuda;

constexpr int kBytes = kStageSide * kStageSide * static_cast<int>(sizeof(uint16_t));

struct Shared {
  uint16_t stage[kStageSide * kStageSide];
  uint16_t margin[kStageSide];
  uint64_t full;
  uint64_t empty;
};

__device__ void copy(ProductBug bug, Shared& shared, uint16_t* stage, const CUtensorMap* map) {
  if (bug != ProductBug::kForgottenMap) {
    acquire_map(map);
  }
  for (int i = 0; i < kStageCount; ++i) {
    wait_for_phase(&shared.empty, (static_cast<unsigned>(i) & 1U) ^ 1U);
    const int other = bug == ProductBug::kFewBytes ? -kSwizzledRow : bug == ProductBug::kManyBytes ? kSwizzledRow : 0;
    arrive_and_announce(&shared.full, kBytes + other);
    copy_box(stage, map, 0, i * kStageSide, &shared.full);
  }
  if (bug == ProductBug::kAnotherArrival) {
    arrive(&shared.full);
    arrive(&shared.full);
  }
}

template <bool kTransposed>
__device__ void multiply(ProductBug bug, Shared& shared, const uint16_t* stage, float (&sums)[kStageSide / 2]) {
  const bool releases = bug != ProductBug::kMissingArrival && threadIdx.x % kWarp == 0;
  constexpr int kNextOfA = (kTransposed ? kWarpgroupDepth * kSwizzledRow : kWarpgroupDepth * 2) / 16;
  constexpr int kNextOfB = kWarpgroupDepth * 2 / 16;
  uint64_t a = describe_shared(stage);
  const uint64_t b = a;
  if (bug == ProductBug::kStraightDescription) {
    a &= ~(uint64_t{3} << 62);
  }
  for (int i = 0; i < kStageCount; ++i) {
    const auto parity = static_cast<unsigned>(i) & 1U;
    wait_for_phase(&shared.full, bug == ProductBug::kWrongParity ? parity ^ 1U : parity);
    float own[kStageSide / 2];
    if (bug != ProductBug::kMissingFence) {
      begin_products();
    }
    for (int step = 0; step < kStageSide / kWarpgroupDepth; ++step) {
      const bool other = bug == ProductBug::kOtherProduct && threadIdx.x / kWarp == 2;
      multiply_add_shared<kTransposed>(own, moved(a, (other ? 3 - step : step) * kNextOfA), moved(b, step * kNextOfB), step);
    }
    if (bug != ProductBug::kMissingCommit) {
      commit_products();
    }
    if (bug == ProductBug::kEarlyRelease && releases) {
      arrive(&shared.empty);
    }
    if (bug == ProductBug::kMissingWait) {
      wait_for_products<1>();
    } else {
      wait_for_products<0>();
    }
    for (int j = 0; j < kStageSide / 2; ++j) {
      sums[j] += own[j];
    }
    if (bug == ProductBug::kMissingWait) {
      wait_for_products<0>();
    }
    if (bug != ProductBug::kEarlyRelease && releases) {
      arrive(&shared.empty);
    }
  }
  if (bug == ProductBug::kAnotherWait) {
    wait_for_phase(&shared.full, static_cast<unsigned>(kStageCount) & 1U);
  }
}

__global__ void square_kernel(ProductBug bug, int transposed, const CUtensorMap* map, float* out) {
  auto& shared = *aligned_shared<Shared>();
  uint16_t* const stage = shared.stage + (bug == ProductBug::kMisalignedStage ? kStageSide : 0);
  if (threadIdx.x == 0) {
    initialise_barrier(&shared.full, 1);
    initialise_barrier(&shared.empty, kWarpgroup / kWarp);
    if (bug != ProductBug::kUnpublishedBarrier) {
      publish_barriers();
    }
  }
  if (bug != ProductBug::kUnsynchronised) {
    __syncthreads();
  }
  if (threadIdx.x >= kWarpgroup) {
    if (threadIdx.x == kWarpgroup) {
      copy(bug, shared, stage, map);
    }
    return;
  }
  if (bug == ProductBug::kEarlyEnd) {
    for (int i = 0; i < kStageCount - 1 && threadIdx.x % kWarp == 0; ++i) {
      wait_for_phase(&shared.full, static_cast<unsigned>(i) & 1U);
      arrive(&shared.empty);
    }
    return;
  }
  float sums[kStageSide / 2] = {};
  if (transposed != 0) {
    multiply<true>(bug, shared, stage, sums);
  } else {
    multiply<false>(bug, shared, stage, sums);
  }
  const unsigned lane = threadIdx.x % kWarp;
  for (unsigned i = 0; i < kStageSide / 2; ++i) {
    const unsigned row = threadIdx.x / kWarp * 16 + lane / 4 + i % 4 / 2 * 8;
    out[row * kStageSide + i / 4 * 8 + lane % 4 * 2 + i % 2] = sums[i];
  }
}

}  // namespace

cudaError_t square(ProductBug bug, bool transposed, const CUtensorMap* map, float* sums, cudaStream_t stream) {
  return launch({1, kWarpgroup + kWarp, sizeof(Shared) + kSwizzleAlignment}, stream, square_kernel, bug,
                static_cast<int>(transposed), map, sums);
}

}  // namespace planted
