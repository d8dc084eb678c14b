// Slopes and sums of products of tokens for compute capability 9.0, with the sums of curvature_kernels.cu in the same order.
//
// Tiles are as large as the registers allow, because the second-level cache is the limit. On an H200 it allows 5.5 Tbyte/s, and
// the matrix units do about 790 Tflop/s with wgmma.
//
// A tile of slopes has 256 tokens. With directions of one or two terms it has 160 rows of them, and with three terms 96. A stage
// of 64 inputs has 52, 72 or 68 KB for one, two or three terms, and 98, 142 or 135 flop for a byte. The cache then limits
// products to 542, 782 or 745 Tflop/s, where curvature_kernels.cu has 352, 469 or 470. Two warpgroups have 128 tokens each. A
// thread has 160 sums, and 40 of a chain: a product has 80 rows, so that a chain of all 160 needs no registers. Its 64 rows of A
// and 80 of B are 4.5 KB, which shared memory delivers in 36 of the 40 cycles of a product. With the copies that are 122 % of its
// 128 bytes a cycle at the peak rate of the matrix units, for one term.
//
// The gradients are multiplied in registers, as in curvature_kernels.cu. There is no other block to multiply meanwhile. 160 sums
// of a thread take 320 conversions, 5,120 cycles of a multiprocessor, which are 4 % of a tile with 4096 inputs and one term.
//
// A tile of products has 192 rows and 64 columns, so that the running float64 sums stay in registers: 64 of a thread, beside 32
// of float32 sums and 32 of a chain. With three terms, which weighted tokens have, a stage of 64 tokens has 48 KB and 96 flop for
// a byte: 528 Tflop/s. Two terms have 422, and one has 264. In curvature_kernels.cu each 512 tokens read and write the float64
// sums, which limits it to 352, 281 and 176. Larger tiles with sums in memory would have less: 256 x 128 have 85 flop for a byte.
//
// What was tried: one warp that copies leaves 168 registers to slopes, as ptxas counts whole warpgroups. 840 bytes are spilled
// then. A warpgroup that copies has 24 of them, so that the others have 240 or, for products, 160.
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "cuda/support/warpgroup_pipeline.h"
#include "warpgroup_curvature.h"

