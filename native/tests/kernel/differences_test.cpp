#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "support.h"

namespace {

// Five vectors in one dtype, `shift` bytes after an aligned address, and their values.
class Streams {
 public:
  static constexpr size_t kStreams = 5;

  Streams(int64_t count, tg_dtype dtype, int64_t shift, uint64_t seed) : dtype_(dtype), count_(count), shift_(shift) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    for (size_t stream = 0; stream < kStreams; ++stream) {
      bytes_[stream].resize(static_cast<size_t>(count * width() + shift + 1));
      for (int64_t i = 0; i < count; ++i) {
        put(stream, i, std::ldexp(normal(random), static_cast<int>(random() % 9) - 4));
      }
    }
  }

  [[nodiscard]] int64_t width() const { return dtype_ == TG_F32 ? 4 : 8; }
  [[nodiscard]] int64_t count() const { return count_; }
  [[nodiscard]] tg_dtype dtype() const { return dtype_; }
  [[nodiscard]] uint8_t* at(size_t stream) { return bytes_[stream].data() + shift_; }
  [[nodiscard]] double value(size_t stream, int64_t i) {
    if (dtype_ == TG_F32) {
      float number = 0;
      std::memcpy(&number, at(stream) + 4 * i, sizeof(number));
      return static_cast<double>(number);
    }
    double number = 0;
    std::memcpy(&number, at(stream) + 8 * i, sizeof(number));
    return number;
  }
  void put(size_t stream, int64_t i, double value) {
    if (dtype_ == TG_F32) {
      const auto number = static_cast<float>(value);
      std::memcpy(at(stream) + 4 * i, &number, sizeof(number));
    } else {
      std::memcpy(at(stream) + 8 * i, &value, sizeof(value));
    }
  }
  [[nodiscard]] std::vector<uint8_t> bytes(size_t stream) { return {at(stream), at(stream) + count_ * width()}; }

 private:
  tg_dtype dtype_;
  int64_t count_;
  int64_t shift_;
  std::vector<uint8_t> bytes_[kStreams];
};

enum Stream : size_t { kAhead, kBehind, kWider, kDirection, kOut };

double rounded(double value, tg_dtype dtype) { return dtype == TG_F32 ? static_cast<double>(static_cast<float>(value)) : value; }

struct Found {
  tg_status status;
  std::string error;
  double rounding;
  tg_difference_sums sums;
  std::vector<uint8_t> out;

  bool operator==(const Found& other) const {
    return rounding == other.rounding && sums.ahead == other.sums.ahead && sums.behind == other.sums.behind &&
           sums.change == other.sums.change && sums.along == other.sums.along && out == other.out;
  }
};

Found displace(tg_context* context, Streams& streams, double step, size_t to = kOut) {
  Found found{};
  const tg_displacement own{sizeof(own), streams.at(kAhead), streams.at(kDirection), streams.count(), streams.dtype(), 0, step};
  found.status = tg_displace(context, &own, streams.at(to), &found.rounding);
  found.error = support::error_of(context);
  found.out = streams.bytes(to);
  return found;
}

Found difference(tg_context* context, Streams& streams, double step, bool extrapolates, size_t to = kOut) {
  Found found{};
  found.sums.size = sizeof(found.sums);
  const tg_gradient_difference own{sizeof(own),
                                   streams.at(kAhead),
                                   streams.at(kBehind),
                                   extrapolates ? streams.at(kWider) : nullptr,
                                   streams.at(kDirection),
                                   streams.count(),
                                   streams.dtype(),
                                   0,
                                   step};
  found.status = tg_difference_gradients(context, &own, streams.at(to), &found.sums);
  found.error = support::error_of(context);
  found.out = streams.bytes(to);
  return found;
}

