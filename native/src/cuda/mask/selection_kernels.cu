// Scores are computed in tiles of 64 x 64 in the registers of one block, as often as they are needed. The reconstruction is never
// stored. Kernels count or mark the scores of each tile.
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "selection_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = 64;
constexpr int kEach = 4;    // rows and columns of a thread in a tile
constexpr int kDepth = 16;  // ranks of the factors that are in shared memory at a time
constexpr int kAcross = kTile / kEach;
static_assert(kAcross * kAcross == kThreads);

template <typename T>
struct Bits;
template <>
struct Bits<float> {
  static constexpr uint64_t kInfinity = 0x7f800000U;
  __device__ static uint64_t key(float score) { return __float_as_uint(score) & 0x7fffffffU; }
};
template <>
struct Bits<double> {
  static constexpr uint64_t kInfinity = 0x7ff0000000000000ULL;
  __device__ static uint64_t key(double score) { return bit_cast<uint64_t>(score) & 0x7fffffffffffffffULL; }
};

template <typename T>
struct Factors {
  T left[kDepth][kTile];
  T right[kDepth][kTile];
};

// The part of a tile that belongs to a thread: the rows row + i and the columns column + kAcross * j. Neighbouring threads have
// neighbouring columns.
template <typename T>
__device__ void tile_of_triplets(const Scores& scores, const T* left, const T* right, int64_t tile_row, int64_t tile_column,
                                 Factors<T>& shared, T (&out)[kEach][kEach]) {
  const auto thread = static_cast<int>(threadIdx.x);
  const int row = thread / kAcross * kEach;
  const int column = thread % kAcross;
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      out[i][j] = 0;
    }
  }
  for (int64_t begin = 0; begin < scores.rank; begin += kDepth) {
    __syncthreads();
    for (int at = thread; at < kDepth * kTile; at += kThreads) {
      const int64_t k = begin + at / kTile;
      const int64_t i = tile_row + at % kTile;
      const int64_t j = tile_column + at % kTile;
      shared.left[at / kTile][at % kTile] = k < scores.rank && i < scores.rows ? left[k * scores.rows + i] : T{0};
      shared.right[at / kTile][at % kTile] = k < scores.rank && j < scores.columns ? right[k * scores.columns + j] : T{0};
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      T a[kEach];
      T b[kEach];
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        a[i] = shared.left[k][row + i];
        b[i] = shared.right[k][column + kAcross * i];
      }
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
#pragma unroll
        for (int j = 0; j < kEach; ++j) {
          out[i][j] = fma(a[i], b[j], out[i][j]);
        }
      }
    }
  }
}

__device__ void tile_of_matrix(const Scores& scores, int64_t tile_row, int64_t tile_column, double (&out)[kEach][kEach]) {
  const auto thread = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      const int64_t row = tile_row + thread / kAcross * kEach + i;
      const int64_t column = tile_column + thread % kAcross + kAcross * j;
      out[i][j] = row < scores.rows && column < scores.columns ? entry(scores.entries, row, column) : 0;
    }
  }
}

template <ScoreKind kKind>
struct ScoreType {
  using Type = double;
};
template <>
struct ScoreType<ScoreKind::kNarrowTriplets> {
  using Type = float;
};

