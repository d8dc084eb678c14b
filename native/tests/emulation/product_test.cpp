// Products of warpgroups: their emulation, and that both kernels for products agree.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

// Squares small integers, whose sums are exact. Returns the number of wrong sums.
int wrong_squares(planted::ProductBug bug, bool transposed) {
  constexpr int kSide = planted::kStageSide;
  std::mt19937 random(5);
  std::uniform_int_distribution<int> integers(-9, 9);
  std::vector<int> numbers(static_cast<size_t>(planted::kStageCount) * kSide * kSide);
  const Array<uint16_t> codes(numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = integers(random);
    codes[i] = bf16(static_cast<float>(numbers[i]));
  }
  const Array<CUtensorMap> map(1);
  map[0] = describe_matrix(codes.get(), int64_t{planted::kStageCount} * kSide, kSide, kSide);
  const Array<float> sums(static_cast<size_t>(kSide) * kSide);
  const auto stream = make_stream();
  EXPECT_EQ(cudaSuccess, planted::square(bug, transposed, map.get(), sums.get(), stream.get()));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
  int wrong = 0;
  for (int row = 0; row < kSide; ++row) {
    for (int column = 0; column < kSide; ++column) {
      int sum = 0;
      for (int stage = 0; stage < planted::kStageCount; ++stage) {
        const int* const own = numbers.data() + static_cast<ptrdiff_t>(stage) * kSide * kSide;
        for (int k = 0; k < kSide; ++k) {
          sum += (transposed ? own[k * kSide + row] : own[row * kSide + k]) * own[column * kSide + k];
        }
      }
      wrong += sums[static_cast<size_t>(row * kSide + column)] == static_cast<float>(sum) ? 0 : 1;
    }
  }
  return wrong;
}

TEST(EmulatedWarpgroup, SquaresAreExact) {
  for (const char* text : kOrders) {
    const Order order(text);
    for (const bool transposed : {false, true}) {
      EXPECT_EQ(0, wrong_squares(planted::ProductBug::kNone, transposed)) << text;
    }
  }
}

void require_right(planted::ProductBug bug) {
  const int wrong = wrong_squares(bug, false);
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
      EXPECT_DEATH(require_right(bug), message) << text << " " << static_cast<int>(bug);
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

  // The product by one of the kernels: mma if tile_rows is 0.
  std::vector<float> multiply(Side to, int terms, int tile_rows) {
    const int64_t length = to == Side::kLong ? problems[0].long_side : problems[0].short_side;
    const int vectors = problems[0].vectors;
    std::vector<Tile> list;
    for (int64_t row = 0; row < length / kPadding; row += tile_rows == 2 * kPadding ? 2 : 1) {
      for (int column = 0; column < vectors / tile_vectors; ++column) {
        list.push_back({0, static_cast<int32_t>(row), column});
      }
    }
    const Array<Tile> tiles(list.size());
    std::copy(list.begin(), list.end(), tiles.get());
    const Array<float> out(static_cast<size_t>(length * vectors));
    problems[0].y[0] = out.get();
    problems[0].z = out.get();
    tasks[0].terms = terms;
    const auto count = static_cast<int64_t>(list.size());
    const auto stream = make_stream();
    const PanelWork work{to, Epilogue::kStore, problems.get(), tasks.get(), tiles.get()};
    EXPECT_EQ(cudaSuccess, tile_rows == 0
                               ? launch_product(work, count, tile_vectors, stream.get())
                               : launch_warpgroup_product(work, maps.get(), count, tile_vectors, tile_rows, stream.get()));
    EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
    return {out.get(), out.get() + out.size()};
  }

  int tile_vectors;
  std::vector<Array<uint16_t>> a;
  std::vector<Array<uint16_t>> in;
  Array<Problem> problems;
  Array<Task> tasks;
  Array<ProductMaps> maps;
};

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
      const std::vector<float> expected = sample.multiply(to, own.terms, 0);
      for (const int tile_rows : {128, 256}) {
        const Order order(kOrders[at++ % kOrders.size()]);
        EXPECT_EQ(expected, sample.multiply(to, own.terms, tile_rows))
            << own.rows << " x " << own.columns << ", " << own.vectors << " vectors, tiles of " << tile_rows;
      }
    }
  }
}

}  // namespace
