#include "change_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>

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
constexpr int64_t kMostSums = kChangeSets + 1;  // for each column and key
constexpr int kMostRowSteps = 30;
constexpr double kLongestRowStep = 2;
constexpr double kRowTolerance = 0.1;  // of the tolerance of the fit
constexpr double kFirstRowTolerance = 0.01;
constexpr double kRowGain = 0.01;  // rows are fitted as much better than the whole was in the pass before
// A step without the coupling of columns and bins is good if it reduces the squared norm of the gradient by that factor.
constexpr double kPlainGain = 1.0 / 16;
constexpr double kHistoryGain = 1.0 / 4;  // the same of a step that knows the steps before it
constexpr double kNear = 1.0 / 2;         // the same from which on steps are worth remembering
constexpr double kStepTolerance = 0.03;   // of Newton's systems, whose steps then gain a factor of about 30
// The variance of a score is smallest at the projection. What is left of the equations changes it by the square of this number.
constexpr double kProjectionTolerance = 1e-4;
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

// A system of the least squares of columns and bins.
struct System {
  Margins rest;  // the right-hand side, and what is left of it
  Margins solution;
  Margins direction;
  Margins product;
  double norm;  // squared norm of the rest relative to the weights
  int64_t steps;
  bool open;  // not solved yet
};

// How a step of the fit is computed. Columns and bins of weights without a pattern are almost independent. A step that takes them
// as such costs one pass and gains a factor of about 30. If it gains little, steps use those before them, which costs a pass
// each, too. If these gain little, the system of Newton's method is solved, which costs a pass for each of its steps.
enum class Way { kUncoupled, kHistory, kSystem };

class ChangeModel {
 public:
  ChangeModel(Arena& arena, const ThreadPool& pool, const tg_change_model& model)
      : model_(model),
        rows_(model.base->values.rows),
        columns_(model.base->values.columns),
        bins_(model.bin_count),
        size_(columns_ + bins_),
        padded_(padded_columns(columns_)),
        most_keys_(std::min<int64_t>(rows_ * columns_, TG_MAGNITUDE_CODES)),
        blocks_(rows_, columns_),
        keys_of_row_(arena.take<uint16_t>(blocks_.threads(pool) * padded_)),
        odds_(arena.take<float>(blocks_.threads(pool) * padded_)),
        numbers_(arena.take<float>(kChangeSets * padded_ * blocks_.threads(pool))),
        probabilities_(arena.take<float>(blocks_.threads(pool) * padded_)),
        row_weights_(arena.take<float>(blocks_.threads(pool) * padded_)),
        column_odds_(arena.take<float>(padded_)),
        key_odds_(arena.take<float>(most_keys_)),
        sums_(arena.take<double>(blocks_.count() * kMostSums * (padded_ + most_keys_))),
        row_logits_(arena.take<double>(rows_)),
        row_targets_(arena.take<double>(rows_)),
        row_values_(arena.take<double>(rows_)),
        totals_(arena.take<double>(kChangeSets * rows_)),
        scores_(arena.take<ChangeScore>(kChangeSets * rows_)),
        values_(arena.take<double>(kChangeSets * (padded_ + most_keys_))),
        bin_of_key_(arena.take<int32_t>(most_keys_)) {
    const auto take = [&](Margins& margins) {
      double* both = arena.take<double>(size_);
      margins = {both, both == nullptr ? nullptr : both + columns_};
    };
    for (Margins* margins : {&targets_, &variances_, &weights_, &logits_, &saved_}) {
      take(*margins);
    }
    for (System& system : systems_) {
      for (Margins* margins : {&system.rest, &system.solution, &system.direction, &system.product}) {
        take(*margins);
      }
    }
  }

