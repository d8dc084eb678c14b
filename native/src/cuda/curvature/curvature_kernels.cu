// Products of tokens with directions, in tiles of 64 x 64 in the registers of one block. Products are in float32, and sums over
// outputs and over blocks of tokens in float64.
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "curvature_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = static_cast<int>(kProbeTile);
constexpr int kEach = 4;  // rows and columns of a thread in a tile
constexpr int kAcross = kTile / kEach;
constexpr int kDepth = 16;
static_assert(kAcross * kAcross == kThreads);

struct Panels {
  float left[kDepth][kTile + 1];
  float right[kDepth][kTile + 1];
};

// The entries of a thread in a tile are at the rows row + kEach * i and the columns column + kAcross * j.
struct Place {
  int row;
  int column;
};
__device__ Place place() {
  const auto thread = static_cast<int>(threadIdx.x);
  return {thread / kAcross * kEach, thread % kAcross};
}

__device__ void multiply_panels(const Panels& panels, const Place& own, float (&sums)[kEach][kEach]) {
#pragma unroll
  for (int k = 0; k < kDepth; ++k) {
    float a[kEach];
    float b[kEach];
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      a[i] = panels.left[k][own.row + i];
      b[i] = panels.right[k][own.column + kAcross * i];
    }
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
#pragma unroll
      for (int j = 0; j < kEach; ++j) {
        sums[i][j] = fmaf(a[i], b[j], sums[i][j]);
      }
    }
  }
}

// Computes the tile of in * right^T that begins at the given row and column.
__device__ void tile_of_rows(const float* in, const float* right, int64_t rows, int64_t others, int64_t length, int64_t first_row,
                             int64_t first_other, Panels& panels, float (&sums)[kEach][kEach]) {
  const auto thread = static_cast<int>(threadIdx.x);
  const Place own = place();
  for (int64_t begin = 0; begin < length; begin += kDepth) {
    __syncthreads();
    for (int at = thread; at < kDepth * kTile; at += kThreads) {
      const int k = at % kDepth;
      const int i = at / kDepth;
      const bool inside = begin + k < length;
      panels.left[k][i] = inside && first_row + i < rows ? in[(first_row + i) * length + begin + k] : 0;
      panels.right[k][i] = inside && first_other + i < others ? right[(first_other + i) * length + begin + k] : 0;
    }
    __syncthreads();
    multiply_panels(panels, own, sums);
  }
}

__global__ void __launch_bounds__(kThreads)
    form_direction_kernel(const __grid_constant__ DirectionEntries direction, float* out, double* row_squares) {
  // Each warp sums one row, in a fixed order.
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp;
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const int64_t across = (direction.columns + 63) / 64;
  double square = 0;
  if (row < direction.rows) {
    for (int64_t j = lane; j < direction.columns; j += kWarp) {
      double value = entry(direction.matrix, row, j);
      if (direction.has_subtracted != 0) {
        value -= entry(direction.subtracted, row, j);
      }
      if (direction.mask != nullptr && (direction.mask[row * across + j / 64] >> (j % 64) & 1U) == 0) {
        value = 0;
      }
      out[row * direction.columns + j] = static_cast<float>(value);
      square += value * value;
    }
  }
  square = sum_over_warp(square);
  if (row < direction.rows && lane == 0) {
    row_squares[row] = square;
  }
}