namespace threegate::cuda {
namespace {

// Rows of a direction whose partial slopes are one number, and the rows of a copy of the copy unit.
constexpr int kSlice = static_cast<int>(kTileVectors / kPartialsOfTile);
constexpr int kSlicesOfTile = static_cast<int>(kPartialsOfTile);

template <int kTerms>
struct SlopeTile {
  static constexpr int kWidth = kTerms == kPlanes ? 96 : 80;
  static constexpr int kVectors = kTerms == kPlanes ? kWidth : kSlopeVectors;
  using Pipe = Pipeline<2, kSlopeTokens, kTerms * kVectors>;
  using Sums = WarpgroupSums<Pipe::kPieces, kVectors / kWidth, kWidth>;
  static_assert(kVectors % kWidth == 0 && kVectors % kSlice == 0);
};

template <int kTerms>
struct ProductTile {
  static constexpr int kVectors = kProductVectors;
  using Pipe = Pipeline<3, kProductRows, kTerms * kVectors>;
  using Sums = WarpgroupSums<Pipe::kPieces, 1, kVectors>;
  static_assert(Pipe::kPieces == 1);
};

// Two matrices as the copy unit knows them. They are arguments of a kernel, which it may use without acquire_map.
struct Maps {
  CUtensorMap a;
  CUtensorMap b;
};

// The planes of vectors whose products with a plane of the other factor count.
template <int kTerms>
__device__ inline int parts_of(int plane) {
  return kTerms < kPlanes - plane ? kTerms : kPlanes - plane;
}

// Adds the products of all planes whose products count, as add_products of curvature_kernels.cu does.
template <int kTerms, typename Tile>
__device__ inline void multiply_planes(typename Tile::Pipe::Shared& shared, int planes, int steps,
                                       Turn<Tile::Pipe::kStages>& turn, typename Tile::Sums& sums) {
  using Pipe = typename Tile::Pipe;
  constexpr int kWhole = kPlanes + 1 - kTerms;  // planes that are multiplied with all terms
  multiply_stages<kTerms, Pipe>(shared, steps * (planes < kWhole ? planes : kWhole), turn, sums);
  static_assert(kPlanes == 3);
  if constexpr (kTerms == 3) {
    multiply_stages<2, Pipe>(shared, planes > 1 ? steps : 0, turn, sums);
  }
  if constexpr (kTerms > 1) {
    multiply_stages<1, Pipe>(shared, planes > 2 ? steps : 0, turn, sums);
  }
}

// Copies all stages of a tile of slopes. Rows of directions are numbered over all of them, in slices.
template <int kTerms>
__device__ void copy_slopes(typename SlopeTile<kTerms>::Pipe::Shared& shared, const SlopeWork& work, const Maps& maps,
                            int first_token, int first_slice) {
  using Tile = SlopeTile<kTerms>;
  using Pipe = typename Tile::Pipe;
  const auto length = static_cast<int>(work.directions.length);
  const int planes = work.directions.planes;
  Turn<Pipe::kStages> turn;
#pragma unroll 1
  for (int plane = 0; plane < work.input.planes; ++plane) {
    const int parts = parts_of<kTerms>(plane);
    const int row = plane * static_cast<int>(work.input.rows) + first_token;
#pragma unroll 1
    for (int k = 0; k < length; k += kDepth) {
      typename Pipe::Stage& stage = shared.stages[turn.stage];
      uint64_t* const full = &shared.full[turn.stage];
      wait_for_phase(&shared.empty[turn.stage], turn.parity ^ 1U);
      arrive_and_announce(full, (kSlopeTokens + parts * Tile::kVectors) * kSwizzledRow);
      copy_box(stage.a, &maps.a, k, row, full);
#pragma unroll 1
      for (int part = 0; part < parts; ++part) {
#pragma unroll 1
        for (int i = 0; i < Tile::kVectors / kSlice; ++i) {
          const int slice = first_slice + i;
          const int tile = slice / kSlicesOfTile * planes + part;
          copy_box(stage.b + (part * Tile::kVectors + i * kSlice) * kDepth, &maps.b, k,
                   (tile * kSlicesOfTile + slice % kSlicesOfTile) * kSlice, full);
        }
      }
      turn.advance();
    }
  }
}

// Multiplies the sums of a row with its gradient, and writes their sum over each slice. Four lanes have the columns of a row.
template <int kTerms>
__device__ void finish_slopes(const SlopeWork& work, const typename SlopeTile<kTerms>::Sums& sums, int first_token,
                              int first_slice) {
  using Tile = SlopeTile<kTerms>;
  constexpr int kFragments = kSlice / 8;  // of eight rows of a direction
  constexpr int kOfProduct = Tile::kWidth / 8;
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const auto warp = static_cast<int>(threadIdx.x / kWarp);
  const int64_t tokens = work.token_tiles * kTileTokens;
  const int64_t slices = work.directions.tiles * kSlicesOfTile;
#pragma unroll
  for (int piece = 0; piece < Tile::Pipe::kPieces; ++piece) {
    const int begin = first_token + (warp / kWarpsEach * Tile::Pipe::kPieces + piece) * kWarpgroupRows;
    if (begin >= tokens) {
      return;  // the last tile may have tokens that are not there
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int64_t token = begin + warp % kWarpsEach * (kWarpgroupRows / kWarpsEach) + lane / 4 + 8 * half;
#pragma unroll
      for (int i = 0; i < Tile::kVectors / kSlice; ++i) {
        const int slice = first_slice + i;
        if (slice < slices) {
          const unsigned tile = static_cast<unsigned>(slice) / kSlicesOfTile % static_cast<unsigned>(work.tiles);
          const int64_t output = (int64_t{tile} * kSlicesOfTile + slice % kSlicesOfTile) * kSlice + lane % 4 * 2;
          double slope = 0;
          // The planes are digits of the gradient, whose products add up like those of the number.
#pragma unroll 1
          for (int plane = 0; plane < work.gradient.planes; ++plane) {
            const uint16_t* const gradient =
                work.gradient.codes + (plane * work.gradient.rows + token) * work.gradient.stride + output;
#pragma unroll
            for (int j = 0; j < kFragments; ++j) {
              const int fragment = i * kFragments + j;
              const auto pair = *reinterpret_cast<const uint32_t*>(gradient + 8 * j);
#pragma unroll
              for (int l = 0; l < 2; ++l) {
                const float sum = sums.of[piece][fragment / kOfProduct][fragment % kOfProduct * 4 + 2 * half + l];
                const auto digit = static_cast<double>(bf16_to_float(static_cast<uint16_t>(pair >> 16 * l)));
                slope = fma(static_cast<double>(sum), digit, slope);
              }
            }
          }
          slope += __shfl_xor_sync(kWholeWarp, slope, 1);
          slope += __shfl_xor_sync(kWholeWarp, slope, 2);
          if (lane % 4 == 0) {
            work.partial[slice * tokens + token] = slope;
          }
        }
      }
    }
  }
}

template <int kTerms>
__global__ void __launch_bounds__(SlopeTile<kTerms>::Pipe::kThreads, 1)
    warpgroup_slopes_kernel(const __grid_constant__ SlopeWork work, const __grid_constant__ Maps maps, unsigned down) {
  using Tile = SlopeTile<kTerms>;
  using Pipe = typename Tile::Pipe;
  // Blocks that run at a time have neighbouring tiles of tokens, and the same few tiles of directions.
  const int first_token = static_cast<int>(blockIdx.x % down) * kSlopeTokens;
  const int first_slice = static_cast<int>(blockIdx.x / down) * (Tile::kVectors / kSlice);
  typename Pipe::Shared& shared = Pipe::begin();
  if (threadIdx.x < Pipe::kMultiplying) {
    take_registers<Pipe::kMultiplyingRegisters>();
    typename Tile::Sums sums{};
    Turn<Pipe::kStages> turn;
    multiply_planes<kTerms, Tile>(shared, work.input.planes, static_cast<int>(work.directions.length) / kDepth, turn, sums);
    finish_slopes<kTerms>(work, sums, first_token, first_slice);
  } else {
    give_registers<Pipe::kCopyingRegisters>();
    if (threadIdx.x == Pipe::kMultiplying) {
      copy_slopes<kTerms>(shared, work, maps, first_token, first_slice);
    }
  }
}

struct ProductWork {
  VectorPlanes left;
  VectorPlanes right;
  int32_t tokens;
  double2* sums;
  bool symmetric;
};

constexpr int kPiecesOfTile = static_cast<int>(kTileTokens) / kWarpgroupRows;
constexpr int kColumnsOfTile = static_cast<int>(kTileVectors) / kProductVectors;  // of tiles of warpgroups

// Copies all stages of a tile of products. Pieces of 64 rows are numbered over all tiles of the left factor.
template <int kTerms>
__device__ void copy_products(typename ProductTile<kTerms>::Pipe::Shared& shared, const ProductWork& work, const Maps& maps,
                              int first_piece, int column) {
  using Tile = ProductTile<kTerms>;
  using Pipe = typename Tile::Pipe;
  constexpr auto kBlock = static_cast<int>(kProbeTokens);
  Turn<Pipe::kStages> turn;
#pragma unroll 1
  for (int begin = 0; begin < work.tokens; begin += kBlock) {
    const int end = work.tokens < begin + kBlock ? work.tokens : begin + kBlock;
#pragma unroll 1
    for (int plane = 0; plane < work.left.planes; ++plane) {
      const int parts = parts_of<kTerms>(plane);
#pragma unroll 1
      for (int k = begin; k < end; k += kDepth) {
        typename Pipe::Stage& stage = shared.stages[turn.stage];
        uint64_t* const full = &shared.full[turn.stage];
        wait_for_phase(&shared.empty[turn.stage], turn.parity ^ 1U);
        arrive_and_announce(full, (kProductRows + parts * Tile::kVectors) * kSwizzledRow);
#pragma unroll 1
        for (int i = 0; i < kProductRows / kWarpgroupRows; ++i) {
          const int piece = first_piece + i;
          const int tile = piece / kPiecesOfTile * work.left.planes + plane;
          copy_box(stage.a + i * kWarpgroupRows * kDepth, &maps.a, k,
                   (tile * kPiecesOfTile + piece % kPiecesOfTile) * kWarpgroupRows, full);
        }
#pragma unroll 1
        for (int part = 0; part < parts; ++part) {
          const int tile = column / kColumnsOfTile * work.right.planes + part;
          copy_box(stage.b + part * Tile::kVectors * kDepth, &maps.b, k,
                   (tile * kColumnsOfTile + column % kColumnsOfTile) * Tile::kVectors, full);
        }
        turn.advance();
      }
    }
  }
}

// Adds all blocks of tokens to the sums of a piece, which stay in registers meanwhile.
template <int kTerms>
__device__ void add_blocks(typename ProductTile<kTerms>::Pipe::Shared& shared, const ProductWork& work, int first_piece,
                           int column) {
  using Tile = ProductTile<kTerms>;
  constexpr auto kBlock = static_cast<int>(kProbeTokens);
  constexpr int kFragments = Tile::kVectors / 8;
  const auto warp = static_cast<int>(threadIdx.x / kWarp);
  const int piece = first_piece + warp / kWarpsEach;
  const int tile = piece / kPiecesOfTile;
  const int down = piece % kPiecesOfTile * kWarpsEach + warp % kWarpsEach;
  const bool is_there = tile < work.left.tiles;  // the last tile may have rows that are not there
  const int64_t tile_of_sums = column / kColumnsOfTile * work.left.tiles + tile;
  double2* const own = work.sums + tile_of_sums * (kTileTokens * kTileVectors / 2) +
                       place_of_sums(down, column % kColumnsOfTile * kFragments, 0) * kWarp + threadIdx.x % kWarp;
  double2 running[size_t{kFragments}][2];
#pragma unroll
  for (int j = 0; j < kFragments; ++j) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      running[j][half] = is_there ? own[place_of_sums(0, j, half) * kWarp] : double2{0, 0};
    }
  }
  Turn<Tile::Pipe::kStages> turn;
#pragma unroll 1
  for (int begin = 0; begin < work.tokens; begin += kBlock) {
    const int rest = work.tokens - begin;
    typename Tile::Sums sums{};
    multiply_planes<kTerms, Tile>(shared, work.left.planes, (rest < kBlock ? rest : kBlock) / kDepth, turn, sums);
#pragma unroll
    for (int j = 0; j < kFragments; ++j) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        running[j][half].x += static_cast<double>(sums.of[0][0][4 * j + 2 * half]);
        running[j][half].y += static_cast<double>(sums.of[0][0][4 * j + 2 * half + 1]);
      }
    }
  }
  if (is_there) {
#pragma unroll
    for (int j = 0; j < kFragments; ++j) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        own[place_of_sums(0, j, half) * kWarp] = running[j][half];
      }
    }
  }
}

