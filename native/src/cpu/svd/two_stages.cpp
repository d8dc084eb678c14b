#include "two_stages.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <type_traits>

#include "common/control.h"
#include "cpu/support/blas.h"
#include "cpu/support/crew.h"
#include "two_stages_lanes.h"

namespace threegate::svd {

TwoStagesKernelSet two_stages_kernels_scalar() { return two_stages_kernels(); }

namespace {

constexpr int64_t kBlock = 256;          // rows of a part of a product with the matrix
constexpr int64_t kImages = 3 * kBand;   // columns of images_
constexpr int64_t kSweeps = 8;           // that follow each other through the second-level cache
constexpr int64_t kSweepsOfCall = 1024;  // between two looks at whether the call was cancelled
constexpr int kMostThreads = 16;
constexpr int64_t kSpins = 4000;      // before a thread that waits lets others run. A wait takes microseconds
constexpr int64_t kReflections = 64;  // of a sweep each, which vectors go through while they are in the first-level cache

template <typename T>
const PanelKernels<T>& kernels_of(const TwoStagesKernelSet& set) {
  if constexpr (std::is_same_v<T, float>) {
    return set.single;
  } else {
    return set.wide;
  }
}

int64_t panels_of(int64_t order) { return (order + kBand - 1) / kBand; }

int64_t panel_stride(int64_t order) { return order + 16; }  // columns do not compete for the same places of the cache

// Calls entry(i, j) for the entries of a matrix, square by square, so that a transposition uses each line of the cache once.
template <typename Entry>
void for_squares(int64_t rows, int64_t columns, Entry entry) {
  constexpr int64_t kSquare = 16;
  for (int64_t begin = 0; begin < rows; begin += kSquare) {
    for (int64_t first = 0; first < columns; first += kSquare) {
      for (int64_t j = first; j < std::min(columns, first + kSquare); ++j) {
        for (int64_t i = begin; i < std::min(rows, begin + kSquare); ++i) {
          entry(i, j);
        }
      }
    }
  }
}

}  // namespace

template <typename T>
TwoStages<T>::TwoStages(Arena& arena, int64_t capacity, int64_t rank)
    : band_(arena.take<double>(capacity > 0 ? (capacity + kBand + 2) * (kBandStride + 1) : 0)),
      panel_(arena.take<T>(capacity > 0 ? kBand * panel_stride(capacity) : 0)),
      images_(arena.take<T>(kImages * capacity)),
      triangles_(arena.take<T>(panels_of(capacity) * kBand * kBand)),
      small_(arena.take<T>(capacity > 0 ? 2 * kBand * kBand : 0)),
      products_(arena.take<T>(capacity > 0 ? 2 * rank * kBand : 0)),
      transposed_(arena.take<double>((rank + kWidth - 1) / kWidth * kWidth * capacity)) {}

template <typename T>
void TwoStages<T>::reduce([[maybe_unused]] SimdLevel level, int64_t order, T* matrix, T* diagonal, T* off_diagonal) {
  const TwoStagesKernelSet set = TG_LANES_AT_LEVEL(level, two_stages_kernels)();
  kernels_ = kernels_of<T>(set);
  wide_ = set.wide;
  chase_ = set.band;
  order_ = order;
  matrix_ = matrix;
  std::fill_n(band_, (order + kBand + 2) * (kBandStride + 1), 0.0);
  // Products take blocks on the diagonal as a whole.
  for (int64_t i = 0; i < order; ++i) {
    for (int64_t j = i / kBlock * kBlock; j < i; ++j) {
      row_of(j)[i] = row_of(i)[j];
    }
  }
  for (int64_t begin = 0; begin < order; begin += kBand) {
    require_not_cancelled();
    keep_band(begin);
    const int64_t count = factorise(begin);
    if (count > 0) {
      combine(begin, count);
      update(begin + kBand);
    }
  }
  chase();
  for (int64_t i = 0; i < order; ++i) {
    const double* column = band_ + i * (kBandStride + 1);
    diagonal[i] = static_cast<T>(column[0]);
    if (i + 1 < order) {
      off_diagonal[i] = static_cast<T>(column[1]);
    }
  }
}

// Copies the block on the diagonal in the columns of a panel.
template <typename T>
void TwoStages<T>::keep_band(int64_t begin) const {
  const int64_t end = std::min(order_, begin + kBand);
  for (int64_t i = begin; i < end; ++i) {
    for (int64_t j = begin; j <= i; ++j) {
      band_[j * kBandStride + i] = static_cast<double>(row_of(i)[j]);
    }
  }
}

// Reduces the rows below that block to a triangle, which belongs to the band. Returns the number of reflections. They are then in
// panel_.
template <typename T>
int64_t TwoStages<T>::factorise(int64_t begin) const {
  const int64_t first = begin + kBand;
  const int64_t rows = std::max<int64_t>(0, order_ - first);
  const int64_t count = std::clamp<int64_t>(rows - 1, 0, kBand);
  const int64_t stride = panel_stride(order_);
  for_squares(rows, kBand, [&](int64_t i, int64_t j) { panel_[j * stride + i] = row_of(first + i)[begin + j]; });
  T* factors = small_;
  for (int64_t c = 0; c < kBand; ++c) {
    T* column = panel_ + c * stride;
    if (c < count) {
      const T value = kernels_.make(column + c, rows - c, factors[c]);
      kernels_.reflect(column + c, factors[c], rows - c, column + stride + c, stride, kBand - 1 - c);
      band_[(begin + c) * kBandStride + first + c] = static_cast<double>(value);
    }
    const int64_t above = std::min(rows, c < count ? c : c + 1);
    std::copy_n(column, above, band_ + (begin + c) * kBandStride + first);
    std::fill_n(column, c < count ? c : rows, T{0});
  }
  std::fill(factors + count, factors + kBand, T{0});
  return count;
}

// Finds the triangle T with which all reflections of a panel are 1 - V T V^T (Schreiber and Van Loan, 1989), and moves V to where
// it is needed.
template <typename T>
void TwoStages<T>::combine(int64_t begin, int64_t count) const {
  const int64_t first = begin + kBand;
  const int64_t rows = order_ - first;
  const int64_t stride = panel_stride(order_);
  const T* factors = small_;
  T* products = small_ + kBand * kBand;
  blas().functions<T>().gemm(CblasRowMajor, CblasNoTrans, CblasTrans, kBand, kBand, blas_size(rows), T{1}, panel_,
                             blas_size(stride), panel_, blas_size(stride), T{0}, products, kBand);
  T* triangle = triangles_ + begin * kBand;
  std::fill_n(triangle, kBand * kBand, T{0});
  for (int64_t c = 0; c < count; ++c) {
    for (int64_t i = 0; i < c; ++i) {
      T sum = 0;
      for (int64_t k = i; k < c; ++k) {
        sum += triangle[i * kBand + k] * products[k * kBand + c];
      }
      triangle[i * kBand + c] = -factors[c] * sum;
    }
    triangle[c * kBand + c] = factors[c];
  }
  for_squares(rows, kBand, [&](int64_t i, int64_t j) { images_[i * kImages + j] = panel_[j * stride + i]; });
  for (int64_t row = 0; row < rows; ++row) {
    T* image = images_ + row * kImages;
    std::copy_n(image, kBand, image + 2 * kBand);
    std::copy_n(image, kBand, row_of(first + row) + begin);
  }
}

// Applies the reflections of a panel from both sides to the rest A of the matrix: A - X V^T - V X^T, where X is
// Z - V T^T V^T Z / 2 and Z is A V T. One product of twice the length has both terms.
template <typename T>
void TwoStages<T>::update(int64_t first) const {
  const BlasFunctions<T>& functions = blas().functions<T>();
  const int64_t rows = order_ - first;
  const T* triangle = triangles_ + (first - kBand) * kBand;
  multiply(first);
  T* changes = panel_;
  T* overlap = small_;
  T* halves = small_ + kBand * kBand;
  functions.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rows), kBand, kBand, T{1}, images_ + kBand, kImages,
                 triangle, kBand, T{0}, changes, kBand);
  functions.gemm(CblasRowMajor, CblasTrans, CblasNoTrans, kBand, kBand, blas_size(rows), T{1}, images_, kImages, changes, kBand,
                 T{0}, overlap, kBand);
  functions.gemm(CblasRowMajor, CblasTrans, CblasNoTrans, kBand, kBand, kBand, T{-1} / 2, triangle, kBand, overlap, kBand, T{0},
                 halves, kBand);
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(changes + row * kBand, kBand, images_ + row * kImages + kBand);
  }
  functions.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rows), kBand, kBand, T{1}, images_, kImages, halves, kBand,
                 T{1}, images_ + kBand, kImages);
  const int64_t last = (order_ - 1) / kBlock;
  in_parts(last - first / kBlock + 1, [&](int64_t part) {
    // Longer rows come first, so that no thread is left with them at the end.
    const int64_t begin = std::max(first, (last - part) * kBlock);
    const int64_t end = std::min(order_, (last - part + 1) * kBlock);
    const T* left = images_ + (begin - first) * kImages + kBand;
    functions.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(end - begin), blas_size(end - first), 2 * kBand, T{-1},
                   left, kImages, images_, kImages, T{1}, row_of(begin) + first, blas_size(order_));
  });
}

