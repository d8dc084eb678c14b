#include "implicit_gram.h"

#include <algorithm>
#include <type_traits>

#include "cpu/support/blas.h"
#include "cpu/support/crew.h"
#include "cpu/support/operand.h"
#include "gram_bf16.h"

namespace threegate::svd {
namespace {

constexpr int64_t kCacheBytes = 384 << 10;  // of a panel, so that it stays in the second-level cache with some of the rows
constexpr int64_t kLeastRows = 32;          // bf16 codes of a cache line
constexpr int64_t kMostRows = 128;
constexpr int64_t kPanelsOfSum = 6;
constexpr int64_t kColumns = 8;  // that are transposed together

template <typename T>
void copy_by_blas(const GramShape& shape, int64_t rows, int64_t length, const T* from, T* copy) {
  std::fill_n(copy, shape.count * shape.length, T{0});
  for (int64_t i = 0; i < rows; ++i) {
    std::copy_n(from + i * length, length, copy + i * shape.length);
  }
}

template <typename T>
void multiply_by_blas(const GramShape& shape, int64_t begin, int64_t end, const T* copy, const T* panel, T* products) {
  blas().functions<T>().gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(end - begin), blas_size(shape.count),
                             blas_size(shape.length), T{1}, panel + begin * shape.stride, blas_size(shape.stride), copy,
                             blas_size(shape.length), T{0}, products + begin * shape.count, blas_size(shape.count));
}

template <typename T>
void add_by_blas(const GramShape& shape, int64_t rows, int64_t begin, int64_t end, const T* products, const T* panel, T* sums) {
  blas().functions<T>().gemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_size(shape.count), blas_size(end - begin),
                             blas_size(rows), T{1}, products, blas_size(shape.count), panel + begin, blas_size(shape.stride),
                             T{1}, sums + begin, blas_size(shape.stride));
}

GramKernelSet kernels_for([[maybe_unused]] SimdLevel level) {
#if defined(__x86_64__)
  if (level == SimdLevel::kAvx512) {
    return gram_kernels_avx512();
  }
  if (level == SimdLevel::kAvx2) {
    return gram_kernels_avx2();
  }
#endif
  return {{copy_by_blas<float>, multiply_by_blas<float>, add_by_blas<float>, nullptr, nullptr},
          {copy_by_blas<double>, multiply_by_blas<double>, add_by_blas<double>, nullptr, nullptr}};
}

template <typename T>
GramKernels<T> kernels_of(SimdLevel level) {
  if constexpr (std::is_same_v<T, float>) {
    return kernels_for(level).single;
  } else {
    return kernels_for(level).wide;
  }
}

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

template <typename T>
ImplicitGram<T>::ImplicitGram(Arena& arena, int64_t rows, int64_t length)
    : length_(length),
      padded_(round_up(length, kGramLanes)),
      stride_(padded_ +
              (padded_ / kGramLanes % 2 == 0 ? kGramLanes : 0)),  // rows a power of two apart compete for a cache's places
      copy_(arena.take<T>(round_up(rows, kGramRows) * padded_)),
      panel_(arena.take<T>(panel_rows() * stride_)),
      stored_(arena.take<T>(panel_rows() * stride_)),
      products_(arena.take<T>(round_up(rows, kGramRows) * panel_rows())),
      sums_(arena.take<T>(round_up(rows, kGramRows) * stride_)) {}

template <typename T>
int64_t ImplicitGram<T>::panel_rows() const {
  return std::clamp(kCacheBytes / static_cast<int64_t>(sizeof(T)) / stride_ / kLeastRows * kLeastRows, kLeastRows, kMostRows);
}