  void fit(ThreadPool& pool, SimdLevel level, const tg_change_options& options, tg_change_logits& result) {
    begin(pool, level);
    const bool removed = remove_fixed(result);
    start();
    result.steps = 0;
    double merit = pass_gradient(kFirstRowTolerance, options.tolerance, result);
    Way way = Way::kUncoupled;
    bool gains = true;
    while (gains && result.imbalance > options.tolerance && result.steps < options.most_steps) {
      if (way == Way::kSystem) {
        solve(1, kStepTolerance * kStepTolerance);
      } else {
        solve_without_coupling(way == Way::kHistory);
        std::copy_n(systems_[0].rest.columns, size_, next_pair().change);
      }
      std::copy_n(logits_.columns, size_, saved_.columns);
      double largest = 0;
      for (int64_t i = 0; i < size_; ++i) {
        largest = std::max(largest, std::abs(systems_[0].solution.columns[i]));
      }
      double length = largest > kLongestStep ? kLongestStep / largest : 1;
      gains = false;
      for (; !gains && length > kSmallestStep && result.steps < options.most_steps; length /= 2) {
        for (int64_t i = 0; i < size_; ++i) {
          const double logit = saved_.columns[i];
          logits_.columns[i] =
              std::isfinite(logit) ? clamped(logit + length * systems_[0].solution.columns[i], kMostLogit) : logit;
        }
        ++result.steps;
        const double next = pass_gradient(kRowGain * result.imbalance, options.tolerance, result);
        gains = next < merit || result.imbalance <= options.tolerance;
        if (way != Way::kSystem) {
          remember();
          if (!(next < (way == Way::kUncoupled ? kPlainGain : kHistoryGain) * merit)) {
            // Far from the solution the coupling changes from step to step, and the steps before teach nothing.
            const bool is_near = way == Way::kUncoupled && length == 1 && next < kNear * merit;
            way = is_near ? Way::kHistory : Way::kSystem;
            if (!gains) {
              std::copy_n(saved_.columns, size_, logits_.columns);
              merit = pass_gradient(kFirstRowTolerance, options.tolerance, result);
              gains = true;
              continue;
            }
          }
        }
        merit = gains ? next : merit;
      }
    }
    write_logits(result);
    result.status = removed && result.imbalance <= options.tolerance ? TG_OK : TG_NOT_CONVERGED;
  }

  // Tests up to kChangeSets sets.
  void score(ThreadPool& pool, SimdLevel level, const tg_change_logits& logits, const uint64_t* const* sets, int64_t count,
             tg_change_score_result* results) {
    begin(pool, level);
    std::copy_n(logits.rows, rows_, row_logits_);
    std::copy_n(logits.columns, columns_, logits_.columns);
    std::copy_n(logits.bins, bins_, logits_.bins);
    set_odds();
    // A group that is not full has its last set several times.
    const int group = count == 1 ? 1 : kChangeSets;
    const uint64_t* all[kChangeSets];
    tg_change_score_result of_all[kChangeSets]{};
    for (int set = 0; set < kChangeSets; ++set) {
      all[set] = sets[std::min<int64_t>(set, count - 1)];
    }
    project(all, group, of_all);
    pass_score(all, group, of_all);
    std::copy_n(of_all, count, results);
  }

 private:
  void begin(ThreadPool& pool, SimdLevel level) {
    pool_ = &pool;
    level_ = level;
    if (keys_) {
      return;
    }
    keys_ = std::make_unique<const MagnitudeKeys>(*model_.base);
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
    const int64_t at = thread * padded_;
    return {model_.base,         row,
            keys_->table(),      column_odds_,
            key_odds_,           keys_of_row_ + at,
            odds_ + at,          numbers_ + kChangeSets * at,
            probabilities_ + at, row_weights_ + at};
  }

  // The sums of one kind. A matrix has a few thousand keys, so that this is much less than the room for them.
  [[nodiscard]] int64_t width() const { return padded_ + keys_->count(); }

  static bool is_free(double logit) { return std::isfinite(logit); }

  // Sums of several kinds for each column and key: two of them as pairs by key, or those of sets side by side.
  [[nodiscard]] ChangePairSums pair_sums_at(int64_t block) const {
    double* at = sums_ + block * 2 * width();
    return {at, at + padded_, at + 2 * padded_};
  }
  [[nodiscard]] ChangeSums sums_at(int64_t block, int64_t kinds, int64_t first, int64_t count) const {
    double* at = sums_ + (block * kinds + first) * width();
    return {at, at + count * padded_};
  }

  // Sets the sums of all blocks to 0.
  void clear(int64_t kinds) const { std::fill_n(sums_, blocks_.count() * kinds * width(), 0.0); }

