// Epilogues have the bits of the steps that they replace: a product in float32, then the filter, then the split into bf16 terms.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <new>
#include <string>
#include <vector>

#include "common/dtype.h"
#include "cuda/support/runtime.h"
#include "cuda/svd/svd_kernels.h"
#include "cuda/svd/warpgroup_product.h"

namespace {

using threegate::cuda::Epilogue;
using threegate::cuda::kPadding;
using threegate::cuda::kPlanes;
using threegate::cuda::PanelWork;
using threegate::cuda::Problem;
using threegate::cuda::Side;
using threegate::cuda::Task;
using threegate::cuda::Tile;
using threegate::cuda::TileShape;

constexpr int64_t kShortSide = 128;
constexpr int64_t kLongSide = 256;
constexpr uint16_t kUntouched = 0xdead;
// Of products by mma, which has no clusters, and by warpgroups.
constexpr TileShape kShapes[] = {{kPadding, 0}, {kPadding, 1}, {2 * kPadding, 1}, {kPadding, 2}, {2 * kPadding, 2}};

// A problem whose matrix, vectors and planes are random.
class Device {
 public:
  Device(bool tall, int vectors, int tile_vectors, const Task& task) : tile_vectors_(tile_vectors) {
    memory_.reserve(int64_t{1} << 23);
    next_ = memory_.get();
    problem_ = take<Problem>(1);
    task_ = take<Task>(1);
    *problem_ = Problem{};
    *task_ = task;
    problem_->tall = tall ? 1 : 0;
    problem_->short_side = kShortSide;
    problem_->long_side = kLongSide;
    problem_->stride = tall ? kShortSide : kLongSide;
    problem_->a_planes = 1;
    problem_->vectors = problem_->used = vectors;
    auto* const a = take<uint16_t>(kShortSide * kLongSide);
    for (int64_t i = 0; i < kShortSide * kLongSide; ++i) {
      a[i] = threegate::float_to_bf16(random());
    }
    problem_->a[0] = a;
    for (float*& x : problem_->x) {
      x = random_vectors(kShortSide);
    }
    for (float*& y : problem_->y) {
      y = random_vectors(kLongSide);
    }
    problem_->z = random_vectors(kShortSide);
    problem_->mixing = random_vectors(vectors);
    problem_->x_planes = take<uint16_t>(kPlanes * vectors * kShortSide);
    problem_->y_planes = take<uint16_t>(kPlanes * vectors * kLongSide);
    set_planes(problem_->x_planes, problem_->x[0], kShortSide);
    set_planes(problem_->y_planes, problem_->y[0], kLongSide);
  }

  [[nodiscard]] Problem& problem() const { return *problem_; }
  [[nodiscard]] Task& task() const { return *task_; }

  void multiply(Side to, Epilogue epilogue, const TileShape& shape = kShapes[0]) {
    const bool by_mma = shape.blocks == 0;
    std::vector<Tile> tiles;
    threegate::cuda::add_tiles(0, to == Side::kLong ? kLongSide : kShortSide, problem_->vectors / tile_vectors_,
                               by_mma ? TileShape{} : shape, tiles);
    auto* const on_device = take<Tile>(static_cast<int64_t>(tiles.size()));
    std::copy(tiles.begin(), tiles.end(), on_device);
    const PanelWork work{to, epilogue, problem_, task_, on_device};
    const auto count = static_cast<int64_t>(tiles.size());
    if (by_mma) {
      finish(threegate::cuda::launch_product(work, count, tile_vectors_, stream_.get()));
      return;
    }
    const auto* const maps = new (take<threegate::cuda::ProductMaps>(1))
        threegate::cuda::ProductMaps(threegate::cuda::describe_problem(*problem_, tile_vectors_));
    finish(threegate::cuda::launch_warpgroup_product(work, maps, count, tile_vectors_, shape, stream_.get()));
  }
  void filter() {
    finish(threegate::cuda::launch_filter(problem_, task_, 1, kShortSide, problem_->vectors, tile_vectors_, stream_.get()));
  }
  void deflate() { finish(threegate::cuda::launch_deflate(problem_, task_, 1, problem_->vectors, tile_vectors_, stream_.get())); }
  void mix(Side side) {
    finish(threegate::cuda::launch_mix(side, problem_, task_, 1, side == Side::kLong ? kLongSide : kShortSide, problem_->vectors,
                                       tile_vectors_, stream_.get()));
  }

