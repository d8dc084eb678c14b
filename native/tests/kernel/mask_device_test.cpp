// Masks and histograms of a device against those of the CPU, and what a device does on the way to them.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "device/device_memory.h"
#include "emulated_traffic.h"
#include "support.h"

namespace {

class MaskOnDevice : public testing::Test {
 protected:
  void SetUp() override {
    if (!support::tests_device()) {
      GTEST_SKIP() << "needs a device";
    }
  }
};

support::Context make_cpu() {
  const tg_context_options options{sizeof(options), 1, TG_CPU, 0, 0};
  tg_context* context = nullptr;
  char error[256] = "";
  EXPECT_EQ(TG_OK, tg_context_create(&options, &context, error, sizeof(error))) << error;
  return support::Context(context);
}

struct Selected {
  tg_status status;
  std::string error;
  std::vector<uint64_t> words;
};

Selected select(tg_context* context, const tg_mask_scores& scores, int64_t count, bool smallest) {
  const int64_t rows = scores.matrix != nullptr ? scores.matrix->values.rows : scores.rows;
  const int64_t columns = scores.matrix != nullptr ? scores.matrix->values.columns : scores.columns;
  const tg_mask_options options{sizeof(options), count, smallest ? 1 : 0, 0};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_mask_select_workspace(context, &scores, &options, &size)) << support::error_of(context);
  const auto host = support::allocate(size.host_bytes + 1);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  Selected result{TG_OK, "", std::vector<uint64_t>(static_cast<size_t>(rows * ((columns + 63) / 64)), 0x55)};
  result.status = tg_mask_select(context, &scores, &options, nullptr, &workspace, result.words.data(),
                                 static_cast<int64_t>(result.words.size()));
  result.error = support::error_of(context);
  return result;
}

// A matrix of any dtype whose rows do not follow each other, with a scale for each block and a term of low rank if wanted.
struct Matrix {
  Matrix(tg_dtype dtype, int64_t rows, int64_t columns, int64_t shift, bool scaled, bool with_term, std::mt19937_64& random) {
    const auto bytes = static_cast<size_t>(dtype == TG_F64                       ? 8
                                           : dtype == TG_F32                     ? 4
                                           : dtype == TG_F16 || dtype == TG_BF16 ? 2
                                                                                 : 1);
    const int64_t stride = columns + 5;
    codes.resize(static_cast<size_t>(rows * stride) * bytes + static_cast<size_t>(shift));
    for (size_t i = 0; i < static_cast<size_t>(rows * stride); ++i) {
      // Finite numbers of moderate size and both signs. Many are equal.
      const uint64_t sign = random() & 1U;
      uint64_t code = 0;
      switch (dtype) {
        case TG_F64:
          code = sign << 63 | (1000 + random() % 40) << 52 | (random() % 16) << 30;
          break;
        case TG_F32:
          code = sign << 31 | (100 + random() % 40) << 23 | (random() % 4096) << 5;
          break;
        case TG_F16:
          code = sign << 15 | random() % 0x7c00U;
          break;
        case TG_BF16:
          code = sign << 15 | (0x3c00U + random() % 0x300U);
          break;
        default:
          code = sign << 7 | random() % 0x7bU;
      }
      std::memcpy(codes.data() + static_cast<size_t>(shift) + i * bytes, &code, bytes);
    }
    operand.size = sizeof(operand);
    operand.values = {codes.data() + shift, rows, columns, stride, dtype, 0};
    if (scaled) {
      constexpr int64_t kBlockRows = 3;
      constexpr int64_t kBlockColumns = 13;
      const int64_t down = (rows + kBlockRows - 1) / kBlockRows;
      const int64_t across = (columns + kBlockColumns - 1) / kBlockColumns;
      for (int64_t i = 0; i < down * across; ++i) {
        scales.push_back(static_cast<float>(1 + random() % 5) / 3);
      }
      operand.block_scale = {scales.data(), down, across, across, TG_F32, 0};
      operand.block_rows = kBlockRows;
      operand.block_columns = kBlockColumns;
    }
    if (with_term) {
      std::normal_distribution<float> normal;
      for (int64_t i = 0; i < rows + columns; ++i) {
        factors.push_back(normal(random));
      }
      term = {{factors.data(), rows, 1, 1, TG_F32, 0}, {factors.data() + rows, 1, columns, columns, TG_F32, 0}, 0.5};
      operand.low_rank = &term;
      operand.low_rank_count = 1;
    }
  }
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;

