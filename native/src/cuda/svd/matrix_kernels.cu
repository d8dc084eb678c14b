// Kernels on one matrix or one list of vectors: the range of the entries, the split into bf16 terms, and conversions. The range
// and the split are bound by memory: an entry of bf16 has 2 bytes to read and 2 to write, for about 20 instructions.
//
// Tried before: float16 and float8 widened by integers. That was 20 instructions an entry and 27 to 57 % of the bandwidth. Now a
// device converts two float8 codes to float16 by one instruction, and each of those to float32 by one.
#include <algorithm>

#include "bf16_terms.h"
#include "cuda/support/instructions.h"
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "svd_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;
int64_t quotient(int64_t a, int64_t b) { return (a + b - 1) / b; }

__device__ inline double source_entry(const Source& source, int64_t row, int64_t column) {
  const double value = entry(source.entries, row, column);
  return source.has_subtracted != 0 ? value - entry(source.subtracted, row, column) : value;
}

// How a thread reads kEach neighbouring entries of a row. Those beyond the row are 0.
//
// Entries of one dtype without scales and low-rank terms. A load has 16 bytes.
template <tg_dtype kDtype>
struct Plain {
  using Value = typename Format<kDtype>::Value;
  static constexpr int kEach = sizeof(typename Format<kDtype>::Code) == 1 ? 16 : 8;
  __device__ static void load(const Source& source, int64_t row, int64_t column, int count, Value (&values)[size_t{kEach}]) {
    load_group<kDtype>(source.entries, row, column, count, values);
  }
};

// Differences of such entries, whose dtype is the same. float64 holds those of float16 and float8 exactly. float32 then gives the
// rounding of the exact difference, too, without conversions, which were the ceiling: three for each entry.
template <tg_dtype kDtype>
struct Difference {
  using Value = std::conditional_t<kDtype == TG_F64 || kDtype == TG_F32 || kDtype == TG_BF16, double, float>;
  static constexpr int kEach = Plain<kDtype>::kEach;
  __device__ static void load(const Source& source, int64_t row, int64_t column, int count, Value (&values)[size_t{kEach}]) {
    typename Format<kDtype>::Value left[size_t{kEach}];
    typename Format<kDtype>::Value right[size_t{kEach}];
    load_group<kDtype>(source.entries, row, column, count, left);
    load_group<kDtype>(source.subtracted, row, column, count, right);
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      values[i] = static_cast<Value>(left[i]) - static_cast<Value>(right[i]);
    }
  }
};

struct Any {
  using Value = double;
  static constexpr int kEach = 8;
  __device__ static void load(const Source& source, int64_t row, int64_t column, int count, double (&values)[size_t{kEach}]) {
    for (double& value : values) {
      value = 0;
    }
#pragma unroll 1
    for (int i = 0; i < count; ++i) {
      const double value = source_entry(source, row, column + i);
      // Constant indices keep the values in registers.
#pragma unroll
      for (int j = 0; j < kEach; ++j) {
        values[j] = j == i ? value : values[j];
      }
    }
  }
};

// The larger magnitude. NaN exceeds all numbers.
__device__ inline float larger_magnitude(float most, float value) { return larger_or_nan(most, fabs(value)); }
__device__ inline double larger_magnitude(double most, double value) {
  const auto magnitude = bit_cast<uint64_t>(value) << 1 >> 1;
  return magnitude > bit_cast<uint64_t>(most) ? bit_cast<double>(magnitude) : most;
}

struct Planes {
  uint16_t* plane[kPlanes];
};

// Half a warp has neighbouring groups of a row, and the other half those of the next row.
template <typename Reader>
constexpr int kAcross = kWarp / 2 * Reader::kEach;
template <typename Reader>
constexpr int kPieceColumns = 8 * kAcross<Reader>;  // of two rows, which a warp processes at a time

