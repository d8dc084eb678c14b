// Products of tokens with directions, and sums of products of tokens, on tensor cores. The loop is that of the panel product, see
// cuda/svd/product_pipeline.h. A number is a sum of bf16 numbers: one for bf16 and fp8, two for fp16, and three for float32 and
// float64. Directions are rounded to float32 and have as many terms as they need.
//
// A tile of slopes is 128 tokens x 128 rows of a direction. A stage has 32, 24 or 16 KB for three, two or one terms of a
// direction, and 96, 85 or 64 flop for a byte of the second-level cache. On an H200 this limits products to 528, 469 or 352
// Tflop/s, and the matrix units with mma.sync to 470. Float32 units had 18 to 25. The products are multiplied by the gradients in
// registers, so that they are never stored. Sums over outputs are in float64: 32 products of a thread take 64 conversions and 32
// fused multiplications, beside 2,048 matrix products of its warp with 4096 inputs and one term.
//
// Sums of products of tokens are float32 for 512 tokens, and then 256 KB of a tile are read and written for 512 KB of stages with
// three terms. The limit is 352 Tflop/s, or 176 with one term. Compute capability 9.0 has other kernels for both, see
// warpgroup_curvature_kernels.cu.
//
// Two blocks of 256 threads had tiles of 64 rows, with limits of 422, 352 or 235 Tflop/s. With 96 and 128 rows the compiler
// spills one to four registers of such kernels, on one architecture or another. One block of 512 threads has as many threads, and
// a thread as many sums. Its 16 warps share a tile of tokens. They wait for each other in each stage, and no other block
// multiplies meanwhile. Three calls with a known number of terms spill less than a loop over the planes of tokens, because the
// compiler keeps addresses from one plane to the next one.
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "cuda/svd/bf16_terms.h"
#include "cuda/svd/product_pipeline.h"
#include "curvature_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kVectors = static_cast<int>(kTileVectors);
constexpr int kFactors = static_cast<int>(kFactorVectors);
constexpr int kTileThreads = threads_for(kVectors);
using TileSums = Sums<kVectors>;
static_assert(kTileRows == kTileTokens && kPartialsOfTile == warps_across(kVectors));
constexpr int kPairs = kDownEach * TileSums::kAcross * 2;  // of neighbouring sums of a thread

// Where the sums of a thread are in a tile. Those at [i][j][l] are at row + 16 i + 8 (l / 2) and column + 8 j + l % 2.
struct Place {
  int row;
  int column;
};
template <int kOwnVectors>
__device__ inline Place place() {
  constexpr int kWarpsAcross = warps_across(kOwnVectors);
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const auto warp = static_cast<int>(threadIdx.x / kWarp);
  return {warp / kWarpsAcross * kDownEach * 16 + lane / 4, warp % kWarpsAcross * Sums<kOwnVectors>::kAcross * 8 + lane % 4 * 2};
}

// The place of a tile, and where it begins in the first plane of both factors. It is in shared memory, because there are no
// registers for it beside the sums.
struct TilePlace {
  unsigned row;
  unsigned column;
  const uint16_t* a;
  const uint16_t* b;
};

// How far apart the planes of the first factor are, and the rows of both.
struct Strides {
  int64_t a_plane;
  int64_t a;
  int64_t b;
};

// Adds the products of all planes whose products count, see product_kernels.cu. Vectors have kTerms planes.
template <int kTerms, int kOwnVectors>
__device__ inline void add_products(const TilePlace& tile, const Strides& strides, int planes, int64_t length,
                                    Sums<kOwnVectors>& sums) {
  static_assert(kPlanes == 3);
  const auto factors = [&](int plane) { return Factors{tile.a + plane * strides.a_plane, strides.a, tile.b, strides.b}; };
  constexpr int kWhole = kPlanes + 1 - kTerms;  // planes that are multiplied with all terms
  // In a loop the compiler would keep addresses from plane to plane, for which there are no registers.
#pragma unroll
  for (int plane = 0; plane < kWhole; ++plane) {
    if (plane < planes) {
      add_planes<false, kOwnVectors, kTerms>(factors(plane), length, sums);
    }
  }
  if constexpr (kTerms == 3) {
    if (planes > 1) {
      add_planes<false, kOwnVectors, 2>(factors(1), length, sums);
    }
  }
  if constexpr (kTerms > 1) {
    if (planes > 2) {
      add_planes<false, kOwnVectors, 1>(factors(2), length, sums);
    }
  }
}

