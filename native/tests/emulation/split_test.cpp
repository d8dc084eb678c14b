// The split of matrices into bf16 terms, for all codes of every format, against differences in float64.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "common/dtype.h"
#include "cuda/support/runtime.h"
#include "cuda/svd/svd_kernels.h"

namespace {

using threegate::bit_cast;
using namespace threegate::cuda;

double number_of(tg_dtype dtype, uint32_t code) {
  switch (dtype) {
    case TG_F16:
      return threegate::f16_to_float(static_cast<uint16_t>(code));
    case TG_BF16:
      return threegate::bf16_to_float(static_cast<uint16_t>(code));
    case TG_F8_E4M3:
      return threegate::f8_e4m3_to_float(static_cast<uint8_t>(code));
    default:
      return threegate::f8_e5m2_to_float(static_cast<uint8_t>(code));
  }
}

// A matrix with a row of other entries between its rows, from any byte on.
struct Codes {
  Codes(tg_dtype own_dtype, int64_t own_columns, int64_t shift) : dtype(own_dtype), columns(own_columns) {
    bytes = dtype == TG_F16 || dtype == TG_BF16 ? 2 : 1;
    memory.reserve(2 * rows() * columns * bytes + shift);
    data = memory.get() + shift;
  }
  [[nodiscard]] int64_t rows() const { return (int64_t{1} << (8 * bytes)) / columns + 1; }
  [[nodiscard]] uint32_t count() const { return uint32_t{1} << (8 * bytes); }
  void set(int64_t i, uint32_t code) const {
    std::memcpy(data + (i / columns * 2 * columns + i % columns) * bytes, &code, static_cast<size_t>(bytes));
  }
  [[nodiscard]] Entries entries() const {
    Entries own{};
    own.data = data;
    own.row_stride = 2 * columns;
    own.dtype = dtype;
    return own;
  }
  tg_dtype dtype;
  int64_t columns;
  int64_t bytes;
  DeviceMemory memory;
  uint8_t* data;
};

// Expects the terms of left - right, or of left, for all pairs of finite codes, and the largest magnitude.
void expect_terms(tg_dtype dtype, bool subtracts, int64_t columns, int64_t shift, double scale) {
  const std::string what = "dtype " + std::to_string(dtype) + (subtracts ? ", differences, " : ", ") + std::to_string(columns) +
                           " columns from byte " + std::to_string(shift);
  const Codes left(dtype, columns, shift);
  const Codes right(dtype, columns, shift);
  std::vector<double> wanted;
  double most = 0;
  for (uint32_t code = 0; code < static_cast<uint32_t>(left.rows() * columns); ++code) {
    // Differences, too, must not overflow float32.
    const auto finite = [&](uint32_t any) {
      const uint32_t own = any % left.count();
      return std::fabs(number_of(dtype, own)) < 1e38 ? own : 0;
    };
    const uint32_t other = finite(code * 7 + 1);
    left.set(code, finite(code));
    right.set(code, other);
    wanted.push_back(number_of(dtype, finite(code)) - (subtracts ? number_of(dtype, other) : 0));
    most = std::max(most, std::fabs(wanted.back()));
  }
  if (subtracts && dtype != TG_BF16) {
    most = static_cast<double>(static_cast<float>(most));
  }
  Source source{};
  source.entries = left.entries();
  source.subtracted = right.entries();
  source.has_subtracted = subtracts ? 1 : 0;
  source.planes = kPlanes;
  source.rows = left.rows();
  source.columns = columns;
  source.scale = scale;
  const int64_t stride = (columns + kPadding - 1) / kPadding * kPadding;
  const int64_t padded_rows = (source.rows + 2) / 2 * 2;
  const int64_t entries = padded_rows * stride;
  DeviceMemory memory;
  const auto lay_out = [&](Layout layout, uint64_t*& largest, uint16_t*(&planes)[kPlanes]) {
    largest = layout.take<uint64_t>(1);
    for (uint16_t*& plane : planes) {
      plane = layout.take<uint16_t>(entries);
    }
    return layout.used();
  };
  uint64_t* largest = nullptr;
  uint16_t* planes[kPlanes] = {};
  memory.reserve(lay_out(Layout(), largest, planes));
  lay_out(Layout(memory.get()), largest, planes);
  *largest = 0;
  const auto stream = make_stream();
  ASSERT_EQ(cudaSuccess, launch_split_matrix(source, planes, stride, padded_rows, largest, stream.get()));
  ASSERT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
  EXPECT_EQ(most, bit_cast<double>(*largest)) << what;
  for (int64_t row = 0; row < padded_rows; ++row) {
    for (int64_t column = 0; column < stride; ++column) {
      const bool is_there = row < source.rows && column < columns;
      auto rest = static_cast<float>(is_there ? wanted[static_cast<size_t>(row * columns + column)] * scale : 0);
      for (uint16_t* plane : planes) {
        const uint16_t term = threegate::float_to_bf16(rest);
        ASSERT_EQ(term, plane[row * stride + column]) << what << ", row " << row << ", column " << column;
        rest -= threegate::bf16_to_float(term);
      }
    }
  }
  *largest = 0;
  ASSERT_EQ(cudaSuccess, launch_range(source, largest, stream.get()));
  ASSERT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
  EXPECT_EQ(most, bit_cast<double>(*largest)) << what;
}

constexpr tg_dtype kDtypes[] = {TG_F16, TG_BF16, TG_F8_E4M3, TG_F8_E5M2};

TEST(Split, AllCodesAndDifferencesOfThemAreTheirTerms) {
  for (const tg_dtype dtype : kDtypes) {
    for (const bool subtracts : {false, true}) {
      expect_terms(dtype, subtracts, 64, 0, 1);
      expect_terms(dtype, subtracts, 75, 0, 1);
      expect_terms(dtype, subtracts, 64, 1, 0.25);
    }
  }
}

// NaN and infinities of either sign make the largest magnitude one that is not finite.
TEST(Split, AnyCodeThatIsNotFiniteShows) {
  constexpr int64_t kColumns = 64;
  for (const tg_dtype dtype : kDtypes) {
    const Codes codes(dtype, kColumns, 0);
    for (const bool subtracts : {false, true}) {
      int64_t found = 0;
      for (uint32_t code = 0; code < codes.count(); code += dtype == TG_BF16 || dtype == TG_F16 ? 61 : 1) {
        const double number = number_of(dtype, code);
        for (int64_t i = 0; i < kColumns; ++i) {
          codes.set(i, i == 37 ? code : 0);
        }
        Source source{};
        source.entries = codes.entries();
        source.subtracted = codes.entries();
        source.has_subtracted = subtracts ? 1 : 0;
        source.rows = 1;
        source.columns = kColumns;
        source.scale = 1;
        DeviceMemory memory;
        memory.reserve(8);
        auto* const largest = reinterpret_cast<uint64_t*>(memory.get());
        *largest = 0;
        const auto stream = make_stream();
        ASSERT_EQ(cudaSuccess, launch_range(source, largest, stream.get()));
        ASSERT_EQ(cudaSuccess, cudaStreamSynchronize(stream.get()));
        const double wanted = subtracts ? number - number : std::fabs(number);
        const auto most = bit_cast<double>(*largest);
        EXPECT_TRUE(std::isnan(wanted) ? std::isnan(most) : wanted == most) << "dtype " << dtype << ", code " << code;
        found += std::isfinite(most) ? 0 : 1;
      }
      EXPECT_LT(0, found) << "dtype " << dtype;
    }
  }
}

}  // namespace
