// Kernels on arrays of more than 2^31 numbers and 2^32 bytes. Only the last blocks of a launch run, and the host gives them what
// the others would have left. Zeros that nobody writes take no memory.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>

#include "../support.h"
#include "cuda/curvature/curvature_kernels.h"
#include "cuda/curvature/difference_kernels.h"
#include "cuda/diff/diff_kernels.h"
#include "cuda/mask/digits.h"
#include "cuda/mask/magnitude_kernels.h"
#include "cuda/mask/selection_kernels.h"
#include "cuda/mask/sets_kernels.h"
#include "cuda/patch/look_back.h"
#include "cuda/patch/patch_kernels.h"
#include "cuda/support/runtime.h"
#include "cuda/svd/svd_kernels.h"

namespace {

using namespace threegate::cuda;

constexpr uint16_t kOne = 0x3f80;  // in bf16
constexpr uint16_t kTwo = 0x4000;
// So many that each block has one unit of work.
constexpr int kManyMultiprocessors = 1 << 22;

// `count` zeros.
template <typename T>
class Zeros {
 public:
  explicit Zeros(int64_t count) : pages_(static_cast<size_t>(count) * sizeof(T)) {}
  [[nodiscard]] T* get() const { return static_cast<T*>(pages_.data()); }
  T& operator[](int64_t i) const { return get()[i]; }

 private:
  support::ZeroPages pages_;
};

// Runs the last blocks of each launch.
class Large : public testing::Test {
 protected:
  void run(cudaError_t launched) {
    ASSERT_EQ(cudaSuccess, launched);
    ASSERT_EQ(cudaSuccess, cudaStreamSynchronize(stream_.get()));
  }
  [[nodiscard]] cudaStream_t stream() const { return stream_.get(); }

 private:
  StreamOwner stream_ = make_stream();
  support::Setting last_{"THREEGATE_EMULATED_LAST_BLOCKS", "1"};
};

template <typename T>
Entries entries_of(const T* data, int64_t row_stride, tg_dtype dtype) {
  Entries entries{};
  entries.data = reinterpret_cast<const uint8_t*>(data);
  entries.row_stride = row_stride;
  entries.block_rows = entries.block_columns = 1;
  entries.rows_reciprocal = entries.columns_reciprocal = 1;
  entries.dtype = dtype;
  return entries;
}

// ---------------------------------------------------------------- patches

class LargePatch : public Large, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Widths, LargePatch, testing::Values(1, 2, 4, 8));
class LargePlanes : public LargePatch {};
INSTANTIATE_TEST_SUITE_P(Widths, LargePlanes, testing::Values(2, 4, 8));

// The last four tiles of 2^32 elements. Three entries come before them. The sides lie equally and differently.
TEST_P(LargePatch, IsExtracted) {
  const int32_t width = GetParam();
  constexpr int64_t kCount = int64_t{1} << 32;
  constexpr int64_t kTiles = 4;
  constexpr int64_t kBefore = 3;
  for (const int64_t shift : {0, 1}) {
    const Zeros<uint8_t> before(kCount * width);
    const Zeros<uint8_t> after((kCount + shift) * width);
    uint8_t* const changed = after.get() + shift * width;
    const tg_patch_pair pair{sizeof(pair), before.get(), changed, kCount, 0, width, TG_PATCH_OVERWRITE};
    const int64_t tiles = patch_tiles(pair);
    const int64_t tile = kCount / tiles;
    const std::array<int64_t, 4> places{kCount - 3 * tile - 5, kCount - 3 * tile, kCount - tile, kCount - 1};
    changed[(int64_t{1} << 31) * width] = 1;  // in a tile that does not run
    for (size_t i = 0; i < places.size(); ++i) {
      changed[places[i] * width] = static_cast<uint8_t>(0x81 + i);
    }
    const Zeros<uint64_t> progress(tiles + 1);
    progress[tiles] = static_cast<uint64_t>(tiles - kTiles);
    progress[tiles - kTiles - 1] = kSumSoFar | uint64_t{kBefore};
    constexpr int64_t kRoom = kBefore + 4;
    const Zeros<uint32_t> positions(kRoom);
    const Zeros<uint8_t> values(kRoom * width);
    const tg_patch_entries entries{sizeof(entries), positions.get(), values.get(), kRoom, width, TG_PATCH_OVERWRITE};
    run(launch_extract(pair, entries, progress.get(), 1, stream()));
    EXPECT_EQ(uint64_t{kRoom}, progress[tiles - 1] & kSumBits);
    for (int64_t i = 0; i < 4; ++i) {
      EXPECT_EQ(static_cast<uint32_t>(places[static_cast<size_t>(i)]), positions[kBefore + i]) << shift;
      EXPECT_EQ(0x81 + i, values[(kBefore + i) * width]);
    }
  }
}

