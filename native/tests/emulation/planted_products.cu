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

struct ClusterShared {
  uint16_t left[kStageSide * kStageSide];
  uint16_t right[kStageSide * kStageSide];
  uint16_t margin[kSwizzleAlignment];
  uint64_t full;
  uint64_t empty;
};

__device__ void copy_in_cluster(ClusterBug bug, ClusterShared& shared, uint16_t* right, const CUtensorMap* left,
                                const CUtensorMap* shares) {
  constexpr int kShare = kStageSide / 2;
  const int block = block_of_cluster();
  const unsigned targets = bug == ClusterBug::kOwnTargetOnly ? 1U << block : bug == ClusterBug::kAnotherTarget ? 7U : 3U;
  acquire_map(left);
  acquire_map(shares);
  for (int i = 0; i < kStageCount; ++i) {
    wait_for_phase(&shared.empty, (static_cast<unsigned>(i) & 1U) ^ 1U);
    arrive_and_announce(&shared.full, bug == ClusterBug::kOwnShareAnnounced ? kBytes + kBytes / 2 : 2 * kBytes);
    copy_box(shared.left, left, 0, (kStageCount * block + i) * kStageSide, &shared.full);
    copy_box_to_blocks(right + kShare * kStageSide * block, shares, 0, i * kStageSide + kShare * block, &shared.full, targets);
  }
}

// A warp needs a stage no more.
__device__ void release_in_cluster(ClusterBug bug, uint64_t* empty) {
  const unsigned lane = threadIdx.x % kWarp;
  if (bug == ClusterBug::kOwnArrivalsOnly || bug == ClusterBug::kMissingArrival || bug == ClusterBug::kTwiceInOwnBlock) {
    if (lane < (bug == ClusterBug::kTwiceInOwnBlock ? 2 : 1)) {
      arrive(empty);
    }
    return;
  }
  arrive_in_blocks(empty, bug == ClusterBug::kArrivalInAnother ? 3 : 2);
}

__device__ void multiply_shares(ClusterBug bug, ClusterShared& shared, const uint16_t* right, float (&sums)[kStageSide / 2]) {
  constexpr int kNext = kWarpgroupDepth * 2 / 16;
  const uint64_t a = describe_shared(shared.left);
  const uint64_t b = describe_shared(right);
  for (int i = 0; i < kStageCount; ++i) {
    wait_for_phase(&shared.full, static_cast<unsigned>(i) & 1U);
    float own[kStageSide / 2];
    begin_products();
    for (int step = 0; step < kStageSide / kWarpgroupDepth; ++step) {
      multiply_add_shared<false>(own, moved(a, step * kNext), moved(b, step * kNext), step);
    }
    commit_products();
    wait_for_products<0>();
    if (bug == ClusterBug::kEarlyLastBarrier && i == kStageCount - 1) {
      arrive_at_cluster();
    }
    release_in_cluster(bug, &shared.empty);
    for (int j = 0; j < kStageSide / 2; ++j) {
      sums[j] += own[j];
    }
  }
}

__global__ void cluster_kernel(ClusterBug bug, const CUtensorMap* left, const CUtensorMap* shares, float* out) {
  auto& shared = *aligned_shared<ClusterShared>();
  const int block = block_of_cluster();
  uint16_t* const right = shared.right + (bug == ClusterBug::kOtherPlace ? block * (kSwizzleAlignment / 2) : 0);
  if (bug == ClusterBug::kEarlyFirstBarrier) {
    arrive_at_cluster();
    wait_for_cluster();
  }
  if (threadIdx.x == 0) {
    initialise_barrier(&shared.full, 1);
    initialise_barrier(&shared.empty, (bug == ClusterBug::kOwnArrivalsOnly ? 1 : cluster_blocks()) * kWarpgroup / kWarp);
    publish_barriers();
  }
  __syncthreads();
  if (bug != ClusterBug::kMissingFirstBarrier && bug != ClusterBug::kEarlyFirstBarrier) {
    if (bug != ClusterBug::kHalfABarrier) {
      arrive_at_cluster();
    }
    wait_for_cluster();
  }
  if (bug == ClusterBug::kEarlyEnd && block == 1) {
    return;
  }
  const bool multiplies = threadIdx.x < kWarpgroup;
  if (multiplies) {
    float sums[kStageSide / 2] = {};
    multiply_shares(bug, shared, right, sums);
    const unsigned lane = threadIdx.x % kWarp;
    for (unsigned i = 0; i < kStageSide / 2; ++i) {
      const unsigned row = static_cast<unsigned>(block) * kStageSide + threadIdx.x / kWarp * 16 + lane / 4 + i % 4 / 2 * 8;
      out[row * kStageSide + i / 4 * 8 + lane % 4 * 2 + i % 2] = sums[i];
    }
  } else if (threadIdx.x == kWarpgroup) {
    copy_in_cluster(bug, shared, right, left, shares);
  }
  if (bug != ClusterBug::kMissingLastBarrier) {
    if (bug != ClusterBug::kEarlyLastBarrier || !multiplies) {
      arrive_at_cluster();
    }
    wait_for_cluster();
  }
}

}  // namespace

cudaError_t multiply_in_cluster(ClusterBug bug, const CUtensorMap* left, const CUtensorMap* right, float* sums,
                                cudaStream_t stream) {
  return launch({2, kWarpgroup + kWarp, sizeof(ClusterShared) + kSwizzleAlignment, 2}, stream, cluster_kernel, bug, left, right,
                sums);
}

cudaError_t square(ProductBug bug, bool transposed, const CUtensorMap* map, float* sums, cudaStream_t stream) {
  return launch({1, kWarpgroup + kWarp, sizeof(Shared) + kSwizzleAlignment}, stream, square_kernel, bug,
                static_cast<int>(transposed), map, sums);
}

}  // namespace planted
