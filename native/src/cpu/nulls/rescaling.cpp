#include "rescaling.h"

#include <algorithm>
#include <cmath>

#include "common/lanes.h"
#include "cpu/support/arena.h"
#include "rescaling_rows.h"
#include "row_blocks.h"

namespace threegate::nulls {
namespace {

double dot(const double* a, const double* b, int64_t count) {
  return sum_in_lanes(count, [&](int64_t i) { return a[i] * b[i]; });
}

double inverse(double value) { return value > 0 ? 1 / value : 0; }

class Rescaling {
 public:
  Rescaling(Arena& arena, const ThreadPool& pool, const tg_operand& base)
      : rows_(base.values.rows),
        columns_(base.values.columns),
        blocks_(rows_, columns_),
        row_memory_(arena.take<double>(2 * columns_ * blocks_.threads(pool))),
        row_sums_(arena.take<RescalingSums>(rows_)),
        row_rests_(arena.take<RescalingRest>(rows_)),
        weights_(arena.take<double>(blocks_.count() * columns_)),
        products_(arena.take<double>(blocks_.count() * columns_)),
        coupled_(arena.take<double>(blocks_.count() * columns_)),
        inverse_weights_(arena.take<double>(columns_)),
        rest_(arena.take<double>(columns_)),
        direction_(arena.take<double>(columns_)) {}

  void run(ThreadPool& pool, SimdLevel level, const tg_operand& base, const tg_operand& tuned,
           const tg_rescaling_options& options, tg_rescaling& result) {
    pool_ = &pool;
    level_ = level;
    row_ = {&base, &tuned, 0, false, nullptr, nullptr};
    first_pass(result);
    solve(options, result);
    last_pass(result);
    const double check = result.update_squares + result.residual_squares + result.base_squares + result.imbalance +
                         result.common_term.noise + result.row_term.deviation + result.column_term.deviation;
    result.status = std::isfinite(check) && result.imbalance <= options.tolerance ? TG_OK : TG_NOT_CONVERGED;
  }

 private:
  [[nodiscard]] RescalingRow row_at(int thread, int64_t row) const {
    RescalingRow at = row_;
    at.row = row;
    at.first = row_memory_ + 2 * columns_ * thread;
    at.second = at.first + columns_;
    return at;
  }

  void first_pass(tg_rescaling& result) {
    for (double* array : {weights_, products_, coupled_}) {
      std::fill_n(array, blocks_.count() * columns_, 0.0);
    }
    blocks_.for_rows(*pool_, [&](int thread, int64_t block, int64_t row) {
      const int64_t at = block * columns_;
      rescaling_first(level_, row_at(thread, row), weights_ + at, products_ + at, coupled_ + at, row_sums_[row]);
    });
    for (double* array : {weights_, products_, coupled_}) {
      blocks_.add_up(array, columns_);
    }
    result.base_squares = result.update_squares = total_product_ = 0;
    result.entries = 0;
    for (int64_t i = 0; i < rows_; ++i) {
      result.base_squares += row_sums_[i].weights;
      result.update_squares += row_sums_[i].squares;
      total_product_ += row_sums_[i].products;
      result.entries += row_sums_[i].entries;
    }
    row_.all_finite = result.entries == rows_ * columns_;
    for (int64_t j = 0; j < columns_; ++j) {
      inverse_weights_[j] = inverse(weights_[j]);
    }
  }

  // Conjugate gradients on the Schur complement of the rows, diag(s) - Q^T diag(1/r) Q, preconditioned by diag(s). The complement
  // of a connected pattern is singular only in the direction of a constant, to which the right-hand side is orthogonal.
  void solve(const tg_rescaling_options& options, tg_rescaling& result) {
    double* factors = result.column_factors;
    std::fill_n(factors, columns_, 0.0);
    for (int64_t j = 0; j < columns_; ++j) {
      rest_[j] = products_[j] - coupled_[j];
      direction_[j] = inverse_weights_[j] * rest_[j];
    }
    // Relative to the norm of what enters the right-hand side, whose terms may cancel.
    double scale = 0;
    for (int64_t j = 0; j < columns_; ++j) {
      scale += inverse_weights_[j] * (products_[j] * products_[j] + coupled_[j] * coupled_[j]);
    }
    double norm = dot(rest_, direction_, columns_);
    result.steps = 0;
    result.imbalance = scale > 0 ? std::sqrt(norm / scale) : 0;
    while (result.imbalance > options.tolerance && result.steps < options.most_steps) {
      std::fill_n(coupled_, blocks_.count() * columns_, 0.0);
      blocks_.for_rows(*pool_, [&](int thread, int64_t block, int64_t row) {
        rescaling_product(level_, row_at(thread, row), direction_, row_sums_[row].weights, coupled_ + block * columns_);
      });
      blocks_.add_up(coupled_, columns_);
      double curvature = 0;
      for (int64_t j = 0; j < columns_; ++j) {
        coupled_[j] = weights_[j] * direction_[j] - coupled_[j];
        curvature += direction_[j] * coupled_[j];
      }
      if (!(curvature > 0)) {
        break;  // the direction is in the null space up to rounding
      }
      const double step = norm / curvature;
      double next = 0;
      for (int64_t j = 0; j < columns_; ++j) {
        factors[j] += step * direction_[j];
        rest_[j] -= step * coupled_[j];
        next += rest_[j] * rest_[j] * inverse_weights_[j];
      }
      for (int64_t j = 0; j < columns_; ++j) {
        direction_[j] = inverse_weights_[j] * rest_[j] + next / norm * direction_[j];
      }
      norm = next;
      result.imbalance = std::sqrt(norm / scale);
      ++result.steps;
    }
  }

