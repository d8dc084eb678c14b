#include "change_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "change_rows.h"
#include "common/lanes.h"
#include "cpu/support/arena.h"
#include "cpu/support/magnitude_codes.h"
#include "row_blocks.h"

namespace threegate::nulls {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Log odds beyond these are probabilities of 0 and 1 in all but name, and the product of three odds stays within float32.
constexpr double kMostRowLogit = 30;
constexpr double kMostLogit = 25;
constexpr int kMostRemovals = 100;
constexpr int kMostRowSteps = 30;
constexpr double kLongestRowStep = 2;
constexpr double kRowTolerance = 0.1;    // of the tolerance of the fit
constexpr double kStepTolerance = 0.03;  // of Newton's systems, whose steps then gain a factor of about 30
constexpr double kProjectionTolerance = 1e-6;
constexpr int64_t kMostStepsOfSystem = 200;
constexpr double kLongestStep = 3;
constexpr double kSmallestStep = 1.0 / 256;

double clamped(double logit, double most) { return std::clamp(logit, -most, most); }

double deviation(double difference, double weight) {
  return weight > 0 ? std::abs(difference) / std::sqrt(weight) : (difference == 0 ? 0 : kInfinity);
}

// An array with an element for each column and one for each bin.
struct Margins {
  double* columns;
  double* bins;
};

class ChangeModel {
 public:
  ChangeModel(Arena& arena, const ThreadPool& pool, const tg_change_model& model)
      : model_(model),
        rows_(model.base->values.rows),
        columns_(model.base->values.columns),
        bins_(model.bin_count),
        size_(columns_ + bins_),
        most_keys_(std::min<int64_t>(rows_ * columns_, TG_MAGNITUDE_CODES)),
        width_(columns_ + most_keys_),
        blocks_(rows_, columns_),
        keys_of_row_(arena.take<uint16_t>(blocks_.threads(pool) * columns_)),
        odds_(arena.take<float>(blocks_.threads(pool) * columns_)),
        row_weights_(arena.take<float>(blocks_.threads(pool) * columns_)),
        column_odds_(arena.take<float>(columns_)),
        key_odds_(arena.take<float>(most_keys_)),
        expected_sums_(arena.take<double>(blocks_.count() * width_)),
        weight_sums_(arena.take<double>(blocks_.count() * width_)),
        row_logits_(arena.take<double>(rows_)),
        row_targets_(arena.take<double>(rows_)),
        row_values_(arena.take<double>(rows_)),
        scores_(arena.take<ChangeScore>(rows_)),
        key_values_(arena.take<double>(most_keys_)),
        bin_of_key_(arena.take<int32_t>(most_keys_)) {
    for (Margins* margins : {&targets_, &variances_, &weights_, &logits_, &saved_, &solution_, &rest_, &direction_, &product_}) {
      double* both = arena.take<double>(size_);
      *margins = {both, both == nullptr ? nullptr : both + columns_};
    }
  }

  void fit(ThreadPool& pool, SimdLevel level, const tg_change_options& options, tg_change_logits& result) {
    begin(pool, level);
    const bool removed = remove_fixed(result);
    start();
    result.steps = 0;
    double merit = pass_gradient(options.tolerance, result);
    bool gains = true;
    while (gains && result.imbalance > options.tolerance && result.steps < options.most_steps) {
      solve(kStepTolerance * kStepTolerance * norm_of_rest());
      std::copy_n(logits_.columns, size_, saved_.columns);
      double largest = 0;
      for (int64_t i = 0; i < size_; ++i) {
        largest = std::max(largest, std::abs(solution_.columns[i]));
      }
      double length = largest > kLongestStep ? kLongestStep / largest : 1;
      gains = false;
      for (; !gains && length > kSmallestStep && result.steps < options.most_steps; length /= 2) {
        for (int64_t i = 0; i < size_; ++i) {
          const double logit = saved_.columns[i];
          logits_.columns[i] = std::isfinite(logit) ? clamped(logit + length * solution_.columns[i], kMostLogit) : logit;
        }
        ++result.steps;
        const double next = pass_gradient(options.tolerance, result);
        gains = next < merit || result.imbalance <= options.tolerance;
        merit = gains ? next : merit;
      }
    }
    write_logits(result);
    result.status = removed && result.imbalance <= options.tolerance ? TG_OK : TG_NOT_CONVERGED;
  }