  // Expects the planes of vectors `begin` to `end`: the terms of `values`, and beyond the wanted terms what was there before.
  void expect_planes(Side side, const float* values, const std::vector<uint16_t>& before, int64_t begin, int64_t end,
                     bool written) const {
    const int64_t length = side == Side::kLong ? kLongSide : kShortSide;
    const uint16_t* const planes = side == Side::kLong ? problem_->y_planes : problem_->x_planes;
    for (int64_t vector = begin; vector < end; ++vector) {
      for (int64_t i = 0; i < length; ++i) {
        float rest = values[vector * length + i];
        for (int plane = 0; plane < kPlanes; ++plane) {
          const int64_t at = plane_at(vector, plane, length) + i;
          const uint16_t code = threegate::float_to_bf16(rest);
          rest -= threegate::bf16_to_float(code);
          ASSERT_EQ(written && plane < task_->terms ? code : before[static_cast<size_t>(at)], planes[at])
              << "vector " << vector << ", entry " << i << ", plane " << plane;
        }
      }
    }
  }
  void spoil_planes(Side side) const {
    uint16_t* const own = side == Side::kLong ? problem_->y_planes : problem_->x_planes;
    std::fill_n(own, kPlanes * problem_->vectors * (side == Side::kLong ? kLongSide : kShortSide), kUntouched);
  }
  [[nodiscard]] std::vector<uint16_t> planes(Side side) const {
    const uint16_t* const own = side == Side::kLong ? problem_->y_planes : problem_->x_planes;
    return {own, own + kPlanes * problem_->vectors * (side == Side::kLong ? kLongSide : kShortSide)};
  }
  [[nodiscard]] std::vector<float> copy(const float* vectors, int64_t length) const {
    return {vectors, vectors + problem_->vectors * length};
  }

 private:
  template <typename T>
  T* take(int64_t count) {
    auto* const taken = reinterpret_cast<T*>(next_);
    next_ += (count * static_cast<int64_t>(sizeof(T)) + 255) / 256 * 256;
    EXPECT_LE(next_, memory_.get() + (int64_t{1} << 23));
    return taken;
  }
  float random() {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<float>(static_cast<int32_t>(state_ >> 32)) * 0x1p-31F;
  }
  float* random_vectors(int64_t length) {
    auto* const vectors = take<float>(problem_->vectors * length);
    for (int64_t i = 0; i < problem_->vectors * length; ++i) {
      vectors[i] = random();
    }
    return vectors;
  }
  [[nodiscard]] int64_t plane_at(int64_t vector, int plane, int64_t length) const {
    return (vector / tile_vectors_ * kPlanes * tile_vectors_ + plane * tile_vectors_ + vector % tile_vectors_) * length;
  }
  // The planes that a product reads. Those beyond the terms are not numbers of the vectors.
  void set_planes(uint16_t* planes, const float* values, int64_t length) const {
    for (int64_t vector = 0; vector < problem_->vectors; ++vector) {
      for (int64_t i = 0; i < length; ++i) {
        float rest = values[vector * length + i];
        for (int plane = 0; plane < kPlanes; ++plane) {
          const uint16_t code = threegate::float_to_bf16(rest);
          planes[plane_at(vector, plane, length) + i] = plane < task_->terms ? code : kUntouched;
          rest -= threegate::bf16_to_float(code);
        }
      }
    }
  }
  void finish(cudaError_t error) {
    ASSERT_EQ(cudaSuccess, error);
    ASSERT_EQ(cudaSuccess, cudaStreamSynchronize(stream_.get()));
  }

  threegate::cuda::DeviceMemory memory_;
  decltype(threegate::cuda::make_stream()) stream_ = threegate::cuda::make_stream();
  uint8_t* next_ = nullptr;
  Problem* problem_ = nullptr;
  Task* task_ = nullptr;
  int tile_vectors_;
  uint64_t state_ = 1;
};

Task task_with(int terms, int locked) {
  Task task{};
  task.active = 1;
  task.x_from = 0;
  task.x_to = 1;
  task.x_before = 2;
  task.y_to = 1;
  task.split_x = 1;
  task.split_y = 1;
  task.locked = locked;
  task.terms = terms;
  task.alpha = 0.3F;
  task.beta = -1.7F;
  task.gamma = -0.6F;
  return task;
}

// What the filter is to compute from a product, and the vectors that it gives.
std::vector<float> filtered(const Device& device, const float* z, float gamma) {
  const Problem& problem = device.problem();
  const Task& task = device.task();
  std::vector<float> result = device.copy(problem.x[task.x_from], kShortSide);
  for (auto i = static_cast<size_t>(task.locked * kShortSide); i < result.size(); ++i) {
    const float value = task.alpha * z[i] + task.beta * result[i];
    result[i] = gamma == 0 ? value : value + gamma * problem.x[task.x_before][i];
  }
  return result;
}

struct Case {
  bool tall;
  int vectors;
  int tile_vectors;
  int terms;
  int locked;
};
class ProductEpilogue : public testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] static Device device() {
    const Case& own = GetParam();
    return {own.tall, own.vectors, own.tile_vectors, task_with(own.terms, own.locked)};
  }
  [[nodiscard]] static int64_t unsplit_from(const Case& own) { return own.locked > 0 ? own.locked : own.vectors; }
};