__global__ void __launch_bounds__(kThreads)
    narrow_rows_kernel(const __grid_constant__ Entries entries, int64_t rows, int64_t columns, float* out) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (row < rows) {
    for (int64_t j = threadIdx.x % kWarp; j < columns; j += kWarp) {
      out[row * columns + j] = static_cast<float>(entry(entries, row, j));
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    dense_slopes_kernel(const float* input, const float* gradient, const float* direction, int64_t tokens, int64_t inputs,
                        int64_t outputs, double* partial) {
  __shared__ Panels panels;
  const int64_t tiles = (outputs + kTile - 1) / kTile;
  const int64_t first_token = blockIdx.x / tiles * kTile;
  const int64_t tile = blockIdx.x % tiles;
  float products[kEach][kEach] = {};
  tile_of_rows(input, direction, tokens, outputs, inputs, first_token, tile * kTile, panels, products);
  const Place own = place();
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int64_t token = first_token + own.row + i;
    double slope = 0;
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      const int64_t output = tile * kTile + own.column + kAcross * j;
      if (token < tokens && output < outputs) {
        slope += static_cast<double>(products[i][j]) * static_cast<double>(gradient[token * outputs + output]);
      }
    }
    // Half a warp holds the columns of a row.
    for (int distance = kAcross / 2; distance > 0; distance /= 2) {
      slope += __shfl_xor_sync(kWholeWarp, slope, distance);
    }
    if (token < tokens && own.column == 0) {
      partial[tile * tokens + token] = slope;
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    add_slopes_kernel(const double* partial, int64_t tiles, int64_t tokens, double* slopes) {
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (token < tokens) {
    double sum = 0;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      sum += partial[tile * tokens + token];
    }
    slopes[token] = sum;
  }
}

__global__ void __launch_bounds__(kThreads)
    project_kernel(const float* in, const float* right, int64_t rows, int64_t others, int64_t length, float* out) {
  __shared__ Panels panels;
  const int64_t across = (others + kTile - 1) / kTile;
  const int64_t first_row = blockIdx.x / across * kTile;
  const int64_t first_other = blockIdx.x % across * kTile;
  float products[kEach][kEach] = {};
  tile_of_rows(in, right, rows, others, length, first_row, first_other, panels, products);
  const Place own = place();
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      const int64_t row = first_row + own.row + i;
      const int64_t other = first_other + own.column + kAcross * j;
      if (row < rows && other < others) {
        out[row * others + other] = products[i][j];
      }
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    row_products_kernel(const float* first, const float* second, int64_t rows, int64_t length, double* slopes) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp;
  double sum = 0;
  if (row < rows) {
    for (int64_t j = threadIdx.x % kWarp; j < length; j += kWarp) {
      sum += static_cast<double>(first[row * length + j]) * static_cast<double>(second[row * length + j]);
    }
  }
  sum = sum_over_warp(sum);
  if (row < rows && threadIdx.x % kWarp == 0) {
    slopes[row] = sum;
  }
}

__global__ void __launch_bounds__(kThreads, 1)
    token_products_kernel(const float* left, const double* weights, const float* right, int64_t tokens, int64_t left_columns,
                          int64_t right_columns, double* sums) {
  __shared__ Panels panels;
  const auto thread = static_cast<int>(threadIdx.x);
  const int64_t across = (right_columns + kTile - 1) / kTile;
  const int64_t first_row = blockIdx.x / across * kTile;
  const int64_t first_column = blockIdx.x % across * kTile;
  const Place own = place();
  double wide[kEach][kEach] = {};
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      const int64_t row = first_row + own.row + i;
      const int64_t column = first_column + own.column + kAcross * j;
      wide[i][j] = row < left_columns && column < right_columns ? sums[row * right_columns + column] : 0;
    }
  }
  for (int64_t block = 0; block < tokens; block += kProbeTokens) {
    const int64_t end = smaller(tokens, block + kProbeTokens);
    float narrow[kEach][kEach] = {};
    for (int64_t begin = block; begin < end; begin += kDepth) {
      __syncthreads();
      for (int at = thread; at < kDepth * kTile; at += kThreads) {
        const int k = at / kTile;
        const int i = at % kTile;
        const int64_t token = begin + k;
        float value = 0;
        if (token < end && first_row + i < left_columns) {
          value = left[token * left_columns + first_row + i];
          if (weights != nullptr) {
            value = static_cast<float>(weights[token] * static_cast<double>(value));
          }
        }
        panels.left[k][i] = value;
        panels.right[k][i] =
            token < end && first_column + i < right_columns ? right[token * right_columns + first_column + i] : 0;
      }
      __syncthreads();
      multiply_panels(panels, own, narrow);
    }
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
#pragma unroll
      for (int j = 0; j < kEach; ++j) {
        wide[i][j] += static_cast<double>(narrow[i][j]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      const int64_t row = first_row + own.row + i;
      const int64_t column = first_column + own.column + kAcross * j;
      if (row < left_columns && column < right_columns) {
        sums[row * right_columns + column] = wide[i][j];
      }
    }
  }
}

int64_t quotient(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

cudaError_t launch_form_direction(const DirectionEntries& direction, float* out, double* row_squares, cudaStream_t stream) {
  return launch({quotient(direction.rows, kThreads / kWarp), kThreads}, stream, form_direction_kernel, direction, out,
                row_squares);
}

cudaError_t launch_narrow_rows(const Entries& entries, int64_t rows, int64_t columns, float* out, cudaStream_t stream) {
  return launch({quotient(rows, kThreads / kWarp), kThreads}, stream, narrow_rows_kernel, entries, rows, columns, out);
}

cudaError_t launch_dense_slopes(const float* input, const float* gradient, const float* direction, int64_t tokens, int64_t inputs,
                                int64_t outputs, double* partial, double* slopes, cudaStream_t stream) {
  const int64_t tiles = quotient(outputs, kTile);
  const cudaError_t error = launch({quotient(tokens, kTile) * tiles, kThreads}, stream, dense_slopes_kernel, input, gradient,
                                   direction, tokens, inputs, outputs, partial);
  return error != cudaSuccess
             ? error
             : launch({quotient(tokens, kThreads), kThreads}, stream, add_slopes_kernel, partial, tiles, tokens, slopes);
}

cudaError_t launch_project(const float* in, const float* right, int64_t rows, int64_t others, int64_t length, float* out,
                           cudaStream_t stream) {
  return launch({quotient(rows, kTile) * quotient(others, kTile), kThreads}, stream, project_kernel, in, right, rows, others,
                length, out);
}

cudaError_t launch_row_products(const float* first, const float* second, int64_t rows, int64_t length, double* slopes,
                                cudaStream_t stream) {
  return launch({quotient(rows, kThreads / kWarp), kThreads}, stream, row_products_kernel, first, second, rows, length, slopes);
}

cudaError_t launch_token_products(const float* left, const double* weights, const float* right, int64_t tokens,
                                  int64_t left_columns, int64_t right_columns, double* sums, cudaStream_t stream) {
  return launch({quotient(left_columns, kTile) * quotient(right_columns, kTile), kThreads}, stream, token_products_kernel, left,
                weights, right, tokens, left_columns, right_columns, sums);
}

}  // namespace threegate::cuda
