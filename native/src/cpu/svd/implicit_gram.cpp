#include "implicit_gram.h"

#include <algorithm>

#include "cpu/support/blas.h"
#include "cpu/support/crew.h"
#include "cpu/support/operand.h"
#include "gram_bf16.h"

namespace threegate::svd {
namespace {

constexpr int64_t kCacheEntries = 96 * 1024;  // of a panel, so that it stays in the second-level cache with some of the rows
constexpr int64_t kLeastRows = 32;            // bf16 codes of a cache line
constexpr int64_t kMostRows = 128;
constexpr int64_t kPanelsOfSum = 6;
constexpr int64_t kColumns = 8;  // that are transposed together

void copy_by_blas(const GramShape& shape, int64_t rows, int64_t length, const float* from, float* copy) {
  std::fill_n(copy, shape.count * shape.length, 0.0F);
  for (int64_t i = 0; i < rows; ++i) {
    std::copy_n(from + i * length, length, copy + i * shape.length);
  }
}

void multiply_by_blas(const GramShape& shape, int64_t begin, int64_t end, const float* copy, const float* panel,
                      float* products) {
  blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(end - begin), blas_size(shape.count),
                     blas_size(shape.length), 1.0F, panel + begin * shape.stride, blas_size(shape.stride), copy,
                     blas_size(shape.length), 0.0F, products + begin * shape.count, blas_size(shape.count));
}

void add_by_blas(const GramShape& shape, int64_t rows, int64_t begin, int64_t end, const float* products, const float* panel,
                 float* sums) {
  blas().single.gemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_size(shape.count), blas_size(end - begin), blas_size(rows),
                     1.0F, products, blas_size(shape.count), panel + begin, blas_size(shape.stride), 1.0F, sums + begin,
                     blas_size(shape.stride));
}

GramKernels kernels_for([[maybe_unused]] SimdLevel level) {
#if defined(__x86_64__)
  if (level == SimdLevel::kAvx512) {
    return gram_kernels_avx512();
  }
  if (level == SimdLevel::kAvx2) {
    return gram_kernels_avx2();
  }
#endif
  return {copy_by_blas, multiply_by_blas, add_by_blas, nullptr, nullptr};
}

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

ImplicitGram::ImplicitGram(Arena& arena, int64_t rows, int64_t length)
    : length_(length),
      padded_(round_up(length, kGramLanes)),
      stride_(padded_ +
              (padded_ / kGramLanes % 2 == 0 ? kGramLanes : 0)),  // rows a power of two apart compete for a cache's places
      copy_(arena.take<float>(round_up(rows, kGramRows) * padded_)),
      panel_(arena.take<float>(panel_rows() * stride_)),
      stored_(arena.take<float>(panel_rows() * stride_)),
      products_(arena.take<float>(round_up(rows, kGramRows) * panel_rows())),
      sums_(arena.take<float>(round_up(rows, kGramRows) * stride_)) {}

int64_t ImplicitGram::panel_rows() const {
  return std::clamp(kCacheEntries / stride_ / kLeastRows * kLeastRows, kLeastRows, kMostRows);
}

void ImplicitGram::run(SimdLevel level, int64_t rows, int64_t height, const float* from, const Read& read, const Weigh& weigh,
                       float* out) const {
  const GramKernels kernels = kernels_for(level);
  const GramShape shape{round_up(rows, kGramRows), padded_, stride_};
  kernels.copy(shape, rows, length_, from, copy_);
  std::fill_n(sums_, shape.count * stride_, 0.0F);
  std::fill_n(out, rows * length_, 0.0F);
  // Sums of sums round less than one long sum.
  const auto collect = [&] {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < length_; ++j) {
        out[i * length_ + j] += sums_[i * stride_ + j];
      }
    }
    std::fill_n(sums_, shape.count * stride_, 0.0F);
  };
  const int64_t together = panel_rows();
  for (int64_t i = 0; i < together && length_ < stride_; ++i) {
    std::fill_n(panel_ + i * stride_ + length_, stride_ - length_, 0.0F);
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
void ImplicitGram::read(const GramKernels& kernels, const View& view, int64_t begin, int64_t count, float* panel) const {
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

void ImplicitGram::multiply_both_sides(SimdLevel level, const View& view, int64_t rows, const float* x, float* y,
                                       float* z) const {
  const GramKernels kernels = kernels_for(level);
  const Read read_rows = [&](int64_t begin, int64_t count, int64_t, float* panel) {
    check_cancelled(view);
    read(kernels, view, begin, count, panel);
  };
  const Weigh keep = [&](int64_t begin, int64_t count, int64_t stride, const float* products) {
    for (int64_t row = 0; row < rows; ++row) {
      float* out = y + row * view.long_side + begin;
      for (int64_t i = 0; i < count; ++i) {
        out[i] = products[i * stride + row];
      }
    }
  };
  run(level, rows, view.long_side, x, read_rows, keep, z);
}

}  // namespace threegate::svd
