// The arithmetic of two_stages.h. Everything has internal linkage, for the reason in dtype.h.
//
// A step of the chase does 12 kBand^2 operations on two blocks of kBand x kBand entries. They come from the second-level cache
// once and stay in the first one. Each block is read for a product and then read and written for an update. Blocks begin at any
// row, so that most vectors cross a line of the cache, and loads bind.
#ifndef THREEGATE_CPU_SVD_TWO_STAGES_LANES_H
#define THREEGATE_CPU_SVD_TWO_STAGES_LANES_H

#include <algorithm>
#include <cmath>

#include "two_stages.h"
#include "vector_lanes.h"

namespace threegate::svd {
namespace {

template <typename T>
using VectorOf = typename Lanes<T>::Vector;

using Wide = VectorOf<double>;
constexpr int64_t kWide = kLanes<double>;
constexpr int64_t kGroups = kBand / kWide;  // vectors of kBand entries

constexpr int64_t kTogether = 4;  // vectors whose sums stay in registers with any instruction set

template <typename T>
[[gnu::always_inline]] inline T dot_of(const T* left, const T* right, int64_t length) {
  const int64_t pairs = length / (2 * kLanes<T>)*(2 * kLanes<T>);
  VectorOf<T> sums[2] = {};
  for (int64_t j = 0; j < pairs; j += 2 * kLanes<T>) {
    sums[0] += load_lanes(left + j) * load_lanes(right + j);
    sums[1] += load_lanes(left + j + kLanes<T>) * load_lanes(right + j + kLanes<T>);
  }
  T sum = sum_of<T>(sums[0] + sums[1]);
  for (int64_t j = pairs; j < length; ++j) {
    sum += left[j] * right[j];
  }
  return sum;
}

// Squares are summed in float64, where those of float32 neither vanish nor overflow.
template <typename T>
[[gnu::always_inline]] inline T make_reflection(T* x, int64_t length, T& factor) {
  using Narrow = typename Lanes<T>::Narrow;
  const auto corner = static_cast<double>(x[0]);
  x[0] = 0;
  const int64_t whole = length / kWide * kWide;
  Wide sums = {};
  for (int64_t j = 0; j < whole; j += kWide) {
    Narrow entries;
    std::memcpy(&entries, x + j, sizeof(entries));
    const Wide wide = __builtin_convertvector(entries, Wide);
    sums += wide * wide;
  }
  double squares = sum_of<double>(sums);
  for (int64_t j = whole; j < length; ++j) {
    squares += static_cast<double>(x[j]) * static_cast<double>(x[j]);
  }
  double value = corner;
  double scale = 0;
  factor = 0;
  if (squares > 0) {
    value = -std::copysign(std::sqrt(corner * corner + squares), corner);
    scale = 1 / (corner - value);
    factor = static_cast<T>((value - corner) / value);
  }
  for (int64_t j = 0; j < whole; j += kWide) {
    Narrow entries;
    std::memcpy(&entries, x + j, sizeof(entries));
    entries = __builtin_convertvector(__builtin_convertvector(entries, Wide) * scale, Narrow);
    std::memcpy(x + j, &entries, sizeof(entries));
  }
  for (int64_t j = whole; j < length; ++j) {
    x[j] = static_cast<T>(static_cast<double>(x[j]) * scale);
  }
  x[0] = 1;
  return static_cast<T>(value);
}

template <typename T>
void reflect_rows(const T* v, T factor, int64_t length, T* rows, int64_t stride, int64_t count) {
  const int64_t whole = length / kLanes<T> * kLanes<T>;
  for (int64_t i = 0; i < count; ++i) {
    T* row = rows + i * stride;
    const T share = factor * dot_of(row, v, length);
    for (int64_t j = 0; j < whole; j += kLanes<T>) {
      store_lanes<T>(load_lanes(row + j) - load_lanes(v + j) * share, row + j);
    }
    for (int64_t j = whole; j < length; ++j) {
      row[j] -= v[j] * share;
    }
  }
}

// The entries of a vector that are more than `lane` rows below its first one.
[[gnu::always_inline]] inline Wide below(const Wide& entries, int64_t lane) {
  Wide numbers;
  for (int64_t i = 0; i < kWide; ++i) {
    numbers[i] = static_cast<double>(i);
  }
  return numbers > static_cast<double>(lane) ? entries : Wide{};
}

// Products of a diagonal block with v, for the columns of one vector. Their entries below the diagonal count twice: in `image`
// for the lower triangle, and in `sums` for the upper one.
template <int64_t kFirst>
[[gnu::always_inline]] inline void multiply_columns(const double* block, const double* v, double* image, double* sums) {
  constexpr int64_t kOwn = kGroups - kFirst;
  constexpr int64_t kBegin = kFirst * kWide;
  Wide out[static_cast<size_t>(kOwn)];
  for (int64_t i = 0; i < kOwn; ++i) {
    out[i] = load_lanes(image + kBegin + i * kWide);
  }
  for (int64_t lane = 0; lane < kWide; ++lane) {
    const double* column = block + (kBegin + lane) * kBandStride + kBegin;
    const double own = v[kBegin + lane];
    Wide entries = below(load_lanes(column), lane);
    out[0] += entries * own;
    Wide dots = entries * load_lanes(v + kBegin);
    for (int64_t i = 1; i < kOwn; ++i) {
      entries = load_lanes(column + i * kWide);
      keep_in_register(entries);
      out[i] += entries * own;
      dots += entries * load_lanes(v + kBegin + i * kWide);
    }
    sums[kBegin + lane] = sum_of<double>(dots) + column[lane] * own;
  }
  for (int64_t i = 0; i < kOwn; ++i) {
    store_lanes<double>(out[i], image + kBegin + i * kWide);
  }
}

// Subtracts v w^T + w v^T from the same columns. What is written above the diagonal belongs to no column.
template <int64_t kFirst>
[[gnu::always_inline]] inline void update_columns(double* block, const double* v, const double* w) {
  constexpr int64_t kOwn = kGroups - kFirst;
  constexpr int64_t kBegin = kFirst * kWide;
  for (int64_t lane = 0; lane < kWide; ++lane) {
    double* column = block + (kBegin + lane) * kBandStride + kBegin;
    const double of_v = w[kBegin + lane];
    const double of_w = v[kBegin + lane];
    for (int64_t i = 0; i < kOwn; ++i) {
      const int64_t at = i * kWide;
      store_lanes<double>(load_lanes(column + at) - load_lanes(v + kBegin + at) * of_v - load_lanes(w + kBegin + at) * of_w,
                          column + at);
    }
  }
}

template <size_t... kIndex>
[[gnu::always_inline]] inline void reflect_diagonal(double* block, const double* v, double factor,
                                                    std::index_sequence<kIndex...> /*groups*/) {
  alignas(64) double own[kBand];  // no store to the block can change it
  std::copy_n(v, kBand, own);
  alignas(64) double image[kBand] = {};
  alignas(64) double sums[kBand];
  (multiply_columns<static_cast<int64_t>(kIndex)>(block, own, image, sums), ...);
  for (int64_t i = 0; i < kBand; ++i) {
    image[i] = factor * (image[i] + sums[i]);
  }
  const double share = -factor * dot_of(image, own, kBand) / 2;
  for (int64_t i = 0; i < kBand; ++i) {
    image[i] += share * own[i];
  }
  (update_columns<static_cast<int64_t>(kIndex)>(block, own, image), ...);
}

void finish(double* block, const double* v, double factor) {
  reflect_diagonal(block, v, factor, std::make_index_sequence<static_cast<size_t>(kGroups)>());
}

void chase(double* block, double* v, double& factor) {
  finish(block, v, factor);
  // The products of the rows below with v.
  double* rows = block + kBand;
  alignas(64) double image[kBand];
  for (int64_t first = 0; first < kBand; first += kTogether * kWide) {
    Wide sums[static_cast<size_t>(kTogether)] = {};
    for (int64_t c = 0; c < kBand; ++c) {
      for (int64_t i = 0; i < kTogether; ++i) {
        sums[i] += load_lanes(rows + c * kBandStride + first + i * kWide) * v[c];
      }
    }
    for (int64_t i = 0; i < kTogether; ++i) {
      store_lanes<double>(sums[i] * factor, image + first + i * kWide);
    }
  }
  // The first column shows the next reflection.
  alignas(64) double next[kBand];
  for (int64_t i = 0; i < kBand; ++i) {
    next[i] = rows[i] - image[i];
  }
  double next_factor = 0;
  const double value = make_reflection(next, kBand, next_factor);
  std::fill_n(rows, kBand, 0.0);
  rows[0] = value;
  // Both updates of the other columns at once.
  const double overlap = dot_of(image, next, kBand);
  for (int64_t c = 1; c < kBand; ++c) {
    double* column = rows + c * kBandStride;
    Wide dots = load_lanes(column) * load_lanes(next);
    for (int64_t i = 1; i < kGroups; ++i) {
      dots += load_lanes(column + i * kWide) * load_lanes(next + i * kWide);
    }
    const double own = v[c];
    const double share = next_factor * (sum_of<double>(dots) - overlap * own);
    for (int64_t i = 0; i < kGroups; ++i) {
      const int64_t at = i * kWide;
      store_lanes<double>(load_lanes(column + at) - load_lanes(image + at) * own - load_lanes(next + at) * share, column + at);
    }
  }
  std::copy_n(next, kBand, v);
  factor = next_factor;
}

// Rows of vectors stay in the first-level cache. Two reflections share each load of a row, so that multiplications bind.
void apply_pair(const double* first, double first_factor, const double* second, double second_factor, int64_t count,
                double* rows) {
  const double overlap = dot_of(first, second, kPair);
  for (int64_t begin = 0; begin < kWidth; begin += kTogether * kWide) {
    Wide of_first[static_cast<size_t>(kTogether)] = {};
    Wide of_second[static_cast<size_t>(kTogether)] = {};
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t k = 0; k < kTogether; ++k) {
        Wide entries = load_lanes(rows + i * kWidth + begin + k * kWide);
        keep_in_register(entries);
        of_first[k] += entries * first[i];
        of_second[k] += entries * second[i];
      }
    }
    for (int64_t k = 0; k < kTogether; ++k) {
      of_first[k] *= first_factor;
      of_second[k] = (of_second[k] - of_first[k] * overlap) * second_factor;
    }
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t k = 0; k < kTogether; ++k) {
        double* entries = rows + i * kWidth + begin + k * kWide;
        store_lanes<double>(load_lanes(entries) - of_first[k] * first[i] - of_second[k] * second[i], entries);
      }
    }
  }
}

template <typename T>
T make(T* x, int64_t length, T& factor) {
  return make_reflection(x, length, factor);
}

TwoStagesKernelSet two_stages_kernels() {
  return {{make<float>, reflect_rows<float>}, {make<double>, reflect_rows<double>}, {chase, finish, apply_pair}};
}

}  // namespace
}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_TWO_STAGES_LANES_H