  std::vector<uint8_t> codes;
  std::vector<float> scales;
  std::vector<float> factors;
  tg_low_rank term{};
  tg_operand operand{};
};

// Every dtype, with and without scales and terms, in shapes whose rows end within a group of columns and within a word.
TEST_F(MaskOnDevice, EveryDtypeIsSelectedAsOnTheCpu) {
  std::mt19937_64 random(support::seed());
  const auto device = support::make_context();
  const auto cpu = make_cpu();
  for (const tg_dtype dtype : {TG_F64, TG_F32, TG_F16, TG_BF16, TG_F8_E4M3, TG_F8_E5M2}) {
    for (const int extra : {0, 1, 2}) {
      if (dtype == TG_F64 && extra == 1) {
        continue;  // numbers in float64 have no scales
      }
      for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{37, 75}, {3, 2200}, {300, 8}}) {
        const Matrix matrix(dtype, rows, columns, 0, extra == 1, extra == 2, random);
        const tg_mask_scores scores{sizeof(scores), &matrix.operand, nullptr, nullptr, nullptr, 0, 0, 0};
        for (const int64_t count : {int64_t{1}, rows * columns / 3, rows * columns}) {
          for (const bool smallest : {false, true}) {
            const Selected wanted = select(cpu.get(), scores, count, smallest);
            const Selected found = select(device.get(), scores, count, smallest);
            ASSERT_EQ(TG_OK, wanted.status) << wanted.error;
            ASSERT_EQ(TG_OK, found.status) << found.error;
            EXPECT_TRUE(wanted.words == found.words)
                << "dtype " << dtype << ", " << rows << " x " << columns << ", kind " << extra << ", " << count;
          }
        }
      }
    }
  }
}

// Matrices on the device are read where they lie. Their first entry and their rows may have any alignment.
TEST_F(MaskOnDevice, ResidentMatricesMayHaveAnyAlignment) {
  if (!support::is_emulated()) {
    GTEST_SKIP() << "only the emulation provides pointers that are known to be in device memory";
  }
  std::mt19937_64 random(support::seed());
  const auto device = support::make_context();
  const auto cpu = make_cpu();
  constexpr int64_t kRows = 20;
  for (const tg_dtype dtype : {TG_F64, TG_F32, TG_F16, TG_F8_E4M3}) {
    for (const int64_t columns : {64, 70, 75}) {
      // Rows have five entries more. Those of 75 columns have 80, so that all are aligned as the first one.
      for (const int64_t shift : {0, 1, 4, 16}) {
        Matrix matrix(dtype, kRows, columns, shift, false, false, random);
        const support::DeviceMemory memory(static_cast<int64_t>(matrix.codes.size()));
        std::memcpy(memory.get(), matrix.codes.data(), matrix.codes.size());
        tg_operand there = matrix.operand;
        there.values.data = static_cast<uint8_t*>(memory.get()) + shift;
        const tg_mask_scores here_scores{sizeof(here_scores), &matrix.operand, nullptr, nullptr, nullptr, 0, 0, 0};
        const tg_mask_scores there_scores{sizeof(there_scores), &there, nullptr, nullptr, nullptr, 0, 0, 0};
        const Selected wanted = select(cpu.get(), here_scores, kRows * columns / 3, false);
        const Selected found = select(device.get(), there_scores, kRows * columns / 3, false);
        ASSERT_EQ(TG_OK, found.status) << found.error;
        EXPECT_TRUE(wanted.words == found.words) << "dtype " << dtype << ", " << columns << " columns, from byte " << shift;
      }
    }
  }
}