// Multiplies the rest of the matrix with the reflections of a panel. Each part of the result takes blocks of its rows and of its
// columns, of the lower triangle. Sums of kBlock products are added to it, which rounds less than one long sum.
template <typename T>
void TwoStages<T>::multiply(int64_t first) const {
  const BlasFunctions<T>& functions = blas().functions<T>();
  const int64_t offset = first / kBlock;
  const int64_t blocks = (order_ - 1) / kBlock - offset + 1;
  const auto begin_of = [&](int64_t block) { return std::max(first, (offset + block) * kBlock); };
  const auto end_of = [&](int64_t block) { return std::min(order_, (offset + block + 1) * kBlock); };
  in_parts(blocks, [&](int64_t part) {
    const int64_t begin = begin_of(part);
    const int64_t count = end_of(part) - begin;
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t from = begin_of(block);
      const bool left = block < part;
      functions.gemm(CblasRowMajor, left ? CblasNoTrans : CblasTrans, CblasNoTrans, blas_size(count), kBand,
                     blas_size(end_of(block) - from), T{1}, left ? row_of(begin) + from : row_of(from) + begin, blas_size(order_),
                     images_ + (from - first) * kImages, kImages, block == 0 ? T{0} : T{1},
                     images_ + (begin - first) * kImages + kBand, kImages);
    }
  });
}

