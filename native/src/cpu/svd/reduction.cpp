#include "reduction.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <type_traits>

#include "common/control.h"
#include "cpu/support/blas.h"
#include "cpu/support/crew.h"
#include "reduction_lanes.h"

namespace threegate::svd {

ReductionKernelSet reduction_kernels_scalar() { return reduction_kernels(); }

namespace {

constexpr int64_t kRowsOfBlock = 32;  // of the matrix. Blocks go to parts in turn, because later rows are longer
constexpr int64_t kRowsOfPart = 256;  // more parts would take longer to add
constexpr int64_t kUnit = 16;         // entries of which ranges of columns consist
constexpr int64_t kLeastOrder = 512;  // smaller products take less time than threads need to meet, and LAPACK is as fast

template <typename T>
class Reduction {
 public:
  Reduction(SimdLevel level, int64_t order, T* matrix, T* diagonal, T* off_diagonal, T* factors, T* work)
      : kernels_(kernels_at(level)),
        order_(order),
        part_count_(std::clamp<int64_t>(order / kRowsOfPart, 2, kReductionParts)),
        matrix_(matrix),
        diagonal_(diagonal),
        off_diagonal_(off_diagonal),
        factors_(factors),
        images_(work),
        parts_(work + kReductionPanel * order) {}

  bool run() {
    int64_t rows = order_;
    while (rows > kLeastOrder) {
      require_not_cancelled();
      const int64_t panel = kReductionPanel;
      const int64_t first = rows - panel;
      const auto reduce = [&](int thread, Meeting& meeting) {
        for (int64_t row = rows - 1; row >= first; --row) {
          reduce_row(row, rows - 1 - row, thread, meeting);
        }
      };
      at_the_same_time(static_cast<int>(part_count_), reduce);
      subtract_panel(first, panel);
      for (int64_t row = first; row < rows; ++row) {
        row_of(row)[row - 1] = off_diagonal_[row - 1];
        diagonal_[row] = row_of(row)[row];
      }
      rows = first;
    }
    // What is left is a matrix of its own.
    return blas().functions<T>().sytrd(LAPACK_COL_MAJOR, 'U', blas_size(rows), matrix_, blas_size(order_), diagonal_,
                                       off_diagonal_, factors_, images_, blas_size(reduction_work_size(order_))) == 0;
  }

 private:
  struct Columns {
    int64_t begin;
    int64_t end;
    [[nodiscard]] int64_t count() const { return end - begin; }
  };

  // What the parts of a step found.
  struct Found {
    double squares[kReductionParts];
    double products[kReductionParts];
    double with_images[kReductionParts][kReductionPanel];
    double with_vectors[kReductionParts][kReductionPanel];
    double corner;
  };

  static ReductionKernels<T> kernels_at([[maybe_unused]] SimdLevel level) {
    const ReductionKernelSet set = TG_LANES_AT_LEVEL(level, reduction_kernels)();
    if constexpr (std::is_same_v<T, float>) {
      return set.single;
    } else {
      return set.wide;
    }
  }

  [[nodiscard]] T* row_of(int64_t row) const { return matrix_ + row * order_; }

  // The columns of a part, of the first `length`.
  [[nodiscard]] Columns columns_of(int64_t part, int64_t length) const {
    const int64_t units = (length + kUnit - 1) / kUnit;
    return {std::min(length, units * part / part_count_ * kUnit), std::min(length, units * (part + 1) / part_count_ * kUnit)};
  }

  // Reduces a row, `before` rows after the last one of the panel. Their reflections and images are not subtracted yet from rows
  // before them.
  void reduce_row(int64_t row, int64_t before, int thread, Meeting& meeting) {
    T* own = row_of(row);
    T* image = images_ + before * order_;
    for (int64_t part = thread; part < part_count_; part += meeting.threads()) {
      complete(row, before, part);
    }
    meeting.wait();
    const Reflection reflection = reflection_of();
    for (int64_t part = thread; part < part_count_; part += meeting.threads()) {
      const Columns columns = columns_of(part, row - 1);
      for (int64_t j = columns.begin; j < columns.end; ++j) {
        own[j] = static_cast<T>(static_cast<double>(own[j]) * reflection.scale);
      }
      if (part == 0) {
        own[row - 1] = 1;
        off_diagonal_[row - 1] = static_cast<T>(reflection.value);
        factors_[row - 1] = static_cast<T>(reflection.factor);
      }
    }
    meeting.wait();
    // Every other product takes the matrix backwards, so that it starts with what the one before it left in the cache.
    const int64_t own_parts = (part_count_ - thread + meeting.threads() - 1) / meeting.threads();
    for (int64_t i = 0; i < own_parts; ++i) {
      multiply(row, before, thread + (row % 2 == 0 ? i : own_parts - 1 - i) * meeting.threads());
    }
    meeting.wait();
    for (int64_t part = thread; part < part_count_; part += meeting.threads()) {
      combine(row, before, part);
    }
    meeting.wait();
    double product = 0;
    for (int64_t part = 0; part < part_count_; ++part) {
      product += found_.products[part];
    }
    const double factor = reflection.factor;
    const auto share = static_cast<T>(-factor * factor * product / 2);
    for (int64_t part = thread; part < part_count_; part += meeting.threads()) {
      const Columns columns = columns_of(part, row);
      for (int64_t j = columns.begin; j < columns.end; ++j) {
        image[j] = static_cast<T>(factor) * image[j] + share * own[j];
      }
    }
    meeting.wait();
  }

