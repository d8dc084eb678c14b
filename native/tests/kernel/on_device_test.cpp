// Properties of a CUDA device beyond those that the other tests check on both: results equal to the CPU's in any order of
// threads, streaming, and failures. They run with THREEGATE_TEST_DEVICE=cuda only.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "device/device_memory.h"
#include "emulated_traffic.h"
#include "support.h"

namespace {

class OnDevice : public testing::Test {
 protected:
  void SetUp() override {
    if (!support::tests_device()) {
      GTEST_SKIP() << "THREEGATE_TEST_DEVICE is not cuda";
    }
  }
};

support::Context cpu_context() {
  const tg_context_options options{sizeof(options), 1, TG_CPU, 0, 0};
  tg_context* context = nullptr;
  EXPECT_EQ(TG_OK, tg_context_create(&options, &context, nullptr, 0));
  return support::Context(context);
}

std::vector<uint16_t> codes(int64_t count, std::mt19937_64& random, double changed, std::vector<uint16_t>& tuned) {
  std::normal_distribution<float> normal(0, 0.02F);
  std::uniform_real_distribution<double> uniform;
  std::vector<uint16_t> base;
  for (int64_t i = 0; i < count; ++i) {
    const float value = normal(random);
    uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof(bits));
    base.push_back(static_cast<uint16_t>(bits >> 16));
    tuned.push_back(static_cast<uint16_t>(base.back() ^ (uniform(random) < changed ? 1U << (random() % 3) : 0U)));
  }
  return base;
}

tg_operand operand(const void* data, int64_t rows, int64_t columns, tg_dtype dtype) {
  tg_operand result{};
  result.size = sizeof(result);
  result.values = {data, rows, columns, columns, dtype, 0};
  return result;
}

struct Compared {
  tg_status status = TG_OK;
  std::string error;
  std::vector<tg_diff_result> results;
  std::vector<int64_t> columns;
  std::vector<uint64_t> mask;
};

// Compares all pairs in one call, with the columns and the mask of the first one.
Compared compare(tg_context* context, const std::vector<tg_operand>& bases, const std::vector<tg_operand>& tuned,
                 tg_control* control = nullptr) {
  Compared compared;
  const tg_matrix& first = bases[0].values;
  compared.columns.resize(static_cast<size_t>(first.columns));
  compared.mask.resize(static_cast<size_t>(first.rows * ((first.columns + 63) / 64)));
  std::vector<tg_diff_profiles> profiles(bases.size());
  for (auto& own : profiles) {
    own.size = sizeof(own);
  }
  profiles[0].column_changed = compared.columns.data();
  profiles[0].mask = compared.mask.data();
  profiles[0].mask_words = static_cast<int64_t>(compared.mask.size());
  compared.results.resize(bases.size());
  for (auto& own : compared.results) {
    own.size = sizeof(own);
  }
  const tg_diff_options options{sizeof(options)};
  const auto count = static_cast<int64_t>(bases.size());
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_diff_workspace(context, bases.data(), tuned.data(), count, &options, profiles.data(), &size))
      << support::error_of(context);
  const auto host = support::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  compared.status = tg_diff(context, bases.data(), tuned.data(), count, &options, control, &workspace, profiles.data(),
                            compared.results.data());
  compared.error = support::error_of(context);
  return compared;
}

void expect_same_counts(const Compared& expected, const Compared& found) {
  ASSERT_EQ(TG_OK, found.status) << found.error;
  EXPECT_EQ(expected.columns, found.columns);
  EXPECT_EQ(expected.mask, found.mask);
  for (size_t i = 0; i < expected.results.size(); ++i) {
    const tg_diff_result& a = expected.results[i];
    const tg_diff_result& b = found.results[i];
    EXPECT_EQ(a.changed, b.changed);
    EXPECT_EQ(a.non_finite, b.non_finite);
    for (int bin = 0; bin < TG_ULP_BINS; ++bin) {
      EXPECT_EQ(a.ulp_histogram[bin], b.ulp_histogram[bin]);
    }
    EXPECT_NEAR(a.base_squares, b.base_squares, 1e-12 * a.base_squares);
    EXPECT_NEAR(a.delta_squares, b.delta_squares, 1e-12 * a.delta_squares);
  }
}

// Three matrices. The last one is wider than half of a small slot.
struct Model {
  explicit Model(std::mt19937_64& random) {
    for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{300, 520}, {1, 70}, {3, 200000}}) {
      std::vector<uint16_t> own;
      base_codes.push_back(codes(rows * columns, random, 0.1, own));
      tuned_codes.push_back(own);
      bases.push_back(operand(base_codes.back().data(), rows, columns, TG_BF16));
      tuned.push_back(operand(tuned_codes.back().data(), rows, columns, TG_BF16));
    }
  }
  std::vector<std::vector<uint16_t>> base_codes;
  std::vector<std::vector<uint16_t>> tuned_codes;
  std::vector<tg_operand> bases;
  std::vector<tg_operand> tuned;
};

TEST_F(OnDevice, ABatchOfPairsIsWhatTheCpuFinds) {
  std::mt19937_64 random(support::seed());
  const Model model(random);
  const auto context = support::make_context(2);
  tg_control control{sizeof(control), 0, 0, 0, 0};
  expect_same_counts(compare(cpu_context().get(), model.bases, model.tuned),
                     compare(context.get(), model.bases, model.tuned, &control));
  EXPECT_EQ(300 * 520 + 70 + 600000, control.done);
  EXPECT_EQ(control.total, control.done);
}

