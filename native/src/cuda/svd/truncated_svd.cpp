#include "truncated_svd.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "common/philox.h"
#include "cuda/support/staging.h"
#include "dense_svd.h"
#include "source.h"
#include "svd_kernels.h"

namespace threegate::cuda {
namespace {

// Float32 reaches about a tenth of it: below, residuals are rounding.
constexpr double kLeastTolerance = 1e-5;
// Vectors beside the wanted ones: the more there are, the faster the others converge, and the dearer is each step.
constexpr int64_t kLeastExtra = 16;
constexpr int kMostCycles = 40;
constexpr int kMostDegree = 24;
constexpr int64_t kMostTasks = kMostDegree + 4;  // of a problem between two decisions of the host
constexpr int kFirstDegrees[] = {2, 4, 8};       // while Ritz values are far from singular values
// A filter may amplify the first vector that is not locked this much more than the last: as much is lost of float32's digits.
constexpr double kMostAmplified = 1e5;
constexpr double kLockShare = 0.25;  // of the tolerance, from which on a vector is no longer touched
constexpr int64_t kProbes = 8;       // random directions of a tracked block
// Filters that a start does not spare: without them random directions have not turned to what entered from outside. The first one
// is weak, for what entered may be far above all others.
constexpr int kProbingDegrees[] = {1, 4};
constexpr double kNear = 0.1;  // residual of a start that leads to what is looked for
constexpr int64_t kRowBlocks =
    1 << 16;  // of random numbers, whatever the length: a matrix' first vectors do not depend on its batch
// A filter takes bf16 terms as residuals ask for: what one leaves out, 2^-9 of a vector, limits residuals to about 1e-3, and what
// two leave out to about 1e-6. Measurements always take three.
constexpr double kOneTerm = 1e-2;
constexpr double kStagnation = 0.5;  // of the residual before: less progress is not trusted to be the filter's
constexpr double kNothing = 1e-14;   // a share of the largest squared singular value that is rounding

int64_t padded(int64_t count, int64_t to) { return (count + to - 1) / to * to; }
int64_t short_side(const tg_matrix& values) { return std::min(values.rows, values.columns); }
int64_t long_side(const tg_matrix& values) { return std::max(values.rows, values.columns); }

int64_t vectors_for(int64_t rank) { return padded(rank + std::max(kLeastExtra, rank / 2), kVectorPadding); }
int tile_vectors(int64_t vectors) { return vectors % 96 == 0 ? 96 : vectors % 64 == 0 ? 64 : 32; }

// bf16 matrices that a matrix' entries are sums of.
int planes_for(const tg_operand& matrix, const tg_operand* subtracted) {
  const bool exact = subtracted == nullptr && is_plain(matrix) && matrix.values.dtype != TG_F64 && matrix.values.dtype != TG_F32;
  return !exact ? kPlanes : matrix.values.dtype == TG_F16 ? 2 : 1;
}

// The arrays of one problem; without memory they are only counted.
Problem lay_out(const CudaSvdBatch& batch, int64_t i, Layout& layout) {
  const tg_matrix& values = batch.matrices[i].values;
  Problem problem{};
  problem.tall = values.rows > values.columns ? 1 : 0;
  problem.short_side = padded(short_side(values), kPadding);
  problem.long_side = padded(long_side(values), kPadding);
  problem.stride = padded(values.columns, kPadding);
  problem.a_planes = planes_for(batch.matrices[i], subtracted_of(batch, i));
  problem.vectors = static_cast<int32_t>(vectors_for(batch.options[i].rank));
  const int64_t vectors = problem.vectors;
  for (int plane = 0; plane < problem.a_planes; ++plane) {
    problem.a[plane] = layout.take<uint16_t>(problem.short_side * problem.long_side);
  }
  for (float*& x : problem.x) {
    x = layout.take<float>(vectors * problem.short_side);
  }
  for (float*& y : problem.y) {
    y = layout.take<float>(vectors * problem.long_side);
  }
  problem.z = layout.take<float>(vectors * problem.short_side);
  problem.x_planes = layout.take<uint16_t>(kPlanes * vectors * problem.short_side);
  problem.y_planes = layout.take<uint16_t>(kPlanes * vectors * problem.long_side);
  problem.partial = layout.take<double>(partial_count(problem.long_side) * vectors * vectors);
  problem.gram = layout.take<double>(vectors * vectors);
  problem.mixing = layout.take<float>(vectors * vectors);
  problem.work = layout.take<double>(2 * vectors * vectors);
  return problem;
}

// With its share of the lists.
int64_t bytes_of(const CudaSvdBatch& batch, int64_t i) {
  Layout layout;
  const Problem problem = lay_out(batch, i, layout);
  const int64_t tiles = (problem.short_side + problem.long_side) / kPadding * (problem.vectors / tile_vectors(problem.vectors));
  layout.take<Problem>(1);
  layout.take<Task>(kMostTasks);
  layout.take<Tile>(tiles);
  layout.take<double>(2 * int64_t{problem.vectors});
  return layout.used();
}

// What matrices use one after the other: entries as they come, before they are split, starts and results; and the first vectors.
int64_t staging_bytes(const CudaSvdBatch& batch, int64_t i) {
  const tg_matrix& values = batch.matrices[i].values;
  const int64_t basis =
      batch.starts == nullptr ? 0 : vectors_for(batch.options[i].rank) * short_side(values) * int64_t{sizeof(double)};
  const int64_t results = batch.options[i].rank * long_side(values) * int64_t{sizeof(double)};
  const int64_t first = vectors_for(batch.options[i].rank) * short_side(values) * static_cast<int64_t>(sizeof(float));
  return padded(first, Layout::kAlignment) +
         std::max({source_bytes(batch, i), padded(basis, Layout::kAlignment), padded(results, Layout::kAlignment)});
}

// What the host knows of one problem.
struct State {
  int64_t index;  // in the caller's batch
  double scale = 1;
  int32_t x = 0;  // which of the x is the current one
  int32_t locked = 0;
  int degree = 0;
  int terms = 1;
  bool done = false;
  bool converged = false;
  bool near_start = false;
  double residual = 1;
  std::vector<double> values;     // squared
  std::vector<double> residuals;  // not yet over the largest singular value
};

class Batch {
 public:
  Batch(CudaSession& session, const CudaSvdBatch& batch, const std::vector<int64_t>& indices, tg_control* control)
      : session_(session), batch_(batch), control_(control) {
    const auto count = static_cast<int64_t>(indices.size());
    Layout counted;
    place(indices, counted);
    session.memory.reserve(counted.used());
    Layout layout(session.memory.get());
    place(indices, layout);
    vectors_ = problems_[0].vectors;
    for (const Problem& problem : problems_) {
      most_short_ = std::max(most_short_, problem.short_side);
      most_long_ = std::max(most_long_, problem.long_side);
    }
    for (const int64_t index : indices) {
      State state;
      state.index = index;
      states_.push_back(state);
    }
    put(problems_, device_problems_);
    list_tiles(to_long_, device_to_long_, [](const Problem& problem) { return problem.long_side; });
    list_tiles(to_short_, device_to_short_, [](const Problem& problem) { return problem.short_side; });
    count_ = count;
  }