// The reflection of a sweep that is chased.
template <typename T>
struct TwoStages<T>::Sweep {
  alignas(64) double entries[kBand];
  double factor;
};

// A sweep reduces one column to its first entry below the diagonal. A step of it may begin when the sweep before has done one
// step more. So sweeps follow each other through the matrix, one step apart, and each entry is in the cache for kSweeps of them.
// Threads take such groups in turn. Each step has the same input for any number of threads.
template <typename T>
void TwoStages<T>::chase() const {
  for (int64_t from = 0; from < order_ - 1; from += kSweepsOfCall) {
    require_not_cancelled();
    const int64_t sweeps = std::min(kSweepsOfCall, order_ - 1 - from);
    const int64_t groups = (sweeps + kSweeps - 1) / kSweeps;
    const int64_t most_waves = panels_of(order_) + kSweeps;
    std::atomic<int64_t> done[kMostThreads] = {};
    at_the_same_time(kMostThreads, [&](int thread, Meeting& meeting) {
      for (int64_t group = thread; group < groups; group += meeting.threads()) {
        const int64_t first = from + group * kSweeps;
        const int64_t count = std::min(kSweeps, from + sweeps - first);
        const int64_t steps = (order_ - 1 - first + kBand - 1) / kBand;
        const std::atomic<int64_t>& before = done[(group + meeting.threads() - 1) % meeting.threads()];
        Sweep states[kSweeps];
        for (int64_t wave = 0; wave < steps + count - 1; ++wave) {
          const int64_t needed = group * most_waves - most_waves + std::min(most_waves, wave + kSweeps + 1);
          for (int64_t spins = 0; group > 0 && before.load(std::memory_order_acquire) < needed; ++spins) {
            if (spins >= kSpins) {
              sched_yield();
            }
          }
          for (int64_t i = std::max<int64_t>(0, wave - steps + 1); i < std::min(count, wave + 1); ++i) {
            advance(first + i, wave - i, states[i]);
          }
          done[thread].store(group * most_waves + wave + 1, std::memory_order_release);
        }
        done[thread].store((group + 1) * most_waves, std::memory_order_release);
      }
    });
  }
}

template <typename T>
void TwoStages<T>::advance(int64_t sweep, int64_t step, Sweep& state) const {
  const int64_t at = sweep + 1 + step * kBand;
  if (at >= order_) {
    return;
  }
  if (step == 0) {
    double* column = band_ + sweep * kBandStride + at;
    std::copy_n(column, kBand, state.entries);
    const double value = wide_.make(state.entries, kBand, state.factor);
    std::fill_n(column, kBand, 0.0);
    column[0] = value;
    keep(sweep, at, state);
  }
  double* block = band_ + at * (kBandStride + 1);
  if (at + kBand >= order_) {
    chase_.finish(block, state.entries, state.factor);
    return;
  }
  chase_.chase(block, state.entries, state.factor);
  keep(sweep, at + kBand, state);
}