// All finite codes of a format with 8 or 16 bits, in an order that is not theirs, each of them at least twice.
std::vector<uint8_t> all_codes(tg_dtype dtype, int64_t entries) {
  const bool wide = dtype == TG_F16 || dtype == TG_BF16;
  const uint32_t infinity = dtype == TG_F16 ? 0x7c00 : dtype == TG_BF16 ? 0x7f80 : dtype == TG_F8_E4M3 ? 0x7f : 0x7c;
  const uint32_t sign = wide ? 0x8000 : 0x80;
  std::vector<uint8_t> bytes;
  for (int64_t i = 0; i < entries; ++i) {
    const auto own = static_cast<uint32_t>(i * 4099 % (2 * int64_t{infinity}));
    const uint32_t code = own < infinity ? own : (own - infinity) | sign;
    bytes.push_back(static_cast<uint8_t>(code));
    if (wide) {
      bytes.push_back(static_cast<uint8_t>(code >> 8));
    }
  }
  return bytes;
}

constexpr tg_dtype kNarrow[] = {TG_F16, TG_BF16, TG_F8_E4M3, TG_F8_E5M2};

// Groups of columns are compared several in a word. Every float8 magnitude is the last selected one of some mask.
TEST_F(MaskOnDevice, EveryCodeIsInItsPlace) {
  const auto device = support::make_context();
  const auto cpu = make_cpu();
  for (const tg_dtype dtype : kNarrow) {
    const bool wide = dtype == TG_F16 || dtype == TG_BF16;
    const int64_t rows = wide ? 256 : 16;
    constexpr int64_t kColumns = 528;  // not all rows begin at a multiple of 64 entries, and the last word is not full
    const std::vector<uint8_t> bytes = all_codes(dtype, rows * kColumns);
    tg_operand matrix{};
    matrix.size = sizeof(matrix);
    matrix.values = {bytes.data(), rows, kColumns, kColumns, dtype, 0};
    const tg_mask_scores scores{sizeof(scores), &matrix, nullptr, nullptr, nullptr, 0, 0, 0};
    const int64_t step = rows * kColumns / (wide ? 9 : 130);
    for (int64_t count = 0; count <= rows * kColumns; count += step) {
      const bool smallest = count / step % 2 == 1;
      const Selected wanted = select(cpu.get(), scores, count, smallest);
      const Selected found = select(device.get(), scores, count, smallest);
      ASSERT_EQ(TG_OK, found.status) << found.error;
      ASSERT_TRUE(wanted.words == found.words) << "dtype " << dtype << ", " << count << (smallest ? " smallest" : " largest");
    }
  }
}

// Wherever it is, and also where nothing is selected.
TEST_F(MaskOnDevice, AScoreThatIsNotFiniteIsRefused) {
  const auto device = support::make_context();
  struct Case {
    tg_dtype dtype;
    uint64_t code;
  };
  for (const auto& [dtype, code] :
       {Case{TG_F64, 0x7ff0000000000000}, Case{TG_F64, 0xfff8000000000000}, Case{TG_F32, 0x7f800000}, Case{TG_F32, 0xffc00000},
        Case{TG_F16, 0x7c00}, Case{TG_F16, 0xfc00}, Case{TG_F16, 0x7c01}, Case{TG_F16, 0xffff}, Case{TG_BF16, 0x7f80},
        Case{TG_BF16, 0xff81}, Case{TG_F8_E4M3, 0x7f}, Case{TG_F8_E4M3, 0xff}, Case{TG_F8_E5M2, 0x7c}, Case{TG_F8_E5M2, 0xfd}}) {
    constexpr int64_t kRows = 3;
    constexpr int64_t kColumns = 69;
    const size_t width = dtype == TG_F64 ? 8 : dtype == TG_F32 ? 4 : dtype == TG_F16 || dtype == TG_BF16 ? 2 : 1;
    for (const size_t at : {size_t{0}, size_t{75}, size_t{kRows * kColumns - 1}}) {
      std::vector<uint8_t> bytes(kRows * kColumns * width, 0x11);
      std::memcpy(bytes.data() + at * width, &code, width);
      tg_operand matrix{};
      matrix.size = sizeof(matrix);
      matrix.values = {bytes.data(), kRows, kColumns, kColumns, dtype, 0};
      const tg_mask_scores scores{sizeof(scores), &matrix, nullptr, nullptr, nullptr, 0, 0, 0};
      for (const int64_t count : {int64_t{0}, int64_t{5}, kRows * kColumns}) {
        for (const bool smallest : {false, true}) {
          const Selected found = select(device.get(), scores, count, smallest);
          EXPECT_EQ(TG_INVALID_ARGUMENT, found.status) << "dtype " << dtype << ", code " << code << ", entry " << at;
          EXPECT_NE(std::string::npos, found.error.find("not finite")) << found.error;
        }
      }
    }
  }
}