TEST_P(LargePatch, IsAppliedAndVerified) {
  const int32_t width = GetParam();
  constexpr int64_t kElements = int64_t{1} << 32;
  constexpr int64_t kCount = (int64_t{1} << 31) + 5;  // the last block has five entries
  const Zeros<uint32_t> positions(kCount);
  const Zeros<uint8_t> values(kCount * width);
  const Zeros<uint8_t> target(kElements * width);
  const std::array<uint32_t, 5> last{10, 1U << 31, (1U << 31) + 1, UINT32_MAX - 1, UINT32_MAX};
  std::copy(last.begin(), last.end(), positions.get() + kCount - 5);
  for (int64_t i = 0; i < 5; ++i) {
    values[(kCount - 5 + i) * width] = static_cast<uint8_t>(0x91 + i);
  }
  const tg_patch_entries entries{sizeof(entries), positions.get(), values.get(), kCount, width, TG_PATCH_OVERWRITE};
  const int64_t block = patch_blocks(kCount) - 1;
  const Zeros<uint32_t> differing(block + 1);
  run(launch_verify(entries, target.get(), differing.get(), stream()));
  EXPECT_EQ(5U, differing[block]);
  run(launch_apply(entries, target.get(), stream()));
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(0x91 + i, target[int64_t{last[static_cast<size_t>(i)]} * width]);
  }
  run(launch_verify(entries, target.get(), differing.get(), stream()));
  EXPECT_EQ(0U, differing[block]);
  const Zeros<int64_t> first(block + 1);
  run(launch_find_misplaced(entries, kElements, first.get(), stream()));
  EXPECT_EQ(kCount, first[block]);
  run(launch_find_misplaced(entries, kElements - 1, first.get(), stream()));
  EXPECT_EQ(kCount - 1, first[block]);
}

TEST_P(LargePlanes, HoldTheBytesOfElements) {
  const int32_t width = GetParam();
  constexpr int64_t kCount = (int64_t{1} << 32) - 3;
  const Zeros<uint8_t> elements(kCount * width);
  const Zeros<uint8_t> planes(kCount * width);
  const Zeros<uint8_t> back(kCount * width);
  for (int32_t byte = 0; byte < width; ++byte) {
    elements[(kCount - 1) * width + byte] = static_cast<uint8_t>(0xa1 + byte);
  }
  run(launch_planes(elements.get(), kCount, width, planes.get(), stream()));
  run(launch_elements(planes.get(), kCount, width, back.get(), stream()));
  for (int32_t byte = 0; byte < width; ++byte) {
    EXPECT_EQ(0xa1 + byte, planes[byte * kCount + kCount - 1]);
    EXPECT_EQ(0xa1 + byte, back[(kCount - 1) * width + byte]);
    EXPECT_EQ(0, back[(kCount - 2) * width + byte]);
  }
}

TEST_F(Large, PositionsBecomeGapsAndGapsPositions) {
  constexpr int64_t kCount = (int64_t{1} << 31) + 5;
  const Zeros<uint32_t> positions(kCount);
  const Zeros<uint32_t> gaps(kCount);
  const std::array<uint32_t, 5> last{10, 11, 13, 1U << 31, UINT32_MAX};
  const std::array<uint32_t, 5> expected{9, 0, 1, (1U << 31) - 14, (1U << 31) - 2};
  std::copy(last.begin(), last.end(), positions.get() + kCount - 5);
  run(launch_gaps(positions.get(), kCount, -1, gaps.get(), stream()));
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), gaps.get() + kCount - 5));
  const int64_t block = patch_blocks(kCount) - 1;
  const Zeros<uint64_t> sums(block + 1);
  run(launch_sum_gaps(gaps.get(), kCount, sums.get(), stream()));
  EXPECT_EQ(UINT32_MAX, sums[block]);
  sums[block] = 1;  // that of all gaps before the block
  run(launch_positions(gaps.get(), kCount, sums.get(), stream()));
  EXPECT_TRUE(std::equal(last.begin(), last.end(), gaps.get() + kCount - 5));
}

// ---------------------------------------------------------------- streams