TEST_F(OnDevice, LittleMemoryMeansMoreParts) {
  std::mt19937_64 random(support::seed());
  const Model model(random);
  const Compared expected = compare(cpu_context().get(), model.bases, model.tuned);
  if (!support::is_emulated()) {
    GTEST_SKIP() << "only the memory of an emulated device can be limited";
  }
  // Room for slots of one MiB, but not for all data.
  const support::Setting memory("THREEGATE_EMULATED_MEMORY", std::to_string(int64_t{3} << 20));
  expect_same_counts(expected, compare(support::make_context().get(), model.bases, model.tuned));
  const support::Setting less("THREEGATE_EMULATED_MEMORY", "100000");
  const auto context = support::make_context();
  const Compared refused = compare(context.get(), model.bases, model.tuned);
  EXPECT_EQ(TG_OUT_OF_MEMORY, refused.status);
  EXPECT_NE(std::string::npos, refused.error.find("the device has no ")) << refused.error;
  // This is not a failure of the device. With more memory the same context works.
  const support::Setting more("THREEGATE_EMULATED_MEMORY", std::to_string(int64_t{1} << 30));
  expect_same_counts(expected, compare(context.get(), model.bases, model.tuned));
}

TEST_F(OnDevice, CancelledBeforeItBegins) {
  std::mt19937_64 random(support::seed());
  const Model model(random);
  const auto context = support::make_context();
  tg_control control{sizeof(control), 1, 0, 0, 0};
  EXPECT_EQ(TG_CANCELLED, compare(context.get(), model.bases, model.tuned, &control).status);
  expect_same_counts(compare(cpu_context().get(), model.bases, model.tuned), compare(context.get(), model.bases, model.tuned));
}

struct Triplets {
  tg_status status = TG_OK;
  std::string error;
  std::vector<double> values;
  std::vector<double> left;
  std::vector<double> right;
  tg_svd_result result{};
};

Triplets decompose(tg_context* context, const tg_operand& matrix, const tg_operand* subtracted, int64_t rank, double tolerance) {
  Triplets triplets;
  triplets.values.resize(static_cast<size_t>(rank));
  triplets.left.resize(static_cast<size_t>(rank * matrix.values.rows));
  triplets.right.resize(static_cast<size_t>(rank * matrix.values.columns));
  triplets.result = {
      sizeof(tg_svd_result), triplets.values.data(), triplets.left.data(), triplets.right.data(), nullptr, 0, 0, 0, 0, 0};
  const tg_svd_options options{sizeof(options), rank, tolerance, 1, 0};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_svd_workspace(context, &matrix, subtracted, 1, &options, &triplets.result, &size))
      << support::error_of(context);
  const auto host = support::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  triplets.status = tg_svd(context, &matrix, subtracted, 1, &options, nullptr, &workspace, &triplets.result);
  triplets.error = support::error_of(context);
  return triplets;
}

// Spikes far above a flat bulk, as in weight matrices. They converge immediately and must not hide the other vectors.
std::vector<float> spiked(int64_t rows, int64_t columns, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  std::vector<double> entries(static_cast<size_t>(rows * columns));
  for (double& entry : entries) {
    entry = normal(random);
  }
  const auto bulk = std::sqrt(static_cast<double>(rows)) + std::sqrt(static_cast<double>(columns));
  for (int spike = 0; spike < 4; ++spike) {
    const support::Rows u = support::orthonormal(1, rows, random);
    const support::Rows v = support::orthonormal(1, columns, random);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        entries[static_cast<size_t>(i * columns + j)] +=
            bulk * std::pow(3.0, spike) * u[0][static_cast<size_t>(i)] * v[0][static_cast<size_t>(j)];
      }
    }
  }
  return {entries.begin(), entries.end()};
}

TEST_F(OnDevice, TripletsAreThoseOfTheCpu) {
  std::mt19937_64 random(support::seed());
  const auto context = support::make_context();
  const auto cpu = cpu_context();
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{200, 300}, {257, 130}}) {
    const std::vector<float> entries = spiked(rows, columns, random);
    std::vector<uint16_t> rounded;
    for (const float entry : entries) {
      uint32_t bits = 0;
      std::memcpy(&bits, &entry, sizeof(bits));
      rounded.push_back(static_cast<uint16_t>(bits >> 16));
    }
    const tg_operand wide = operand(entries.data(), rows, columns, TG_F32);
    const tg_operand narrow = operand(rounded.data(), rows, columns, TG_BF16);
    constexpr int64_t kRank = 10;
    constexpr double kTolerance = 1e-5;
    struct Case {
      const tg_operand* matrix;
      const tg_operand* subtracted;
    };
    for (const Case& one : {Case{&narrow, nullptr}, Case{&wide, nullptr}, Case{&wide, &narrow}}) {
      const Triplets expected = decompose(cpu.get(), *one.matrix, one.subtracted, kRank, 1e-11);
      const Triplets found = decompose(context.get(), *one.matrix, one.subtracted, kRank, kTolerance);
      ASSERT_EQ(TG_OK, found.status) << found.error;
      EXPECT_EQ(TG_SVD_CHEBYSHEV, found.result.method);
      EXPECT_LE(found.result.residual, kTolerance);
      EXPECT_LE(found.result.orthogonality, kTolerance);
      for (size_t i = 0; i < kRank; ++i) {
        EXPECT_NEAR(expected.values[i], found.values[i], kTolerance * expected.values[0]) << i;
      }
    }
  }
}

// A matrix of the given rank with noise. Its triplets are found in few cycles, with filters of degree 2, which keeps large blocks
// affordable here.
std::vector<float> of_rank(int64_t rank, int64_t side, std::mt19937_64& random) {
  const support::Rows left = support::orthonormal(rank, side, random);
  const support::Rows right = support::orthonormal(rank, side, random);
  std::normal_distribution<double> noise(0, 5e-3);
  std::vector<float> entries(static_cast<size_t>(side * side));
  for (size_t i = 0; i < static_cast<size_t>(side); ++i) {
    for (size_t j = 0; j < static_cast<size_t>(side); ++j) {
      double sum = noise(random);
      for (size_t k = 0; k < left.size(); ++k) {
        sum += left[k][i] * right[k][j] / (1 + 0.02 * static_cast<double>(k));
      }
      entries[i * static_cast<size_t>(side) + j] = static_cast<float>(sum);
    }
  }
  return entries;
}

