#include "layer_slopes.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "common/control.h"
#include "common/lanes.h"
#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/operand.h"

namespace threegate::curvature {
namespace {

static_assert(kOutputs <= kRun, "a row of a tile is read at once");

double dot(const float* a, const float* b, int64_t count) {
  return sum_in_lanes(count, [&](int64_t i) { return static_cast<double>(a[i]) * static_cast<double>(b[i]); });
}

// Reads at most kRun entries of a row.
void stage_direction(const tg_direction& direction, int64_t row, int64_t column, int64_t count, double* out) {
  stage_double(*direction.matrix, row, column, count, out, convert_f16_plain);
  if (direction.subtracted != nullptr) {
    double subtracted[kRun];
    stage_double(*direction.subtracted, row, column, count, subtracted, convert_f16_plain);
    for (int64_t i = 0; i < count; ++i) {
      out[i] -= subtracted[i];
    }
  }
  if (direction.mask != nullptr) {
    const int64_t across = blocks_of(direction.matrix->values.columns, 64);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t at = column + i;
      out[i] = (direction.mask[row * across + at / 64] >> (at % 64) & 1U) != 0 ? out[i] : 0;
    }
  }
}

int64_t rank_of(const tg_direction& direction) {
  int64_t rank = 0;
  for (int64_t term = 0; term < direction.low_rank_count; ++term) {
    rank += direction.low_rank[term].left.columns;
  }
  return rank;
}

class Slopes {
 public:
  Slopes(Arena& arena, const tg_layer_samples& samples, const tg_direction* directions, int64_t count, int threads)
      : samples_(samples), inputs_(samples.input.columns), outputs_(samples.gradient.columns), threads_(threads) {
    bool any_dense = false;
    for (int64_t i = 0; i < count; ++i) {
      any_dense = any_dense || directions[i].matrix != nullptr;
      most_rank_ = std::max(most_rank_, directions[i].matrix == nullptr ? rank_of(directions[i]) : 0);
    }
    if (any_dense) {
      tile_ = arena.take<float>(kOutputs * inputs_);
      row_squares_ = arena.take<double>(outputs_);
    }
    left_ = arena.take<float>(most_rank_ * outputs_);
    right_ = arena.take<float>(most_rank_ * inputs_);
    wide_left_ = arena.take<double>(most_rank_ * outputs_);
    wide_right_ = arena.take<double>(most_rank_ * inputs_);
    left_gram_ = arena.take<double>(most_rank_ * most_rank_);
    right_gram_ = arena.take<double>(most_rank_ * most_rank_);
    copy_each_ = std::max(copy_entries(samples.input, kTokens), most_rank_ > 0 ? copy_entries(samples.gradient, kTokens) : 0);
    product_each_ = kTokens * std::max(any_dense ? kOutputs : 0, 2 * most_rank_);
    copies_ = arena.take<float>(copy_each_ * threads);
    products_ = arena.take<float>(product_each_ * threads);
  }

  Outcome run(ThreadPool& pool, const tg_direction* directions, int64_t count, tg_control* control, double* slopes,
              double* squares) {
    const int64_t tokens = samples_.input.rows;
    begin_work(control, count * tokens);
    std::fill_n(slopes, count * tokens, 0.0);
    for (int64_t i = 0; i < count; ++i) {
      double* own = slopes + i * tokens;
      double square = 0;
      const bool cancelled = directions[i].matrix != nullptr ? !dense(pool, directions[i], control, own, square)
                                                             : !factored(pool, directions[i], control, own, square);
      if (cancelled) {
        return Outcome::kCancelled;
      }
      if (squares != nullptr) {
        squares[i] = square;
      }
      if (!std::all_of(own, own + tokens, [](double slope) { return std::isfinite(slope); })) {
        return Outcome::kNotFinite;
      }
      add_done(control, tokens);
    }
    return Outcome::kDone;
  }