  void add_blocks(int64_t kinds) const { blocks_.add_up(sums_, kinds * width()); }

  // Fetches sums that are `stride` apart, those of keys by bin.
  void collect(const double* of_columns, const double* of_keys, int64_t stride, const Margins& to) const {
    for (int64_t j = 0; j < columns_; ++j) {
      to.columns[j] = of_columns[stride * j];
    }
    std::fill_n(to.bins, bins_, 0.0);
    for (int64_t key = 0; key < keys_->count(); ++key) {
      to.bins[bin_of_key_[key]] += of_keys[stride * key];
    }
  }
  void collect_pairs(const Margins& first, const Margins& second) const {
    add_blocks(2);
    const double* keys = sums_ + 2 * padded_;
    std::copy_n(sums_, columns_, first.columns);
    std::copy_n(sums_ + padded_, columns_, second.columns);
    const auto by_bin = [&](const double* from, double* bins) {
      std::fill_n(bins, bins_, 0.0);
      for (int64_t key = 0; key < keys_->count(); ++key) {
        bins[bin_of_key_[key]] += from[2 * key];
      }
    };
    by_bin(keys, first.bins);
    by_bin(keys + 1, second.bins);
  }

  // Calls body(row, block) for each free row.
  template <typename Body>
  void for_free_rows(Body body) {
    blocks_.for_rows(*pool_, [&](int thread, int64_t block, int64_t row) {
      if (is_free(row_logits_[row])) {
        body(row_at(thread, row), block);
      }
    });
  }