// Ranks from 65 to 85 have blocks of 128 vectors, whose Gram matrix does not fit the 99 KiB of shared memory of some devices. The
// larger rank fits none of them. A block has at most half as many vectors as the matrix has rows.
TEST_F(OnDevice, TripletsOfLargeBlocksAreThoseOfTheCpu) {
  std::mt19937_64 random(support::seed());
  const auto context = support::make_context();
  for (const auto& [rank, side] : {std::pair<int64_t, int64_t>{70, 256}, {120, 384}}) {
    constexpr double kTolerance = 1e-3;
    const std::vector<float> entries = of_rank(rank, side, random);
    const tg_operand matrix = operand(entries.data(), side, side, TG_F32);
    const Triplets expected = decompose(cpu_context().get(), matrix, nullptr, rank, 1e-9);
    const Triplets found = decompose(context.get(), matrix, nullptr, rank, kTolerance);
    ASSERT_EQ(TG_OK, found.status) << found.error;
    EXPECT_EQ(TG_SVD_CHEBYSHEV, found.result.method);
    EXPECT_LE(found.result.residual, kTolerance);
    for (size_t i = 0; i < static_cast<size_t>(rank); ++i) {
      EXPECT_NEAR(expected.values[i], found.values[i], kTolerance * expected.values[0]) << i;
    }
  }
}

// A batch that is solved in parts, because memory is short, gives the results of each matrix alone.
TEST_F(OnDevice, ManyMatricesInParts) {
  std::mt19937_64 random(support::seed());
  std::vector<std::vector<float>> entries;
  std::vector<tg_operand> matrices;
  std::vector<Triplets> expected;
  constexpr int64_t kRank = 5;
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{130, 140}, {140, 130}, {128, 300}}) {
    entries.push_back(spiked(rows, columns, random));
    matrices.push_back(operand(entries.back().data(), rows, columns, TG_F32));
    expected.push_back(decompose(support::make_context().get(), matrices.back(), nullptr, kRank, 1e-4));
  }
  // The memory that a batch leaves to the driver, and room for one or two matrices.
  constexpr int64_t kRoom = 1500000;
  const support::Setting memory("THREEGATE_EMULATED_MEMORY", std::to_string((int64_t{256} << 20) + kRoom));
  const auto context = support::make_context();
  std::vector<std::vector<double>> out;
  std::vector<tg_svd_options> options;
  std::vector<tg_svd_result> results;
  for (const tg_operand& matrix : matrices) {
    out.emplace_back(static_cast<size_t>(kRank * (1 + matrix.values.rows + matrix.values.columns)));
    double* own = out.back().data();
    options.push_back({sizeof(tg_svd_options), kRank, 1e-4, 1, 0});
    results.push_back({sizeof(tg_svd_result), own, own + kRank, own + kRank * (1 + matrix.values.rows), nullptr, 0, 0, 0, 0, 0});
  }
  tg_workspace_size size{sizeof(size), 0, 0};
  ASSERT_EQ(TG_OK, tg_svd_workspace(context.get(), matrices.data(), nullptr, 3, options.data(), results.data(), &size));
  EXPECT_GT(size.device_bytes, kRoom);
  const auto host = support::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  tg_control control{sizeof(control), 0, 0, 0, 0};
  ASSERT_EQ(TG_OK, tg_svd(context.get(), matrices.data(), nullptr, 3, options.data(), &control, &workspace, results.data()))
      << support::error_of(context.get());
  EXPECT_EQ(3, control.done);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(TG_SVD_CHEBYSHEV, results[i].method);
    EXPECT_EQ(expected[i].values, std::vector<double>(results[i].values, results[i].values + kRank));
  }
}

// Uses NVIDIA's libraries, or their replacement in the emulation.
TEST_F(OnDevice, WholeSpectraAreThoseOfTheCpu) {
  std::mt19937_64 random(support::seed());
  const auto context = support::make_context();
  const auto cpu = cpu_context();
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{90, 140}, {140, 90}}) {
    const std::vector<float> entries = spiked(rows, columns, random);
    const tg_operand matrix = operand(entries.data(), rows, columns, TG_F32);
    constexpr int64_t kRank = 50;
    std::vector<std::vector<double>> spectra;
    for (tg_context* own : {cpu.get(), context.get()}) {
      std::vector<double> values(kRank);
      std::vector<double> left(static_cast<size_t>(kRank * rows));
      std::vector<double> right(static_cast<size_t>(kRank * columns));
      std::vector<double> spectrum(90);
      tg_svd_result result{sizeof(result), values.data(), left.data(), right.data(), spectrum.data(), 0, 0, 0, 0, 0};
      const tg_svd_options options{sizeof(options), kRank, 1e-9, 1, 0};
      tg_workspace_size size{sizeof(size), 0, 0};
      ASSERT_EQ(TG_OK, tg_svd_workspace(own, &matrix, nullptr, 1, &options, &result, &size));
      const auto host = support::allocate(size.host_bytes);
      const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
      const uint64_t before = support::is_emulated() ? support::emulated_traffic().bytes : 0;
      ASSERT_EQ(TG_OK, tg_svd(own, &matrix, nullptr, 1, &options, nullptr, &workspace, &result)) << support::error_of(own);
      EXPECT_LE(result.residual, 1e-9);
      EXPECT_EQ(TG_SVD_GRAM_DOUBLE, result.method);
      if (own == context.get() && support::is_emulated()) {
        // The CPU would solve what the device cannot certify, with the same method. Then no vectors come from the device.
        EXPECT_GE(support::emulated_traffic().bytes - before,
                  entries.size() * sizeof(float) + (left.size() + right.size()) * sizeof(double));
      }
      for (size_t i = 0; i < kRank; ++i) {
        EXPECT_NEAR(values[i], spectrum[i], 1e-9 * spectrum[0]);
        // The triplet is valid: A v = sigma u.
        double square = 0;
        for (int64_t row = 0; row < rows; ++row) {
          double sum = 0;
          for (int64_t column = 0; column < columns; ++column) {
            sum += static_cast<double>(entries[static_cast<size_t>(row * columns + column)]) *
                   right[i * static_cast<size_t>(columns) + static_cast<size_t>(column)];
          }
          sum -= values[i] * left[i * static_cast<size_t>(rows) + static_cast<size_t>(row)];
          square += sum * sum;
        }
        EXPECT_LE(std::sqrt(square), 2e-9 * spectrum[0]) << i;
      }
      spectra.push_back(spectrum);
    }
    for (size_t i = 0; i < spectra[0].size(); ++i) {
      EXPECT_NEAR(spectra[0][i], spectra[1][i], 1e-9 * spectra[0][0]);
    }
  }
}

