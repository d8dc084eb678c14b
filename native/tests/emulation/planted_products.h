#ifndef THREEGATE_TESTS_EMULATION_PLANTED_PRODUCTS_H
#define THREEGATE_TESTS_EMULATION_PLANTED_PRODUCTS_H

#include <cuda.h>
#include <cuda_runtime.h>

namespace planted {

enum class ProductBug {
  kNone,
  kMissingWait,          // sums are read before the products are complete
  kMissingCommit,        // products are in no group that is waited for
  kMissingFence,         // between other uses of sums and products
  kOtherProduct,         // a warp asks for another product than the rest of its warpgroup
  kEarlyRelease,         // a stage is overwritten before products have read it
  kWrongParity,          // the wait is for the phase before
  kAnotherWait,          // the wait is for a phase that never ends
  kFewBytes,             // fewer bytes are announced than copied
  kManyBytes,            // more bytes are announced than copied
  kMissingArrival,       // nothing says that a stage may be overwritten
  kAnotherArrival,       // more arrivals than a barrier waits for
  kUnpublishedBarrier,   // the copy unit does not know the barrier
  kUnsynchronised,       // other threads do not know the barrier
  kForgottenMap,         // a map of global memory is not acquired
  kMisalignedStage,      // a stage begins within the pattern of chunks
  kStraightDescription,  // a matrix without permuted chunks is described
  kEarlyEnd              // a block ends before its copies are complete
};

// The same for blocks of a cluster.
enum class ClusterBug {
  kNone,
  kOwnTargetOnly,        // a share is copied to the block that asks for it only
  kAnotherTarget,        // a share is copied to a block that the cluster has not
  kOwnShareAnnounced,    // the bytes that another block copies are not announced
  kOtherPlace,           // blocks have their stages at different places
  kOwnArrivalsOnly,      // blocks wait for their own warps only, before they overwrite the stages of both
  kMissingArrival,       // a block waits for arrivals of the other one that do not come
  kTwiceInOwnBlock,      // both arrivals of a warp are at the barrier of its block
  kArrivalInAnother,     // an arrival in a block that the cluster has not
  kMissingFirstBarrier,  // blocks are not known to run
  kEarlyFirstBarrier,    // barriers are initialised after the barrier of the cluster
  kMissingLastBarrier,   // a block ends before all have arrived at its barriers
  kEarlyLastBarrier,     // a warp arrives at the barrier of the cluster before its last arrival
  kHalfABarrier,         // a wait at the barrier of the cluster without an arrival
  kEarlyEnd              // a block of the cluster ends before the other one
};

constexpr int kStageSide = 64;  // a stage is square, and both factors of its products
constexpr int kStageCount = 3;

// sums[row][column] = the sum over stages of the products of a stage with itself: of rows row and column, or of columns `row` and
// rows `column` if it is transposed. The map has one stage below the other.
cudaError_t square(ProductBug bug, bool transposed, const CUtensorMap* map, float* sums, cudaStream_t stream);

// sums[block][row][column] = the sum over stages of the products of two stages, of rows row and column. Blocks have their own
// left factors, stages kStageCount * block + i of `left`. They share the right ones, whose map has boxes of half a stage.
cudaError_t multiply_in_cluster(ClusterBug bug, const CUtensorMap* left, const CUtensorMap* right, float* sums,
                                cudaStream_t stream);

}  // namespace planted

#endif  // THREEGATE_TESTS_EMULATION_PLANTED_PRODUCTS_H