TEST_P(ProductEpilogue, SplitsTheProductToTheLongSide) {
  Device device = ProductEpilogue::device();
  device.multiply(Side::kLong, Epilogue::kStore);
  const std::vector<float> product = device.copy(device.problem().y[1], kLongSide);
  std::fill_n(device.problem().y[1], product.size(), 0.0F);
  for (const TileShape& shape : kShapes) {
    device.spoil_planes(Side::kLong);
    const std::vector<uint16_t> before = device.planes(Side::kLong);
    device.multiply(Side::kLong, Epilogue::kFilter, shape);
    device.expect_planes(Side::kLong, product.data(), before, 0, GetParam().vectors, true);
    EXPECT_EQ(std::vector<float>(product.size()), device.copy(device.problem().y[1], kLongSide)) << "nobody reads y";
  }
}

TEST_P(ProductEpilogue, FiltersTheProductToTheShortSide) {
  Device device = ProductEpilogue::device();
  Problem& problem = device.problem();
  device.multiply(Side::kShort, Epilogue::kStore);
  const std::vector<float> expected = filtered(device, problem.z, device.task().gamma);
  const std::vector<float> product = device.copy(problem.z, kShortSide);
  for (const TileShape& shape : kShapes) {
    for (const int split : {0, 1}) {
      device.task().split_x = split;
      device.spoil_planes(Side::kShort);
      std::fill_n(problem.x[1], expected.size(), 0.0F);
      const std::vector<uint16_t> before = device.planes(Side::kShort);
      device.multiply(Side::kShort, Epilogue::kFilter, shape);
      EXPECT_EQ(expected, device.copy(problem.x[1], kShortSide));
      EXPECT_EQ(product, device.copy(problem.z, kShortSide)) << "nobody reads z";
      const int64_t end = unsplit_from(GetParam());
      device.expect_planes(Side::kShort, expected.data(), before, 0, end, split != 0);
      device.expect_planes(Side::kShort, expected.data(), before, end, GetParam().vectors, false);
    }
  }
}

TEST_P(ProductEpilogue, TheFirstStepFiltersAKnownProduct) {
  Device device = ProductEpilogue::device();
  device.task().gamma = 0;
  const std::vector<float> expected = filtered(device, device.problem().z, 0);
  const std::vector<uint16_t> before = device.planes(Side::kShort);
  device.filter();
  EXPECT_EQ(expected, device.copy(device.problem().x[1], kShortSide));
  const int64_t end = unsplit_from(GetParam());
  device.expect_planes(Side::kShort, expected.data(), before, 0, end, true);
  device.expect_planes(Side::kShort, expected.data(), before, end, GetParam().vectors, false);
}

TEST_P(ProductEpilogue, DeflationSplitsTheVectorsThatItChanges) {
  Device device = ProductEpilogue::device();
  const std::vector<uint16_t> before = device.planes(Side::kShort);
  device.deflate();
  const std::vector<float> after = device.copy(device.problem().x[1], kShortSide);
  const int64_t begin = unsplit_from(GetParam());
  device.expect_planes(Side::kShort, after.data(), before, 0, begin, false);
  device.expect_planes(Side::kShort, after.data(), before, begin, GetParam().vectors, true);
}

TEST_P(ProductEpilogue, AChangeOfBasisSplitsItsResult) {
  for (const Side side : {Side::kShort, Side::kLong}) {
    Device device = ProductEpilogue::device();
    const int64_t length = side == Side::kLong ? kLongSide : kShortSide;
    const Problem& problem = device.problem();
    const float* const from = side == Side::kLong ? problem.y[0] : problem.x[0];
    float* const to = side == Side::kLong ? problem.y[1] : problem.x[1];
    std::vector<float> expected(static_cast<size_t>(problem.vectors * length));
    for (int64_t i = 0; i < problem.vectors; ++i) {
      for (int64_t j = 0; j < problem.vectors; ++j) {
        for (int64_t k = 0; k < length; ++k) {
          float& sum = expected[static_cast<size_t>(i * length + k)];
          sum = std::fma(problem.mixing[i * problem.vectors + j], from[j * length + k], sum);
        }
      }
    }
    const std::vector<uint16_t> before = device.planes(side);
    device.mix(side);
    EXPECT_EQ(expected, device.copy(to, length));
    device.expect_planes(side, to, before, 0, problem.vectors, true);
  }
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  const Case& own = info.param;
  return (own.tall ? "Tall" : "Wide") + std::to_string(own.vectors) + "In" + std::to_string(own.tile_vectors) + "Terms" +
         std::to_string(own.terms) + "Locked" + std::to_string(own.locked);
}
INSTANTIATE_TEST_SUITE_P(Tiles, ProductEpilogue,
                         testing::Values(Case{true, 32, 32, 3, 0}, Case{false, 64, 32, 2, 5}, Case{true, 64, 64, 1, 0},
                                         Case{false, 96, 96, 3, 40}, Case{true, 192, 96, 2, 100}),
                         name_of);

}  // namespace