__device__ inline const uint16_t* tile_of(const TokenPlanes& tokens, unsigned tile) {
  return tokens.codes + int64_t{tile} * kTileRows * tokens.stride;
}
__device__ inline Strides strides_of(const TokenPlanes& tokens, const VectorPlanes& vectors) {
  return {tokens.rows * tokens.stride, tokens.stride, vectors.length};
}
__device__ inline const uint16_t* tile_of(const VectorPlanes& vectors, unsigned tile) {
  return vectors.codes + int64_t{tile} * vectors.planes * vectors.tile * vectors.length;
}

// Places `down` tiles below each other, and then the next column of them. The first thread divides.
template <typename Rows>
__device__ inline void find_tile(const Rows& rows, const VectorPlanes& vectors, unsigned down, TilePlace& tile) {
  if (threadIdx.x == 0) {
    tile.row = blockIdx.x % down;
    tile.column = blockIdx.x / down;
    tile.a = tile_of(rows, tile.row);
    tile.b = tile_of(vectors, tile.column);
  }
  __syncthreads();
}

// A vector in the first plane. The next plane is `tile` rows further.
__device__ inline uint16_t* row_of(const VectorPlanes& vectors, unsigned row) {
  const auto height = static_cast<unsigned>(vectors.tile);
  return vectors.codes + (int64_t{row / height} * vectors.planes * height + row % height) * vectors.length;
}

// A warp has one row, whose square it sums in a fixed order.
__global__ void __launch_bounds__(kThreads)
    form_direction_kernel(const __grid_constant__ DirectionEntries direction, const __grid_constant__ VectorPlanes out,
                          double* row_squares, int32_t* terms) {
  const unsigned row = blockIdx.x * (kThreads / kWarp) + threadIdx.x / kWarp;
  const unsigned lane = threadIdx.x % kWarp;
  const int64_t across = (direction.columns + 63) / 64;
  uint16_t* const codes = row_of(out, row);
  const int64_t length = row < direction.rows ? direction.columns : 0;
  double square = 0;
  int32_t own_terms = 1;
#pragma unroll 1
  for (int64_t j = lane; j < out.length; j += kWarp) {
    double value = 0;
    if (j < length) {
      value = entry(direction.matrix, row, j);
      if (direction.has_subtracted != 0) {
        value -= entry(direction.subtracted, row, j);
      }
      if (direction.mask != nullptr && (direction.mask[row * across + j / 64] >> (j % 64) & 1U) == 0) {
        value = 0;
      }
    }
    square += value * value;
    auto rest = static_cast<float>(value);
#pragma unroll
    for (int plane = 0; plane < kPlanes; ++plane) {
      own_terms = rest != 0 ? (own_terms > plane ? own_terms : plane + 1) : own_terms;
      codes[plane * out.tile * out.length + j] = take_bf16_term(rest);
    }
  }
  square = sum_over_warp(square);
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const int32_t other = __shfl_xor_sync(kWholeWarp, own_terms, distance);
    own_terms = other > own_terms ? other : own_terms;
  }
  if (row < direction.rows && lane == 0) {
    if (row_squares != nullptr) {
      row_squares[row] = square;
      atomicMax(terms, own_terms);
    }
  }
}

constexpr int kSplitTokens = 2 * kWarp;
constexpr int kSplitColumns = kWarp;