// Calls body(i, j, key) for a thread's entries of each tile of the block, where i and j are indices in the tile. Calls done()
// after each tile.
template <ScoreKind kKind, typename Body, typename Done>
__device__ void for_tiles(const Scores& scores, Body body, Done done) {
  using T = typename ScoreType<kKind>::Type;
  __shared__ Factors<T> shared;
  const int64_t across = (scores.columns + kTile - 1) / kTile;
  const int64_t tiles = (scores.rows + kTile - 1) / kTile * across;
  const auto thread = static_cast<int>(threadIdx.x);
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const int64_t tile_row = tile / across * kTile;
    const int64_t tile_column = tile % across * kTile;
    T values[kEach][kEach];
    if constexpr (kKind == ScoreKind::kMatrix) {
      tile_of_matrix(scores, tile_row, tile_column, values);
    } else if constexpr (kKind == ScoreKind::kTriplets) {
      tile_of_triplets(scores, scores.left, scores.right, tile_row, tile_column, shared, values);
    } else {
      tile_of_triplets(scores, scores.narrow_left, scores.narrow_right, tile_row, tile_column, shared, values);
    }
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
#pragma unroll
      for (int j = 0; j < kEach; ++j) {
        const int row = thread / kAcross * kEach + i;
        const int column = thread % kAcross + kAcross * j;
        if (tile_row + row < scores.rows && tile_column + column < scores.columns) {
          body(row, column, Bits<T>::key(values[i][j]), Bits<T>::kInfinity);
        }
      }
    }
    done(tile_row, tile_column);
  }
}

template <ScoreKind kKind>
__global__ void __launch_bounds__(kThreads)
    count_digits_kernel(Scores scores, DigitPass pass, uint64_t* digits, uint32_t* flags) {
  __shared__ uint32_t counts[kDigits];
  for (unsigned i = threadIdx.x; i < kDigits; i += kThreads) {
    counts[i] = 0;
  }
  __syncthreads();
  bool finite = true;
  for_tiles<kKind>(
      scores,
      [&](int, int, uint64_t key, uint64_t infinity) {
        finite = finite && key < infinity;
        if (pass.above >= 64 || key >> pass.above == pass.prefix >> pass.above) {
          atomicAdd(&counts[key >> pass.shift & (kDigits - 1)], 1U);
        }
      },
      [](int64_t, int64_t) {});
  if (!finite) {
    atomicOr(flags, 1U);
  }
  __syncthreads();
  for (unsigned i = threadIdx.x; i < kDigits; i += kThreads) {
    if (counts[i] != 0) {
      atomicAdd(reinterpret_cast<unsigned long long*>(digits + i), static_cast<unsigned long long>(counts[i]));
    }
  }
}

template <ScoreKind kKind>
__global__ void __launch_bounds__(kThreads)
    mark_kernel(Scores scores, MarkPass pass, uint64_t* beyond, uint64_t* between, uint32_t* flags) {
  // Each word of the mask is one row of a tile.
  __shared__ uint32_t beyond_bits[kTile][2];
  __shared__ uint32_t between_bits[kTile][2];
  const auto thread = static_cast<int>(threadIdx.x);
  if (thread < 2 * kTile) {
    beyond_bits[thread / 2][thread % 2] = 0;
    between_bits[thread / 2][thread % 2] = 0;
  }
  __syncthreads();
  bool finite = true;
  const int64_t words = (scores.columns + 63) / 64;
  for_tiles<kKind>(
      scores,
      [&](int row, int column, uint64_t key, uint64_t infinity) {
        finite = finite && key < infinity;
        const bool inside = key >= pass.low && key <= pass.high;
        const bool outside = pass.smallest != 0 ? key < pass.low : key > pass.high;
        if (inside || outside) {
          atomicOr(inside ? &between_bits[row][column / 32] : &beyond_bits[row][column / 32], 1U << (column % 32));
        }
      },
      [&](int64_t tile_row, int64_t tile_column) {
        __syncthreads();
        if (thread < kTile) {
          if (tile_row + thread < scores.rows) {
            const int64_t at = (tile_row + thread) * words + tile_column / 64;
            beyond[at] = beyond_bits[thread][0] | static_cast<uint64_t>(beyond_bits[thread][1]) << 32;
            between[at] = between_bits[thread][0] | static_cast<uint64_t>(between_bits[thread][1]) << 32;
          }
          beyond_bits[thread][0] = beyond_bits[thread][1] = 0;
          between_bits[thread][0] = between_bits[thread][1] = 0;
        }
        __syncthreads();
      });
  if (!finite) {
    atomicOr(flags, 1U);
  }
}

