#include "subspace_iteration.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/philox.h"
#include "convergence.h"
#include "cuda/support/staging.h"
#include "problem_layout.h"
#include "source.h"
#include "svd_kernels.h"
#include "warpgroup_product.h"

namespace threegate::cuda {
namespace {

constexpr int kMostCycles = 40;
constexpr int64_t kProbes = 8;  // random directions in a block that begins with a start
// Blocks of random numbers in a row, whatever its length. The first vectors of a matrix then do not depend on its batch.
constexpr int64_t kRowBlocks = 1 << 16;

class SubspaceIteration {
 public:
  SubspaceIteration(CudaSession& session, const CudaSvdBatch& batch, const std::vector<int64_t>& indices, tg_control* control)
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
    if (has_warpgroup_products(session.compute_capability)) {
      std::vector<ProductMaps> maps;
      for (const Problem& problem : problems_) {
        maps.push_back(describe_problem(problem, tile_vectors(vectors_)));
      }
      put(maps, maps_);
    } else {
      maps_ = nullptr;
    }
    list_tiles(to_long_, &Problem::long_side);
    list_tiles(to_short_, &Problem::short_side);
    count_ = count;
  }

  void run() {
    bring();
    begin();
    orthonormalise_and_rotate();
    for (int cycle = 0; cycle < kMostCycles; ++cycle) {
      check_cancelled(control_);
      judge_all(cycle);
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
      long_tiles += most_tiles(problem.long_side, problem.vectors);
      short_tiles += most_tiles(problem.short_side, problem.vectors);
    }
    // They are contiguous, so that one copy fetches all of them.
    numbers_ = layout.take<double>(2 * count * problems_[0].vectors);
    for (size_t i = 0; i < problems_.size() && numbers_ != nullptr; ++i) {
      problems_[i].values = numbers_ + 2 * static_cast<int64_t>(i) * problems_[0].vectors;
      problems_[i].residual = problems_[i].values + problems_[0].vectors;
    }
    staging_ = layout.take<uint8_t>(staging);
    random_ = layout.take<float>(problems_[0].vectors * longest_);
    device_problems_ = layout.take<Problem>(count);
    device_tasks_ = layout.take<Task>(count * kMostTasks);
    maps_ = layout.take<ProductMaps>(count);
    to_long_.device = layout.take<Tile>(long_tiles);
    to_short_.device = layout.take<Tile>(short_tiles);
    largest_ = layout.take<uint64_t>(count);
  }

  template <typename T>
  void put(const std::vector<T>& values, T* to) {
    const auto count = static_cast<int64_t>(values.size());
    Uploads(session_, count * static_cast<int64_t>(sizeof(T)), nullptr).add_array(values.data(), count, to);
  }

  template <typename T>
  void fetch(const T* from, T* to, int64_t count) {
    copy_to_host(session_, from, count * static_cast<int64_t>(sizeof(T)), to);
  }

  // The tiles of products with one side of all problems.
  struct Tiles {
    Tile* device = nullptr;
    int64_t count = 0;
    TileShape shape;
  };

  void list_tiles(Tiles& tiles, int64_t Problem::*side) {
    const int across = vectors_ / tile_vectors(vectors_);
    std::vector<int64_t> lengths;
    for (const Problem& problem : problems_) {
      lengths.push_back(problem.*side);
    }
    tiles.shape = maps_ == nullptr ? TileShape{} : shape_of_tiles(lengths, across, session_.multiprocessors);
    std::vector<Tile> list;
    for (size_t i = 0; i < lengths.size(); ++i) {
      add_tiles(static_cast<int32_t>(i), lengths[i], across, tiles.shape, list);
    }
    put(list, tiles.device);
    tiles.count = static_cast<int64_t>(list.size());
  }

  void multiply(Side to, Epilogue epilogue, const Task* tasks) {
    const Tiles& tiles = to == Side::kLong ? to_long_ : to_short_;
    const int width = tile_vectors(vectors_);
    const PanelWork work{to, epilogue, device_problems_, tasks, tiles.device};
    check(maps_ == nullptr ? launch_product(work, tiles.count, width, stream())
                           : launch_warpgroup_product(work, maps_, tiles.count, width, tiles.shape, stream()),
          "products");
  }