  void run() {
    for (size_t i = 0; i < states_.size(); ++i) {
      bring(i);
    }
    begin();
    orthonormalise_and_rotate();
    for (int cycle = 0; cycle < kMostCycles; ++cycle) {
      check_cancelled(control_);
      judge(cycle);
      if (std::all_of(states_.begin(), states_.end(), [](const State& state) { return state.done; })) {
        break;
      }
      filter();
      orthonormalise_and_rotate();
    }
    certify();
  }

 private:
  void place(const std::vector<int64_t>& indices, Layout& layout) {
    problems_.clear();
    const auto count = static_cast<int64_t>(indices.size());
    int64_t staging = 0;
    int64_t long_tiles = 0;
    int64_t short_tiles = 0;
    for (const int64_t index : indices) {
      problems_.push_back(lay_out(batch_, index, layout));
      staging = std::max(staging, staging_bytes(batch_, index));
      longest_ = std::max(longest_, short_side(batch_.matrices[index].values));
      const Problem& problem = problems_.back();
      const int64_t across = problem.vectors / tile_vectors(problem.vectors);
      long_tiles += problem.long_side / kPadding * across;
      short_tiles += problem.short_side / kPadding * across;
    }
    // Together, so that one copy brings all of them.
    numbers_ = layout.take<double>(2 * count * problems_[0].vectors);
    for (size_t i = 0; i < problems_.size() && numbers_ != nullptr; ++i) {
      problems_[i].values = numbers_ + 2 * static_cast<int64_t>(i) * problems_[0].vectors;
      problems_[i].residual = problems_[i].values + problems_[0].vectors;
    }
    staging_ = layout.take<uint8_t>(staging);
    random_ = layout.take<float>(problems_[0].vectors * longest_);
    device_problems_ = layout.take<Problem>(count);
    device_tasks_ = layout.take<Task>(count * kMostTasks);
    device_to_long_ = layout.take<Tile>(long_tiles);
    device_to_short_ = layout.take<Tile>(short_tiles);
    ranges_ = layout.take<Range>(count);
  }