TEST_F(OnDevice, TheOrderOfThreadsDoesNotMatter) {
  std::mt19937_64 random(support::seed());
  const Model model(random);
  const std::vector<float> entries = spiked(130, 140, random);
  const tg_operand matrix = operand(entries.data(), 130, 140, TG_F32);
  std::vector<Compared> compared;
  std::vector<Triplets> triplets;
  for (const char* order : {"forward", "reverse", "5"}) {
    const support::Setting setting("THREEGATE_EMULATED_ORDER", order);
    const auto context = support::make_context();
    compared.push_back(compare(context.get(), model.bases, model.tuned));
    triplets.push_back(decompose(context.get(), matrix, nullptr, 5, 1e-4));
  }
  for (size_t i = 1; i < compared.size(); ++i) {
    expect_same_counts(compared[0], compared[i]);
    for (size_t k = 0; k < compared[0].results.size(); ++k) {
      EXPECT_EQ(compared[0].results[k].delta_dot_base, compared[i].results[k].delta_dot_base);
    }
    EXPECT_EQ(triplets[0].values, triplets[i].values);
    EXPECT_EQ(triplets[0].left, triplets[i].left);
    EXPECT_EQ(triplets[0].right, triplets[i].right);
  }
}

// Masks that are made, combined and counted on the device equal those of the host.
TEST_F(OnDevice, MasksMayStayThere) {
  constexpr int64_t kRows = 70;
  constexpr int64_t kColumns = 300;
  constexpr int64_t kWords = kRows * ((kColumns + 63) / 64);
  std::mt19937_64 random(support::seed());
  std::vector<uint16_t> tuned;
  const std::vector<uint16_t> base = codes(kRows * kColumns, random, 0.3, tuned);
  const tg_operand before = operand(base.data(), kRows, kColumns, TG_BF16);
  const tg_operand after = operand(tuned.data(), kRows, kColumns, TG_BF16);
  const auto context = support::make_context();
  tg_context* const own = context.get();
  const support::DeviceMemory memory(3 * kWords * 8);
  auto* const there = static_cast<uint64_t*>(memory.get());
  std::vector<uint64_t> here(3 * kWords);
  int64_t entries[2] = {};
  int64_t common[2][4] = {};
  std::vector<int64_t> counts[2];
  for (const bool on_device : {true, false}) {
    uint64_t* const masks = on_device ? there : here.data();
    tg_diff_profiles profiles{};
    profiles.size = sizeof(profiles);
    profiles.mask = masks;
    profiles.mask_words = kWords;
    tg_diff_result result{};
    result.size = sizeof(result);
    const tg_diff_options diff_options{sizeof(diff_options)};
    const auto host = support::allocate(1 << 20);
    const tg_workspace workspace{sizeof(workspace), host.get(), 1 << 20, nullptr, 0};
    ASSERT_EQ(TG_OK, tg_diff(own, &before, &after, 1, &diff_options, nullptr, &workspace, &profiles, &result))
        << support::error_of(own);
    const tg_mask_scores scores{sizeof(scores), &before, nullptr, nullptr, nullptr, 0, 0, 0};
    const tg_mask_options options{sizeof(options), kRows * kColumns / 3, 1, 0};
    ASSERT_EQ(TG_OK, tg_mask_select(own, &scores, &options, nullptr, &workspace, masks + kWords, kWords))
        << support::error_of(own);
    const uint64_t* const both[] = {masks, masks + kWords};
    const tg_mask_sets sets{sizeof(sets), &both[0], 2, kRows, kColumns};
    const size_t at = on_device ? 0 : 1;
    ASSERT_EQ(TG_OK, tg_mask_combine(own, &sets, TG_MASK_DIFFERENCE, masks + 2 * kWords, kWords, &entries[at]))
        << support::error_of(own);
    ASSERT_EQ(TG_OK, tg_mask_overlaps(own, &sets, common[at], nullptr)) << support::error_of(own);
    counts[at].resize(4 * TG_MAGNITUDE_CODES);
    int64_t* const all = counts[at].data();
    ASSERT_EQ(TG_OK, tg_magnitude_histogram(own, &before, masks, masks + kWords, all, all + TG_MAGNITUDE_CODES,
                                            all + 2 * TG_MAGNITUDE_CODES, all + 3 * TG_MAGNITUDE_CODES))
        << support::error_of(own);
    EXPECT_EQ(result.changed, common[at][0]);
    EXPECT_EQ(kRows * kColumns / 3, common[at][3]);
    EXPECT_EQ(common[at][0] - common[at][1], entries[at]);
  }
  EXPECT_GT(entries[0], 0);
  EXPECT_EQ(0, std::memcmp(there, here.data(), here.size() * 8));
  EXPECT_EQ(counts[0], counts[1]);
}