__global__ void __launch_bounds__(kThreads)
    prepare_factor_kernel(const double* values, int64_t rank, int64_t length, const double* from, double* scaled, float* narrow,
                          uint64_t* norm) {
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < length;
       i += static_cast<int64_t>(gridDim.x) * kThreads) {
    double square = 0;
    for (int64_t k = 0; k < rank; ++k) {
      const double product = (values == nullptr ? 1 : values[k]) * from[k * length + i];
      if (scaled != nullptr) {
        scaled[k * length + i] = product;
      }
      narrow[k * length + i] = static_cast<float>(product);
      square += product * product;
    }
    // The bits of numbers that are not negative are ordered as the numbers are, and a NaN is above all of them.
    atomicMax(reinterpret_cast<unsigned long long*>(norm), static_cast<unsigned long long>(bit_cast<uint64_t>(square)));
  }
}

int64_t quotient(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <typename... Parameters, typename... Arguments>
cudaError_t launch_resident(int64_t work, int multiprocessors, cudaStream_t stream, void (*kernel)(Parameters...),
                            Arguments... arguments) {
  int resident = 1;
  const cudaError_t error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, kThreads, 0);
  if (error != cudaSuccess) {
    return error;
  }
  const int64_t most = int64_t{multiprocessors} * resident;
  return launch({work < most ? work : most, kThreads}, stream, kernel, arguments...);
}

int64_t tiles_of(const Scores& scores) { return quotient(scores.rows, kTile) * quotient(scores.columns, kTile); }

}  // namespace

cudaError_t launch_prepare_factors(const double* values, int64_t rank, int64_t rows, double* left, float* narrow_left,
                                   int64_t columns, const double* right, float* narrow_right, uint64_t* norms,
                                   cudaStream_t stream) {
  const cudaError_t error = launch({quotient(rows, kThreads), kThreads}, stream, prepare_factor_kernel, values, rank, rows, left,
                                   left, narrow_left, norms);
  if (error != cudaSuccess) {
    return error;
  }
  return launch({quotient(columns, kThreads), kThreads}, stream, prepare_factor_kernel, nullptr, rank, columns, right, nullptr,
                narrow_right, norms + 1);
}

cudaError_t launch_count_digits(const Scores& scores, const DigitPass& pass, uint64_t* digits, uint32_t* flags,
                                int multiprocessors, cudaStream_t stream) {
  const int64_t tiles = tiles_of(scores);
  switch (scores.kind) {
    case ScoreKind::kMatrix:
      return launch_resident(tiles, multiprocessors, stream, count_digits_kernel<ScoreKind::kMatrix>, scores, pass, digits,
                             flags);
    case ScoreKind::kTriplets:
      return launch_resident(tiles, multiprocessors, stream, count_digits_kernel<ScoreKind::kTriplets>, scores, pass, digits,
                             flags);
    default:
      return launch_resident(tiles, multiprocessors, stream, count_digits_kernel<ScoreKind::kNarrowTriplets>, scores, pass,
                             digits, flags);
  }
}

cudaError_t launch_mark(const Scores& scores, const MarkPass& pass, uint64_t* beyond, uint64_t* between, uint32_t* flags,
                        int multiprocessors, cudaStream_t stream) {
  const int64_t tiles = tiles_of(scores);
  switch (scores.kind) {
    case ScoreKind::kMatrix:
      return launch_resident(tiles, multiprocessors, stream, mark_kernel<ScoreKind::kMatrix>, scores, pass, beyond, between,
                             flags);
    case ScoreKind::kTriplets:
      return launch_resident(tiles, multiprocessors, stream, mark_kernel<ScoreKind::kTriplets>, scores, pass, beyond, between,
                             flags);
    default:
      return launch_resident(tiles, multiprocessors, stream, mark_kernel<ScoreKind::kNarrowTriplets>, scores, pass, beyond,
                             between, flags);
  }
}

}  // namespace threegate::cuda