  [[nodiscard]] cudaStream_t stream() const { return session_.stream(); }

  // Copies the matrices and splits them into bf16 planes, one after the other. The host knows their ranges when all are there. It
  // brings a matrix again if that one needs a scale, which is rare.
  void bring() {
    int64_t bytes = 0;
    for (const State& state : states_) {
      bytes += source_bytes(batch_, state.index);
    }
    Uploads uploads(session_, bytes, control_);
    const auto bring_one = [&](size_t i) {
      check_cancelled(control_);
      Source source = stage_source(session_, uploads, batch_, states_[i].index, staging_, largest_ + i);
      source.scale = states_[i].scale;
      split_matrix(source, problems_[i], largest_ + i);
    };
    for (size_t i = 0; i < states_.size(); ++i) {
      bring_one(i);
    }
    std::vector<uint64_t> largest(states_.size());
    fetch(largest_, largest.data(), static_cast<int64_t>(largest.size()));
    for (size_t i = 0; i < states_.size(); ++i) {
      State& state = states_[i];
      state.done = !find_scale(batch_, state.index, bit_cast<double>(largest[i]), state.scale);
      if (!state.done && state.scale != 1) {
        bring_one(i);
      }
    }
  }

  void split_matrix(Source& source, const Problem& problem, uint64_t* largest) {
    source.planes = problem.a_planes;
    uint16_t* planes[kPlanes] = {};
    for (int plane = 0; plane < problem.a_planes; ++plane) {
      planes[plane] = const_cast<uint16_t*>(problem.a[plane]);
    }
    check(launch_split_matrix(source, planes, problem.stride, problem.short_side * problem.long_side / problem.stride, largest,
                              stream()),
          "a matrix in bf16 terms");
  }

  // Fills the first vectors. They are random, or those of the start and a few random ones.
  void begin() {
    const int64_t length = longest_;
    std::vector<float> numbers(static_cast<size_t>(vectors_ * length));
    const random::Stream source{0, 0, random::Purpose::kKrylov};
    const int64_t blocks = (length + random::kBlock - 1) / random::kBlock;
    float block[random::kBlock];
    for (int64_t i = 0; i < vectors_; ++i) {
      for (int64_t j = 0; j < blocks; ++j) {
        random::normal_block(source, i * kRowBlocks + j, block);
        std::copy_n(block, std::min(random::kBlock, length - j * random::kBlock),
                    numbers.begin() + i * length + j * random::kBlock);
      }
    }
    put(numbers, random_);
    for (size_t i = 0; i < states_.size(); ++i) {
      const Problem& problem = problems_[i];
      const int64_t own = short_side(batch_.matrices[states_[i].index].values);
      check(launch_narrow(reinterpret_cast<const uint8_t*>(random_), TG_F32, length, vectors_, own, problem.x[0],
                          problem.short_side, stream()),
            "the first vectors");
      if (batch_.starts != nullptr) {
        const tg_matrix& basis = batch_.starts[states_[i].index].basis;
        const int64_t known = vectors_ - kProbes;
        const tg_matrix leading{basis.data, known, own, basis.row_stride, basis.dtype, 0};
        copy_matrix(session_, leading, staging_, control_);
        check(launch_narrow(staging_, basis.dtype, own, known, own, problem.x[0], problem.short_side, stream()),
              "the first vectors");
      }
    }
  }

  // The tasks of the next launches: those of all problems for one step after the other.
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

  void mix(Side side, const Task* tasks) {
    check(launch_mix(side, device_problems_, tasks, count_, side == Side::kShort ? most_short_ : most_long_, vectors_,
                     tile_vectors(vectors_), stream()),
          "a change of basis");
  }