// If little memory is left, masks are processed in parts.
TEST_F(OnDevice, MasksLargerThanTheDeviceAreCombined) {
  if (!support::is_emulated()) {
    GTEST_SKIP() << "only the memory of an emulated device can be limited";
  }
  constexpr int64_t kColumns = 70;
  constexpr int64_t kRows = 5000;
  std::mt19937_64 random(support::seed());
  std::vector<std::vector<uint64_t>> masks;
  std::vector<const uint64_t*> pointers;
  for (int i = 0; i < 3; ++i) {
    std::vector<uint64_t> mask;
    for (int64_t row = 0; row < kRows; ++row) {
      mask.push_back(random());
      mask.push_back(random() & 0x3fU);
    }
    masks.push_back(mask);
  }
  for (const auto& mask : masks) {
    pointers.push_back(mask.data());
  }
  const tg_mask_sets sets{sizeof(sets), pointers.data(), 3, kRows, kColumns};
  std::vector<uint64_t> results[2];
  int64_t entries[2] = {};
  std::vector<int64_t> common[2];
  // The whole takes 320 KB, in addition to two slots of 128 KB.
  for (const char* memory : {"450000", "10000000"}) {
    const support::Setting setting("THREEGATE_EMULATED_MEMORY", memory);
    const auto context = support::make_context();
    const size_t at = std::string(memory) == "450000" ? 0 : 1;
    results[at].resize(masks[0].size());
    common[at].resize(9);
    ASSERT_EQ(TG_OK, tg_mask_combine(context.get(), &sets, TG_MASK_COMPLEMENT, results[at].data(),
                                     static_cast<int64_t>(results[at].size()), &entries[at]))
        << support::error_of(context.get());
    ASSERT_EQ(TG_OK, tg_mask_overlaps(context.get(), &sets, common[at].data(), nullptr)) << support::error_of(context.get());
  }
  EXPECT_GT(entries[0], 0);
  EXPECT_EQ(entries[0], entries[1]);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(common[0], common[1]);
}

// More tokens than the device processes at a time. The result does not depend on where they and the directions are.
TEST_F(OnDevice, CurvatureOfManyTokensIsThatOfTheCpu) {
  constexpr int64_t kTokens = 8500;
  constexpr int64_t kInputs = 70;
  constexpr int64_t kOutputs = 9;
  std::mt19937_64 random(support::seed());
  std::normal_distribution<float> normal;
  std::vector<float> numbers(kTokens * (kInputs + kOutputs) + kInputs * kOutputs + kInputs + kOutputs);
  for (float& number : numbers) {
    number = normal(random);
  }
  std::vector<double> weights(kTokens);
  for (double& weight : weights) {
    weight = static_cast<double>(normal(random));
  }
  struct Found {
    std::vector<double> slopes = std::vector<double>(2 * kTokens);
    std::vector<double> squares = std::vector<double>(2);
    std::vector<double> sums = std::vector<double>(kOutputs * kInputs);
  };
  const auto measure = [&](tg_context* context, const float* data) {
    const float* const gradient = data + kTokens * kInputs;
    const float* const entries = gradient + kTokens * kOutputs;
    const tg_layer_samples samples{
        sizeof(samples), {data, kTokens, kInputs, kInputs, TG_F32, 0}, {gradient, kTokens, kOutputs, kOutputs, TG_F32, 0}};
    const tg_operand matrix = operand(entries, kOutputs, kInputs, TG_F32);
    const float* const factors = entries + kInputs * kOutputs;
    const tg_low_rank term{{factors, kOutputs, 1, 1, TG_F32, 0}, {factors + kOutputs, 1, kInputs, kInputs, TG_F32, 0}, 0.5};
    const tg_direction directions[] = {{sizeof(tg_direction), &matrix, nullptr, nullptr, nullptr, 0},
                                       {sizeof(tg_direction), nullptr, nullptr, nullptr, &term, 1}};
    Found found;
    tg_workspace_size size{sizeof(size), 0, 0};
    tg_workspace_size more{sizeof(more), 0, 0};
    EXPECT_EQ(TG_OK, tg_layer_slopes_workspace(context, &samples, &directions[0], 2, &size)) << support::error_of(context);
    EXPECT_EQ(TG_OK, tg_token_products_workspace(context, &samples.gradient, &samples.input, &more))
        << support::error_of(context);
    const int64_t bytes = std::max(size.host_bytes, more.host_bytes);
    const auto host = support::allocate(bytes);
    const tg_workspace workspace{sizeof(workspace), host.get(), bytes, nullptr, 0};
    EXPECT_EQ(TG_OK, tg_layer_slopes(context, &samples, &directions[0], 2, nullptr, &workspace, found.slopes.data(),
                                     found.squares.data()))
        << support::error_of(context);
    EXPECT_EQ(TG_OK, tg_token_products(context, &samples.gradient, weights.data(), &samples.input, nullptr, &workspace,
                                       found.sums.data()))
        << support::error_of(context);
    return found;
  };
  const auto cpu = cpu_context();
  const auto context = support::make_context();
  const Found expected = measure(cpu.get(), numbers.data());
  const Found found = measure(context.get(), numbers.data());
  // Sums of 70 x 9 products of numbers around one, and of 8500 products.
  for (size_t i = 0; i < expected.slopes.size(); ++i) {
    ASSERT_NEAR(expected.slopes[i], found.slopes[i], 1e-3) << i;
  }
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(expected.squares[i], found.squares[i], 1e-12 * expected.squares[i]);
  }
  for (size_t i = 0; i < expected.sums.size(); ++i) {
    ASSERT_NEAR(expected.sums[i], found.sums[i], 1e-2) << i;
  }
  // Numbers on the device are aligned to their size, and not to the words of kernels.
  for (const size_t offset : {size_t{0}, size_t{1}}) {
    const support::DeviceMemory memory(static_cast<int64_t>(numbers.size() + offset) * 4);
    float* const data = static_cast<float*>(memory.get()) + offset;
    std::memcpy(data, numbers.data(), numbers.size() * 4);
    const Found there = measure(context.get(), data);
    EXPECT_EQ(found.slopes, there.slopes);
    EXPECT_EQ(found.squares, there.squares);
    EXPECT_EQ(found.sums, there.sums);
  }
}