  void score(ThreadPool& pool, SimdLevel level, const tg_change_logits& logits, const uint64_t* set,
             tg_change_score_result& result) {
    begin(pool, level);
    std::copy_n(logits.rows, rows_, row_logits_);
    std::copy_n(logits.columns, columns_, logits_.columns);
    std::copy_n(logits.bins, bins_, logits_.bins);
    set_odds();
    pass_weights();
    project(set, result);
    pass_score(set, result);
  }

 private:
  void begin(ThreadPool& pool, SimdLevel level) {
    pool_ = &pool;
    level_ = level;
    if (keys_) {
      return;
    }
    keys_.emplace(*model_.base);
    int32_t bin = 0;  // keys and ends ascend
    for (int64_t key = 0; key < keys_->count(); ++key) {
      const uint16_t code = keys_->code(key);
      while (model_.bin_ends != nullptr && code >= model_.bin_ends[bin]) {
        ++bin;
      }
      bin_of_key_[key] = model_.bin_ends != nullptr ? bin : model_.bins[code];
    }
  }

  [[nodiscard]] int64_t words() const { return (columns_ + 63) / 64; }

  [[nodiscard]] ChangeRow row_at(int thread, int64_t row) const {
    const int64_t at = thread * columns_;
    return {model_.base, row, keys_->table(), column_odds_, key_odds_, keys_of_row_ + at, odds_ + at, row_weights_ + at};
  }

  static bool is_free(double logit) { return std::isfinite(logit); }

  [[nodiscard]] ChangeSums sums_at(double* sums, int64_t block) const {
    double* at = sums + block * width_;
    return {at, at + columns_};
  }

  void clear(double* sums) const { std::fill_n(sums, blocks_.count() * width_, 0.0); }

  // Adds the sums of all blocks up, and those of keys by bin.
  void collect(double* sums, const Margins& to) const {
    blocks_.add_up(sums, width_);
    std::copy_n(sums, columns_, to.columns);
    std::fill_n(to.bins, bins_, 0.0);
    for (int64_t key = 0; key < keys_->count(); ++key) {
      to.bins[bin_of_key_[key]] += sums[columns_ + key];
    }
  }

  // Calls body(row, sums of expectations, sums of weights) for each free row after it was read.
  template <typename Body>
  void for_free_rows(Body body) {
    blocks_.for_rows(*pool_, [&](int thread, int64_t block, int64_t row) {
      if (is_free(row_logits_[row])) {
        const ChangeRow at = row_at(thread, row);
        change_read(level_, at);
        body(at, sums_at(expected_sums_, block), sums_at(weight_sums_, block));
      }
    });
  }

  void set_odds() {
    const auto odds = [](double logit) { return is_free(logit) ? std::exp(clamped(logit, kMostLogit)) : 0.0; };
    for (int64_t j = 0; j < columns_; ++j) {
      column_odds_[j] = static_cast<float>(odds(logits_.columns[j]));
    }
    for (int64_t b = 0; b < bins_; ++b) {
      product_.bins[b] = odds(logits_.bins[b]);
    }
    for (int64_t key = 0; key < keys_->count(); ++key) {
      key_odds_[key] = static_cast<float>(product_.bins[bin_of_key_[key]]);
    }
  }

  [[nodiscard]] double row_odds(int64_t row) const { return std::exp(clamped(row_logits_[row], kMostRowLogit)); }

