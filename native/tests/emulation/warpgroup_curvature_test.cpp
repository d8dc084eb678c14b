// Slopes and sums of products of tokens have the same bits by both kinds of kernels.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "cuda/curvature/warpgroup_curvature.h"
#include "emulated_array.h"

namespace {

using namespace threegate::cuda;

// Fills `count` planes of `each` numbers, of which later ones are smaller, as the terms of a number are. They follow each other
// in every group of planes.
Array<uint16_t> random_planes(int64_t groups, int count, int64_t each, std::mt19937& random) {
  std::normal_distribution<float> normal;
  Array<uint16_t> codes(static_cast<size_t>(groups * count * each));
  for (size_t i = 0; i < codes.size(); ++i) {
    const auto plane = static_cast<int>(static_cast<int64_t>(i) / each % count);
    codes[i] = bf16(std::ldexp(normal(random), -8 * plane));
  }
  return codes;
}

struct Vectors {
  Vectors(int64_t tiles, int64_t tile, int count, int64_t length, std::mt19937& random)
      : codes(random_planes(tiles, count, tile * length, random)),
        planes{codes.get(), count, static_cast<int32_t>(tile), tiles, length} {}
  Array<uint16_t> codes;
  VectorPlanes planes;
};

struct Tokens {
  Tokens(int count, int64_t rows, int64_t stride, std::mt19937& random)
      : codes(random_planes(1, count, rows * stride, random)), planes{codes.get(), count, rows, stride} {}
  Array<uint16_t> codes;
  TokenPlanes planes;
};

// What a kernel leaves in `memory`, bit by bit.
template <typename T, typename Launch>
std::vector<unsigned char> left_in(const Array<T>& memory, const Launch& launch) {
  const auto stream = make_stream();
  EXPECT_EQ(cudaSuccess, launch(stream.get()));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
  const auto* const bytes = reinterpret_cast<const unsigned char*>(memory.get());
  return {bytes, bytes + memory.size() * sizeof(T)};
}

// Tiles of tokens and of directions are not whole tiles of warpgroups, and these contain rows of two directions.
TEST(WarpgroupCurvature, SlopesAreThoseOfMma) {
  struct Case {
    int terms;
    int input_planes;
    int gradient_planes;
    int64_t token_tiles;
    int64_t tiles;
    int64_t directions;
    int64_t length;
  };
  const std::vector<Case> cases{{1, 1, 1, 3, 3, 2, 256}, {1, 3, 2, 1, 1, 2, 128}, {2, 1, 1, 2, 3, 1, 384},
                                {2, 3, 1, 1, 1, 3, 128}, {3, 1, 3, 1, 5, 1, 128}, {3, 2, 1, 3, 1, 1, 128},
                                {3, 3, 1, 1, 1, 2, 256}};
  std::mt19937 random(3);
  size_t at = 0;
  for (const Case& own : cases) {
    const Order order(kOrders[at++ % kOrders.size()]);
    const int64_t rows = (own.token_tiles + 1) * kTileTokens;
    const int64_t outputs = (own.tiles * kTileVectors + kPadding - 1) / kPadding * kPadding;
    const Tokens input(own.input_planes, rows, own.length, random);
    const Tokens gradient(own.gradient_planes, rows, outputs, random);
    const Vectors directions(own.directions * own.tiles, kTileVectors, kPlanes, own.length, random);
    std::vector<std::vector<unsigned char>> found;
    for (const bool warpgroups : {false, true}) {
      // Some more numbers, which neither may write.
      const Array<double> partial(
          static_cast<size_t>((own.directions * own.tiles + 2) * kPartialsOfTile * own.token_tiles * kTileTokens));
      const SlopeWork work{input.planes, gradient.planes, directions.planes, partial.get(), own.token_tiles, own.tiles};
      found.push_back(left_in(partial, [&](cudaStream_t stream) {
        return warpgroups ? launch_warpgroup_slopes(work, own.terms, stream) : launch_slope_tiles(work, own.terms, stream);
      }));
    }
    EXPECT_TRUE(found[0] == found[1]) << own.terms << " terms, " << own.input_planes << " planes of inputs";
  }
}

// The last tile of warpgroups has rows that are not there, and the last block of tokens is short.
TEST(WarpgroupCurvature, ProductsAreThoseOfMma) {
  struct Case {
    int right_planes;
    int left_planes;
    uint32_t left_tiles;
    uint32_t right_tiles;
    int64_t tokens;
  };
  const std::vector<Case> cases{{1, 1, 2, 2, 1152}, {2, 3, 1, 1, 128}, {2, 2, 3, 1, 640}, {3, 1, 2, 1, 1152}, {3, 3, 1, 2, 640}};
  std::mt19937 random(4);
  std::normal_distribution<double> normal;
  size_t at = 0;
  for (const Case& own : cases) {
    const Order order(kOrders[at++ % kOrders.size()]);
    const int64_t length = own.tokens + kPadding;
    const Vectors left(own.left_tiles, kTileTokens, own.left_planes, length, random);
    const Vectors right(own.right_tiles, kTileVectors, own.right_planes, length, random);
    constexpr size_t kOfTile = kTileTokens * kTileVectors / 2;
    const Array<double2> before(size_t{own.left_tiles} * own.right_tiles * kOfTile + kOfTile);
    for (size_t i = 0; i < before.size(); ++i) {
      // What is after the sums is -0, which even 0 may not be added to.
      before[i] = i + kOfTile < before.size() ? double2{normal(random), normal(random)} : double2{-0.0, -0.0};
    }
    std::vector<std::vector<unsigned char>> found;
    for (const bool warpgroups : {false, true}) {
      const Array<double2> sums(before.size());
      std::copy(before.get(), before.get() + before.size(), sums.get());
      found.push_back(left_in(sums, [&](cudaStream_t stream) {
        if (warpgroups) {
          return launch_warpgroup_products(left.planes, right.planes, own.tokens, false, sums.get(), stream);
        }
        cudaError_t error = cudaSuccess;
        for (int64_t block = 0; block < own.tokens && error == cudaSuccess; block += kProbeTokens) {
          VectorPlanes from = left.planes;
          VectorPlanes to = right.planes;
          from.codes += block;
          to.codes += block;
          error = launch_token_products(from, to, std::min(kProbeTokens, own.tokens - block), false, sums.get(), stream);
        }
        return error;
      }));
    }
    EXPECT_TRUE(found[0] == found[1]) << own.right_planes << " x " << own.left_planes << " planes";
  }
}

}  // namespace
