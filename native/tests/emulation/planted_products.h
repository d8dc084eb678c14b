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

constexpr int kStageSide = 64;  // a stage is square, and both factors of its products
constexpr int kStageCount = 3;

// sums[row][column] = the sum over stages of the products of a stage with itself: of rows row and column, or of columns `row` and
// rows `column` if it is transposed. The map has one stage below the other.
cudaError_t square(ProductBug bug, bool transposed, const CUtensorMap* map, float* sums, cudaStream_t stream);

}  // namespace planted

#endif  // THREEGATE_TESTS_EMULATION_PLANTED_PRODUCTS_H