// The numbers have the same bits as on the CPU. The sums are computed in another order.
TEST_F(OnDevice, DifferencesAreThoseOfTheCpu) {
  const auto cpu = cpu_context();
  const auto context = support::make_context();
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  const auto compare_all = [&](auto zero, tg_dtype dtype, int64_t count) {
    using T = decltype(zero);
    constexpr int64_t kStreams = 5;
    std::vector<T> here(static_cast<size_t>(kStreams * count));
    for (T& number : here) {
      number = static_cast<T>(normal(random));
    }
    const auto bytes = here.size() * sizeof(T);
    const support::DeviceMemory memory(static_cast<int64_t>(bytes));
    std::memcpy(memory.get(), here.data(), bytes);
    auto* const there = static_cast<T*>(memory.get());
    for (const bool extrapolates : {false, true}) {
      double rounding[2] = {};
      tg_difference_sums sums[2] = {};
      const auto on_both = [&](auto run) {
        run(cpu.get(), here.data(), 0);
        run(context.get(), there, 1);
        EXPECT_EQ(0, std::memcmp(here.data(), there, bytes));
      };
      on_both([&](tg_context* own, T* data, size_t at) {
        const tg_displacement displacement{sizeof(displacement), data, data + count, count, dtype, 0, 0.3};
        EXPECT_EQ(TG_OK, tg_displace(own, &displacement, data + 4 * count, &rounding[at]));
      });
      on_both([&](tg_context* own, T* data, size_t at) {
        sums[at].size = sizeof(tg_difference_sums);
        const T* const wider = extrapolates ? data + 3 * count : nullptr;
        const tg_gradient_difference difference{
            sizeof(difference), data, data + count, wider, data + 2 * count, count, dtype, 0, 0.3};
        EXPECT_EQ(TG_OK, tg_difference_gradients(own, &difference, data + 4 * count, &sums[at]));
      });
      EXPECT_NEAR(rounding[0], rounding[1], 1e-12 * rounding[0]);
      EXPECT_NEAR(sums[0].ahead, sums[1].ahead, 1e-12 * sums[0].ahead);
      EXPECT_NEAR(sums[0].behind, sums[1].behind, 1e-12 * sums[0].behind);
      EXPECT_NEAR(sums[0].change, sums[1].change, 1e-12 * sums[0].change);
      EXPECT_NEAR(sums[0].along, sums[1].along, 1e-10 * static_cast<double>(count));
    }
    double rounding = 0;
    tg_displacement mixed{sizeof(mixed), here.data(), there, count, dtype, 0, 1};
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_displace(context.get(), &mixed, there, &rounding));
    EXPECT_EQ("numbers is on the host and on the device; all must be in the same memory", support::error_of(context.get()));
    mixed.point = reinterpret_cast<const uint8_t*>(there) + 1;
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_displace(context.get(), &mixed, there, &rounding));
    EXPECT_EQ("displacement.point is misaligned; in device memory numbers must be aligned to their size",
              support::error_of(context.get()));
  };
  for (const int64_t count : {1, 1023, 70001}) {
    compare_all(0.0F, TG_F32, count);
    compare_all(0.0, TG_F64, count);
  }
}