template <int kTerms>
__global__ void __launch_bounds__(ProductTile<kTerms>::Pipe::kThreads, 1)
    warpgroup_token_products_kernel(const __grid_constant__ ProductWork work, const __grid_constant__ Maps maps, unsigned down) {
  using Pipe = typename ProductTile<kTerms>::Pipe;
  const int first_piece = static_cast<int>(blockIdx.x % down) * (kProductRows / kWarpgroupRows);
  const auto column = static_cast<int>(blockIdx.x / down);
  if (work.symmetric && first_piece * kWarpgroupRows >= (column + 1) * kProductVectors) {
    return;
  }
  typename Pipe::Shared& shared = Pipe::begin();
  if (threadIdx.x < Pipe::kMultiplying) {
    take_registers<Pipe::kMultiplyingRegisters>();
    add_blocks<kTerms>(shared, work, first_piece, column);
  } else {
    give_registers<Pipe::kCopyingRegisters>();
    if (threadIdx.x == Pipe::kMultiplying) {
      copy_products<kTerms>(shared, work, maps, first_piece, column);
    }
  }
}

int64_t quotient(int64_t a, int64_t b) { return (a + b - 1) / b; }

CUtensorMap describe_vectors(const VectorPlanes& vectors, int box_rows) {
  return describe_matrix(vectors.codes, vectors.tiles * vectors.planes * vectors.tile, vectors.length, box_rows);
}