 private:
  // Calls body(thread, begin, end) for blocks of tokens. Returns false if the call was cancelled.
  template <typename Body>
  bool for_tokens(ThreadPool& pool, const tg_control* control, Body body) const {
    const int64_t tokens = samples_.input.rows;
    const int64_t blocks = blocks_of(tokens, kTokens);
    std::atomic<int64_t> next{0};
    pool.run(static_cast<int>(std::clamp<int64_t>(blocks, 1, threads_)), [&](int thread) {
      for (int64_t block = next++; block < blocks && !is_cancelled(control); block = next++) {
        body(thread, block * kTokens, std::min(tokens, (block + 1) * kTokens));
      }
    });
    return !is_cancelled(control);
  }

  [[nodiscard]] float* copy_of(int thread) const { return copies_ + thread * copy_each_; }
  [[nodiscard]] float* product_of(int thread) const { return products_ + thread * product_each_; }

  // Multiplies inputs with tiles of the rows of the direction. Only one tile is stored at a time.
  bool dense(ThreadPool& pool, const tg_direction& direction, const tg_control* control, double* slopes, double& square) {
    for (int64_t first = 0; first < outputs_; first += kOutputs) {
      const int64_t height = std::min(kOutputs, outputs_ - first);
      widen_tile(pool, direction, first, height);
      const bool go_on = for_tokens(pool, control, [&](int thread, int64_t begin, int64_t end) {
        const Rows inputs = rows_of(samples_.input, begin, end, copy_of(thread));
        float* product = product_of(thread);
        blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(end - begin), blas_size(height), blas_size(inputs_),
                           1, inputs.data, blas_size(inputs.stride), tile_, blas_size(inputs_), 0, product, blas_size(height));
        float gradient[kOutputs];
        for (int64_t token = begin; token < end; ++token) {
          widen_row(samples_.gradient, token, first, height, gradient);
          slopes[token] += dot(product + (token - begin) * height, gradient, height);
        }
      });
      if (!go_on) {
        return false;
      }
    }
    for (int64_t row = 0; row < outputs_; ++row) {
      square += row_squares_[row];
    }
    return true;
  }

  void widen_tile(ThreadPool& pool, const tg_direction& direction, int64_t first, int64_t height) const {
    const auto threads = static_cast<int>(std::clamp<int64_t>(height, 1, threads_));
    pool.run(threads, [&](int thread) {
      for (int64_t i = height * thread / threads; i < height * (thread + 1) / threads; ++i) {
        const int64_t row = first + i;
        float* out = tile_ + i * inputs_;
        double square = 0;
        for (int64_t column = 0; column < inputs_; column += kRun) {
          const int64_t run = std::min(kRun, inputs_ - column);
          double entries[kRun];
          stage_direction(direction, row, column, run, entries);
          for (int64_t j = 0; j < run; ++j) {
            out[column + j] = static_cast<float>(entries[j]);
            square += entries[j] * entries[j];
          }
        }
        row_squares_[row] = square;
      }
    });
  }

  // Places the factors of all terms side by side. The scales go to the left factor.
  void gather_factors(const tg_direction& direction, int64_t rank) const {
    int64_t at = 0;
    for (int64_t term = 0; term < direction.low_rank_count; ++term) {
      const tg_low_rank& product = direction.low_rank[term];
      for (int64_t k = 0; k < product.left.columns; ++k, ++at) {
        for (int64_t i = 0; i < outputs_; ++i) {
          wide_left_[i * rank + at] = product.scale * load_double(product.left, i, k);
        }
        for (int64_t j = 0; j < inputs_; ++j) {
          wide_right_[at * inputs_ + j] = load_double(product.right, k, j);
        }
      }
    }
    const auto narrow = [](double value) { return static_cast<float>(value); };
    std::transform(wide_left_, wide_left_ + rank * outputs_, left_, narrow);
    std::transform(wide_right_, wide_right_ + rank * inputs_, right_, narrow);
  }