// Blocks go through all numbers with a stride. The last block has the last ones.
TEST_F(Large, StreamsAreDisplacedAndSubtracted) {
  constexpr int64_t kCount = (int64_t{1} << 31) + (int64_t{1} << 21);
  const Zeros<float> numbers(kCount);
  const Zeros<float> zeros(kCount);
  const Zeros<float> out(kCount);
  const int64_t block = difference_blocks(kCount) - 1;
  const Zeros<double> partial(static_cast<int64_t>(kDifferenceSums) * (block + 1));
  numbers[kCount - 1] = 3;
  numbers[0] = 7;  // of a block that does not run
  const tg_displacement displacement{sizeof(displacement), numbers.get(), numbers.get(), kCount, TG_F32, 0, 0x1p-30};
  run(launch_displace(displacement, out.get(), partial.get(), stream()));
  EXPECT_EQ(3, out[kCount - 1]);
  EXPECT_EQ(9 * 0x1p-60, partial[block]);
  const tg_gradient_difference difference{
      sizeof(difference), numbers.get(), zeros.get(), nullptr, numbers.get(), kCount, TG_F32, 0, 0.5};
  run(launch_difference(difference, out.get(), partial.get(), stream()));
  EXPECT_EQ(3, out[kCount - 1]);
  const double* const sums = partial.get() + static_cast<int64_t>(kDifferenceSums) * block;
  EXPECT_EQ(9, sums[0]);
  EXPECT_EQ(0, sums[1]);
  EXPECT_EQ(9, sums[3]);
}

// ---------------------------------------------------------------- masks

TEST_F(Large, MasksAreCombinedAndCounted) {
  constexpr int64_t kWords = int64_t{1} << 30;  // more than the host gives a launch
  constexpr uint32_t kAcross = 1U << 20;
  const Zeros<uint64_t> first(kWords);
  const Zeros<uint64_t> second(kWords);
  const Zeros<uint64_t> result(kWords);
  const Zeros<uint64_t> counts(8);
  first[kWords - 1] = 5;
  second[kWords - 1] = 6;
  DeviceSets sets{};
  sets.masks[0] = first.get();
  sets.masks[1] = second.get();
  sets.count = 2;
  sets.words = kWords;
  sets.row_end = kAcross - 1;
  sets.across = kAcross;
  sets.last_word = 0xf;
  run(launch_combine(sets, TG_MASK_COMPLEMENT, result.get(), counts.get(), kManyMultiprocessors, stream()));
  EXPECT_EQ(8U, result[kWords - 1]);
  EXPECT_EQ(~uint64_t{0}, result[kWords - 2]);
  EXPECT_EQ(1023U * 64 + 1, counts[0]);
  run(launch_common(sets, counts.get() + 1, kManyMultiprocessors, stream()));
  EXPECT_EQ(2U, counts[1]);
  EXPECT_EQ(1U, counts[2]);
  EXPECT_EQ(2U, counts[4]);
  run(launch_memberships(sets, counts.get() + 5, kManyMultiprocessors, stream()));
  EXPECT_EQ(2U, counts[6]);
  EXPECT_EQ(1U, counts[7]);
}

// A device with one multiprocessor, whose blocks have the most to count.
TEST_F(Large, CountsOfABlockFit) {
  const Zeros<uint64_t> none(kMostWords);
  const Zeros<uint64_t> count(1);
  DeviceSets sets{};
  sets.masks[0] = none.get();
  sets.count = 1;
  sets.words = kMostWords;
  sets.across = 1;
  sets.last_word = ~uint64_t{0};
  run(launch_combine(sets, TG_MASK_COMPLEMENT, nullptr, count.get(), 1, stream()));
  EXPECT_EQ(uint64_t{kMostWords} * 64 / 8, count[0]);
}

// A bf16 matrix with more than 2^31 columns, whose last two entries are 1 and 2. All others are 0.
struct Wide {
  static constexpr int64_t kRows = 3;
  static constexpr int64_t kColumns = (int64_t{1} << 31) + 64;
  static constexpr int64_t kWords = kRows * kColumns / 64;
  Wide() : codes(kRows * kColumns), entries(entries_of(codes.get(), kColumns, TG_BF16)) {
    codes[kRows * kColumns - 2] = kOne;
    codes[kRows * kColumns - 1] = kTwo;
  }
  Zeros<uint16_t> codes;
  Entries entries;
};