  template <typename T>
  void put(const std::vector<T>& values, T* to) {
    const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
    copy_matrix(session_, {values.data(), 1, bytes, bytes, TG_F8_E4M3, 0}, reinterpret_cast<uint8_t*>(to), nullptr);
  }

  template <typename T>
  void fetch(const T* from, T* to, int64_t count) {
    check(cudaMemcpyAsync(to, from, static_cast<size_t>(count) * sizeof(T), cudaMemcpyDeviceToHost, stream()),
          "singular triplets");
    check(cudaStreamSynchronize(stream()), "singular triplets");
  }

  template <typename Length>
  void list_tiles(std::vector<Tile>& tiles, Tile* device, Length length) {
    const int width = tile_vectors(vectors_);
    for (size_t i = 0; i < problems_.size(); ++i) {
      for (int64_t row = 0; row < length(problems_[i]) / kPadding; ++row) {
        for (int column = 0; column < vectors_ / width; ++column) {
          tiles.push_back({static_cast<int32_t>(i), static_cast<int32_t>(row), column});
        }
      }
    }
    put(tiles, device);
  }

  [[nodiscard]] cudaStream_t stream() const { return session_.stream(); }

  // Splits a matrix into planes, and its first vectors.
  void bring(size_t i) {
    check_cancelled(control_);
    State& state = states_[i];
    Problem& problem = problems_[i];
    Source source{};
    if (!bring_source(session_, batch_, state.index, staging_, ranges_ + i, control_, source, state.scale)) {
      state.done = true;
      return;
    }
    source.planes = problem.a_planes;
    source.scale = state.scale;
    uint16_t* planes[kPlanes] = {};
    for (int plane = 0; plane < problem.a_planes; ++plane) {
      planes[plane] = const_cast<uint16_t*>(problem.a[plane]);
    }
    check(launch_split_matrix(source, planes, problem.stride, problem.short_side * problem.long_side / problem.stride, stream()),
          "a matrix in bf16 terms");
    check(cudaStreamSynchronize(stream()), "a matrix in bf16 terms");
  }

  // The first vectors: random ones, or those of the start and a few random ones.
  void begin() {
    const int64_t length = longest_;
    std::vector<float> numbers(static_cast<size_t>(vectors_ * length));
    const random::Stream source{0, 0, random::Purpose::kKrylov};
    const int64_t blocks = padded(length, random::kBlock) / random::kBlock;
    float block[random::kBlock];
    for (int64_t i = 0; i < vectors_; ++i) {
      for (int64_t j = 0; j < blocks; ++j) {
        random::normal_block(source, i * kRowBlocks + j, block);
        std::copy_n(block, std::min(random::kBlock, length - j * random::kBlock),
                    numbers.begin() + i * length + j * random::kBlock);
      }
    }
    put(numbers, random_);
    Entries entries{};
    entries.data = reinterpret_cast<const uint8_t*>(random_);
    entries.row_stride = length;
    entries.block_rows = 1;
    entries.block_columns = 1;
    entries.dtype = TG_F32;
    for (size_t i = 0; i < states_.size(); ++i) {
      const Problem& problem = problems_[i];
      const int64_t own = short_side(batch_.matrices[states_[i].index].values);
      check(launch_narrow(entries, vectors_, own, problem.x[0], problem.short_side, stream()), "the first vectors");
      if (batch_.starts != nullptr) {
        const tg_matrix& basis = batch_.starts[states_[i].index].basis;
        const int64_t known = vectors_ - kProbes;
        const tg_matrix leading{basis.data, known, own, basis.row_stride, basis.dtype, 0};
        check(cudaStreamSynchronize(stream()), "the first vectors");
        copy_matrix(session_, leading, staging_, control_);
        Entries given = entries;
        given.data = staging_;
        given.row_stride = own;
        given.dtype = basis.dtype;
        check(launch_narrow(given, known, own, problem.x[0], problem.short_side, stream()), "the first vectors");
      }
    }
    check(cudaStreamSynchronize(stream()), "the first vectors");
  }