struct Triplets {
  Triplets(int64_t ranks, int64_t all_rows, int64_t all_columns, double spread, std::mt19937_64& random)
      : rank(ranks), rows(all_rows), columns(all_columns) {
    std::normal_distribution<double> normal;
    for (int64_t k = 0; k < rank; ++k) {
      values.push_back(1 + 10.0 / static_cast<double>(k + 1));
    }
    // Norms of the vectors differ.
    const auto fill = [&](std::vector<double>& factor, int64_t length) {
      std::vector<double> scales;
      for (int64_t i = 0; i < length; ++i) {
        scales.push_back(std::exp(spread * normal(random)));
      }
      for (int64_t i = 0; i < rank * length; ++i) {
        factor.push_back(normal(random) * scales[static_cast<size_t>(i % length)]);
      }
    };
    fill(left, rows);
    fill(right, columns);
  }
  [[nodiscard]] tg_mask_scores scores() const {
    return {sizeof(tg_mask_scores), nullptr, values.data(), left.data(), right.data(), rank, rows, columns};
  }
  int64_t rank;
  int64_t rows;
  int64_t columns;
  std::vector<double> values;
  std::vector<double> left;
  std::vector<double> right;
};

// Ranks around a step of the matrix unit and a chunk of the factors. Selected sets are equal bit by bit.
TEST_F(MaskOnDevice, ReconstructionsOfAnyRankAreSelectedAsOnTheCpu) {
  std::mt19937_64 random(support::seed());
  const auto device = support::make_context();
  const auto cpu = make_cpu();
  for (const int64_t rank : {1, 16, 17, 64, 65, 130}) {
    const Triplets triplets(rank, 300, 200, rank % 2 == 0 ? 1 : 0, random);
    const tg_mask_scores scores = triplets.scores();
    for (const int64_t count : {int64_t{600}, int64_t{30000}}) {
      const Selected wanted = select(cpu.get(), scores, count, false);
      const Selected found = select(device.get(), scores, count, false);
      ASSERT_EQ(TG_OK, found.status) << found.error;
      EXPECT_TRUE(wanted.words == found.words) << "rank " << rank << ", " << count;
    }
  }
}

// Rows come in equal pairs, so that every score has an equal one. The one with the lower index is selected.
TEST_F(MaskOnDevice, OfEqualCandidatesTheFirstIsSelected) {
  std::mt19937_64 random(support::seed());
  const auto device = support::make_context();
  Triplets triplets(20, 130, 100, 0, random);
  for (int64_t k = 0; k < triplets.rank; ++k) {
    std::copy_n(triplets.left.begin() + k * 130, 65, triplets.left.begin() + k * 130 + 65);
  }
  const tg_mask_scores scores = triplets.scores();
  for (const int64_t count : {int64_t{1}, int64_t{1301}, int64_t{6501}}) {
    const Selected found = select(device.get(), scores, count, false);
    ASSERT_EQ(TG_OK, found.status) << found.error;
    int64_t alone = 0;
    for (size_t i = 0; i < 65 * 2; ++i) {
      alone += __builtin_popcountll(found.words[i] & ~found.words[i + 65 * 2]);
      EXPECT_EQ(0U, found.words[i + 65 * 2] & ~found.words[i]);
    }
    EXPECT_EQ(1, alone);
  }
}

