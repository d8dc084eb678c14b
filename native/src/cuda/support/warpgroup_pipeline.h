// The loop of products of warpgroups: stages in shared memory, whose barriers say when copies have arrived and when products have
// read them, and sums of short chains. Kernels say what is copied, and what becomes of the sums.
//
// A chain of sums in the matrix units has 32 terms for each plane of vectors, as with mma. Longer ones lose accuracy, because the
// units truncate: see record 99. While a warpgroup adds its chain to float32 sums, others multiply.
#ifndef THREEGATE_CUDA_SUPPORT_WARPGROUP_PIPELINE_H
#define THREEGATE_CUDA_SUPPORT_WARPGROUP_PIPELINE_H

#include "tensor_map.h"
#include "warpgroup.h"

namespace threegate::cuda {
namespace {

constexpr int kDepth = kBoxColumns;  // terms of the sum that are loaded at a time
constexpr int kChain = 32;           // terms, for each plane of vectors, of a sum in the matrix units
constexpr int kChainSteps = kChain / kWarpgroupDepth;
constexpr int kWarpsEach = kWarpgroup / kWarp;
constexpr int64_t kMostShared = int64_t{227} << 10;

// A stage has kRows rows of the first factor, and kColumns of the second one, of all of its planes. The rows are those of
// kGroups warpgroups, and the first thread of one more copies. That one gives most of its registers to the others.
template <int kGroups, int kRows, int kColumns>
struct Pipeline {
  struct Stage {
    uint16_t a[size_t{kRows * kDepth}];
    uint16_t b[size_t{kColumns * kDepth}];
  };
  static constexpr int kPieces = kRows / kGroups / kWarpgroupRows;
  static constexpr int kMultiplying = kGroups * kWarpgroup;
  static constexpr int kThreads = kMultiplying + kWarpgroup;
  static constexpr int kLaunched = 65536 / kThreads / 8 * 8;  // registers of a thread
  static constexpr int kCopyingRegisters = 24;
  static constexpr int kMultiplyingRegisters = (kLaunched * (kGroups + 1) - kCopyingRegisters) / kGroups / 8 * 8;
  static constexpr int kStages = kMostShared / sizeof(Stage) < 4 ? kMostShared / sizeof(Stage) : 4;
  struct Shared {
    Stage stages[size_t{kStages}];
    uint64_t full[size_t{kStages}];   // whether the copies to a stage have arrived
    uint64_t empty[size_t{kStages}];  // whether all warps have multiplied a stage
  };
  static constexpr int64_t kSharedBytes = sizeof(Shared) + kSwizzleAlignment;
  static_assert(kSharedBytes <= kMostShared && sizeof(Stage) % kSwizzleAlignment == 0 && kStages > 2);
  static_assert(kRows == kGroups * kPieces * kWarpgroupRows);

  // All threads of the block call it.
  static __device__ Shared& begin() {
    auto& shared = *aligned_shared<Shared>();
    if (threadIdx.x == 0) {
      for (int stage = 0; stage < kStages; ++stage) {
        initialise_barrier(&shared.full[stage], 1);
        initialise_barrier(&shared.empty[stage], kGroups * kWarpsEach);
      }
      publish_barriers();
    }
    __syncthreads();
    return shared;
  }
};

// The stage that is next, and the parity of its phase. Stages are used in turn, and a phase of each barrier is a use of its
// stage.
template <int kStages>
struct Turn {
  int stage = 0;
  unsigned parity = 0;
  __device__ void advance() {
    if (++stage == kStages) {
      stage = 0;
      parity ^= 1U;
    }
  }
};

// The numbers of a thread in the pieces of its warpgroup, which have 64 rows each. A product of the matrix units has kWidth
// columns, so that a piece takes kSlices of them.
template <int kPieces, int kSlices, int kWidth>
struct WarpgroupSums {
  static constexpr int kVectors = kSlices * kWidth;
  float of[size_t{kPieces}][size_t{kSlices}][size_t{kWidth / 2}];
};

// Adds the products of the rows of a warpgroup with kParts planes of vectors, which are all in a stage. Calls release() when
// products have read the stage.
template <bool kTransposed, int kParts, int kPieces, int kSlices, int kWidth, typename Release>
__device__ inline void multiply_stage(uint64_t a, uint64_t b, WarpgroupSums<kPieces, kSlices, kWidth>& sums, Release release) {
  // What the start of a matrix moves by, in units of 16 bytes.
  constexpr int kNextOfA = kWarpgroupDepth * (kTransposed ? kSwizzledRow : 2) / 16;
  constexpr int kNextOfB = kWarpgroupDepth * 2 / 16;
  constexpr int kNextPiece = kWarpgroupRows * kSwizzledRow / 16;
  constexpr int kNextSlice = kWidth * kSwizzledRow / 16;
#pragma unroll
  for (int piece = 0; piece < kPieces; ++piece) {
#pragma unroll
    for (int slice = 0; slice < kSlices; ++slice) {
#pragma unroll
      for (int chain = 0; chain < kDepth / kChain; ++chain) {
        float chain_sums[size_t{kWidth / 2}];
        begin_products();
#pragma unroll
        for (int part = 0; part < kParts; ++part) {
#pragma unroll
          for (int i = 0; i < kChainSteps; ++i) {
            const int step = chain * kChainSteps + i;
            multiply_add_shared<kTransposed>(chain_sums, moved(a, piece * kNextPiece + step * kNextOfA),
                                             moved(b, (part * kSlices + slice) * kNextSlice + step * kNextOfB),
                                             part + i == 0 ? 0 : 1);
          }
        }
        commit_products();
        wait_for_products<0>();
        if (piece == kPieces - 1 && slice == kSlices - 1 && chain == kDepth / kChain - 1) {
          release();
        }
#pragma unroll
        for (int i = 0; i < kWidth / 2; ++i) {
          sums.of[piece][slice][i] += chain_sums[i];
        }
      }
    }
  }
}

// Adds the products of the next stages, whose factors have one row of terms for each row and vector.
template <int kParts, typename Pipe, int kSlices, int kWidth>
__device__ inline void multiply_stages(typename Pipe::Shared& shared, int count, Turn<Pipe::kStages>& turn,
                                       WarpgroupSums<Pipe::kPieces, kSlices, kWidth>& sums) {
  const int first = static_cast<int>(threadIdx.x) / kWarpgroup * Pipe::kPieces * kWarpgroupRows * kDepth;
#pragma unroll 1
  for (int i = 0; i < count; ++i) {
    const uint64_t a = describe_shared(shared.stages[turn.stage].a + first);
    const uint64_t b = describe_shared(shared.stages[turn.stage].b);
    wait_for_phase(&shared.full[turn.stage], turn.parity);
    multiply_stage<false, kParts>(a, b, sums, [&] {
      if (threadIdx.x % kWarp == 0) {
        arrive(&shared.empty[turn.stage]);
      }
    });
    turn.advance();
  }
}

}  // namespace
}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SUPPORT_WARPGROUP_PIPELINE_H