  // Tasks of the next launches: those of all problems, step after step.
  using Steps = std::vector<Task>;
  void add_step(Steps& steps) const {
    for (size_t i = 0; i < states_.size(); ++i) {
      Task task{};
      task.problem = static_cast<int32_t>(i);
      task.active = states_[i].done ? 0 : 1;
      task.terms = kPlanes;
      task.x_from = states_[i].x;
      task.locked = states_[i].locked;
      steps.push_back(task);
    }
  }
  Task* last(Steps& steps) const { return steps.data() + steps.size() - states_.size(); }
  void upload(const Steps& steps) { put(steps, device_tasks_); }
  [[nodiscard]] const Task* step(size_t index) const { return device_tasks_ + index * states_.size(); }

  void to_long(const Task* tasks) {
    check(launch_to_long_side(device_problems_, tasks, device_to_long_, static_cast<int64_t>(to_long_.size()),
                              tile_vectors(vectors_), stream()),
          "products");
    check(launch_split_vectors(Side::kLong, device_problems_, tasks, count_, vectors_ * most_long_, stream()), "products");
  }
  void to_short(const Task* tasks) {
    check(launch_to_short_side(device_problems_, tasks, device_to_short_, static_cast<int64_t>(to_short_.size()),
                               tile_vectors(vectors_), stream()),
          "products");
  }

  // A polynomial of A^T A that is small on the squares of unwanted singular values and grows beyond: the Chebyshev polynomial of
  // each problem's degree, scaled to one at its first vector that is not locked.
  void filter() {
    Steps steps;
    int most = 0;
    bool any_locked = false;
    for (const State& state : states_) {
      most = std::max(most, state.done ? 0 : state.degree);
      any_locked = any_locked || state.locked > 0;
    }
    std::vector<double> sigmas(states_.size());
    for (int j = 1; j <= most; ++j) {
      add_step(steps);
      Task* tasks = last(steps);
      for (size_t i = 0; i < states_.size(); ++i) {
        State& state = states_[i];
        Task& task = tasks[i];
        task.active = !state.done && j <= state.degree ? 1 : 0;
        if (task.active == 0) {
          continue;
        }
        const double half = state.values[static_cast<size_t>(vectors_ - 1)] / 2;
        const double first = half / (state.values[static_cast<size_t>(state.locked)] - half);
        const double sigma = j == 1 ? first : 1 / (2 / first - sigmas[i]);
        task.alpha = static_cast<float>((j == 1 ? 1 : 2) * sigma / half);
        task.beta = static_cast<float>(-(j == 1 ? 1 : 2) * sigma);
        task.gamma = j == 1 ? 0.0F : static_cast<float>(-sigma * sigmas[i]);
        sigmas[i] = sigma;
        task.terms = state.terms;
        task.x_before = (state.x + 2) % 3;
        task.x_to = (state.x + 1) % 3;
        state.x = task.x_to;
      }
    }
    upload(steps);
    for (int j = 1; j <= most; ++j) {
      const Task* tasks = step(static_cast<size_t>(j - 1));
      if (j > 1) {
        to_long(tasks);
        to_short(tasks);
      }
      check(launch_filter(device_problems_, tasks, count_, vectors_ * most_short_, stream()), "a filter");
      if (any_locked) {
        check(launch_deflate(device_problems_, tasks, count_, vectors_, stream()), "a filter");
      }
      if (j < most) {
        check(launch_split_vectors(Side::kShort, device_problems_, tasks, count_, vectors_ * most_short_, stream()), "a filter");
      }
    }
  }