// The pieces of a matrix. A warp goes to the piece that is `rows` pairs of rows and `pieces` pieces further, without a division.
struct Steps {
  int64_t width;  // columns, with their padding if there are planes
  int64_t pairs;
  unsigned pieces;  // of a row
  unsigned step_pairs;
  unsigned step_pieces;
};

// Raises `largest` to the largest magnitude of the entries, as bits of a double. A magnitude that is not finite is larger than
// all others. Writes the planes of the entries, if there are any, with zeros beyond the matrix.
// The blocks of a multiprocessor for which the compiler leaves registers. Differences have twice as many bytes on the way.
template <typename Reader>
constexpr int kBlocks = 3;
template <tg_dtype kDtype>
constexpr int kBlocks<Plain<kDtype>> = kDtype == TG_F64 || Plain<kDtype>::kEach == 16 ? 5 : 6;
template <tg_dtype kDtype>
constexpr int kBlocks<Difference<kDtype>> = Plain<kDtype>::kEach == 16 ? 3 : 4;

template <typename Reader>
__global__ void __launch_bounds__(kThreads, kBlocks<Reader>)
    split_matrix_kernel(const __grid_constant__ Source source, Planes planes, Steps steps, uint64_t* largest) {
  using Value = typename Reader::Value;
  constexpr int kEach = Reader::kEach;
  constexpr int kPart = 8;
  __shared__ uint64_t shared[kThreads / kWarp];
  Value most = 0;
  const unsigned lane = threadIdx.x % kWarp;
  const unsigned warp = blockIdx.x * (kThreads / kWarp) + threadIdx.x / kWarp;
  int64_t pair = warp / steps.pieces;
  unsigned piece = warp % steps.pieces;
  while (pair < steps.pairs) {
    const int64_t row = 2 * pair + lane / 16;
    const int64_t begin = int64_t{piece} * kPieceColumns<Reader>;
    const int64_t end = smaller(steps.width, begin + kPieceColumns<Reader>);
    const int64_t length = row < source.rows ? source.columns : 0;
    for (int64_t column = begin + lane % 16 * kEach; column < end; column += kAcross<Reader>) {
      const int64_t left = length - column;
      Value values[size_t{kEach}];
      Reader::load(source, row, column, left >= kEach ? kEach : static_cast<int>(larger(left, 0)), values);
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        most = larger_magnitude(most, values[i]);
      }
      if (planes.plane[0] == nullptr) {
        continue;
      }
      // Eight entries at a time, which takes fewer registers than sixteen.
#pragma unroll
      for (int part = 0; part < kEach; part += kPart) {
        float rests[kPart];
#pragma unroll
        for (int i = 0; i < kPart; ++i) {
          rests[i] = static_cast<float>(values[part + i]);
        }
        if (source.scale != 1) {
#pragma unroll
          for (int i = 0; i < kPart; ++i) {
            rests[i] = static_cast<float>(values[part + i] * source.scale);
          }
        }
        const int64_t at = row * steps.width + column + part;
#pragma unroll
        for (int plane = 0; plane < kPlanes; ++plane) {
          if (plane < source.planes) {
            store_vector(planes.plane[plane] + at, uint4{take_two_terms(rests[0], rests[1]), take_two_terms(rests[2], rests[3]),
                                                         take_two_terms(rests[4], rests[5]), take_two_terms(rests[6], rests[7])});
          }
        }
      }
    }
    pair += steps.step_pairs;
    piece += steps.step_pieces;
    if (piece >= steps.pieces) {
      piece -= steps.pieces;
      ++pair;
    }
  }
  auto wide = bit_cast<uint64_t>(static_cast<double>(most));
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const uint64_t other = __shfl_xor_sync(kWholeWarp, wide, distance);
    wide = other > wide ? other : wide;
  }
  if (lane == 0) {
    shared[threadIdx.x / kWarp] = wide;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (const uint64_t other : shared) {
      wide = other > wide ? other : wide;
    }
    atomicMax(reinterpret_cast<unsigned long long*>(largest), static_cast<unsigned long long>(wide));
  }
}