  void last_pass(tg_rescaling& result) {
    double* noise = coupled_;
    std::fill_n(noise, blocks_.count() * columns_, 0.0);
    const double inverse_total = inverse(result.base_squares);
    blocks_.for_rows(*pool_, [&](int thread, int64_t block, int64_t row) {
      const RescalingSums& sums = row_sums_[row];
      const RescalingFactors factors{sums.weights, sums.products, result.column_factors, inverse_weights_, inverse_total};
      rescaling_last(level_, row_at(thread, row), factors, noise + block * columns_, row_rests_[row]);
    });
    blocks_.add_up(noise, columns_);
    result.residual_squares = 0;
    for (int64_t i = 0; i < rows_; ++i) {
      result.residual_squares += row_rests_[i].squares;
    }
    fill_terms(noise, result);
  }

  void fill_terms(const double* column_noise, tg_rescaling& result) {
    const double inverse_total = inverse(result.base_squares);
    double row_mean = 0;
    double row_alone = 0;
    double noise = 0;
    for (int64_t i = 0; i < rows_; ++i) {
      const RescalingSums& sums = row_sums_[i];
      row_mean += sums.weights * row_rests_[i].row_factor * inverse_total;
      row_alone += sums.products * sums.products * inverse(sums.weights);
      noise += row_rests_[i].noise;
    }
    double column_mean = 0;
    double column_alone = 0;
    for (int64_t j = 0; j < columns_; ++j) {
      column_mean += weights_[j] * result.column_factors[j] * inverse_total;
      column_alone += products_[j] * products_[j] * inverse_weights_[j];
    }
    for (int64_t i = 0; i < rows_; ++i) {
      result.row_factors[i] = row_sums_[i].weights > 0 ? row_rests_[i].row_factor - row_mean : 0;
    }
    for (int64_t j = 0; j < columns_; ++j) {
      result.column_factors[j] = weights_[j] > 0 ? result.column_factors[j] - column_mean : 0;
    }
    result.common = row_mean + column_mean;
    result.common_error = std::sqrt(noise) * inverse_total;
    const double explained = result.update_squares - result.residual_squares;
    const auto term = [](double squares, double expected, double variance_of_noise, double signal) {
      return tg_rescaling_term{std::max(squares, 0.0), expected, std::sqrt(2 * variance_of_noise + 4 * std::max(signal, 0.0))};
    };
    const double common_noise = noise * inverse_total;
    const double common_squares = total_product_ * total_product_ * inverse_total;
    result.common_term =
        term(common_squares, common_noise, common_noise * common_noise, (common_squares - common_noise) * common_noise);
    result.row_term = side(
        rows_, explained - column_alone, term,
        [&](int64_t i) {
          return Side{row_sums_[i].weights, result.row_factors[i], row_rests_[i].noise};
        },
        inverse_total);
    result.column_term = side(
        columns_, explained - row_alone, term,
        [&](int64_t j) {
          return Side{weights_[j], result.column_factors[j], column_noise[j]};
        },
        inverse_total);
  }

  struct Side {
    double weight;  // sum of Q
    double factor;
    double noise;  // sum of Q times the variance of D
  };

  // The squares of a side are the sum of weight * factor^2, and the variance of a factor is noise / weight^2. One degree of
  // freedom belongs to the common factor.
  template <typename Term, typename At>
  static tg_rescaling_term side(int64_t count, double squares, Term term, At at, double inverse_total) {
    double expected = 0;
    double variance = 0;
    double signal = 0;
    for (int64_t i = 0; i < count; ++i) {
      const Side one = at(i);
      const double own = one.noise * inverse(one.weight);
      const double free = 1 - one.weight * inverse_total;
      expected += own * free;
      variance += own * own * free;
      signal += one.factor * one.factor * one.noise - own * own * free;
    }
    return term(squares, expected, variance, signal);
  }

  int64_t rows_;
  int64_t columns_;
  RowBlocks blocks_;
  double* row_memory_;
  RescalingSums* row_sums_;
  RescalingRest* row_rests_;
  double* weights_;   // blocks x columns, then of all rows in the first block
  double* products_;  // the same
  double* coupled_;   // the same
  double* inverse_weights_;
  double* rest_;
  double* direction_;
  double total_product_ = 0;
  ThreadPool* pool_ = nullptr;
  SimdLevel level_ = SimdLevel::kScalar;
  RescalingRow row_{};
};

}  // namespace

int64_t rescaling_workspace_bytes(const ThreadPool& pool, const tg_operand& base) {
  Arena arena;
  const Rescaling counted(arena, pool, base);
  return arena.used();
}

void fit_rescaling(ThreadPool& pool, SimdLevel level, const tg_operand& base, const tg_operand& tuned,
                   const tg_rescaling_options& options, void* workspace, tg_rescaling& result) {
  Arena arena(workspace);
  Rescaling(arena, pool, base).run(pool, level, base, tuned, options, result);
}

}  // namespace threegate::nulls