// The waits of a call that reads one number.
uint64_t least_waits(tg_context* context) {
  const uint64_t mask = 1;
  const uint64_t* const masks[] = {&mask};
  const tg_mask_sets sets{sizeof(sets), &masks[0], 1, 1, 1};
  int64_t entries = 0;
  const support::Traffic before = support::emulated_traffic();
  EXPECT_EQ(TG_OK, tg_mask_combine(context, &sets, TG_MASK_UNION, nullptr, 0, &entries)) << support::error_of(context);
  EXPECT_EQ(1, entries);
  return support::emulated_traffic().waits - before.waits;
}

// Nothing is decided on the host: a selection waits for the device once, and only its result comes back.
TEST_F(MaskOnDevice, ASelectionWaitsOnce) {
  if (!support::is_emulated()) {
    GTEST_SKIP() << "only the emulation counts";
  }
  std::mt19937_64 random(support::seed());
  const auto device = support::make_context();
  const Triplets triplets(20, 300, 200, 0, random);
  const Matrix matrix(TG_BF16, 300, 200, 0, false, false, random);
  const tg_mask_scores of_matrix{sizeof(of_matrix), &matrix.operand, nullptr, nullptr, nullptr, 0, 0, 0};
  for (const tg_mask_scores& scores : {triplets.scores(), of_matrix}) {
    select(device.get(), scores, 1000, false);  // memory is reserved by the first call
    const support::Traffic before = support::emulated_traffic();
    const Selected found = select(device.get(), scores, 1000, false);
    ASSERT_EQ(TG_OK, found.status) << found.error;
    const support::Traffic after = support::emulated_traffic();
    EXPECT_EQ(least_waits(device.get()), after.waits - before.waits);
    const uint64_t in = scores.matrix == nullptr ? 8 * (20 + 20 * 500) : 300 * 200 * 2;
    constexpr uint64_t kState = 64;  // what the search found
    EXPECT_GE(found.words.size() * 8 + in + kState, after.bytes - before.bytes);
    EXPECT_EQ(scores.matrix == nullptr ? 5U : 3U, after.copies - before.copies);
  }
}

struct Counts {
  std::vector<std::vector<int64_t>> of = std::vector<std::vector<int64_t>>(4, std::vector<int64_t>(TG_MAGNITUDE_CODES, -1));
};

Counts histogram(tg_context* context, const tg_operand& matrix, const std::vector<uint64_t>& first,
                 const std::vector<uint64_t>& second) {
  Counts counts;
  EXPECT_EQ(TG_OK, tg_magnitude_histogram(context, &matrix, first.data(), second.data(), counts.of[0].data(), counts.of[1].data(),
                                          counts.of[2].data(), counts.of[3].data()))
      << support::error_of(context);
  return counts;
}

std::vector<uint64_t> random_mask(int64_t rows, int64_t columns, std::mt19937_64& random) {
  std::vector<uint64_t> mask;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; j += 64) {
      const int64_t left = columns - j;
      mask.push_back(random() & (left >= 64 ? ~uint64_t{0} : (uint64_t{1} << left) - 1));
    }
  }
  return mask;
}