TEST(Differences, AreThoseOfTheDefinition) {
  uint64_t seed = support::seed();
  for (const tg_dtype dtype : {TG_F32, TG_F64}) {
    // In float64 the step is so small that the difference between the displaced point and the point is exact.
    const double step = dtype == TG_F32 ? 0.37 : 0.37 * 0x1p-20;
    const double unit = dtype == TG_F32 ? 0x1p-24 : 0x1p-53;
    for (const int64_t count : {0, 1, 15, 16, 17, 63, 4097, 100003}) {
      Streams streams(count, dtype, count % 3, ++seed);
      const auto context = support::make_context();
      const Found moved = displace(context.get(), streams, step);
      ASSERT_EQ(TG_OK, moved.status) << moved.error;
      long double rounding = 0;
      for (int64_t i = 0; i < count; ++i) {
        const long double exact = static_cast<long double>(streams.value(kAhead, i)) +
                                  static_cast<long double>(step) * static_cast<long double>(streams.value(kDirection, i));
        const double found = streams.value(kOut, i);
        ASSERT_LE(std::abs(static_cast<double>(static_cast<long double>(found) - exact)), 1.001 * unit * std::abs(found)) << i;
        rounding += (static_cast<long double>(found) - exact) * (static_cast<long double>(found) - exact);
      }
      // For float64 the exact value has only the eleven additional bits of a long double.
      EXPECT_NEAR(static_cast<double>(rounding), moved.rounding, (dtype == TG_F32 ? 1e-7 : 0.02) * moved.rounding) << count;
      for (const bool extrapolates : {false, true}) {
        const Found found = difference(context.get(), streams, step, extrapolates);
        ASSERT_EQ(TG_OK, found.status) << found.error;
        tg_difference_sums expected{};
        double sizes = 0;
        for (int64_t i = 0; i < count; ++i) {
          const double ahead = streams.value(kAhead, i);
          const double behind = streams.value(kBehind, i);
          const double narrow = (ahead - behind) / (2 * step);
          const double change = extrapolates ? (narrow - streams.value(kWider, i)) / 3 : 0;
          const double size = std::abs(narrow) + std::abs(change);
          ASSERT_NEAR(rounded(narrow + change, dtype), streams.value(kOut, i), 4 * unit * size) << i;
          expected.ahead += ahead * ahead;
          expected.behind += behind * behind;
          expected.change += change * change;
          expected.along += (narrow + change) * streams.value(kDirection, i);
          sizes += size * std::abs(streams.value(kDirection, i));
        }
        EXPECT_NEAR(expected.ahead, found.sums.ahead, 1e-12 * expected.ahead);
        EXPECT_NEAR(expected.behind, found.sums.behind, 1e-12 * expected.behind);
        EXPECT_NEAR(expected.change, found.sums.change, 1e-12 * expected.change);
        EXPECT_NEAR(expected.along, found.sums.along, 1e-12 * sizes);
      }
    }
  }
}

TEST(Differences, HaveTheSameBitsEverywhere) {
  for (const tg_dtype dtype : {TG_F32, TG_F64}) {
    Streams streams(50021, dtype, 1, support::seed());
    const auto first = support::make_context(1, "scalar");
    const Found moved = displace(first.get(), streams, -0.3);
    const Found apart = difference(first.get(), streams, 0.7, false);
    const Found better = difference(first.get(), streams, 0.7, true);
    for (const std::string& level : support::simd_levels()) {
      for (const int threads : {1, 2, 5}) {
        const auto context = support::make_context(threads, level.c_str());
        EXPECT_EQ(moved, displace(context.get(), streams, -0.3)) << level << ", threads: " << threads;
        EXPECT_EQ(apart, difference(context.get(), streams, 0.7, false)) << level << ", threads: " << threads;
        EXPECT_EQ(better, difference(context.get(), streams, 0.7, true)) << level << ", threads: " << threads;
      }
    }
    // The output overwrites an input.
    for (const size_t place : {kAhead, kBehind, kWider, kDirection}) {
      Streams own(50021, dtype, 1, support::seed());
      EXPECT_EQ(better, difference(first.get(), own, 0.7, true, place)) << place;
    }
    for (const size_t place : {kAhead, kDirection}) {
      Streams own(50021, dtype, 1, support::seed());
      EXPECT_EQ(moved, displace(first.get(), own, -0.3, place)) << place;
    }
  }
}

