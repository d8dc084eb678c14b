// The loop of products of bf16 matrices on tensor cores: stages in shared memory, how they are copied there, and how they are
// multiplied. Kernels add what they do with a tile of sums.
#ifndef THREEGATE_CUDA_SVD_PRODUCT_PIPELINE_H
#define THREEGATE_CUDA_SVD_PRODUCT_PIPELINE_H

#include "cuda/support/instructions.h"
#include "cuda/support/warp.h"
#include "svd_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;  // of a block, unless it has more than kMostOfTwo vectors
constexpr int kDepth = 32;     // terms of the sum that are loaded at a time
constexpr int kStages = 3;
constexpr int kWarpsDown = 4;
constexpr int kChunk = 8;  // bf16 numbers of a 16-byte copy
constexpr int kDownEach = kTileRows / kWarpsDown / 16;
constexpr int kRowChunks = kDepth / kChunk;

// Two blocks of eight warps fit a multiprocessor. One of 16 warps has as many threads, and twice as many vectors for its rows.
constexpr int kMostOfTwo = 96;  // vectors of each of two blocks
__host__ __device__ constexpr int warps_across(int vectors) { return vectors > kMostOfTwo ? 4 : 2; }
__host__ __device__ constexpr int threads_for(int vectors) { return kWarpsDown * warps_across(vectors) * kWarp; }
__host__ __device__ constexpr int blocks_for(int vectors) { return vectors > kMostOfTwo ? 1 : 2; }
static_assert(threads_for(kMostOfTwo) == kThreads);

template <int kVectors>
struct Stage {
  uint16_t a[size_t{kTileRows} * kDepth];
  uint16_t b[size_t{kPlanes} * kVectors * kDepth];
};

// The numbers of a thread in a tile: 16 x 8 pieces with four numbers each.
template <int kVectors>
struct Sums {
  static constexpr int kAcross = kVectors / warps_across(kVectors) / 8;
  float of[kDownEach][size_t{kAcross}][4];
};

// The position of a chunk in shared memory. Rows have 64 or 256 bytes. Their chunks are permuted so that the same chunk of eight
// rows lies in different banks.
__device__ inline int narrow_place(int row, int chunk) { return row * kDepth + (chunk ^ (row >> 1 & 3)) * kChunk; }
__device__ inline int wide_place(int row, int chunk) { return row * kTileRows + (chunk ^ (row & 7)) * kChunk; }

// One plane of A, and the planes of vectors that it is multiplied with, one after the other. Both begin at the tile.
struct Factors {
  const uint16_t* a;
  int64_t stride;
  const uint16_t* in;
  int64_t in_length;
};

// Copies stage after stage to shared memory. Each thread has the same places in all stages, so that only pointers advance. The
// rows of A are the entries of the product. If A is transposed, they are the terms of its sums.
template <bool kTransposed, int kVectors, int kParts>
class Feed {
 public:
  __device__ explicit Feed(const Factors& factors) {
    const auto thread = static_cast<int>(threadIdx.x);
    const int row = thread / kRowChunks;
    const int chunk = thread % kRowChunks;
    b_place_ = narrow_place(row, chunk);
    b_ = factors.in + row * factors.in_length + chunk * kChunk;
    between_b_ = kRowsTogether * factors.in_length;
    if (kTransposed) {
      const int k = thread / kWideChunks;
      const int wide_chunk = thread % kWideChunks;
      a_place_ = wide_place(k, wide_chunk);
      a_ = factors.a + k * factors.stride + wide_chunk * kChunk;
      between_a_ = kWideRows * factors.stride;
    } else {
      a_place_ = b_place_;
      a_ = factors.a + row * factors.stride + chunk * kChunk;
      between_a_ = kRowsTogether * factors.stride;
    }
  }

  __device__ void load(Stage<kVectors>& stage) {
#pragma unroll
    for (int i = 0; i < kTileRows / kRowsTogether; ++i) {
      copy_16_asynchronously(stage.a + a_place_ + kChunk * kOwnThreads * i, a_ + between_a_ * i);
    }
    a_ += kTransposed ? kDepth / kWideRows * between_a_ : kDepth;
#pragma unroll
    for (int i = 0; i < kCopies; ++i) {
      if (kRowsTogether * (i + 1) <= kRows || b_place_ < (kRows - kRowsTogether * i) * kDepth) {
        copy_16_asynchronously(stage.b + b_place_ + kChunk * kOwnThreads * i, b_ + between_b_ * i);
      }
    }
    b_ += kDepth;
  }