template <int kTerms>
cudaError_t launch_slopes(const SlopeWork& work, const Maps& maps, cudaStream_t stream) {
  using Tile = SlopeTile<kTerms>;
  const int64_t down = quotient(work.token_tiles * kTileTokens, kSlopeTokens);
  const int64_t across = quotient(work.directions.tiles * kTileVectors, Tile::kVectors);
  return launch({down * across, Tile::Pipe::kThreads, Tile::Pipe::kSharedBytes}, stream, warpgroup_slopes_kernel<kTerms>, work,
                maps, static_cast<unsigned>(down));
}

template <int kTerms>
cudaError_t launch_products(const ProductWork& work, const Maps& maps, cudaStream_t stream) {
  using Pipe = typename ProductTile<kTerms>::Pipe;
  const int64_t down = quotient(work.left.tiles * kTileTokens, kProductRows);
  return launch({down * kColumnsOfTile * work.right.tiles, Pipe::kThreads, Pipe::kSharedBytes}, stream,
                warpgroup_token_products_kernel<kTerms>, work, maps, static_cast<unsigned>(down));
}

}  // namespace

cudaError_t launch_warpgroup_slopes(const SlopeWork& work, int32_t terms, cudaStream_t stream) {
  const TokenPlanes& input = work.input;
  const Maps maps{describe_matrix(input.codes, input.planes * input.rows, input.stride, kSlopeTokens),
                  describe_vectors(work.directions, kSlice)};
  switch (terms) {
    case 1:
      return launch_slopes<1>(work, maps, stream);
    case 2:
      return launch_slopes<2>(work, maps, stream);
    default:
      return launch_slopes<3>(work, maps, stream);
  }
}

cudaError_t launch_warpgroup_products(const VectorPlanes& left, const VectorPlanes& right, int64_t tokens, bool symmetric,
                                      double2* sums, cudaStream_t stream) {
  const Maps maps{describe_vectors(left, kWarpgroupRows), describe_vectors(right, kProductVectors)};
  const ProductWork work{left, right, static_cast<int32_t>(tokens), sums, symmetric};
  switch (right.planes) {
    case 1:
      return launch_products<1>(work, maps, stream);
    case 2:
      return launch_products<2>(work, maps, stream);
    default:
      return launch_products<3>(work, maps, stream);
  }
}

}  // namespace threegate::cuda