TEST(Differences, WhatIsNotFiniteShows) {
  const auto context = support::make_context();
  for (const size_t place : {kAhead, kBehind}) {
    Streams streams(100, TG_F32, 0, support::seed());
    streams.put(place, 99, std::numeric_limits<double>::quiet_NaN());
    const Found found = difference(context.get(), streams, 1, false);
    EXPECT_EQ(TG_OK, found.status);
    EXPECT_FALSE(std::isfinite(found.sums.ahead + found.sums.behind));
  }
}

TEST(Differences, RefusesWhatIsNone) {
  const auto context = support::make_context();
  Streams streams(4, TG_F32, 0, support::seed());
  double rounding = 0;
  tg_displacement own{sizeof(own), streams.at(kAhead), streams.at(kDirection), 4, TG_F32, 0, 1};
  const auto refused = [&](const tg_displacement& displacement, const char* why) {
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_displace(context.get(), &displacement, streams.at(kOut), &rounding));
    EXPECT_EQ(why, support::error_of(context.get()));
  };
  tg_displacement wrong = own;
  wrong.dtype = TG_BF16;
  refused(wrong, "dtype is 4; it must be TG_F32 or TG_F64");
  wrong = own;
  wrong.count = -1;
  refused(wrong, "count is -1; it must be at least 0");
  wrong = own;
  wrong.step = 0;
  refused(wrong, "step is 0.000000; it must be finite and not 0");
  wrong = own;
  wrong.direction = nullptr;
  refused(wrong, "displacement.direction is NULL; it must not be NULL unless count is 0");
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_displace(context.get(), &own, streams.at(kOut), nullptr));
  tg_gradient_difference difference{sizeof(difference), streams.at(0), nullptr, nullptr, streams.at(1), 4, TG_F32, 0, 1};
  tg_difference_sums sums{};
  EXPECT_NE(TG_OK, tg_difference_gradients(context.get(), &difference, streams.at(kOut), &sums));
  sums.size = sizeof(sums);
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_difference_gradients(context.get(), &difference, streams.at(kOut), &sums));
  EXPECT_EQ("difference.behind is NULL; it must not be NULL unless count is 0", support::error_of(context.get()));
}

TEST(Differences, BeyondTwoToThe31Numbers) {
  constexpr int64_t kCount = (int64_t{1} << 31) + 77;
  const support::ZeroPages input(4 * kCount);
  const support::RepeatedPages out(4 * kCount);
  auto* const numbers = static_cast<float*>(input.data());
  auto* const found = static_cast<float*>(out.data());
  numbers[kCount - 1] = 3;
  numbers[kCount / 2] = 1;
  // With one thread the last numbers are written last, when all others are written.
  const auto context = support::make_context(1);
  const tg_displacement displacement{sizeof(displacement), numbers, numbers, kCount, TG_F32, 0, 0x1p-30};
  double rounding = 0;
  ASSERT_EQ(TG_OK, tg_displace(context.get(), &displacement, found, &rounding)) << support::error_of(context.get());
  EXPECT_EQ(10 * 0x1p-60, rounding);
  EXPECT_EQ(3, found[kCount - 1]);
  const tg_gradient_difference difference{sizeof(difference), numbers, numbers, nullptr, numbers, kCount, TG_F32, 0, 1};
  tg_difference_sums sums{};
  sums.size = sizeof(sums);
  ASSERT_EQ(TG_OK, tg_difference_gradients(context.get(), &difference, found, &sums)) << support::error_of(context.get());
  EXPECT_EQ(10, sums.ahead);
  EXPECT_EQ(10, sums.behind);
  EXPECT_EQ(0, sums.along);
  EXPECT_EQ(0, found[kCount - 1]);
}

}  // namespace