TEST_F(Large, ScoresAreCountedMarkedAndTaken) {
  const Wide wide;
  Scores scores{};
  scores.rows = Wide::kRows;
  scores.columns = Wide::kColumns;
  scores.entries = wide.entries;
  const Zeros<Search> search(1);
  const Zeros<uint64_t> digits(kDigits);
  constexpr int kKeyBits = 15;  // keys of bf16 are its bits without the sign
  const int shift = kKeyBits - kDigitBits;
  search[0].high = (uint64_t{1} << kKeyBits) - 1;
  run(launch_count_digits(scores, shift, search.get(), digits.get(), kManyMultiprocessors, stream()));
  EXPECT_EQ(62U, digits[0]);
  EXPECT_EQ(1U, digits[kOne >> shift]);
  EXPECT_EQ(1U, digits[kTwo >> shift]);
  const Zeros<uint64_t> beyond(Wide::kWords);
  const Zeros<uint64_t> within(Wide::kWords);
  search[0].low = search[0].high = kOne;
  search[0].left = 1;
  run(launch_mark(scores, false, search.get(), beyond.get(), within.get(), kManyMultiprocessors, stream()));
  EXPECT_EQ(uint64_t{1} << 63, beyond[Wide::kWords - 1]);
  EXPECT_EQ(uint64_t{1} << 62, within[Wide::kWords - 1]);
  const Zeros<uint64_t> sums(kMostChunks);
  run(launch_take_first(search.get(), within.get(), Wide::kWords, sums.get(), beyond.get(), stream()));
  EXPECT_EQ(uint64_t{3} << 62, beyond[Wide::kWords - 1]);
}

TEST_F(Large, MagnitudesAreCounted) {
  const support::Setting last("THREEGATE_EMULATED_LAST_BLOCKS", "4");  // one for each of the four counts
  const Wide wide;
  const Zeros<uint64_t> first(Wide::kWords);
  const Zeros<uint64_t> second(Wide::kWords);
  const Zeros<uint64_t> counts(4 * TG_MAGNITUDE_CODES);
  first[Wide::kWords - 1] = uint64_t{1} << 63;
  second[Wide::kWords - 1] = uint64_t{3} << 62;
  run(launch_magnitude_histogram(wide.entries, Wide::kRows, Wide::kColumns, first.get(), second.get(), counts.get(),
                                 kManyMultiprocessors, stream()));
  const auto found = [&](uint16_t code) {
    return std::array<uint64_t, 4>{counts[code], counts[TG_MAGNITUDE_CODES + code], counts[2 * TG_MAGNITUDE_CODES + code],
                                   counts[3 * TG_MAGNITUDE_CODES + code]};
  };
  EXPECT_EQ((std::array<uint64_t, 4>{62, 0, 0, 0}), found(0));
  EXPECT_EQ((std::array<uint64_t, 4>{1, 0, 1, 0}), found(kOne));
  EXPECT_EQ((std::array<uint64_t, 4>{1, 1, 1, 1}), found(kTwo));
}

TEST_F(Large, MagnitudesAreSummed) {
  // All blocks that put the table into the order of codes. With so many multiprocessors, each warp has one row.
  const support::Setting last("THREEGATE_EMULATED_LAST_BLOCKS", std::to_string(TG_MAGNITUDE_CODES / 256).c_str());
  constexpr int64_t kRows = (int64_t{1} << 31) + 64;
  constexpr int64_t kColumns = 3;
  const Zeros<uint16_t> codes(kRows * kColumns);
  const Zeros<double> table(TG_MAGNITUDE_CODES);
  const Zeros<double> of_codes(TG_MAGNITUDE_CODES);
  const Zeros<double> row_sums(kRows);
  const Zeros<double> partial((kRows / kProfileRows + 1) * kColumns);
  const Zeros<double> column_sums(kColumns);
  codes[kRows * kColumns - 1] = kTwo;
  table[kTwo] = 5;
  run(launch_magnitude_profile(entries_of(codes.get(), kColumns, TG_BF16), kRows, kColumns, table.get(), of_codes.get(),
                               row_sums.get(), partial.get(), column_sums.get(), 1 << 29, stream()));
  EXPECT_EQ(5, row_sums[kRows - 1]);
  EXPECT_EQ(5, column_sums[kColumns - 1]);
  EXPECT_EQ(0, column_sums[0]);
}

// ---------------------------------------------------------------- differences of matrices