// Blocks of these kernels have one piece of a row each, which avoids a division for each number.
constexpr int kRowPiece = 4 * kThreads;
struct RowPiece {
  int64_t row;
  int64_t begin;
  int64_t end;
};
__device__ inline RowPiece row_piece(int64_t length, unsigned pieces) {
  const int64_t begin = int64_t{blockIdx.x % pieces} * kRowPiece;
  return {blockIdx.x / pieces, begin + threadIdx.x, smaller(length, begin + kRowPiece)};
}

__global__ void __launch_bounds__(kThreads) narrow_kernel(const uint8_t* data, tg_dtype dtype, int64_t row_stride, int64_t length,
                                                          unsigned pieces, float* vectors, int64_t stride) {
  const RowPiece own = row_piece(stride, pieces);
  const uint8_t* row = data + own.row * row_stride * element_bytes(dtype);
  for (int64_t i = own.begin; i < own.end; i += kThreads) {
    vectors[own.row * stride + i] = i < length ? static_cast<float>(load_double(row + i * element_bytes(dtype), dtype)) : 0.0F;
  }
}

__global__ void __launch_bounds__(kThreads)
    widen_matrix_kernel(const __grid_constant__ Source source, unsigned pieces, double* out) {
  const RowPiece own = row_piece(source.columns, pieces);
#pragma unroll 1
  for (int64_t j = own.begin; j < own.end; j += kThreads) {
    out[own.row * source.columns + j] = source_entry(source, own.row, j) * source.scale;
  }
}

// The sum of the numbers of a block, in every thread.
__device__ double sum_over_block(double value, double* shared) {
  value = sum_over_warp(value);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) {
    shared[threadIdx.x / kWarp] = value;
  }
  __syncthreads();
  double sum = 0;
  for (int i = 0; i < kThreads / kWarp; ++i) {
    sum += shared[i];
  }
  return sum;
}

// Each block has one vector.
__global__ void __launch_bounds__(kThreads) normalise_kernel(double* vectors, int64_t length, double* norms) {
  __shared__ double shared[kThreads / kWarp];
  double* own = vectors + blockIdx.x * length;
  double square = 0;
  for (int64_t i = threadIdx.x; i < length; i += kThreads) {
    square += own[i] * own[i];
  }
  const double norm = sqrt(sum_over_block(square, shared));
  if (threadIdx.x == 0) {
    norms[blockIdx.x] = norm;
  }
  for (int64_t i = threadIdx.x; i < length && norm > 0; i += kThreads) {
    own[i] /= norm;
  }
}

__global__ void __launch_bounds__(kThreads)
    distance_kernel(const double* z, const double* x, const double* norms, int64_t length, double* distances) {
  __shared__ double shared[kThreads / kWarp];
  const double norm = norms[blockIdx.x];
  double square = 0;
  for (int64_t i = threadIdx.x; i < length; i += kThreads) {
    const double difference = z[blockIdx.x * length + i] - norm * x[blockIdx.x * length + i];
    square += difference * difference;
  }
  const double distance = sqrt(sum_over_block(square, shared));
  if (threadIdx.x == 0) {
    distances[blockIdx.x] = distance;
  }
}

template <typename Reader>
cudaError_t launch_pieces(const Source& source, const Planes& planes, int64_t width, int64_t rows, uint64_t* largest,
                          cudaStream_t stream) {
  constexpr int64_t kMost = 132 * 8;  // blocks that an H200 runs at a time
  constexpr int64_t kWarps = kThreads / kWarp;
  Steps steps{};
  steps.width = width;
  steps.pairs = quotient(rows, 2);
  steps.pieces = static_cast<unsigned>(quotient(width, kPieceColumns<Reader>));
  const int64_t blocks = std::min(kMost, quotient(steps.pairs * steps.pieces, kWarps));
  steps.step_pairs = static_cast<unsigned>(blocks * kWarps / steps.pieces);
  steps.step_pieces = static_cast<unsigned>(blocks * kWarps % steps.pieces);
  return launch({blocks, kThreads}, stream, split_matrix_kernel<Reader>, source, planes, steps, largest);
}