  // Applies a polynomial of A^T A that is small on the squares of unwanted singular values and grows beyond them. It is the
  // Chebyshev polynomial of the degree of each problem, scaled to 1 at its first vector that is not locked.
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
        task.split_x = j < state.degree ? 1 : 0;
        task.x_before = (state.x + 2) % 3;
        task.x_to = (state.x + 1) % 3;
        state.x = task.x_to;
      }
    }
    upload(steps);
    for (int j = 1; j <= most; ++j) {
      const Task* tasks = step(static_cast<size_t>(j - 1));
      // The residuals have the product that the first step needs.
      if (j == 1) {
        check(launch_filter(device_problems_, tasks, count_, most_short_, vectors_, tile_vectors(vectors_), stream()),
              "a filter");
      } else {
        multiply(Side::kLong, Epilogue::kFilter, tasks);
        multiply(Side::kShort, Epilogue::kFilter, tasks);
      }
      if (any_locked) {
        check(launch_deflate(device_problems_, tasks, count_, vectors_, tile_vectors(vectors_), stream()), "a filter");
      }
    }
  }

  // Makes the vectors orthonormal by Cholesky QR, twice, and computes their images. Rotates them to those of their combinations
  // whose images are orthogonal, and measures their residuals as singular vectors.
  void orthonormalise_and_rotate() {
    Steps steps;
    for (int i = 0; i < 4; ++i) {
      add_step(steps);
      Task* tasks = last(steps);
      for (size_t k = 0; k < states_.size(); ++k) {
        // Steps 0 and 1 are Cholesky QR, step 2 is the rotation, and step 3 measures its result.
        if (i < 3) {
          tasks[k].x_to = (states_[k].x + 1) % 3;
          states_[k].x = states_[k].done ? states_[k].x : tasks[k].x_to;
        }
        tasks[k].y_from = i == 3 ? 1 : 0;
        tasks[k].y_to = i == 2 ? 1 : 0;
        tasks[k].split_x = i == 1 ? 1 : 0;
        tasks[k].split_y = i == 2 ? 1 : 0;
      }
    }
    upload(steps);
    for (size_t i = 0; i < 2; ++i) {
      check(launch_gram(Side::kShort, device_problems_, step(i), count_, most_short_, vectors_, stream()), "orthonormal vectors");
      check(launch_cholesky(device_problems_, step(i), count_, vectors_, session_.shared_bytes_per_block, stream()),
            "orthonormal vectors");
      mix(Side::kShort, step(i));
    }
    multiply(Side::kLong, Epilogue::kStore, step(1));
    check(launch_gram(Side::kLong, device_problems_, step(2), count_, most_long_, vectors_, stream()), "a rotation");
    check(launch_eigen(device_problems_, step(2), count_, vectors_, session_.shared_bytes_per_block, stream()), "a rotation");
    mix(Side::kShort, step(2));
    mix(Side::kLong, step(2));
    multiply(Side::kShort, Epilogue::kStore, step(2));
    check(launch_residual(device_problems_, step(3), count_, vectors_, stream()), "residuals");
  }

  // The squared singular values and the residuals of all problems.
  std::vector<double> fetch_numbers() {
    std::vector<double> numbers(2 * states_.size() * static_cast<size_t>(vectors_));
    fetch(numbers_, numbers.data(), static_cast<int64_t>(numbers.size()));
    return numbers;
  }

  // Reads the measurements of the last cycle and decides how each problem goes on.
  void judge_all(int cycle) {
    const std::vector<double> numbers = fetch_numbers();
    for (size_t i = 0; i < states_.size(); ++i) {
      State& state = states_[i];
      if (state.done) {
        continue;
      }
      const auto own = numbers.begin() + 2 * static_cast<int64_t>(i) * vectors_;
      state.values.assign(own, own + vectors_);
      state.residuals.assign(own + vectors_, own + vectors_ + vectors_);
      judge(state, batch_.options[state.index], batch_.starts != nullptr, cycle);
    }
  }

  // Measures the deviation from orthonormality, and writes the results.
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
      // Ranks may differ, so that each problem needs its own launch.
      for (size_t i = 0; i < states_.size(); ++i) {
        const auto rank = static_cast<int32_t>(batch_.options[states_[i].index].rank);
        check(launch_deviation(device_problems_, step(0) + i, 1, rank, side == Side::kLong ? 1 : 0, stream()), "orthogonality");
      }
      const std::vector<double> numbers = fetch_numbers();
      for (size_t i = 0; i < states_.size(); ++i) {
        // The deviation is where the first residual was.
        (side == Side::kShort ? of_x : of_y)[i] = numbers[(2 * i + 1) * static_cast<size_t>(vectors_)];
      }
    }
    int64_t bytes = 0;
    for (size_t i = 0; i < states_.size(); ++i) {
      bytes += batch_.options[states_[i].index].rank * (problems_[i].short_side + problems_[i].long_side) *
               static_cast<int64_t>(sizeof(float));
    }
    Downloads downloads(session_, bytes);
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
        copy_out(i, options, result, downloads);
        result.status = TG_OK;
        add_done(control_, 1);
      }
    }
    downloads.finish();
  }

  // Vectors leave the device in float32, which is half of the bytes, and all together. The host widens them.
  void copy_out(size_t i, const tg_svd_options& options, tg_svd_result& result, Downloads& downloads) {
    const Problem& problem = problems_[i];
    const tg_matrix& values = batch_.matrices[states_[i].index].values;
    const auto copy = [&](const float* vectors, int64_t stride, int64_t length, bool normalised, double* to) {
      downloads.add(vectors, options.rank * stride * static_cast<int64_t>(sizeof(float)),
                    [this, i, stride, length, normalised, to](const uint8_t* from, int64_t at, int64_t bytes) {
                      constexpr auto kBytes = static_cast<int64_t>(sizeof(float));
                      widen(reinterpret_cast<const float*>(from), at / kBytes, bytes / kBytes, stride, length,
                            normalised ? nullptr : states_[i].values.data(), to);
                    });
    };
    const bool tall = problem.tall != 0;
    copy(problem.x[states_[i].x], problem.short_side, short_side(values), true, tall ? result.right : result.left);
    copy(problem.y[1], problem.long_side, long_side(values), false, tall ? result.left : result.right);
    for (int64_t k = 0; k < options.rank; ++k) {
      result.values[k] = std::sqrt(states_[i].values[static_cast<size_t>(k)]) / states_[i].scale;
    }
    result.spectrum_error = 0;
    result.method = batch_.starts != nullptr && states_[i].near_start ? TG_SVD_TRACKED : TG_SVD_CHEBYSHEV;
  }

  // Widens numbers `begin` .. of vectors with padding, divided by the singular values if there are squares of them.
  void widen(const float* from, int64_t begin, int64_t count, int64_t stride, int64_t length, const double* squares,
             double* to) const {
    constexpr int64_t kPart = int64_t{1} << 18;
    const auto tasks = static_cast<int>(std::clamp<int64_t>(count / kPart, 1, session_.parallel.threads));
    session_.run_parallel(tasks, [&](int task) {
      const int64_t end = begin + count * (task + 1) / tasks;
      for (int64_t at = begin + count * task / tasks; at < end;) {
        const int64_t vector = at / stride;
        const double sigma = squares == nullptr ? 1 : std::sqrt(squares[vector]);
        const int64_t last = std::min(end - vector * stride, length);
        for (int64_t j = at - vector * stride; j < last; ++j) {
          to[vector * length + j] = static_cast<double>(from[vector * stride + j - begin]) / sigma;
        }
        at = (vector + 1) * stride;
      }
    });
  }

  CudaSession& session_;
  const CudaSvdBatch& batch_;
  tg_control* control_;
  std::vector<Problem> problems_;
  std::vector<State> states_;
  Tiles to_long_;
  Tiles to_short_;
  double* numbers_ = nullptr;  // squared singular values and residuals of each problem
  uint8_t* staging_ = nullptr;
  float* random_ = nullptr;
  Problem* device_problems_ = nullptr;
  Task* device_tasks_ = nullptr;
  ProductMaps* maps_ = nullptr;  // on the device. There are none if products are those of product_kernels.cu
  uint64_t* largest_ = nullptr;  // magnitudes, as bits of a double
  int64_t count_ = 0;
  int32_t vectors_ = 0;
  int64_t longest_ = 0;  // largest short side without padding
  int64_t most_short_ = 0;
  int64_t most_long_ = 0;
};

}  // namespace

void iterate(CudaSession& session, const CudaSvdBatch& batch, const std::vector<int64_t>& indices, tg_control* control) {
  SubspaceIteration(session, batch, indices, control).run();
}

}  // namespace threegate::cuda