  void set_odds() {
    const auto odds = [](double logit) { return is_free(logit) ? std::exp(clamped(logit, kMostLogit)) : 0.0; };
    for (int64_t j = 0; j < columns_; ++j) {
      column_odds_[j] = static_cast<float>(odds(logits_.columns[j]));
    }
    std::fill(column_odds_ + columns_, column_odds_ + padded_, 0.0F);
    double* of_bins = systems_[0].product.bins;
    for (int64_t b = 0; b < bins_; ++b) {
      of_bins[b] = odds(logits_.bins[b]);
    }
    for (int64_t key = 0; key < keys_->count(); ++key) {
      key_odds_[key] = static_cast<float>(of_bins[bin_of_key_[key]]);
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
      clear(2);
      std::fill_n(row_values_, rows_, 0.0);
      const bool all = round == 0;  // every entry is free
      for_free_rows([&](const ChangeRow& at, int64_t block) {
        const uint64_t* changed = model_.changed + at.row * words();
        const ChangeCounts counts =
            all ? ChangeCounts{change_count(level_, at, changed, pair_sums_at(block)), static_cast<double>(columns_)}
                : change_count_free(level_, at, changed, pair_sums_at(block));
        row_targets_[at.row] = counts.changes;
        row_values_[at.row] = counts.weight;
      });
      collect_pairs(targets_, weights_);
      if (all) {
        std::fill_n(weights_.columns, columns_, static_cast<double>(rows_));
        for (int64_t key = 0; key < keys_->count(); ++key) {
          weights_.bins[bin_of_key_[key]] += static_cast<double>(keys_->entries(key));
        }
      }
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

  // Newton's method for the log odds of one row, whose probabilities and weights it fills. Returns how far its expectation is
  // from its number of changes, in standard deviations.
  double fit_row(const ChangeRow& at, double tolerance) {
    double& logit = row_logits_[at.row];
    double distance = kInfinity;
    for (int step = 0; step < kMostRowSteps; ++step) {
      const ChangeCounts counts = change_expect(level_, at, row_odds(at.row));
      const double difference = row_targets_[at.row] - counts.changes;
      distance = deviation(difference, counts.weight);
      if (distance <= tolerance || !(counts.weight > 0)) {
        return distance;
      }
      logit = clamped(logit + clamped(difference / counts.weight, kLongestRowStep), kMostRowLogit);
    }
    change_expect(level_, at, row_odds(at.row));
    return distance;
  }

  // Fits the rows, and fills the gradient (in `rest`) and the weights. Returns the squared norm of the gradient relative to the
  // variances of the start. Every step of Newton's method reduces this norm if it is short enough.
  double pass_gradient(double row_tolerance, double tolerance, tg_change_logits& result) {
    set_odds();
    clear(2);
    std::fill_n(row_values_, rows_, 0.0);
    for_free_rows([&](const ChangeRow& at, int64_t block) {
      change_read(level_, at);
      row_values_[at.row] = fit_row(at, std::max(row_tolerance, kRowTolerance * tolerance));
      change_add(level_, at, pair_sums_at(block));
    });
    collect_pairs(systems_[0].rest, weights_);
    result.imbalance = 0;
    for (int64_t i = 0; i < rows_; ++i) {
      result.imbalance = std::max(result.imbalance, row_values_[i]);
    }
    double merit = 0;
    double* rest = systems_[0].rest.columns;
    for (int64_t i = 0; i < size_; ++i) {
      if (!is_free(logits_.columns[i])) {
        rest[i] = 0;
        continue;
      }
      rest[i] = targets_.columns[i] - rest[i];
      result.imbalance = std::max(result.imbalance, deviation(rest[i], weights_.columns[i]));
      merit += rest[i] * rest[i] / variances_.columns[i];
    }
    return merit;
  }

  // The solution of the first system without its coupling of columns and bins, or with as much of it as the steps so far have
  // shown: a step of the method of Broyden, Fletcher, Goldfarb and Shanno with limited memory.
  void solve_without_coupling(bool with_history) {
    const System& system = systems_[0];
    centre(system);
    double* rest = system.rest.columns;
    double* step = system.solution.columns;
    const int64_t last = with_history ? pairs_ : 0;
    const int64_t first = std::max<int64_t>(0, last - kPairs + 1);  // the next pair has its own place
    const auto product = [&](const double* x, const double* y) {
      return sum_in_lanes(size_, [&](int64_t i) { return x[i] * y[i]; });
    };
    // The gradient is needed as it is for the next pair.
    double* left = system.direction.columns;
    std::copy_n(rest, size_, left);
    double shares[kPairs];
    for (int64_t at = last - 1; at >= first; --at) {
      const Pair pair = pair_at(at);
      double& share = shares[at % kPairs];
      share = product(pair.step, left) / product(pair.step, pair.change);
      for (int64_t i = 0; i < size_; ++i) {
        left[i] -= share * pair.change[i];
      }
    }
    for (int64_t i = 0; i < size_; ++i) {
      step[i] = weights_.columns[i] > 0 ? left[i] / weights_.columns[i] : 0;
    }
    for (int64_t at = first; at < last; ++at) {
      const Pair pair = pair_at(at);
      const double share = shares[at % kPairs] - product(pair.change, step) / product(pair.step, pair.change);
      for (int64_t i = 0; i < size_; ++i) {
        step[i] += share * pair.step[i];
      }
    }
  }

  // A step of the fit, and how much less the gradient is after it. The other systems are not used while a model is fitted.
  struct Pair {
    double* step;
    double* change;
  };
  static constexpr int64_t kPairs = int64_t{2} * (kChangeSets - 1);
  [[nodiscard]] Pair pair_at(int64_t number) const {
    const System& system = systems_[1 + number % kPairs / 2];
    return number % 2 == 0 ? Pair{system.rest.columns, system.solution.columns}
                           : Pair{system.direction.columns, system.product.columns};
  }
  [[nodiscard]] Pair next_pair() const { return pair_at(pairs_); }

  // Completes the next pair, whose `change` is the gradient before the step.
  void remember() {
    const Pair pair = next_pair();
    const double* rest = systems_[0].rest.columns;
    for (int64_t i = 0; i < size_; ++i) {
      pair.step[i] = is_free(logits_.columns[i]) ? logits_.columns[i] - saved_.columns[i] : 0;
      pair.change[i] -= rest[i];
    }
    // The likelihood is concave, so only rounding makes the product negative.
    pairs_ += sum_in_lanes(size_, [&](int64_t i) { return pair.step[i] * pair.change[i]; }) > 0 ? 1 : 0;
  }

  // Writes numbers of the first systems side by side, for each column and key.
  ChangeSums spread(int count, Margins System::*numbers) {
    const ChangeSums values{values_, values_ + count * padded_};
    std::fill(values.columns + count * columns_, values.keys, 0.0);
    for (int set = 0; set < count; ++set) {
      const Margins& x = systems_[set].*numbers;
      for (int64_t j = 0; j < columns_; ++j) {
        values.columns[count * j + set] = x.columns[j];
      }
      for (int64_t key = 0; key < keys_->count(); ++key) {
        values.keys[count * key + set] = x.bins[bin_of_key_[key]];
      }
    }
    return values;
  }

  // Solves the first systems, of the w-weighted least squares of columns and bins, where rows are eliminated. Each right-hand
  // side is its `rest`, which becomes what is left of it. Ends when the squared norms relative to the weights are at most `gain`
  // of what they were, or of `total` if there is one. All systems have the same matrix, so one pass serves all of them.
  void solve(int count, double gain, const double* totals = nullptr) {
    double least[kChangeSets];
    bool open = false;
    for (int set = 0; set < count; ++set) {
      System& system = systems_[set];
      std::fill_n(system.solution.columns, size_, 0.0);
      const double before = totals != nullptr ? totals[set] : norm_of_rest(system);
      centre(system);
      system.norm = norm_of_rest(system);
      system.steps = 0;
      least[set] = gain * before;
      system.open = system.norm > least[set];
      open = open || system.open;
      for (int64_t i = 0; i < size_; ++i) {
        system.direction.columns[i] = preconditioned(system, i);
      }
    }
    for (int64_t step = 0; step < kMostStepsOfSystem && open; ++step) {
      clear(count);
      const ChangeSums directions = spread(count, &System::direction);
      for_free_rows([&](const ChangeRow& at, int64_t block) {
        change_product(level_, count, at, row_odds(at.row), directions, sums_at(block, count, 0, count));
      });
      add_blocks(count);
      open = false;
      for (int set = 0; set < count; ++set) {
        System& system = systems_[set];
        if (system.open) {
          collect(sums_ + set, sums_ + count * padded_ + set, count, system.product);
          advance(system, least[set]);
          open = open || system.open;
        }
      }
    }
  }

  // A step of conjugate gradients.
  void advance(System& system, double least) {
    const double* product = system.product.columns;
    double* direction = system.direction.columns;
    ++system.steps;
    const double curvature = sum_in_lanes(size_, [&](int64_t i) { return direction[i] * product[i]; });
    if (!(curvature > 0)) {
      system.open = false;
      return;
    }
    const double length = system.norm / curvature;
    double next = 0;
    for (int64_t i = 0; i < size_; ++i) {
      system.solution.columns[i] += length * direction[i];
      system.rest.columns[i] -= length * product[i];
      next += system.rest.columns[i] * preconditioned(system, i);
    }
    for (int64_t i = 0; i < size_; ++i) {
      direction[i] = preconditioned(system, i) + next / system.norm * direction[i];
    }
    system.norm = next;
    system.open = next > least;
  }

  // The system has no solution for a right-hand side with a part along its null space: constants of all columns or all bins,
  // which the rows take. Such a part comes from the tolerance of the rows and from rounding.
  void centre(const System& system) const {
    double* rest = system.rest.columns;
    for (const auto& [begin, end] : {std::pair{int64_t{0}, columns_}, std::pair{columns_, size_}}) {
      double sum = 0;
      double weight = 0;
      for (int64_t i = begin; i < end; ++i) {
        sum += weights_.columns[i] > 0 ? rest[i] : 0;
        weight += weights_.columns[i];
      }
      for (int64_t i = begin; i < end && weight > 0; ++i) {
        rest[i] -= weights_.columns[i] * (sum / weight);
      }
    }
  }

  [[nodiscard]] double norm_of_rest(const System& system) const {
    return sum_in_lanes(size_, [&](int64_t i) { return system.rest.columns[i] * preconditioned(system, i); });
  }

  [[nodiscard]] double preconditioned(const System& system, int64_t i) const {
    return weights_.columns[i] > 0 ? system.rest.columns[i] / weights_.columns[i] : 0;
  }

  // The projections of sets on columns and bins, as solutions of the systems.
  void project(const uint64_t* const* sets, int count, tg_change_score_result* results) {
    const int64_t kinds = count + 1;  // those of the sets, and the weights
    clear(kinds);
    std::fill_n(totals_, count * rows_, 0.0);
    for_free_rows([&](const ChangeRow& at, int64_t block) {
      const uint64_t* own[kChangeSets];
      rows_of(sets, count, at.row, own);
      change_project(level_, count, at, row_odds(at.row), own, sums_at(block, kinds, 0, count), sums_at(block, kinds, count, 1),
                     totals_ + count * at.row);
    });
    add_blocks(kinds);
    const double* of_weights = sums_ + count * width();
    collect(of_weights, of_weights + padded_, 1, weights_);
    double totals[kChangeSets];
    for (int set = 0; set < count; ++set) {
      collect(sums_ + set, sums_ + count * padded_ + set, count, systems_[set].rest);
      totals[set] = sum_in_lanes(rows_, [&](int64_t i) { return totals_[count * i + set]; });
    }
    solve(count, kProjectionTolerance * kProjectionTolerance, totals);
    for (int set = 0; set < count; ++set) {
      tg_change_score_result& result = results[set];
      result.total = totals[set];
      result.steps = systems_[set].steps;
      result.imbalance = result.total > 0 ? std::sqrt(systems_[set].norm / result.total) : 0;
      result.status = result.imbalance <= kProjectionTolerance ? TG_OK : TG_NOT_CONVERGED;
    }
  }

  void rows_of(const uint64_t* const* sets, int count, int64_t row, const uint64_t** to) const {
    for (int set = 0; set < count; ++set) {
      to[set] = sets[set] + row * words();
    }
  }

  void pass_score(const uint64_t* const* sets, int count, tg_change_score_result* results) {
    const ChangeSums projections = spread(count, &System::solution);
    std::fill_n(scores_, count * rows_, ChangeScore{});
    for_free_rows([&](const ChangeRow& at, int64_t) {
      const uint64_t* own[kChangeSets];
      rows_of(sets, count, at.row, own);
      change_score(level_, count, at, row_odds(at.row), model_.changed + at.row * words(), own, projections,
                   scores_ + count * at.row);
    });
    for (int set = 0; set < count; ++set) {
      tg_change_score_result& result = results[set];
      for (int64_t i = 0; i < rows_; ++i) {
        const ChangeScore& own = scores_[count * i + set];
        result.score += own.score;
        result.information += own.information;
        result.expected += own.expected;
        result.observed += own.observed;
        result.entries += own.entries;
      }
    }
  }

  // Moves the means of columns and bins into the rows, because only sums of the three are determined.
  void write_logits(tg_change_logits& result) const {
    const auto without_mean = [](double* logits, int64_t count) {
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
    const double mean = without_mean(result.columns, columns_) + without_mean(result.bins, bins_);
    for (int64_t i = 0; i < rows_; ++i) {
      result.rows[i] = row_logits_[i] + mean;
    }
  }

  const tg_change_model& model_;
  int64_t rows_;
  int64_t columns_;
  int64_t bins_;
  int64_t size_;       // columns and bins
  int64_t padded_;     // columns as arrays have them
  int64_t most_keys_;  // the largest number of keys that a matrix of this shape has
  RowBlocks blocks_;
  uint16_t* keys_of_row_;  // of each thread, as the next three
  float* odds_;
  float* numbers_;
  float* probabilities_;
  float* row_weights_;
  float* column_odds_;
  float* key_odds_;
  double* sums_;  // blocks x kinds x width
  double* row_logits_;
  double* row_targets_;  // changes among the free entries
  double* row_values_;
  double* totals_;  // rows x sets, as the next
  ChangeScore* scores_;
  double* values_;
  int32_t* bin_of_key_;
  std::unique_ptr<const MagnitudeKeys> keys_;
  Margins targets_{};
  Margins variances_{};
  Margins weights_{};
  Margins logits_{};
  Margins saved_{};
  System systems_[kChangeSets]{};
  int64_t pairs_ = 0;  // steps of a fit that were remembered
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
  for (int64_t i = 0; i < set_count; i += kChangeSets) {
    fitted.score(pool, level, logits, sets + i, std::min<int64_t>(kChangeSets, set_count - i), results + i);
  }
}

}  // namespace threegate::nulls