  // Gives infinite log odds to rows, columns and bins where nothing or everything changed, until none is left. Sets the numbers
  // of changes of the others, and their log odds relative to 0 in all. Returns false if that takes too long.
  bool remove_fixed(tg_change_logits& result) {
    std::fill_n(row_logits_, rows_, 0.0);
    std::fill_n(logits_.columns, size_, 0.0);
    for (int round = 0; round < kMostRemovals; ++round) {
      set_odds();
      clear(expected_sums_);
      clear(weight_sums_);
      std::fill_n(row_values_, rows_, 0.0);
      for_free_rows([&](const ChangeRow& at, const ChangeSums& changes, const ChangeSums& entries) {
        const uint64_t* changed = model_.changed + at.row * words();
        double own = 0;
        double all = 0;
        for (int64_t j = 0; j < columns_; ++j) {
          const bool is_in = at.odds[j] > 0;
          const bool moved = is_in && (changed[j / 64] >> (j % 64) & 1U) != 0;
          at.weights[j] = is_in ? 1 : 0;
          at.odds[j] = moved ? 1 : 0;
          all += is_in ? 1 : 0;
          own += moved ? 1 : 0;
        }
        row_targets_[at.row] = own;
        row_values_[at.row] = all;
        change_add(level_, at, changes, entries);
      });
      collect(expected_sums_, targets_);
      collect(weight_sums_, weights_);
      const auto fix = [](double& logit, double changes, double entries) {
        if (!is_free(logit) || (changes > 0 && changes < entries)) {
          return false;
        }
        logit = changes > 0 ? kInfinity : -kInfinity;
        return true;
      };
      bool found = false;
      for (int64_t i = 0; i < rows_; ++i) {
        found = fix(row_logits_[i], row_targets_[i], row_values_[i]) || found;
      }
      for (int64_t i = 0; i < size_; ++i) {
        found = fix(logits_.columns[i], targets_.columns[i], weights_.columns[i]) || found;
      }
      if (!found) {
        result.free_entries = static_cast<int64_t>(std::accumulate(row_values_, row_values_ + rows_, 0.0));
        return true;
      }
    }
    result.free_entries = 0;
    return false;
  }

  // Starts as if rows, columns and bins were independent.
  void start() {
    double changes = 0;
    double entries = 0;
    for (int64_t i = 0; i < rows_; ++i) {
      changes += is_free(row_logits_[i]) ? row_targets_[i] : 0;
      entries += is_free(row_logits_[i]) ? row_values_[i] : 0;
    }
    const auto logit = [](double some, double all) { return std::log(some / (all - some)); };
    const double whole = entries > 0 ? logit(changes, entries) : 0;
    for (int64_t i = 0; i < rows_; ++i) {
      row_logits_[i] = is_free(row_logits_[i]) ? logit(row_targets_[i], row_values_[i]) : row_logits_[i];
    }
    for (int64_t i = 0; i < size_; ++i) {
      double& own = logits_.columns[i];
      variances_.columns[i] = targets_.columns[i] * (1 - targets_.columns[i] / weights_.columns[i]);
      own = is_free(own) ? clamped(logit(targets_.columns[i], weights_.columns[i]) - whole, kMostLogit) : own;
    }
  }

  // Newton's method for the log odds of one row. Returns how far its expectation is from its number of changes, in standard
  // deviations.
  double fit_row(const ChangeRow& at, double tolerance) {
    double& logit = row_logits_[at.row];
    double distance = kInfinity;
    for (int step = 0; step < kMostRowSteps; ++step) {
      const ChangeCounts counts = change_counts(level_, at, row_odds(at.row));
      const double difference = row_targets_[at.row] - counts.expected;
      distance = deviation(difference, counts.weight);
      if (distance <= tolerance || !(counts.weight > 0)) {
        break;
      }
      logit = clamped(logit + clamped(difference / counts.weight, kLongestRowStep), kMostRowLogit);
    }
    return distance;
  }

  // Fits the rows, and fills the gradient (in `rest`) and the weights. Returns the squared norm of the gradient relative to the
  // variances of the start. Every step of Newton's method reduces this norm if it is short enough.
  double pass_gradient(double tolerance, tg_change_logits& result) {
    set_odds();
    clear(expected_sums_);
    clear(weight_sums_);
    std::fill_n(row_values_, rows_, 0.0);
    for_free_rows([&](const ChangeRow& at, const ChangeSums& expected, const ChangeSums& weights) {
      row_values_[at.row] = fit_row(at, kRowTolerance * tolerance);
      change_probabilities(level_, at, row_odds(at.row));
      change_add(level_, at, expected, weights);
    });
    collect(expected_sums_, rest_);
    collect(weight_sums_, weights_);
    result.imbalance = 0;
    for (int64_t i = 0; i < rows_; ++i) {
      result.imbalance = std::max(result.imbalance, row_values_[i]);
    }
    double merit = 0;
    for (int64_t i = 0; i < size_; ++i) {
      if (!is_free(logits_.columns[i])) {
        rest_.columns[i] = 0;
        continue;
      }
      rest_.columns[i] = targets_.columns[i] - rest_.columns[i];
      result.imbalance = std::max(result.imbalance, deviation(rest_.columns[i], weights_.columns[i]));
      merit += rest_.columns[i] * rest_.columns[i] / variances_.columns[i];
    }
    return merit;
  }

