#include "token_products.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "common/control.h"
#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/operand.h"

namespace threegate::curvature {
namespace {

// Sums over tokens. Each thread takes tiles of rows and adds all tokens to them, block by block in order.
class Products {
 public:
  Products(Arena& arena, const tg_matrix& left, const tg_matrix& right, int threads)
      : left_(left), right_(right), tiles_(blocks_of(left.columns, kOutputs)) {
    threads_ = static_cast<int>(std::clamp<int64_t>(tiles_, 1, threads));
    const int64_t height = std::min(kOutputs, left.columns);
    weighted_each_ = kTokens * height;
    copy_each_ = copy_entries(right, kTokens);
    product_each_ = height * right.columns;
    weighted_ = arena.take<float>(weighted_each_ * threads_);
    copies_ = arena.take<float>(copy_each_ * threads_);
    products_ = arena.take<float>(product_each_ * threads_);
  }

  Outcome run(ThreadPool& pool, const double* weights, tg_control* control, double* products) {
    begin_work(control, left_.rows * tiles_);
    // The product of a matrix with itself is symmetric. Only the entries from the diagonal on are computed.
    const bool symmetric = left_.data == right_.data && left_.columns == right_.columns && left_.dtype == right_.dtype &&
                           left_.row_stride == right_.row_stride;
    std::atomic<int64_t> next{0};
    std::atomic<bool> finite{true};
    pool.run(threads_, [&](int thread) {
      for (int64_t tile = next++; tile < tiles_ && !is_cancelled(control); tile = next++) {
        const int64_t first = tile * kOutputs;
        const int64_t height = std::min(kOutputs, left_.columns - first);
        for (int64_t begin = 0; begin < left_.rows && !is_cancelled(control); begin += kTokens) {
          const int64_t end = std::min(left_.rows, begin + kTokens);
          if (!add_block(thread, weights, begin, end, first, height, symmetric ? first : 0, products)) {
            finite = false;
          }
          add_done(control, end - begin);
        }
      }
    });
    if (is_cancelled(control)) {
      return Outcome::kCancelled;
    }
    if (symmetric) {
      for (int64_t i = 0; i < left_.columns; ++i) {
        for (int64_t j = 0; j < i; ++j) {
          products[i * right_.columns + j] = products[j * right_.columns + i];
        }
      }
    }
    return finite ? Outcome::kDone : Outcome::kNotFinite;
  }

 private:
  bool add_block(int thread, const double* weights, int64_t begin, int64_t end, int64_t first, int64_t height, int64_t column,
                 double* products) const {
    float* weighted = weighted_ + thread * weighted_each_;
    float* product = products_ + thread * product_each_;
    for (int64_t token = begin; token < end; ++token) {
      float* row = weighted + (token - begin) * height;
      widen_row(left_, token, first, height, row);
      if (weights != nullptr) {
        for (int64_t i = 0; i < height; ++i) {
          row[i] = static_cast<float>(weights[token] * static_cast<double>(row[i]));
        }
      }
    }
    const Rows right = rows_of(right_, begin, end, copies_ + thread * copy_each_);
    const int64_t width = right_.columns - column;
    blas().single.gemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_size(height), blas_size(width), blas_size(end - begin), 1,
                       weighted, blas_size(height), right.data + column, blas_size(right.stride), 0, product, blas_size(width));
    bool finite = true;
    for (int64_t i = 0; i < height; ++i) {
      double* out = products + (first + i) * right_.columns + column;
      const float* in = product + i * width;
      for (int64_t j = 0; j < width; ++j) {
        finite &= std::isfinite(in[j]);
        out[j] += static_cast<double>(in[j]);
      }
    }
    return finite;
  }

  const tg_matrix& left_;
  const tg_matrix& right_;
  int64_t tiles_;
  int threads_;
  int64_t weighted_each_;
  int64_t copy_each_;
  int64_t product_each_;
  float* weighted_;
  float* copies_;
  float* products_;
};

}  // namespace

int64_t products_workspace_bytes(const tg_matrix& left, const tg_matrix& right, int threads) {
  Arena arena;
  const Products counted(arena, left, right, threads);
  return arena.used();
}

Outcome products(ThreadPool& pool, const tg_matrix& left, const double* weights, const tg_matrix& right, tg_control* control,
                 void* workspace, double* products) {
  Arena arena(workspace);
  return Products(arena, left, right, pool.threads()).run(pool, weights, control, products);
}

}  // namespace threegate::curvature