// A block transposes 64 tokens of 32 columns in shared memory.
__global__ void __launch_bounds__(kThreads)
    split_columns_kernel(const __grid_constant__ Entries entries, const double* weights, int64_t tokens, int64_t columns,
                         unsigned across, const __grid_constant__ VectorPlanes out) {
  __shared__ float values[kSplitTokens][kSplitColumns + 1];
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const auto warp = static_cast<int>(threadIdx.x / kWarp);
  const int64_t first_token = int64_t{blockIdx.x / across} * kSplitTokens;
  const unsigned first_column = blockIdx.x % across * kSplitColumns;
#pragma unroll 1
  for (int i = warp; i < kSplitTokens; i += kThreads / kWarp) {
    const int64_t token = first_token + i;
    const int64_t column = int64_t{first_column} + lane;
    float value = 0;
    if (token < tokens && column < columns) {
      value = static_cast<float>(entry(entries, token, column));
      if (weights != nullptr) {
        value = static_cast<float>(weights[token] * static_cast<double>(value));
      }
    }
    values[i][lane] = value;
  }
  __syncthreads();
  for (int i = warp; i < kSplitColumns; i += kThreads / kWarp) {
    const unsigned column = first_column + static_cast<unsigned>(i);
    float first = values[2 * lane][i];
    float second = values[2 * lane + 1][i];
    uint16_t* codes = row_of(out, column);
#pragma unroll 1
    for (int plane = 0; plane < out.planes; ++plane) {
      *reinterpret_cast<uint32_t*>(codes + first_token + 2 * lane) = take_two_terms(first, second);
      codes += out.tile * out.length;
    }
  }
}