 private:
  static constexpr int kOwnThreads = threads_for(kVectors);
  static constexpr int kRowsTogether = kOwnThreads / kRowChunks;  // rows of 64 bytes that a block copies at a time
  static constexpr int kWideChunks = kTileRows / kChunk;
  static constexpr int kWideRows = kOwnThreads / kWideChunks;
  static constexpr int kRows = kParts * kVectors;
  static constexpr int kCopies = (kRows + kRowsTogether - 1) / kRowsTogether;
  int a_place_;
  int b_place_;
  int64_t between_a_;
  int64_t between_b_;
  const uint16_t* a_;
  const uint16_t* b_;
};

// Multiplies stages. A lane reads from the same places of all stages, which differ by constants within a stage except for the
// permutation of chunks.
template <bool kTransposed, int kVectors, int kParts>
class Multiplier {
 public:
  __device__ Multiplier() {
    const auto lane = static_cast<int>(threadIdx.x % kWarp);
    const auto warp = static_cast<int>(threadIdx.x / kWarp);
    const int row = warp / kWarpsAcross * kDownEach * 16;
    const int vector = warp % kWarpsAcross * kAcross * 8;
    b_ = narrow_place(vector + lane % 8, lane / 8);
    a_ = kTransposed ? wide_place(lane % 8 + lane / 16 * 8, row / kChunk + lane / 8 % 2)
                     : narrow_place(row + lane % 16, lane / 16);
  }

  __device__ void multiply(const Stage<kVectors>& stage, Sums<kVectors>& sums) const {
    uint32_t a[kDepth / 16][kDownEach][4];
#pragma unroll
    for (int k = 0; k < kDepth / 16; ++k) {
#pragma unroll
      for (int i = 0; i < kDownEach; ++i) {
        if (kTransposed) {
          load_matrices_transposed(a[k][i], stage.a + (a_ ^ 16 * i) + 16 * k * kTileRows);
        } else {
          load_matrices(a[k][i], stage.a + (a_ ^ 16 * k) + 16 * i * kDepth);
        }
      }
    }
    // One column of pieces at a time leaves registers for a second block.
#pragma unroll
    for (int j = 0; j < kAcross; ++j) {
      float part_sums[kDownEach][4];
#pragma unroll
      for (int part = 0; part < kParts; ++part) {
        uint32_t b[4];
        load_matrices(b, stage.b + b_ + (part * kVectors + 8 * j) * kDepth);
#pragma unroll
        for (int k = 0; k < kDepth / 16; ++k) {
          const uint32_t piece[2] = {b[2 * k], b[2 * k + 1]};
#pragma unroll
          for (int i = 0; i < kDownEach; ++i) {
            if (k == 0 && part == 0) {
              multiply_bf16(part_sums[i], a[k][i], piece);
            } else {
              multiply_add_bf16(part_sums[i], a[k][i], piece);
            }
          }
        }
      }
#pragma unroll
      for (int i = 0; i < kDownEach; ++i) {
#pragma unroll
        for (int l = 0; l < 4; ++l) {
          sums.of[i][j][l] += part_sums[i][l];
        }
      }
    }
  }

 private:
  static constexpr int kWarpsAcross = warps_across(kVectors);
  static constexpr int kAcross = Sums<kVectors>::kAcross;
  static_assert(kDownEach == 2 && kDepth == 32);
  int a_;
  int b_;
};

// Adds the product of a plane of A with kParts planes of vectors. Both have `length` terms, a multiple of kPadding.
template <bool kTransposed, int kVectors, int kParts>
__device__ void add_planes(const Factors& factors, int64_t length, Sums<kVectors>& sums) {
  auto* stages = dynamic_shared<Stage<kVectors>>();
  Feed<kTransposed, kVectors, kParts> feed(factors);
  const Multiplier<kTransposed, kVectors, kParts> multiplier;
  const auto steps = static_cast<int>(length / kDepth);
  __syncthreads();  // the product before this one uses the stages, too
  // A loop that is not unrolled computes no addresses ahead, for which there are no registers.
#pragma unroll 1
  for (int step = 0; step < kStages - 1; ++step) {
    feed.load(stages[step]);
    commit_copies();
  }
  Stage<kVectors>* const end = stages + kStages;
  Stage<kVectors>* reading = stages;
  Stage<kVectors>* loading = end - 1;
  // Lengths are multiples of kPadding, so that there are more steps than stages.
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    // All copies have arrived, and no thread uses the stage that is loaded next.
    __syncthreads();
    if (step < steps - (kStages - 1)) {
      feed.load(*loading);
    }
    commit_copies();
    multiplier.multiply(*reading, sums);
    loading = reading;
    reading = reading + 1 == end ? stages : reading + 1;
  }
  wait_for_copies<0>();
}

}  // namespace
}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SVD_PRODUCT_PIPELINE_H