  // Orthonormal vectors by Cholesky-QR, twice; their images; among their combinations those whose images are orthogonal; and how
  // far they are from singular vectors.
  void orthonormalise_and_rotate() {
    Steps steps;
    for (int i = 0; i < 4; ++i) {
      add_step(steps);
      Task* tasks = last(steps);
      for (size_t k = 0; k < states_.size(); ++k) {
        // 0, 1: Cholesky-QR; 2: the rotation; 3: its result.
        if (i < 3) {
          tasks[k].x_to = (states_[k].x + 1) % 3;
          states_[k].x = states_[k].done ? states_[k].x : tasks[k].x_to;
        }
        tasks[k].y_from = i == 3 ? 1 : 0;
        tasks[k].y_to = i == 2 ? 1 : 0;
      }
    }
    upload(steps);
    for (size_t i = 0; i < 2; ++i) {
      check(launch_gram(Side::kShort, device_problems_, step(i), count_, most_short_, vectors_, stream()), "orthonormal vectors");
      check(launch_cholesky(device_problems_, step(i), count_, vectors_, stream()), "orthonormal vectors");
      check(launch_mix(Side::kShort, device_problems_, step(i), count_, most_short_, vectors_, stream()), "orthonormal vectors");
    }
    check(launch_split_vectors(Side::kShort, device_problems_, step(1), count_, vectors_ * most_short_, stream()), "products");
    check(launch_to_long_side(device_problems_, step(1), device_to_long_, static_cast<int64_t>(to_long_.size()),
                              tile_vectors(vectors_), stream()),
          "products");
    check(launch_gram(Side::kLong, device_problems_, step(2), count_, most_long_, vectors_, stream()), "a rotation");
    check(launch_eigen(device_problems_, step(2), count_, vectors_, stream()), "a rotation");
    check(launch_mix(Side::kShort, device_problems_, step(2), count_, most_short_, vectors_, stream()), "a rotation");
    check(launch_mix(Side::kLong, device_problems_, step(2), count_, most_long_, vectors_, stream()), "a rotation");
    check(launch_split_vectors(Side::kLong, device_problems_, step(2), count_, vectors_ * most_long_, stream()), "products");
    to_short(step(2));
    check(launch_residual(device_problems_, step(3), count_, vectors_, stream()), "residuals");
  }

  // Which problems are done, which of their vectors are, and the degree of the next filter.
  void judge(int cycle) {
    std::vector<double> numbers(2 * states_.size() * static_cast<size_t>(vectors_));
    fetch(numbers_, numbers.data(), static_cast<int64_t>(numbers.size()));
    for (size_t i = 0; i < states_.size(); ++i) {
      State& state = states_[i];
      if (state.done) {
        continue;
      }
      const auto own = numbers.begin() + 2 * static_cast<int64_t>(i) * vectors_;
      state.values.assign(own, own + vectors_);
      state.residuals.assign(own + vectors_, own + vectors_ + vectors_);
      const tg_svd_options& options = batch_.options[state.index];
      const double first = std::sqrt(state.values[0]);
      const auto relative = [&](int64_t k) { return state.residuals[static_cast<size_t>(k)] / first; };
      const double before = state.residual;
      state.residual = 0;
      for (int64_t k = 0; k < options.rank; ++k) {
        state.residual = std::max(state.residual, relative(k));
      }
      state.near_start = cycle == 0 ? state.residual <= kNear : state.near_start;
      const bool probes = batch_.starts != nullptr && cycle < static_cast<int>(std::size(kProbingDegrees));
      state.converged = state.residual <= options.tolerance / 2 && !probes;
      const double last = state.values[static_cast<size_t>(vectors_ - 1)];
      if (state.converged || !(last > kNothing * state.values[0])) {
        state.done = true;
        continue;
      }
      // Anew each time: what has just turned up may belong before those that were locked.
      state.locked = 0;
      while (state.locked < options.rank - 1 && relative(state.locked) <= kLockShare * options.tolerance) {
        ++state.locked;
      }
      state.degree = degree_for(state, options, cycle);
      const int least = state.residual > kOneTerm ? 1 : 2;
      const bool stagnates = cycle > static_cast<int>(std::size(kFirstDegrees)) && state.residual > kStagnation * before;
      state.terms = std::min(kPlanes, stagnates ? std::max(least, state.terms + 1) : least);
    }
  }