template <typename T>
void ImplicitGram<T>::run(SimdLevel level, int64_t rows, int64_t height, const T* from, const Read& read, const Weigh& weigh,
                          T* out) const {
  const GramKernels<T> kernels = kernels_of<T>(level);
  const GramShape shape{round_up(rows, kGramRows), padded_, stride_};
  kernels.copy(shape, rows, length_, from, copy_);
  std::fill_n(sums_, shape.count * stride_, T{0});
  std::fill_n(out, rows * length_, T{0});
  // Sums of sums round less than one long sum.
  const auto collect = [&] {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < length_; ++j) {
        out[i * length_ + j] += sums_[i * stride_ + j];
      }
    }
    std::fill_n(sums_, shape.count * stride_, T{0});
  };
  const int64_t together = panel_rows();
  for (int64_t i = 0; i < together && length_ < stride_; ++i) {
    std::fill_n(panel_ + i * stride_ + length_, stride_ - length_, T{0});
  }
  for (int64_t begin = 0; begin < height; begin += together) {
    const int64_t count = std::min(together, height - begin);
    read(begin, count, stride_, panel_);
    constexpr int64_t kPartRows = 24;
    in_parts((count + kPartRows - 1) / kPartRows, [&](int64_t part) {
      const int64_t first = part * kPartRows;
      const int64_t last = std::min(first + kPartRows, count);
      kernels.multiply(shape, first, last, copy_, panel_, products_);
      weigh(begin + first, last - first, shape.count, products_ + first * shape.count);
    });
    constexpr int64_t kPartColumns = 384;
    in_parts((padded_ + kPartColumns - 1) / kPartColumns, [&](int64_t part) {
      kernels.add(shape, count, part * kPartColumns, std::min((part + 1) * kPartColumns, padded_), products_, panel_, sums_);
    });
    if ((begin / together + 1) % kPanelsOfSum == 0 || begin + count == height) {
      collect();
    }
  }
}

// Reads a panel. Its rows are those of the long side.
template <typename T>
void ImplicitGram<T>::read(const GramKernels<T>& kernels, const View& view, int64_t begin, int64_t count, T* panel) const {
  if (kernels.widen_row != nullptr && is_plain_bf16(view)) {
    const tg_matrix& values = view.operand->values;
    const int64_t row_bytes = values.row_stride * static_cast<int64_t>(sizeof(uint16_t));
    const int64_t parts = view.tall ? count : (length_ + kColumns - 1) / kColumns;
    constexpr int64_t kTogether = 32;
    in_parts((parts + kTogether - 1) / kTogether, [&](int64_t part) {
      for (int64_t i = part * kTogether; i < std::min(parts, (part + 1) * kTogether); ++i) {
        if (view.tall) {
          kernels.widen_row(element_address(values, begin + i, 0), length_, panel + i * stride_);
        } else if ((i + 1) * kColumns <= length_) {
          kernels.widen_columns(element_address(values, i * kColumns, begin), row_bytes, count, stride_, panel + i * kColumns);
        } else {
          for (int64_t j = i * kColumns; j < length_; ++j) {
            for (int64_t k = 0; k < count; ++k) {
              panel[k * stride_ + j] = bf16_to_float(load<uint16_t>(element_address(values, j, begin + k)));
            }
          }
        }
      }
    });
    return;
  }
  read_panel(view, begin, count, stored_);
  for (int64_t i = 0; i < count && view.tall; ++i) {
    std::copy_n(stored_ + i * length_, length_, panel + i * stride_);
  }
  for (int64_t j = 0; j < length_ && !view.tall; j += kColumns) {
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t k = j; k < std::min(j + kColumns, length_); ++k) {
        panel[i * stride_ + k] = stored_[k * count + i];
      }
    }
  }
}

template <typename T>
void ImplicitGram<T>::run(SimdLevel level, const View& view, int64_t rows, const T* from, const Weigh& weigh, T* out) const {
  const GramKernels<T> kernels = kernels_of<T>(level);
  const Read read_rows = [&](int64_t begin, int64_t count, int64_t, T* panel) {
    check_cancelled(view);
    read(kernels, view, begin, count, panel);
  };
  run(level, rows, view.long_side, from, read_rows, weigh, out);
}

template <typename T>
void ImplicitGram<T>::multiply_both_sides(SimdLevel level, const View& view, int64_t rows, const T* x, T* y, T* z) const {
  const Weigh keep = [&](int64_t begin, int64_t count, int64_t stride, const T* products) {
    for (int64_t row = 0; row < rows; ++row) {
      T* out = y + row * view.long_side + begin;
      for (int64_t i = 0; i < count; ++i) {
        out[i] = products[i * stride + row];
      }
    }
  };
  run(level, view, rows, x, keep, z);
}

template class ImplicitGram<float>;
template class ImplicitGram<double>;

}  // namespace threegate::svd