  // |P Q|^2 = trace((P^T P) (Q Q^T)).
  [[nodiscard]] double square_of_factors(int64_t rank) const {
    blas().wide.gemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_size(rank), blas_size(rank), blas_size(outputs_), 1,
                     wide_left_, blas_size(rank), wide_left_, blas_size(rank), 0, left_gram_, blas_size(rank));
    blas().wide.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rank), blas_size(rank), blas_size(inputs_), 1,
                     wide_right_, blas_size(inputs_), wide_right_, blas_size(inputs_), 0, right_gram_, blas_size(rank));
    return std::max(0.0, sum_in_lanes(rank * rank, [&](int64_t i) { return left_gram_[i] * right_gram_[i]; }));
  }

  bool factored(ThreadPool& pool, const tg_direction& direction, const tg_control* control, double* slopes, double& square) {
    const int64_t rank = rank_of(direction);
    gather_factors(direction, rank);
    square = square_of_factors(rank);
    return for_tokens(pool, control, [&](int thread, int64_t begin, int64_t end) {
      float* of_inputs = product_of(thread);
      float* of_gradients = of_inputs + kTokens * rank;
      const Rows inputs = rows_of(samples_.input, begin, end, copy_of(thread));
      blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(end - begin), blas_size(rank), blas_size(inputs_), 1,
                         inputs.data, blas_size(inputs.stride), right_, blas_size(inputs_), 0, of_inputs, blas_size(rank));
      const Rows gradients = rows_of(samples_.gradient, begin, end, copy_of(thread));
      blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(end - begin), blas_size(rank), blas_size(outputs_),
                         1, gradients.data, blas_size(gradients.stride), left_, blas_size(rank), 0, of_gradients,
                         blas_size(rank));
      for (int64_t token = begin; token < end; ++token) {
        slopes[token] = dot(of_inputs + (token - begin) * rank, of_gradients + (token - begin) * rank, rank);
      }
    });
  }

  const tg_layer_samples& samples_;
  int64_t inputs_;
  int64_t outputs_;
  int threads_;
  int64_t most_rank_ = 0;
  int64_t copy_each_ = 0;
  int64_t product_each_ = 0;
  float* tile_ = nullptr;
  double* row_squares_ = nullptr;
  float* left_ = nullptr;
  float* right_ = nullptr;
  double* wide_left_ = nullptr;
  double* wide_right_ = nullptr;
  double* left_gram_ = nullptr;
  double* right_gram_ = nullptr;
  float* copies_ = nullptr;
  float* products_ = nullptr;
};

}  // namespace

int64_t slopes_workspace_bytes(const tg_layer_samples& samples, const tg_direction* directions, int64_t count, int threads) {
  Arena arena;
  const Slopes counted(arena, samples, directions, count, threads);
  return arena.used();
}

Outcome slopes(ThreadPool& pool, const tg_layer_samples& samples, const tg_direction* directions, int64_t count,
               tg_control* control, void* workspace, double* slopes, double* squares) {
  Arena arena(workspace);
  return Slopes(arena, samples, directions, count, pool.threads()).run(pool, directions, count, control, slopes, squares);
}

void direction_entries(ThreadPool& pool, const tg_direction& direction, double* entries) {
  const int64_t rows = direction.matrix->values.rows;
  const int64_t columns = direction.matrix->values.columns;
  const auto threads = static_cast<int>(std::clamp<int64_t>(rows, 1, pool.threads()));
  pool.run(threads, [&](int thread) {
    for (int64_t row = rows * thread / threads; row < rows * (thread + 1) / threads; ++row) {
      require_not_cancelled();
      for (int64_t column = 0; column < columns; column += kRun) {
        stage_direction(direction, row, column, std::min(kRun, columns - column), entries + row * columns + column);
      }
    }
  });
}

}  // namespace threegate::curvature