  // Subtracts the earlier reflections of the panel from a row.
  void complete(int64_t row, int64_t before, int64_t part) {
    const Columns columns = columns_of(part, row + 1);
    T* out = row_of(row) + columns.begin;
    if (before > 0) {
      T of_images[kReductionPanel];
      T of_vectors[kReductionPanel];
      // Reflections are in ascending rows, and images in the order of the steps.
      for (int64_t i = 0; i < before; ++i) {
        of_images[i] = images_[(before - 1 - i) * order_ + row];
        of_vectors[i] = row_of(row + 1 + i)[row];
      }
      kernels_.subtract(row_of(row + 1) + columns.begin, order_, of_images, images_ + (before - 1) * order_ + columns.begin,
                        -order_, of_vectors, before, columns.count(), out);
    }
    double squares = 0;
    for (int64_t j = columns.begin; j < std::min(columns.end, row - 1); ++j) {
      const auto entry = static_cast<double>(row_of(row)[j]);
      squares += entry * entry;
    }
    found_.squares[part] = squares;
    if (columns.begin <= row - 1 && row - 1 < columns.end) {
      found_.corner = static_cast<double>(row_of(row)[row - 1]);
    }
  }

  struct Reflection {
    double value;   // what is left of the row
    double factor;  // of the reflection 1 - factor v v^T
    double scale;   // of the row, which becomes v
  };

  [[nodiscard]] Reflection reflection_of() const {
    double squares = 0;
    for (int64_t part = 0; part < part_count_; ++part) {
      squares += found_.squares[part];
    }
    if (!(squares > 0)) {
      return {found_.corner, 0, 0};
    }
    const double value = -std::copysign(std::sqrt(found_.corner * found_.corner + squares), found_.corner);
    return {value, (value - found_.corner) / value, 1 / (found_.corner - value)};
  }

  // Multiplies the rows of a part with the vector, and the earlier reflections and images in the columns of the part.
  void multiply(int64_t row, int64_t before, int64_t part) {
    const T* own = row_of(row);
    T* out = parts_ + part * order_;
    std::fill_n(out, row, T{0});
    const int64_t apart = part_count_ * kRowsOfBlock;
    const int64_t blocks = std::max<int64_t>(0, (row - part * kRowsOfBlock + apart - 1) / apart);
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t begin = part * kRowsOfBlock + (row % 2 == 0 ? i : blocks - 1 - i) * apart;
      kernels_.multiply(matrix_, order_, begin, std::min(row, begin + kRowsOfBlock), own, out);
    }
    const Columns columns = columns_of(part, row);
    kernels_.dots(images_ + columns.begin, order_, before, columns.count(), own + columns.begin, found_.with_images[part]);
    kernels_.dots(row_of(row + 1) + columns.begin, order_, before, columns.count(), own + columns.begin,
                  found_.with_vectors[part]);
  }

  // Adds the products of all parts, and subtracts what the earlier reflections change.
  void combine(int64_t row, int64_t before, int64_t part) {
    const Columns columns = columns_of(part, row);
    T* image = images_ + before * order_ + columns.begin;
    std::fill_n(image, columns.count(), T{0});
    for (int64_t other = 0; other < part_count_; ++other) {
      const T* from = parts_ + other * order_ + columns.begin;
      for (int64_t j = 0; j < columns.count(); ++j) {
        image[j] += from[j];
      }
    }
    if (before > 0) {
      T of_images[kReductionPanel];
      T of_vectors[kReductionPanel];
      for (int64_t i = 0; i < before; ++i) {
        double with_image = 0;
        double with_vector = 0;
        for (int64_t other = 0; other < part_count_; ++other) {
          with_image += found_.with_images[other][before - 1 - i];
          with_vector += found_.with_vectors[other][i];
        }
        of_images[i] = static_cast<T>(with_image);
        of_vectors[i] = static_cast<T>(with_vector);
      }
      kernels_.subtract(row_of(row + 1) + columns.begin, order_, of_images, images_ + (before - 1) * order_ + columns.begin,
                        -order_, of_vectors, before, columns.count(), image);
    }
    double product = 0;
    kernels_.dots(image, order_, 1, columns.count(), row_of(row) + columns.begin, &product);
    found_.products[part] = product;
  }

  // Subtracts the reflections and images of a panel from the rows before it.
  void subtract_panel(int64_t rows, int64_t panel) const {
    // Reflections are in ascending rows. The images of the same order are needed.
    for (int64_t i = 0; i < panel / 2; ++i) {
      std::swap_ranges(images_ + i * order_, images_ + i * order_ + rows, images_ + (panel - 1 - i) * order_);
    }
    blas().functions<T>().syr2k(CblasRowMajor, CblasLower, CblasTrans, blas_size(rows), blas_size(panel), T{-1}, row_of(rows),
                                blas_size(order_), images_, blas_size(order_), T{1}, matrix_, blas_size(order_));
  }

  ReductionKernels<T> kernels_;
  int64_t order_;
  int64_t part_count_;  // depends on the order only
  T* matrix_;
  T* diagonal_;
  T* off_diagonal_;
  T* factors_;
  T* images_;  // kReductionPanel x order: products of the matrix with the reflections of a panel, in the order of the steps
  T* parts_;   // kReductionParts x order
  Found found_{};
};

}  // namespace

template <typename T>
bool reduce_to_tridiagonal(SimdLevel level, int64_t order, T* matrix, T* diagonal, T* off_diagonal, T* factors, T* work) {
  return Reduction<T>(level, order, matrix, diagonal, off_diagonal, factors, work).run();
}

template bool reduce_to_tridiagonal(SimdLevel, int64_t, float*, float*, float*, float*, float*);
template bool reduce_to_tridiagonal(SimdLevel, int64_t, double*, double*, double*, double*, double*);

}  // namespace threegate::svd