  [[nodiscard]] int degree_for(const State& state, const tg_svd_options& options, int cycle) const {
    const double last = state.values[static_cast<size_t>(vectors_ - 1)];
    // Of a filter of degree d, about cosh(d * growth).
    const auto growth = [&](int64_t k) {
      return std::acosh(std::max(2 * state.values[static_cast<size_t>(k)] / last - 1, 1.0 + 1e-6));
    };
    double wanted = 2;
    for (int64_t k = state.locked; k < options.rank; ++k) {
      const double reduction = 4 * state.residuals[static_cast<size_t>(k)] / (options.tolerance * std::sqrt(state.values[0]));
      if (reduction > 1) {
        wanted = std::max(wanted, std::acosh(reduction) / growth(k));
      }
    }
    const double allowed = std::acosh(kMostAmplified) / growth(state.locked);
    const auto first_cycles = static_cast<int>(std::size(kFirstDegrees));
    int most = cycle < first_cycles ? kFirstDegrees[cycle] : kMostDegree;
    if (batch_.starts != nullptr) {
      const bool probes = cycle < static_cast<int>(std::size(kProbingDegrees));
      most = probes ? kProbingDegrees[cycle] : kMostDegree;
      wanted = probes ? most : wanted;
    }
    return std::clamp(static_cast<int>(std::ceil(std::min(wanted, allowed))), 1, most);
  }

  // The largest departures from orthonormality, and the results.
  void certify() {
    std::vector<double> of_x(states_.size(), 1);
    std::vector<double> of_y(states_.size(), 1);
    for (State& state : states_) {
      state.done = !state.converged;
    }
    Steps steps;
    add_step(steps);
    for (size_t i = 0; i < states_.size(); ++i) {
      last(steps)[i].y_from = 1;
    }
    upload(steps);
    for (const Side side : {Side::kShort, Side::kLong}) {
      check(launch_gram(side, device_problems_, step(0), count_, side == Side::kShort ? most_short_ : most_long_, vectors_,
                        stream()),
            "orthogonality");
      // Ranks may differ: each problem has a launch of its own.
      for (size_t i = 0; i < states_.size(); ++i) {
        const auto rank = static_cast<int32_t>(batch_.options[states_[i].index].rank);
        check(launch_deviation(device_problems_, step(0) + i, 1, rank, side == Side::kLong ? 1 : 0, stream()), "orthogonality");
      }
      for (size_t i = 0; i < states_.size(); ++i) {
        if (!states_[i].done) {
          fetch(problems_[i].residual, side == Side::kShort ? &of_x[i] : &of_y[i], 1);
        }
      }
    }
    for (size_t i = 0; i < states_.size(); ++i) {
      tg_svd_result& result = batch_.results[states_[i].index];
      result.status = TG_NOT_CONVERGED;
      if (states_[i].done) {
        continue;
      }
      result.residual = states_[i].residual;
      result.orthogonality = std::max(of_x[i], of_y[i]);
      const tg_svd_options& options = batch_.options[states_[i].index];
      if (result.residual <= options.tolerance && result.orthogonality <= options.tolerance) {
        copy_out(i, options, result);
        result.status = TG_OK;
        add_done(control_, 1);
      }
    }
  }