  // The weights of the columns and bins for given log odds.
  void pass_weights() {
    clear(expected_sums_);
    clear(weight_sums_);
    for_free_rows([&](const ChangeRow& at, const ChangeSums& expected, const ChangeSums& weights) {
      change_probabilities(level_, at, row_odds(at.row));
      change_add(level_, at, expected, weights);
    });
    collect(weight_sums_, weights_);
  }

  void spread(const Margins& x) {
    for (int64_t key = 0; key < keys_->count(); ++key) {
      key_values_[key] = x.bins[bin_of_key_[key]];
    }
  }

  // Solves the system of the w-weighted least squares of columns and bins, where rows are eliminated. The right-hand side is
  // `rest`, which becomes what is left of it. Ends when its squared norm relative to the weights is at most `least`. Returns that
  // norm.
  double solve(double least) {
    std::fill_n(solution_.columns, size_, 0.0);
    centre_rest(0, columns_);
    centre_rest(columns_, size_);
    double norm = norm_of_rest();
    for (int64_t i = 0; i < size_; ++i) {
      direction_.columns[i] = preconditioned(i);
    }
    for (steps_of_system_ = 0; steps_of_system_ < kMostStepsOfSystem && norm > least; ++steps_of_system_) {
      clear(expected_sums_);
      spread(direction_);
      for_free_rows([&](const ChangeRow& at, const ChangeSums& sums, const ChangeSums&) {
        change_probabilities(level_, at, row_odds(at.row));
        change_product(level_, at, {direction_.columns, key_values_}, sums);
      });
      collect(expected_sums_, product_);
      const double curvature = sum_in_lanes(size_, [&](int64_t i) { return direction_.columns[i] * product_.columns[i]; });
      if (!(curvature > 0)) {
        break;
      }
      const double length = norm / curvature;
      double next = 0;
      for (int64_t i = 0; i < size_; ++i) {
        solution_.columns[i] += length * direction_.columns[i];
        rest_.columns[i] -= length * product_.columns[i];
        next += rest_.columns[i] * preconditioned(i);
      }
      for (int64_t i = 0; i < size_; ++i) {
        direction_.columns[i] = preconditioned(i) + next / norm * direction_.columns[i];
      }
      norm = next;
    }
    return norm;
  }

  // The system has no solution for a right-hand side with a part along its null space: constants of all columns or all bins,
  // which the rows take. Such a part comes from the tolerance of the rows and from rounding.
  void centre_rest(int64_t begin, int64_t end) {
    double rest = 0;
    double weight = 0;
    for (int64_t i = begin; i < end; ++i) {
      rest += weights_.columns[i] > 0 ? rest_.columns[i] : 0;
      weight += weights_.columns[i];
    }
    for (int64_t i = begin; i < end && weight > 0; ++i) {
      rest_.columns[i] -= weights_.columns[i] * (rest / weight);
    }
  }

  [[nodiscard]] double norm_of_rest() const {
    return sum_in_lanes(size_, [&](int64_t i) { return rest_.columns[i] * preconditioned(i); });
  }

  [[nodiscard]] double preconditioned(int64_t i) const {
    return weights_.columns[i] > 0 ? rest_.columns[i] / weights_.columns[i] : 0;
  }

  // The projection of a set on columns and bins, in `solution`.
  void project(const uint64_t* set, tg_change_score_result& result) {
    clear(expected_sums_);
    std::fill_n(row_values_, rows_, 0.0);
    for_free_rows([&](const ChangeRow& at, const ChangeSums& sums, const ChangeSums&) {
      change_probabilities(level_, at, row_odds(at.row));
      row_values_[at.row] = change_project(level_, at, set + at.row * words(), sums);
    });
    collect(expected_sums_, rest_);
    result.total = sum_in_lanes(rows_, [&](int64_t i) { return row_values_[i]; });
    const double left = result.total > 0 ? solve(kProjectionTolerance * kProjectionTolerance * result.total) : 0;
    if (!(result.total > 0)) {
      std::fill_n(solution_.columns, size_, 0.0);
    }
    result.steps = steps_of_system_;
    result.imbalance = result.total > 0 ? std::sqrt(left / result.total) : 0;
    result.status = result.imbalance <= kProjectionTolerance ? TG_OK : TG_NOT_CONVERGED;
  }