bool is_plain(const Entries& entries) { return entries.block_scale == nullptr && entries.term_count == 0; }

template <tg_dtype kDtype>
cudaError_t launch_plain(const Source& source, const Planes& planes, int64_t width, int64_t rows, uint64_t* largest,
                         cudaStream_t stream) {
  return source.has_subtracted == 0 ? launch_pieces<Plain<kDtype>>(source, planes, width, rows, largest, stream)
                                    : launch_pieces<Difference<kDtype>>(source, planes, width, rows, largest, stream);
}

cudaError_t launch_of_dtype(const Source& source, const Planes& planes, int64_t width, int64_t rows, uint64_t* largest,
                            cudaStream_t stream) {
  const bool same =
      source.has_subtracted == 0 || (is_plain(source.subtracted) && source.subtracted.dtype == source.entries.dtype);
  if (!is_plain(source.entries) || !same) {
    return launch_pieces<Any>(source, planes, width, rows, largest, stream);
  }
  switch (source.entries.dtype) {
    case TG_F64:
      return launch_plain<TG_F64>(source, planes, width, rows, largest, stream);
    case TG_F32:
      return launch_plain<TG_F32>(source, planes, width, rows, largest, stream);
    case TG_F16:
      return launch_plain<TG_F16>(source, planes, width, rows, largest, stream);
    case TG_BF16:
      return launch_plain<TG_BF16>(source, planes, width, rows, largest, stream);
    case TG_F8_E4M3:
      return launch_plain<TG_F8_E4M3>(source, planes, width, rows, largest, stream);
    default:
      return launch_plain<TG_F8_E5M2>(source, planes, width, rows, largest, stream);
  }
}

unsigned row_pieces(int64_t length) { return static_cast<unsigned>(quotient(length, kRowPiece)); }

}  // namespace

cudaError_t launch_range(const Source& source, uint64_t* largest, cudaStream_t stream) {
  return launch_of_dtype(source, {}, source.columns, source.rows, largest, stream);
}

cudaError_t launch_split_matrix(const Source& source, uint16_t* const (&planes)[kPlanes], int64_t stride, int64_t padded_rows,
                                uint64_t* largest, cudaStream_t stream) {
  return launch_of_dtype(source, {{planes[0], planes[1], planes[2]}}, stride, padded_rows, largest, stream);
}

cudaError_t launch_widen_matrix(const Source& source, double* out, cudaStream_t stream) {
  const unsigned pieces = row_pieces(source.columns);
  return launch({source.rows * pieces, kThreads}, stream, widen_matrix_kernel, source, pieces, out);
}

cudaError_t launch_normalise(double* vectors, int64_t length, int64_t count, double* norms, cudaStream_t stream) {
  return launch({count, kThreads}, stream, normalise_kernel, vectors, length, norms);
}

cudaError_t launch_distance(const double* z, const double* x, const double* norms, int64_t length, int64_t count,
                            double* distances, cudaStream_t stream) {
  return launch({count, kThreads}, stream, distance_kernel, z, x, norms, length, distances);
}

cudaError_t launch_narrow(const uint8_t* rows, tg_dtype dtype, int64_t row_stride, int64_t count, int64_t length, float* vectors,
                          int64_t stride, cudaStream_t stream) {
  const unsigned pieces = row_pieces(stride);
  return launch({count * pieces, kThreads}, stream, narrow_kernel, rows, dtype, row_stride, length, pieces, vectors, stride);
}

}  // namespace threegate::cuda