TEST_F(MaskOnDevice, HistogramsOfEveryDtypeAreThoseOfTheCpu) {
  std::mt19937_64 random(support::seed());
  const auto device = support::make_context();
  const auto cpu = make_cpu();
  for (const tg_dtype dtype : {TG_F64, TG_F32, TG_F16, TG_BF16, TG_F8_E4M3, TG_F8_E5M2}) {
    for (const int extra : {0, 1, 2}) {
      if (dtype == TG_F64 && extra == 1) {
        continue;  // numbers in float64 have no scales
      }
      for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{37, 75}, {3, 5000}}) {
        const Matrix matrix(dtype, rows, columns, 0, extra == 1, extra == 2, random);
        const std::vector<uint64_t> first = random_mask(rows, columns, random);
        const std::vector<uint64_t> second = random_mask(rows, columns, random);
        EXPECT_TRUE(histogram(cpu.get(), matrix.operand, first, second).of ==
                    histogram(device.get(), matrix.operand, first, second).of)
            << "dtype " << dtype << ", " << rows << " x " << columns << ", kind " << extra;
      }
    }
  }
}

// All codes, those of NaN and infinities included, whose number of the table is that of the magnitude to which they are rounded.
TEST_F(MaskOnDevice, EveryCodeCountsForItsMagnitude) {
  std::mt19937_64 random(support::seed());
  const auto device = support::make_context();
  const auto cpu = make_cpu();
  for (const tg_dtype dtype : kNarrow) {
    const bool wide = dtype == TG_F16 || dtype == TG_BF16;
    constexpr int64_t kColumns = 80;
    const int64_t rows = (wide ? 65536 : 256) / kColumns + 1;
    std::vector<uint8_t> bytes;
    for (int64_t code = 0; code < rows * kColumns; ++code) {
      bytes.push_back(static_cast<uint8_t>(code));
      if (wide) {
        bytes.push_back(static_cast<uint8_t>(code >> 8));
      }
    }
    tg_operand matrix{};
    matrix.size = sizeof(matrix);
    matrix.values = {bytes.data(), rows, kColumns, kColumns, dtype, 0};
    const std::vector<uint64_t> first = random_mask(rows, kColumns, random);
    const std::vector<uint64_t> second = random_mask(rows, kColumns, random);
    EXPECT_TRUE(histogram(cpu.get(), matrix, first, second).of == histogram(device.get(), matrix, first, second).of)
        << "dtype " << dtype;
    // Sums of small integers are exact in any order.
    std::vector<double> table(TG_MAGNITUDE_CODES);
    for (double& number : table) {
      number = static_cast<double>(random() % 1024);
    }
    const auto sums = [&](tg_context* context) {
      std::vector<double> both(static_cast<size_t>(rows + kColumns));
      EXPECT_EQ(TG_OK, tg_magnitude_profile(context, &matrix, table.data(), both.data(), both.data() + rows))
          << support::error_of(context);
      return both;
    };
    EXPECT_EQ(sums(cpu.get()), sums(device.get())) << "dtype " << dtype;
  }
}

// A counter of a block has 16 bits. Two codes share a word.
TEST_F(MaskOnDevice, HistogramsOfManyEqualEntriesDoNotOverflow) {
  std::mt19937_64 random(support::seed());
  constexpr int64_t kRows = 400;
  constexpr int64_t kColumns = 1600;
  std::vector<uint16_t> codes(kRows * kColumns, 0x3f80);
  for (size_t i = 0; i < codes.size(); i += 3) {
    codes[i] = 0xbf81;
  }
  tg_operand matrix{};
  matrix.size = sizeof(matrix);
  matrix.values = {codes.data(), kRows, kColumns, kColumns, TG_BF16, 0};
  const std::vector<uint64_t> first = random_mask(kRows, kColumns, random);
  const std::vector<uint64_t> all(first.size(), ~uint64_t{0});
  const auto device = support::make_context();
  const auto cpu = make_cpu();
  const Counts found = histogram(device.get(), matrix, first, all);
  EXPECT_TRUE(histogram(cpu.get(), matrix, first, all).of == found.of);
  EXPECT_EQ(kRows * kColumns * 2 / 3, found.of[0][0x3f80]);
}

}  // namespace