// Blocks that run at a time have neighbouring tiles of tokens, and the same few tiles of directions.
template <int kTerms>
__global__ void __launch_bounds__(kTileThreads, blocks_for(kVectors)) slope_tiles_kernel(const __grid_constant__ SlopeWork work) {
  __shared__ TilePlace tile;
  TileSums sums{};
  find_tile(work.input, work.directions, static_cast<unsigned>(work.token_tiles), tile);
  add_products<kTerms, kVectors>(tile, strides_of(work.input, work.directions), work.input.planes, work.directions.length, sums);
  const Place own = place<kVectors>();
  const int64_t first_token = int64_t{tile.row} * kTileRows + own.row;
  const int64_t output = int64_t{tile.column % static_cast<unsigned>(work.tiles)} * kVectors + own.column;
  double* const partial = work.partial + (int64_t{tile.column} * kPartialsOfTile + threadIdx.x / kWarp % kPartialsOfTile) *
                                             work.token_tiles * kTileRows;
#pragma unroll
  for (int i = 0; i < kDownEach; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int64_t token = first_token + 16 * i + 8 * half;
      double slope = 0;
      // The planes are digits of the gradient, whose products add up like those of the number.
#pragma unroll 1
      for (int plane = 0; plane < work.gradient.planes; ++plane) {
        const uint16_t* const gradient =
            work.gradient.codes + (plane * work.gradient.rows + token) * work.gradient.stride + output;
#pragma unroll
        for (int j = 0; j < TileSums::kAcross; ++j) {
          const auto pair = *reinterpret_cast<const uint32_t*>(gradient + 8 * j);
#pragma unroll
          for (int l = 0; l < 2; ++l) {
            const auto digit = static_cast<double>(bf16_to_float(static_cast<uint16_t>(pair >> 16 * l)));
            slope = fma(static_cast<double>(sums.of[i][j][2 * half + l]), digit, slope);
          }
        }
      }
      // Four lanes have the columns of a row.
      slope += __shfl_xor_sync(kWholeWarp, slope, 1);
      slope += __shfl_xor_sync(kWholeWarp, slope, 2);
      if (threadIdx.x % 4 == 0) {
        partial[token] = slope;
      }
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    add_slopes_kernel(const double* partial, int64_t partials, int64_t stride, int64_t tokens, double* slopes) {
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (token < tokens) {
    double sum = 0;
    for (int64_t i = 0; i < partials; ++i) {
      sum += partial[i * stride + token];
    }
    slopes[token] = sum;
  }
}

struct ProjectWork {
  TokenPlanes in;
  VectorPlanes vectors;
  float* out;
  int64_t token_tiles;
};

__global__ void __launch_bounds__(kThreads, blocks_for(kFactors)) project_kernel(const __grid_constant__ ProjectWork work) {
  __shared__ TilePlace tile;
  Sums<kFactors> sums{};
  find_tile(work.in, work.vectors, static_cast<unsigned>(work.token_tiles), tile);
  add_products<kPlanes, kFactors>(tile, strides_of(work.in, work.vectors), work.in.planes, work.vectors.length, sums);
  const Place own = place<kFactors>();
  const int64_t columns = work.vectors.tiles * kFactors;
  float* const out =
      work.out + (int64_t{tile.row} * kTileRows + own.row) * columns + int64_t{tile.column} * kFactors + own.column;
#pragma unroll
  for (int i = 0; i < kDownEach; ++i) {
#pragma unroll
    for (int j = 0; j < Sums<kFactors>::kAcross; ++j) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        store_vector(out + (16 * i + 8 * half) * columns + 8 * j,
                     uint2{bit_cast<uint32_t>(sums.of[i][j][2 * half]), bit_cast<uint32_t>(sums.of[i][j][2 * half + 1])});
      }
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    row_products_kernel(const float* first, const float* second, int64_t stride, int64_t rows, int64_t length, double* slopes) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp;
  double sum = 0;
  if (row < rows) {
    for (int64_t j = threadIdx.x % kWarp; j < length; j += kWarp) {
      sum += static_cast<double>(first[row * stride + j]) * static_cast<double>(second[row * stride + j]);
    }
  }
  sum = sum_over_warp(sum);
  if (row < rows && threadIdx.x % kWarp == 0) {
    slopes[row] = sum;
  }
}

struct ProductWork {
  VectorPlanes left;
  VectorPlanes right;
  int64_t tokens;
  double2* sums;
  bool symmetric;
};

// The order of place_of_sums is that of these threads.
static_assert(kDownEach == 2 && kWarpsDown == 4 && TileSums::kAcross == 4 && kTileThreads == 16 * kWarp);

// Each thread adds to its float64 sums in memory, because it has registers for float32 sums only. They are in the order of the
// threads, so that a warp reads and writes whole lines.
template <int kTerms>
__global__ void __launch_bounds__(kTileThreads, blocks_for(kVectors))
    token_products_kernel(const __grid_constant__ ProductWork work) {
  const auto down = static_cast<unsigned>(work.left.tiles);
  if (work.symmetric && blockIdx.x % down * kTileRows >= (blockIdx.x / down + 1) * kVectors) {
    return;
  }
  __shared__ TilePlace tile;
  TileSums sums{};
  find_tile(work.left, work.right, down, tile);
  add_products<kTerms, kVectors>(tile, {kTileRows * work.right.length, work.right.length, work.right.length}, work.left.planes,
                                 work.tokens, sums);
  double2* const out = work.sums + (tile.column * work.left.tiles + tile.row) * kPairs * kTileThreads + threadIdx.x;
#pragma unroll
  for (int pair = 0; pair < kPairs; ++pair) {
    const float(&own)[4] = sums.of[pair / 2 % kDownEach][pair / 2 / kDownEach];
    double2 sum = out[pair * kTileThreads];
    sum.x += static_cast<double>(own[pair % 2 * 2]);
    sum.y += static_cast<double>(own[pair % 2 * 2 + 1]);
    out[pair * kTileThreads] = sum;
    if (pair % 8 == 7) {
      __syncwarp();  // loads of later sums have no registers yet
    }
  }
}

// Copies a matrix to sums in the order of the threads, or back.
template <bool kBack>
__global__ void __launch_bounds__(kTileThreads)
    arrange_sums_kernel(double2* sums, bool symmetric, unsigned down, int64_t rows, int64_t columns, double* matrix) {
  const Place own = place<kVectors>();
  const int64_t first_row = int64_t{blockIdx.x % down} * kTileRows + own.row;
  const int64_t first_column = int64_t{blockIdx.x / down} * kVectors + own.column;
  double2* const of_thread = sums + int64_t{blockIdx.x} * kPairs * kTileThreads + threadIdx.x;
#pragma unroll 4
  for (int pair = 0; pair < kPairs; ++pair) {
    const int64_t row = first_row + pair / 2 % kDownEach * 16 + pair % 2 * 8;
    const int64_t column = first_column + pair / 2 / kDownEach * 8;
    const bool has_first = row < rows && column < columns;
    const bool has_second = row < rows && column + 1 < columns;
    double* const at = matrix + row * columns + column;
    if (kBack) {
      const double2 sum = of_thread[pair * kTileThreads];
      if (has_first && (!symmetric || row <= column)) {
        at[0] = sum.x;
      }
      if (has_second && (!symmetric || row <= column + 1)) {
        at[1] = sum.y;
      }
      if (has_first && symmetric && row < column) {
        matrix[column * columns + row] = sum.x;
      }
      if (has_second && symmetric && row < column + 1) {
        matrix[(column + 1) * columns + row] = sum.y;
      }
    } else {
      of_thread[pair * kTileThreads] = double2{has_first ? at[0] : 0, has_second ? at[1] : 0};
    }
  }
}

int64_t quotient(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <int kOwnVectors>
constexpr int64_t kStageBytes = kStages* static_cast<int64_t>(sizeof(Stage<kOwnVectors>));

}  // namespace

cudaError_t launch_form_direction(const DirectionEntries& direction, const VectorPlanes& out, double* row_squares, int32_t* terms,
                                  cudaStream_t stream) {
  return launch({out.tiles * out.tile / (kThreads / kWarp), kThreads}, stream, form_direction_kernel, direction, out, row_squares,
                terms);
}

cudaError_t launch_split_columns(const Entries& entries, const double* weights, int64_t tokens, int64_t columns,
                                 const VectorPlanes& out, cudaStream_t stream) {
  const int64_t across = out.tiles * out.tile / kSplitColumns;
  return launch({quotient(tokens, kPadding) * (kPadding / kSplitTokens) * across, kThreads}, stream, split_columns_kernel,
                entries, weights, tokens, columns, static_cast<unsigned>(across), out);
}

cudaError_t launch_slope_tiles(const SlopeWork& work, int32_t terms, cudaStream_t stream) {
  const Shape shape{work.token_tiles * work.directions.tiles, kTileThreads, kStageBytes<kVectors>};
  switch (terms) {
    case 1:
      return launch(shape, stream, slope_tiles_kernel<1>, work);
    case 2:
      return launch(shape, stream, slope_tiles_kernel<2>, work);
    default:
      return launch(shape, stream, slope_tiles_kernel<3>, work);
  }
}

cudaError_t launch_add_slopes(const double* partial, int64_t partials, int64_t stride, int64_t tokens, double* slopes,
                              cudaStream_t stream) {
  return launch({quotient(tokens, kThreads), kThreads}, stream, add_slopes_kernel, partial, partials, stride, tokens, slopes);
}

cudaError_t launch_project(const TokenPlanes& in, const VectorPlanes& vectors, int64_t token_tiles, float* out,
                           cudaStream_t stream) {
  return launch({token_tiles * vectors.tiles, kThreads, kStageBytes<kFactors>}, stream, project_kernel,
                ProjectWork{in, vectors, out, token_tiles});
}

cudaError_t launch_row_products(const float* first, const float* second, int64_t stride, int64_t rows, int64_t length,
                                double* slopes, cudaStream_t stream) {
  return launch({quotient(rows, kThreads / kWarp), kThreads}, stream, row_products_kernel, first, second, stride, rows, length,
                slopes);
}

cudaError_t launch_token_products(const VectorPlanes& left, const VectorPlanes& right, int64_t tokens, bool symmetric,
                                  double2* sums, cudaStream_t stream) {
  const Shape shape{left.tiles * right.tiles, kTileThreads, kStageBytes<kVectors>};
  const ProductWork work{left, right, tokens, sums, symmetric};
  switch (right.planes) {
    case 1:
      return launch(shape, stream, token_products_kernel<1>, work);
    case 2:
      return launch(shape, stream, token_products_kernel<2>, work);
    default:
      return launch(shape, stream, token_products_kernel<3>, work);
  }
}

cudaError_t launch_arrange_sums(bool back, bool symmetric, double2* sums, int64_t rows, int64_t columns, double* matrix,
                                cudaStream_t stream) {
  const int64_t down = quotient(rows, kTileRows);
  const Shape shape{down * quotient(columns, kVectors), kTileThreads};
  return launch(shape, stream, back ? arrange_sums_kernel<true> : arrange_sums_kernel<false>, sums, symmetric,
                static_cast<unsigned>(down), rows, columns, matrix);
}

}  // namespace threegate::cuda
