// Products of warpgroups: their emulation, and that both kernels for products agree.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "cuda/svd/warpgroup_product.h"
#include "emulated_array.h"
#include "planted_products.h"

namespace {

using namespace threegate::cuda;

float from_bf16(uint16_t code) {
  const uint32_t bits = uint32_t{code} << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

constexpr int kSide = planted::kStageSide;

// Small integers, whose sums are exact, for stages one below the other.
struct Stages {
  explicit Stages(int count) : numbers(static_cast<size_t>(count) * kSide * kSide), codes(numbers.size()) {
    std::mt19937 random(5);
    std::uniform_int_distribution<int> integers(-9, 9);
    for (size_t i = 0; i < numbers.size(); ++i) {
      numbers[i] = integers(random);
      codes[i] = bf16(static_cast<float>(numbers[i]));
    }
  }
  [[nodiscard]] const int* stage(int i) const { return numbers.data() + static_cast<ptrdiff_t>(i) * kSide * kSide; }

  std::vector<int> numbers;
  Array<uint16_t> codes;
};

// Returns the number of wrong sums.
int wrong_squares(planted::ProductBug bug, bool transposed) {
  const Stages stages(planted::kStageCount);
  const Array<CUtensorMap> map(1);
  map[0] = describe_matrix(stages.codes.get(), int64_t{planted::kStageCount} * kSide, kSide, kSide);
  const Array<float> sums(static_cast<size_t>(kSide) * kSide);
  const auto stream = make_stream();
  EXPECT_EQ(cudaSuccess, planted::square(bug, transposed, map.get(), sums.get(), stream.get()));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
  int wrong = 0;
  for (int row = 0; row < kSide; ++row) {
    for (int column = 0; column < kSide; ++column) {
      int sum = 0;
      for (int stage = 0; stage < planted::kStageCount; ++stage) {
        const int* const own = stages.stage(stage);
        for (int k = 0; k < kSide; ++k) {
          sum += (transposed ? own[k * kSide + row] : own[row * kSide + k]) * own[column * kSide + k];
        }
      }
      wrong += sums[static_cast<size_t>(row * kSide + column)] == static_cast<float>(sum) ? 0 : 1;
    }
  }
  return wrong;
}

// The same for blocks of a cluster. The right factors are the first stages.
int wrong_sums_of_cluster(planted::ClusterBug bug) {
  constexpr int kCount = planted::kStageCount;
  const Stages stages(3 * kCount);
  const Array<CUtensorMap> maps(2);
  maps[0] = describe_matrix(stages.codes.get() + ptrdiff_t{kCount} * kSide * kSide, int64_t{2} * kCount * kSide, kSide, kSide);
  maps[1] = describe_matrix(stages.codes.get(), int64_t{kCount} * kSide, kSide, kSide / 2);
  const Array<float> sums(size_t{2} * kSide * kSide);
  const auto stream = make_stream();
  EXPECT_EQ(cudaSuccess, planted::multiply_in_cluster(bug, maps.get(), maps.get() + 1, sums.get(), stream.get()));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
  int wrong = 0;
  for (int row = 0; row < 2 * kSide; ++row) {
    for (int column = 0; column < kSide; ++column) {
      int sum = 0;
      for (int i = 0; i < kCount; ++i) {
        const int* const left = stages.stage(kCount + row / kSide * kCount + i) + row % kSide * kSide;
        sum = std::inner_product(left, left + kSide, stages.stage(i) + column * kSide, sum);
      }
      wrong += sums[static_cast<size_t>(row * kSide + column)] == static_cast<float>(sum) ? 0 : 1;
    }
  }
  return wrong;
}

TEST(EmulatedCluster, SharedFactorsReachAllBlocks) {
  for (const char* text : kOrders) {
    const Order order(text);
    EXPECT_EQ(0, wrong_sums_of_cluster(planted::ClusterBug::kNone)) << text;
  }
}

TEST(EmulatedCluster, LaunchesHaveWholeClusters) {
  const auto stream = make_stream();
  const PanelWork work{};
  EXPECT_EQ(cudaErrorInvalidClusterSize, launch_warpgroup_product(work, nullptr, 3, 32, {128, 2}, stream.get()));
  setenv("THREEGATE_EMULATED_CAPABILITY", "8.0", 1);
  EXPECT_EQ(cudaErrorInvalidClusterSize,
            planted::multiply_in_cluster(planted::ClusterBug::kNone, nullptr, nullptr, nullptr, stream.get()));
  unsetenv("THREEGATE_EMULATED_CAPABILITY");
  cudaGetLastError();  // resets the last error
}

TEST(EmulatedWarpgroup, SquaresAreExact) {
  for (const char* text : kOrders) {
    const Order order(text);
    for (const bool transposed : {false, true}) {
      EXPECT_EQ(0, wrong_squares(planted::ProductBug::kNone, transposed)) << text;
    }
  }
}

void require_right(int wrong) {
  if (wrong > 0) {
    std::fprintf(stderr, "%d sums are wrong\n", wrong);
    std::abort();
  }
}

TEST(EmulatedWarpgroupDeathTest, FaultsAreCaught) {
  using planted::ProductBug;
  const std::vector<std::pair<ProductBug, const char*>> planted{
      {ProductBug::kMissingWait, "4096 sums are wrong"},
      {ProductBug::kEarlyRelease, "sums are wrong"},
      {ProductBug::kWrongParity, "sums are wrong|emulated CUDA"},
      {ProductBug::kStraightDescription, "sums are wrong"},
      {ProductBug::kMissingCommit, "a warp ended before its products were complete"},
      {ProductBug::kMissingFence, "products begin without wgmma.fence"},
      {ProductBug::kOtherProduct, "warps of a warpgroup ask for different products"},
      {ProductBug::kAnotherWait, "threads wait for a phase of a barrier that does not end"},
      {ProductBug::kFewBytes, "threads wait for a phase of a barrier that does not end"},
      {ProductBug::kManyBytes, "threads wait for a phase of a barrier that does not end"},
      {ProductBug::kMissingArrival, "threads wait for a phase of a barrier that does not end"},
      {ProductBug::kAnotherArrival, "more threads arrive at a barrier than it waits for"},
      {ProductBug::kUnpublishedBarrier, "a copy has a barrier that the copy unit does not know"},
      {ProductBug::kUnsynchronised, "a barrier is used before all threads know|a barrier was not initialised"},
      {ProductBug::kForgottenMap, "a map of global memory is used before it is acquired"},
      {ProductBug::kMisalignedStage, "a matrix does not begin where the pattern of its chunks does"},
      {ProductBug::kEarlyEnd, "a block ended before its copies were complete"}};
  for (const char* text : kOrders) {
    const Order order(text);
    for (const auto& [bug, message] : planted) {
      EXPECT_DEATH(require_right(wrong_squares(bug, false)), message) << text << " " << static_cast<int>(bug);
    }
  }
}

TEST(EmulatedClusterDeathTest, FaultsAreCaught) {
  using planted::ClusterBug;
  // What a stage that is used or overwritten too early does depends on the order.
  constexpr const char* kTooEarly =
      "sums are wrong|where another one is not complete|of a barrier that does not end|before its copies were complete";
  const std::vector<std::pair<ClusterBug, const char*>> planted{
      {ClusterBug::kOwnTargetOnly, "threads wait for a phase of a barrier that does not end"},
      {ClusterBug::kAnotherTarget, "the cluster has no such block"},
      {ClusterBug::kOwnShareAnnounced, kTooEarly},
      {ClusterBug::kOtherPlace, "sums are wrong"},
      {ClusterBug::kOwnArrivalsOnly, kTooEarly},
      {ClusterBug::kMissingArrival, "threads wait for a phase of a barrier that does not end"},
      {ClusterBug::kTwiceInOwnBlock, kTooEarly},
      {ClusterBug::kArrivalInAnother, "the cluster has no such block"},
      {ClusterBug::kMissingFirstBarrier, "another block is used before it is known to run"},
      {ClusterBug::kEarlyFirstBarrier, "a barrier is used before all threads know|a barrier was not initialised"},
      {ClusterBug::kMissingLastBarrier, "another block is used after it has ended|a block ended before arrivals of another one"},
      {ClusterBug::kEarlyLastBarrier, "a block ended before arrivals of another one were complete"},
      {ClusterBug::kHalfABarrier, "a thread waits at the barrier of its cluster without an arrival"},
      {ClusterBug::kEarlyEnd, "another block is used after it has ended|a block ended before its copies were complete"}};
  for (const char* text : kOrders) {
    const Order order(text);
    for (const auto& [bug, message] : planted) {
      EXPECT_DEATH(require_right(wrong_sums_of_cluster(bug)), message) << text << " " << static_cast<int>(bug);
    }
  }
}

// A problem with random planes, and what both kernels need of it.
struct Sample {
  Sample(int64_t rows, int64_t columns, int vectors, int planes, int width)
      : tile_vectors(width), problems(1), tasks(1), maps(1) {
    Problem problem{};
    problem.tall = rows > columns ? 1 : 0;
    problem.stride = columns;
    problem.a_planes = planes;
    problem.short_side = std::min(rows, columns);
    problem.long_side = std::max(rows, columns);
    problem.vectors = vectors;
    std::mt19937 random(static_cast<unsigned>(rows + columns + vectors));
    std::normal_distribution<float> normal;
    const auto fill = [&](const Array<uint16_t>& codes, float scale) {
      for (size_t i = 0; i < codes.size(); ++i) {
        codes[i] = bf16(scale * normal(random));
      }
    };
    float scale = 1;
    for (int plane = 0; plane < planes; ++plane, scale /= 256) {
      a.emplace_back(static_cast<size_t>(rows * columns));
      fill(a.back(), scale);
      problem.a[plane] = a.back().get();
    }
    for (const int64_t length : {problem.short_side, problem.long_side}) {
      in.emplace_back(static_cast<size_t>(kPlanes * vectors * length));
      fill(in.back(), 1);
      // Later planes are smaller, as the terms of a float32 number are.
      for (size_t i = 0; i < in.back().size(); ++i) {
        const auto plane = static_cast<int>(static_cast<int64_t>(i) / length / tile_vectors % kPlanes);
        in.back()[i] = bf16(from_bf16(in.back()[i]) * std::pow(256.0F, static_cast<float>(-plane)));
      }
    }
    problem.x_planes = in[0].get();
    problem.y_planes = in[1].get();
    problems[0] = problem;
    maps[0] = describe_problem(problem, tile_vectors);
    tasks[0] = {};
    tasks[0].active = 1;
  }

  // The product by mma, or by warpgroups.
  std::vector<float> multiply(Side to, int terms) { return multiply(to, terms, {}, false); }
  std::vector<float> multiply(Side to, int terms, const TileShape& shape) { return multiply(to, terms, shape, true); }

  int tile_vectors;
  std::vector<Array<uint16_t>> a;
  std::vector<Array<uint16_t>> in;
  Array<Problem> problems;
  Array<Task> tasks;
  Array<ProductMaps> maps;

 private:
  std::vector<float> multiply(Side to, int terms, const TileShape& shape, bool by_warpgroups) {
    const int64_t length = to == Side::kLong ? problems[0].long_side : problems[0].short_side;
    const int vectors = problems[0].vectors;
    std::vector<Tile> list;
    add_tiles(0, length, vectors / tile_vectors, shape, list);
    const Array<Tile> tiles(list.size());
    std::copy(list.begin(), list.end(), tiles.get());
    const Array<float> out(static_cast<size_t>(length * vectors));
    problems[0].y[0] = out.get();
    problems[0].z = out.get();
    tasks[0].terms = terms;
    const auto count = static_cast<int64_t>(list.size());
    const auto stream = make_stream();
    const PanelWork work{to, Epilogue::kStore, problems.get(), tasks.get(), tiles.get()};
    EXPECT_EQ(cudaSuccess, by_warpgroups ? launch_warpgroup_product(work, maps.get(), count, tile_vectors, shape, stream.get())
                                         : launch_product(work, count, tile_vectors, stream.get()));
    EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
    return {out.get(), out.get() + out.size()};
  }
};

// The rows of the tiles of a cluster, in units of kPadding, for each column.
TEST(WarpgroupProduct, TilesOfAClusterLieBelowEachOther) {
  const auto listed = [](int64_t length, int across, const TileShape& shape) {
    std::vector<Tile> tiles;
    add_tiles(3, length, across, shape, tiles);
    std::vector<std::pair<int, int>> places;
    for (const Tile& tile : tiles) {
      EXPECT_EQ(3, tile.task);
      places.emplace_back(tile.row, tile.column);
    }
    return places;
  };
  using Places = std::vector<std::pair<int, int>>;
  EXPECT_EQ((Places{{0, 0}, {0, 1}, {1, 0}, {1, 1}, {2, 0}, {2, 1}}), listed(384, 2, {128, 1}));
  EXPECT_EQ((Places{{0, 0}, {1, 0}, {0, 1}, {1, 1}, {2, 0}, {3, 0}, {2, 1}, {3, 1}}), listed(384, 2, {128, 2}));
  EXPECT_EQ((Places{{0, 0}, {2, 0}}), listed(384, 1, {256, 1}));
  EXPECT_EQ((Places{{0, 0}, {2, 0}, {4, 0}, {6, 0}}), listed(640, 1, {256, 2}));
}

TEST(WarpgroupProduct, ClustersHaveFewTilesBeyondTheResult) {
  const auto shape = [](const std::vector<int64_t>& lengths, int across = 1) {
    const TileShape chosen = shape_of_tiles(lengths, across, 132);
    return std::pair<int, int>{chosen.rows, chosen.blocks};
  };
  using Shape = std::pair<int, int>;
  EXPECT_EQ((Shape{128, 2}), shape({4096}));
  EXPECT_EQ((Shape{128, 1}), shape({128}));
  EXPECT_EQ((Shape{128, 1}), shape({13 * 128})) << "one of 14 tiles would be beyond";
  EXPECT_EQ((Shape{128, 2}), shape({15 * 128})) << "one of 16 tiles is beyond";
  EXPECT_EQ((Shape{256, 2}), shape({33792}));
  EXPECT_EQ((Shape{256, 2}), shape({16896}, 2)) << "66 tiles of 256 in each of two columns";
  EXPECT_EQ((Shape{256, 2}), shape(std::vector<int64_t>(32, 11008))) << "one of 44 tiles is beyond";
  EXPECT_EQ((Shape{256, 1}), shape(std::vector<int64_t>(300, 256)));
  setenv("THREEGATE_CUDA_PRODUCT", "wgmma", 1);
  EXPECT_EQ((Shape{128, 1}), shape({4096}));
  EXPECT_TRUE(has_warpgroup_products(90));
  setenv("THREEGATE_CUDA_PRODUCT", "mma", 1);
  EXPECT_FALSE(has_warpgroup_products(90));
  unsetenv("THREEGATE_CUDA_PRODUCT");
}

// Both kernels add the same terms in the same order.
TEST(WarpgroupProduct, IsThatOfMma) {
  struct Case {
    int64_t rows;
    int64_t columns;
    int vectors;
    int tile_vectors;
    int planes;
    int terms;
  };
  const std::vector<Case> cases{{128, 128, 32, 32, 1, 3},  {384, 128, 64, 64, 1, 3}, {128, 384, 96, 96, 2, 3},
                                {128, 256, 192, 96, 3, 3}, {256, 128, 32, 32, 3, 2}, {384, 128, 128, 64, 2, 1}};
  size_t at = 0;
  for (const Case& own : cases) {
    Sample sample(own.rows, own.columns, own.vectors, own.planes, own.tile_vectors);
    for (const Side to : {Side::kLong, Side::kShort}) {
      const std::vector<float> expected = sample.multiply(to, own.terms);
      for (const TileShape& shape : {TileShape{128, 1}, TileShape{256, 1}, TileShape{128, 2}, TileShape{256, 2}}) {
        const Order order(kOrders[at++ % kOrders.size()]);
        EXPECT_EQ(expected, sample.multiply(to, own.terms, shape)) << own.rows << " x " << own.columns << ", " << own.vectors
                                                                   << " vectors, " << shape.blocks << " tiles of " << shape.rows;
      }
    }
  }
}

}  // namespace
