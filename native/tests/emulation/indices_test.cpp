// Indices of a map of changes, against products of 128 bits.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

#include "cuda/support/warp.h"

namespace {

using threegate::cuda::first_index;
using threegate::cuda::scaled_index;

__extension__ typedef unsigned __int128 Wide;

uint64_t scaled(uint64_t index, uint64_t parts, uint64_t all) {
  return scaled_index(index, parts, all, static_cast<double>(parts) / static_cast<double>(all));
}
uint64_t first(uint64_t part, uint64_t parts, uint64_t all) {
  return first_index(part, parts, all, static_cast<double>(all) / static_cast<double>(parts));
}
bool is_scaled(uint64_t found, uint64_t index, uint64_t parts, uint64_t all) {
  return Wide{found} * all <= Wide{index} * parts && Wide{index} * parts < (Wide{found} + 1) * all;
}
// found * parts >= part * all, and no smaller index does.
bool is_first(uint64_t found, uint64_t part, uint64_t parts, uint64_t all) {
  return Wide{found} * parts >= Wide{part} * all && (found == 0 || (Wide{found} - 1) * parts < Wide{part} * all);
}

TEST(Indices, OfSmallMapsAreExact) {
  for (uint64_t all = 1; all <= 130; ++all) {
    for (uint64_t parts = 1; parts <= all; ++parts) {
      for (uint64_t index = 0; index < all; ++index) {
        ASSERT_EQ(index * parts / all, scaled(index, parts, all)) << index << " * " << parts << " / " << all;
      }
      for (uint64_t part = 0; part <= parts; ++part) {
        ASSERT_EQ((part * all + parts - 1) / parts, first(part, parts, all)) << part << " * " << all << " / " << parts;
      }
    }
  }
}

// Both sides of every boundary between parts, with numbers beside powers of two, whose products do not fit 64 bits.
TEST(Indices, OfLargeMapsAreExactAtBoundaries) {
  std::vector<uint64_t> numbers;
  for (int bit = 1; bit <= 48; ++bit) {
    for (const uint64_t step : {~uint64_t{0}, uint64_t{0}, uint64_t{1}}) {
      numbers.push_back((uint64_t{1} << bit) + step);
    }
  }
  std::mt19937_64 random(3);
  for (int i = 0; i < 60; ++i) {
    numbers.push_back(1 + random() % (uint64_t{1} << (1 + random() % 48)));
  }
  for (const uint64_t all : numbers) {
    for (const uint64_t parts : numbers) {
      if (parts > all) {
        continue;
      }
      for (const uint64_t part : {uint64_t{0}, uint64_t{1}, parts / 3, parts / 2, parts - 1, parts}) {
        const uint64_t begin = first(part, parts, all);
        ASSERT_TRUE(is_first(begin, part, parts, all)) << part << " * " << all << " / " << parts << " is not " << begin;
        for (const uint64_t index : {begin, begin - 1, begin / 2, all - 1}) {
          if (index < all) {
            const uint64_t found = scaled(index, parts, all);
            ASSERT_TRUE(is_scaled(found, index, parts, all)) << index << " * " << parts << " / " << all << " is not " << found;
          }
        }
      }
    }
  }
}

}  // namespace