  void copy_out(size_t i, const tg_svd_options& options, tg_svd_result& result) {
    const Problem& problem = problems_[i];
    const tg_matrix& values = batch_.matrices[states_[i].index].values;
    auto* out = reinterpret_cast<double*>(staging_);
    const auto copy = [&](const float* vectors, int64_t stride, int64_t length, const double* scales, double* to) {
      check(launch_widen(vectors, stride, options.rank, length, scales, out, stream()), "singular vectors");
      copy_to_host(session_, out, options.rank * length * static_cast<int64_t>(sizeof(double)), to);
    };
    const bool tall = problem.tall != 0;
    copy(problem.x[states_[i].x], problem.short_side, short_side(values), nullptr, tall ? result.right : result.left);
    copy(problem.y[1], problem.long_side, long_side(values), problem.values, tall ? result.left : result.right);
    for (int64_t k = 0; k < options.rank; ++k) {
      result.values[k] = std::sqrt(states_[i].values[static_cast<size_t>(k)]) / states_[i].scale;
    }
    result.spectrum_error = 0;
    result.method = batch_.starts != nullptr && states_[i].near_start ? TG_SVD_TRACKED : TG_SVD_CHEBYSHEV;
  }

  CudaSession& session_;
  const CudaSvdBatch& batch_;
  tg_control* control_;
  std::vector<Problem> problems_;
  std::vector<State> states_;
  std::vector<Tile> to_long_;
  std::vector<Tile> to_short_;
  double* numbers_ = nullptr;  // squared singular values and residuals of each problem
  uint8_t* staging_ = nullptr;
  float* random_ = nullptr;
  Problem* device_problems_ = nullptr;
  Task* device_tasks_ = nullptr;
  Tile* device_to_long_ = nullptr;
  Tile* device_to_short_ = nullptr;
  Range* ranges_ = nullptr;
  int64_t count_ = 0;
  int32_t vectors_ = 0;
  int64_t longest_ = 0;  // short side, as it is
  int64_t most_short_ = 0;
  int64_t most_long_ = 0;
};

}  // namespace

bool svd_suits(const CudaSvdBatch& batch, int64_t i) {
  const tg_svd_options& options = batch.options[i];
  const int64_t vectors = vectors_for(options.rank);
  // Half of the short side: beyond, a whole decomposition is no slower.
  return options.vectors != 0 && batch.results[i].spectrum == nullptr && options.tolerance >= kLeastTolerance &&
         vectors <= kMostVectors && 2 * vectors <= short_side(batch.matrices[i].values);
}

int64_t svd_bytes(const CudaSvdBatch& batch) {
  int64_t bytes = 0;
  int64_t staging = 0;
  for (int64_t i = 0; i < batch.count; ++i) {
    if (svd_suits(batch, i)) {
      bytes += bytes_of(batch, i);
      staging = std::max(staging, staging_bytes(batch, i));
    }
  }
  return bytes + staging;
}

void svd(CudaSession& session, const CudaSvdBatch& batch, tg_control* control) {
  // Matrices with blocks of one width go together, as many as there is memory for.
  std::map<int64_t, std::vector<int64_t>> groups;
  for (int64_t i = 0; i < batch.count; ++i) {
    batch.results[i].status = TG_NOT_CONVERGED;
    if (svd_suits(batch, i)) {
      groups[vectors_for(batch.options[i].rank)].push_back(i);
    }
  }
  size_t available = 0;
  size_t total = 0;
  check(cudaMemGetInfo(&available, &total), "the device's memory");
  constexpr int64_t kReserve = int64_t{256} << 20;  // slots, lists and what the driver takes
  const int64_t room = static_cast<int64_t>(available) + session.memory.bytes() - kReserve;
  for (const auto& [vectors, all] : groups) {
    for (size_t begin = 0; begin < all.size();) {
      int64_t bytes = 0;
      int64_t staging = 0;
      size_t end = begin;
      do {
        bytes += bytes_of(batch, all[end]);
        staging = std::max(staging, staging_bytes(batch, all[end]));
        ++end;
      } while (end < all.size() && bytes + bytes_of(batch, all[end]) + std::max(staging, staging_bytes(batch, all[end])) <= room);
      Batch(session, batch,
            std::vector<int64_t>(all.begin() + static_cast<int64_t>(begin), all.begin() + static_cast<int64_t>(end)), control)
          .run();
      begin = end;
    }
  }
  for (int64_t i = 0; i < batch.count; ++i) {
    if (batch.results[i].status != TG_OK && dense_svd_suits(batch, i)) {
      dense_svd(session, batch, i, control);
    }
  }
}

}  // namespace threegate::cuda