// Stores a reflection in the row of its sweep, with the factor in place of the entry 1. There are no entries beyond the end.
template <typename T>
void TwoStages<T>::keep(int64_t sweep, int64_t at, const Sweep& state) const {
  T* out = row_of(sweep) + at;
  out[0] = static_cast<T>(state.factor);
  for (int64_t i = 1; i < std::min(kBand, order_ - at); ++i) {
    out[i] = static_cast<T>(state.entries[i]);
  }
}

template <typename T>
void TwoStages<T>::prefetch(int64_t sweep, int64_t at) const {
  constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(T));
  constexpr int kSecondLevel = 2;
  for (int64_t i = 0; i < std::min(kBand, order_ - at); i += kLine) {
    __builtin_prefetch(row_of(sweep) + at + i, 0, kSecondLevel);
  }
}

template <typename T>
double TwoStages<T>::load(int64_t sweep, int64_t at, double* entries) const {
  const T* from = row_of(sweep) + at;
  entries[0] = 1;
  std::copy_n(from + 1, std::min(kBand, order_ - at) - 1, entries + 1);
  return static_cast<double>(from[0]);
}

template <typename T>
void TwoStages<T>::transform(int64_t rank, T* x) const {
  in_parts((rank + kWidth - 1) / kWidth, [&](int64_t part) {
    const int64_t first = part * kWidth;
    const int64_t count = std::min(kWidth, rank - first);
    double* rows = transposed_ + first * order_;
    std::fill_n(rows, kWidth * order_, 0.0);
    for_squares(order_, count,
                [&](int64_t i, int64_t j) { rows[i * kWidth + j] = static_cast<double>(x[(first + j) * order_ + i]); });
    apply_chase(rows);
    for_squares(order_, count, [&](int64_t i, int64_t j) { x[(first + j) * order_ + i] = static_cast<T>(rows[i * kWidth + j]); });
  });
  const BlasFunctions<T>& functions = blas().functions<T>();
  T* products = products_ + rank * kBand;
  for (int64_t begin = (order_ - 2) / kBand * kBand - kBand; begin >= 0; begin -= kBand) {
    require_not_cancelled();
    const int64_t first = begin + kBand;
    const T* reflections = row_of(first) + begin;
    functions.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rank), kBand, blas_size(order_ - first), T{1}, x + first,
                   blas_size(order_), reflections, blas_size(order_), T{0}, products_, kBand);
    functions.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rank), kBand, kBand, T{1}, products_, kBand,
                   triangles_ + begin * kBand, kBand, T{0}, products, kBand);
    functions.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rank), blas_size(order_ - first), kBand, T{-1}, products,
                   kBand, reflections, blas_size(order_), T{1}, x + first, blas_size(order_));
  }
}

// Applies the reflections of the chase to a group of vectors, the last one first. Those of different steps act on different rows
// of the vectors, but for sweeps so far apart that the later one has come first.
template <typename T>
void TwoStages<T>::apply_chase(double* rows) const {
  const int64_t sweeps = order_ - 1;
  for (int64_t begin = (sweeps - 1) / kReflections * kReflections; begin >= 0; begin -= kReflections) {
    const int64_t end = std::min(sweeps, begin + kReflections);
    for (int64_t step = 0; begin + 1 + step * kBand < order_; ++step) {
      for (int64_t sweep = begin + (end - begin - 1) / 2 * 2; sweep >= begin; sweep -= 2) {
        const int64_t at = sweep + 1 + step * kBand;
        if (at >= order_) {
          continue;
        }
        alignas(64) double later[kPair] = {};
        alignas(64) double earlier[kPair] = {};
        const bool both = sweep + 1 < end && at + 1 < order_;
        const double later_factor = both ? load(sweep + 1, at + 1, later + 1) : 0;
        const double earlier_factor = load(sweep, at, earlier);
        // The next step is far away in memory.
        prefetch(sweep, at + kBand);
        prefetch(sweep + 1, at + 1 + kBand);
        chase_.apply(later, later_factor, earlier, earlier_factor, std::min(kBand + 1, order_ - at), rows + at * kWidth);
      }
    }
  }
}

template class TwoStages<float>;
template class TwoStages<double>;

}  // namespace threegate::svd