  void pass_score(const uint64_t* set, tg_change_score_result& result) {
    spread(solution_);
    std::fill_n(scores_, rows_, ChangeScore{});
    for_free_rows([&](const ChangeRow& at, const ChangeSums&, const ChangeSums&) {
      change_probabilities(level_, at, row_odds(at.row));
      const int64_t first = at.row * words();
      change_score(level_, at, model_.changed + first, set + first, {solution_.columns, key_values_}, scores_[at.row]);
    });
    result.score = result.information = result.expected = 0;
    result.observed = result.entries = 0;
    for (int64_t i = 0; i < rows_; ++i) {
      result.score += scores_[i].score;
      result.information += scores_[i].information;
      result.expected += scores_[i].expected;
      result.observed += scores_[i].observed;
      result.entries += scores_[i].entries;
    }
  }

  // Moves the means of columns and bins into the rows, because only sums of the three are determined.
  void write_logits(tg_change_logits& result) const {
    const auto centre = [](double* logits, int64_t count) {
      double sum = 0;
      int64_t free = 0;
      for (int64_t i = 0; i < count; ++i) {
        sum += is_free(logits[i]) ? logits[i] : 0;
        free += is_free(logits[i]) ? 1 : 0;
      }
      const double mean = free > 0 ? sum / static_cast<double>(free) : 0;
      for (int64_t i = 0; i < count; ++i) {
        logits[i] -= mean;
      }
      return mean;
    };
    std::copy_n(logits_.columns, columns_, result.columns);
    std::copy_n(logits_.bins, bins_, result.bins);
    const double mean = centre(result.columns, columns_) + centre(result.bins, bins_);
    for (int64_t i = 0; i < rows_; ++i) {
      result.rows[i] = row_logits_[i] + mean;
    }
  }

  const tg_change_model& model_;
  int64_t rows_;
  int64_t columns_;
  int64_t bins_;
  int64_t size_;       // columns and bins
  int64_t most_keys_;  // the largest number of keys that a matrix of this shape has
  int64_t width_;      // columns and keys
  RowBlocks blocks_;
  uint16_t* keys_of_row_;  // of each thread, as the next two
  float* odds_;
  float* row_weights_;
  float* column_odds_;
  float* key_odds_;
  double* expected_sums_;  // blocks x width
  double* weight_sums_;    // blocks x width
  double* row_logits_;
  double* row_targets_;  // changes among the free entries
  double* row_values_;
  ChangeScore* scores_;
  double* key_values_;
  int32_t* bin_of_key_;
  std::optional<MagnitudeKeys> keys_;
  Margins targets_{};
  Margins variances_{};
  Margins weights_{};
  Margins logits_{};
  Margins saved_{};
  Margins solution_{};
  Margins rest_{};
  Margins direction_{};
  Margins product_{};
  int64_t steps_of_system_ = 0;
  ThreadPool* pool_ = nullptr;
  SimdLevel level_ = SimdLevel::kScalar;
};

}  // namespace

int64_t change_workspace_bytes(const ThreadPool& pool, const tg_change_model& model) {
  Arena arena;
  const ChangeModel counted(arena, pool, model);
  return arena.used();
}

void fit_changes(ThreadPool& pool, SimdLevel level, const tg_change_model& model, const tg_change_options& options,
                 void* workspace, tg_change_logits& logits) {
  Arena arena(workspace);
  ChangeModel(arena, pool, model).fit(pool, level, options, logits);
}

void score_changes(ThreadPool& pool, SimdLevel level, const tg_change_model& model, const tg_change_logits& logits,
                   const uint64_t* const* sets, int64_t set_count, void* workspace, tg_change_score_result* results) {
  Arena arena(workspace);
  ChangeModel fitted(arena, pool, model);
  for (int64_t i = 0; i < set_count; ++i) {
    fitted.score(pool, level, logits, sets[i], results[i]);
  }
}

}  // namespace threegate::nulls