// Elements and entries stay on the device.
TEST_F(OnDevice, PatchesAreThoseOfTheCpu) {
  constexpr int64_t kCount = 3 * 4096 + 77;
  std::mt19937_64 random(support::seed());
  const auto context = support::make_context(2);
  const auto compare_all = [&](auto zero, int32_t form) {
    using Element = decltype(zero);
    std::vector<Element> before(static_cast<size_t>(kCount));
    for (Element& element : before) {
      element = static_cast<Element>(random());
    }
    std::vector<Element> after = before;
    for (Element& element : after) {
      element = static_cast<Element>(element ^ (random() % 16 == 0 ? random() : 0));
    }
    std::vector<uint32_t> positions(before.size());
    std::vector<Element> values(before.size());
    constexpr auto kWidth = static_cast<int32_t>(sizeof(Element));
    tg_patch_pair pair{sizeof(pair), before.data(), after.data(), kCount, 0, kWidth, form};
    const tg_patch_entries here{sizeof(here), positions.data(), values.data(), kCount, kWidth, form};
    int64_t expected = -1;
    ASSERT_EQ(TG_OK, tg_patch_extract(context.get(), &pair, &here, &expected)) << support::error_of(context.get());
    const support::DeviceMemory memory_before(kCount * kWidth);
    // Sides that lie equally and differently.
    const int64_t shift = form == TG_PATCH_XOR ? kWidth : 0;
    const support::DeviceMemory memory_after(shift + kCount * kWidth);
    const support::DeviceMemory memory_positions(kCount * 4);
    const support::DeviceMemory memory_values(kCount * kWidth);
    std::memcpy(memory_before.get(), before.data(), before.size() * sizeof(Element));
    std::memcpy(static_cast<uint8_t*>(memory_after.get()) + shift, after.data(), after.size() * sizeof(Element));
    pair.before = memory_before.get();
    pair.after = static_cast<const uint8_t*>(memory_after.get()) + shift;
    int64_t changed = -1;
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_patch_extract(context.get(), &pair, &here, &changed));
    EXPECT_EQ("elements is on the host and on the device; all must be in the same memory", support::error_of(context.get()));
    tg_patch_entries there{sizeof(there), static_cast<uint32_t*>(memory_positions.get()), memory_values.get(), expected, kWidth,
                           form};
    ASSERT_EQ(TG_OK, tg_patch_extract(context.get(), &pair, &there, &changed)) << support::error_of(context.get());
    ASSERT_EQ(expected, changed);
    EXPECT_EQ(0, std::memcmp(positions.data(), there.positions, static_cast<size_t>(4 * expected)));
    EXPECT_EQ(0, std::memcmp(values.data(), there.values, static_cast<size_t>(kWidth * expected)));
    // A part of a larger vector.
    pair.first = 17;
    ASSERT_EQ(TG_OK, tg_patch_extract(context.get(), &pair, &there, &changed));
    EXPECT_TRUE(std::equal(there.positions, there.positions + expected, positions.begin(),
                           [](uint32_t own, uint32_t other) { return own == other + 17; }));
    pair.first = 0;
    ASSERT_EQ(TG_OK, tg_patch_extract(context.get(), &pair, &there, &changed));
    // There is too little room for all entries.
    there.count = expected - 1;
    ASSERT_EQ(TG_OK, tg_patch_extract(context.get(), &pair, &there, &changed));
    EXPECT_EQ(expected, changed);
    there.count = expected;
    std::swap(there.positions[7], there.positions[8]);
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_patch_apply(context.get(), &there, memory_before.get(), kCount));
    EXPECT_EQ("entries.positions[8] is misplaced; positions ascend strictly and are below " + std::to_string(kCount),
              support::error_of(context.get()));
    EXPECT_EQ(0, std::memcmp(before.data(), memory_before.get(), before.size() * sizeof(Element)));
    std::swap(there.positions[7], there.positions[8]);
    ASSERT_EQ(TG_OK, tg_patch_apply(context.get(), &there, memory_before.get(), kCount)) << support::error_of(context.get());
    EXPECT_EQ(0, std::memcmp(after.data(), memory_before.get(), after.size() * sizeof(Element)));
    if (form == TG_PATCH_OVERWRITE) {
      int64_t differing = -1;
      ASSERT_EQ(TG_OK, tg_patch_verify(context.get(), &there, memory_before.get(), kCount, &differing));
      EXPECT_EQ(0, differing);
      static_cast<Element*>(memory_before.get())[there.positions[5]] ^= 1;
      ASSERT_EQ(TG_OK, tg_patch_verify(context.get(), &there, memory_before.get(), kCount, &differing));
      EXPECT_EQ(1, differing);
    }
    // Gaps and planes, in both directions.
    std::vector<uint32_t> gaps(positions.begin(), positions.begin() + expected);
    ASSERT_EQ(TG_OK, tg_patch_gaps(context.get(), gaps.data(), expected, -1));
    ASSERT_EQ(TG_OK, tg_patch_gaps(context.get(), there.positions, expected, -1)) << support::error_of(context.get());
    EXPECT_TRUE(std::equal(gaps.begin(), gaps.end(), there.positions));
    ASSERT_EQ(TG_OK, tg_patch_positions(context.get(), there.positions, expected, -1)) << support::error_of(context.get());
    EXPECT_TRUE(std::equal(there.positions, there.positions + expected, positions.begin()));
    // The last sum that fits, and one that does not, which changes nothing.
    ASSERT_EQ(TG_OK, tg_patch_gaps(context.get(), there.positions, expected, -1));
    there.positions[expected / 2] += UINT32_MAX - positions[static_cast<size_t>(expected - 1)];
    ASSERT_EQ(TG_OK, tg_patch_positions(context.get(), there.positions, expected, -1)) << support::error_of(context.get());
    EXPECT_EQ(UINT32_MAX, there.positions[expected - 1]);
    ASSERT_EQ(TG_OK, tg_patch_gaps(context.get(), there.positions, expected, -1));
    ++there.positions[7];
    const std::vector<uint32_t> large(there.positions, there.positions + expected);
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_patch_positions(context.get(), there.positions, expected, -1));
    EXPECT_EQ("gaps[" + std::to_string(expected - 1) + "] is too large; positions are below 2^32",
              support::error_of(context.get()));
    EXPECT_TRUE(std::equal(large.begin(), large.end(), there.positions));
    std::vector<uint8_t> planes(after.size() * sizeof(Element));
    ASSERT_EQ(TG_OK, tg_byte_planes(context.get(), after.data(), kCount, kWidth, planes.data()));
    ASSERT_EQ(TG_OK, tg_byte_planes(context.get(), pair.after, kCount, kWidth, memory_before.get()))
        << support::error_of(context.get());
    EXPECT_EQ(0, std::memcmp(planes.data(), memory_before.get(), planes.size()));
    ASSERT_EQ(TG_OK, tg_byte_elements(context.get(), memory_before.get(), kCount, kWidth, memory_values.get()))
        << support::error_of(context.get());
    EXPECT_EQ(0, std::memcmp(after.data(), memory_values.get(), after.size() * sizeof(Element)));
  };
  for (const int32_t form : {TG_PATCH_OVERWRITE, TG_PATCH_XOR}) {
    compare_all(uint8_t{}, form);
    compare_all(uint16_t{}, form);
    compare_all(uint32_t{}, form);
    compare_all(uint64_t{}, form);
  }
}

// Device memory is read by the functions that allow it, and refused by the others.
TEST_F(OnDevice, RefusesDeviceMemoryWhereTheCpuReads) {
  const auto context = support::make_context();
  constexpr int64_t kSide = 80;
  const support::DeviceMemory owner(kSide * kSide * 4);
  void* const memory = owner.get();
  std::mt19937_64 random(support::seed());
  const std::vector<float> entries = spiked(kSide, kSide, random);
  std::memcpy(memory, entries.data(), entries.size() * sizeof(float));
  const tg_operand there = operand(memory, kSide, kSide, TG_F32);
  const tg_operand here = operand(entries.data(), kSide, kSide, TG_F32);
  const Compared compared = compare(context.get(), {there}, {here});
  EXPECT_EQ(TG_OK, compared.status) << compared.error;
  EXPECT_EQ(0, compared.results[0].changed);
  EXPECT_GT(compared.results[0].base_squares, 0);
  const Triplets triplets = decompose(context.get(), there, nullptr, 3, 1e-4);
  EXPECT_EQ(TG_OK, triplets.status) << triplets.error;
  EXPECT_EQ(TG_SVD_CHEBYSHEV, triplets.result.method);
  // The tolerance is too small for the device, and the CPU would have to read its memory.
  const Triplets refused = decompose(context.get(), there, nullptr, 3, 1e-9);
  EXPECT_EQ(TG_INVALID_ARGUMENT, refused.status);
  EXPECT_EQ("matrices[0].values.data is in device memory; it must be in host memory", refused.error);
  const tg_perturb_options options{sizeof(options), TG_PERTURB_GAUSSIAN, TG_F32, 0, 0, 1.0};
  std::vector<float> out(entries.size());
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_perturb(context.get(), &there, nullptr, &options, nullptr, out.data()));
}