// Two rows with more than 2^31 columns, of which the last entry differs.
template <typename Element>
void expect_last_changed(PairKind kind, tg_dtype dtype, Element one, cudaStream_t stream) {
  constexpr int64_t kRows = 2;
  constexpr int64_t kColumns = (int64_t{1} << 31) + kUnitColumns;
  constexpr int64_t kUnits = kColumns / kUnitColumns;
  constexpr int64_t kStride = kColumns / 8;
  const Zeros<Element> base(kRows * kColumns);
  const Zeros<Element> tuned(kRows * kColumns);
  tuned[kRows * kColumns - 1] = one;
  const Zeros<UnitResult> units(kUnits);
  const Zeros<uint64_t> row_changed(kRows);
  const Zeros<uint64_t> column_changed(kColumns);
  const Zeros<uint64_t> map(6);
  const Zeros<uint8_t> mask(kRows * kStride);
  const Zeros<DiffPart> part(1);
  part[0].base = entries_of(base.get(), kColumns, dtype);
  part[0].tuned = entries_of(tuned.get(), kColumns, dtype);
  part[0].rows = part[0].all_rows = kRows;
  part[0].columns = part[0].all_columns = kColumns;
  part[0].units = units.get();
  part[0].row_changed = row_changed.get();
  part[0].column_changed = column_changed.get();
  part[0].map = map.get();
  part[0].map_rows = 2;
  part[0].map_columns = 3;
  part[0].map_rows_of_one = 2.0 / kRows;
  part[0].rows_of_map_row = kRows / 2.0;
  part[0].map_columns_of_one = 3.0 / kColumns;
  part[0].mask = mask.get();
  part[0].mask_stride = kStride;
  ASSERT_EQ(cudaSuccess, launch_diff(kind, part.get(), 1, kUnits, kManyMultiprocessors, stream));
  ASSERT_EQ(cudaSuccess, cudaStreamSynchronize(stream));
  EXPECT_EQ(1, units[kUnits - 1].counts[0]);
  EXPECT_EQ(1, units[kUnits - 1].delta_squares);
  EXPECT_EQ(0U, row_changed[0]);
  EXPECT_EQ(1U, row_changed[1]);
  EXPECT_EQ(0U, column_changed[kColumns - 2]);
  EXPECT_EQ(1U, column_changed[kColumns - 1]);
  EXPECT_EQ(1U, map[5]);
  EXPECT_EQ(0x80, mask[kRows * kStride - 1]);
}

TEST_F(Large, MatricesAreCompared) {
  expect_last_changed(PairKind::kBf16, TG_BF16, kOne, stream());
  expect_last_changed(PairKind::kFloat, TG_F32, 1.0F, stream());
  expect_last_changed(PairKind::kAny, TG_F64, 1.0, stream());
}

// ---------------------------------------------------------------- singular vectors and directions

// Each warp has the same piece of all rows, and the last one has the last piece.
TEST_F(Large, MatricesAreSplitAndWidened) {
  constexpr int64_t kWarps = 132 * 8 * 8;
  constexpr int64_t kColumns = kWarps * 1024;
  constexpr int64_t kRows = 1024;
  const Zeros<uint16_t> codes(kRows * kColumns);
  const Zeros<uint16_t> plane(kRows * kColumns);
  const Zeros<double> wide(kRows * kColumns);
  const Zeros<uint64_t> largest(1);
  codes[kRows * kColumns - 1] = kTwo;
  Source source{};
  source.entries = entries_of(codes.get(), kColumns, TG_BF16);
  source.planes = 1;
  source.rows = kRows;
  source.columns = kColumns;
  source.scale = 1;
  uint16_t* const planes[kPlanes] = {plane.get(), nullptr, nullptr};
  run(launch_split_matrix(source, planes, kColumns, kRows, largest.get(), stream()));
  EXPECT_EQ(kTwo, plane[kRows * kColumns - 1]);
  double two = 0;
  std::memcpy(&two, largest.get(), sizeof(two));
  EXPECT_EQ(2, two);
  run(launch_widen_matrix(source, wide.get(), stream()));
  EXPECT_EQ(2, wide[kRows * kColumns - 1]);
}

TEST_F(Large, DirectionsAreFormed) {
  constexpr int64_t kSide = int64_t{1} << 16;
  const Zeros<uint16_t> codes(kSide * kSide);
  codes[kSide * kSide - 1] = kTwo;
  DirectionEntries direction{};
  direction.matrix = entries_of(codes.get(), kSide, TG_BF16);
  direction.rows = direction.columns = kSide;
  const Zeros<uint16_t> out(kPlanes * kSide * kSide);
  const VectorPlanes planes{out.get(), kPlanes, static_cast<int32_t>(kTileVectors), kSide / kTileVectors, kSide};
  const Zeros<double> squares(kSide);
  const Zeros<int32_t> terms(1);
  run(launch_form_direction(direction, planes, squares.get(), terms.get(), stream()));
  // Two more planes of the last tile follow the first one.
  EXPECT_EQ(kTwo, out[kPlanes * kSide * kSide - 2 * kTileVectors * kSide - 1]);
  EXPECT_EQ(4, squares[kSide - 1]);
  EXPECT_EQ(1, terms[0]);
}

}  // namespace