// Runs alone, because it leaves the process without a device, as a real failure does.
TEST_F(OnDevice, AfterAFailureEveryCallSaysSo) {
  std::mt19937_64 random(support::seed());
  const Model model(random);
  const auto context = support::make_context();
  if (!support::is_emulated()) {
    GTEST_SKIP() << "only an emulated device can be made to fail";
  }
  const support::Setting fault("THREEGATE_EMULATED_FAULT", "sticky");
  const Compared failed = compare(context.get(), model.bases, model.tuned);
  EXPECT_EQ(TG_DEVICE, failed.status);
  EXPECT_NE(std::string::npos, failed.error.find("cudaErrorIllegalAddress")) << failed.error;
  const Compared later = compare(context.get(), model.bases, model.tuned);
  EXPECT_EQ(TG_DEVICE, later.status);
  EXPECT_EQ("this context's device failed earlier (" + failed.error + "); close it and open another", later.error);
}

// Rows of any alignment that lie on the device give the bits of those that are copied there, which are aligned. So do rows whose
// length is no multiple of a wide load, differences, entries with scales of blocks, and entries far from 1.
TEST_F(OnDevice, EntriesMayHaveAnyAlignment) {
  if (!support::is_emulated()) {
    GTEST_SKIP() << "only the emulation provides pointers that are known to be in device memory";
  }
  constexpr int64_t kRows = 70;
  constexpr int64_t kColumns = 131;
  constexpr int64_t kBlock = 64;
  constexpr size_t kScales = 2 * 3;
  std::mt19937_64 random(support::seed());
  const std::vector<float> entries = spiked(kRows, kColumns, random);
  const auto context = support::make_context();
  const support::DeviceMemory memory(2 * kRows * kColumns * 8 + 4096);
  auto* const there = static_cast<uint8_t*>(memory.get());
  struct Case {
    tg_dtype dtype;
    bool scaled;
    bool difference;
  };
  for (const auto& [dtype, scaled, difference] :
       {Case{TG_F64, false, false}, Case{TG_F32, false, true}, Case{TG_F16, false, false}, Case{TG_BF16, false, true},
        Case{TG_F8_E4M3, true, false}, Case{TG_F8_E5M2, false, false}}) {
    const int64_t bytes = dtype == TG_F64 ? 8 : dtype == TG_F32 ? 4 : dtype == TG_F16 || dtype == TG_BF16 ? 2 : 1;
    std::vector<uint8_t> here(entries.size() * static_cast<size_t>(bytes));
    for (size_t i = 0; i < entries.size(); ++i) {
      uint8_t* const at = here.data() + i * static_cast<size_t>(bytes);
      const double wide = std::ldexp(static_cast<double>(entries[i]), 300);
      const float narrow = entries[i] * 0x1p60F;
      uint32_t bits = 0;
      std::memcpy(&bits, &entries[i], sizeof(bits));
      // Finite codes of half precision or less, with the signs and leading bits of the entries.
      const auto half = static_cast<uint16_t>(dtype == TG_BF16 ? bits >> 16 : (bits >> 16 & 0x8000U) | (bits >> 13 & 0x3fffU));
      const auto quarter = static_cast<uint8_t>(dtype == TG_F8_E4M3 ? (bits >> 24 & 0x80U) | (bits >> 20 & 0x3fU) : half >> 8);
      std::memcpy(at,
                  bytes == 8   ? static_cast<const void*>(&wide)
                  : bytes == 4 ? &narrow
                  : bytes == 2 ? static_cast<const void*>(&half)
                               : &quarter,
                  static_cast<size_t>(bytes));
    }
    std::vector<float> scales(kScales, 0.5F);
    scales[4] = 0.25F;
    std::vector<uint8_t> reversed(here.size());
    for (int64_t i = 0; i < kRows * kColumns; ++i) {
      std::copy_n(here.begin() + i * bytes, bytes, reversed.end() - (i + 1) * bytes);
    }
    const auto found = [&, type = dtype, blocks = scaled, two = difference](const uint8_t* first, const uint8_t* second,
                                                                            const uint8_t* of_blocks) {
      tg_operand matrix = operand(first, kRows, kColumns, type);
      const tg_operand other = operand(second, kRows, kColumns, type);
      if (blocks) {
        matrix.block_scale = {of_blocks, 2, 3, 3, TG_F32, 0};
        matrix.block_rows = kBlock;
        matrix.block_columns = kBlock;
      }
      return decompose(context.get(), matrix, two ? &other : nullptr, 3, 1e-4);
    };
    const Triplets expected = found(here.data(), reversed.data(), reinterpret_cast<const uint8_t*>(scales.data()));
    ASSERT_EQ(TG_OK, expected.status) << expected.error;
    for (const int64_t shift : {1, 8}) {
      uint8_t* const first = there + shift;
      uint8_t* const second = first + static_cast<int64_t>(here.size()) + 16;
      uint8_t* const of_blocks = second + static_cast<int64_t>(here.size()) + 16;
      std::copy(here.begin(), here.end(), first);
      std::copy(reversed.begin(), reversed.end(), second);
      std::memcpy(of_blocks, scales.data(), kScales * sizeof(float));
      const Triplets own = found(first, second, of_blocks);
      ASSERT_EQ(TG_OK, own.status) << own.error;
      EXPECT_EQ(expected.values, own.values) << dtype << " shifted by " << shift;
      EXPECT_EQ(expected.left, own.left) << dtype << " shifted by " << shift;
      EXPECT_EQ(TG_SVD_CHEBYSHEV, own.result.method);
    }
  }
}

}  // namespace
