// Faults around the kernels of a CUDA device: the order of streams, several devices, errors that pass, and small shared memory.
#include <cstring>
#include <random>

#include "device/device_memory.h"
#include "support.h"

namespace {

using support::DeviceMemory;
using support::Setting;
using support::Stream;

class DeviceFaults : public testing::Test {
 protected:
  void SetUp() override {
    if (!support::tests_device()) {
      GTEST_SKIP() << "THREEGATE_TEST_DEVICE is not cuda";
    }
  }
};

support::Context context_of(int32_t index) {
  const tg_context_options options{sizeof(options), 1, TG_CUDA, index, 0};
  tg_context* context = nullptr;
  char error[256] = "";
  EXPECT_EQ(TG_OK, tg_context_create(&options, &context, error, sizeof(error))) << error;
  return support::Context(context);
}

tg_operand operand(const void* data, int64_t rows, int64_t columns, tg_dtype dtype = TG_F32) {
  tg_operand result{};
  result.size = sizeof(result);
  result.values = {data, rows, columns, columns, dtype, 0};
  return result;
}

// The changed entries of a pair, or -1 if the call fails.
int64_t changed(tg_context* context, const tg_operand& base, const tg_operand& tuned) {
  const tg_diff_options options{sizeof(options)};
  tg_diff_result result{};
  result.size = sizeof(result);
  const auto host = support::allocate(64);
  const tg_workspace workspace{sizeof(workspace), host.get(), 64, nullptr, 0};
  return tg_diff(context, &base, &tuned, 1, &options, nullptr, &workspace, nullptr, &result) == TG_OK ? result.changed : -1;
}

constexpr int64_t kRows = 16;
constexpr int64_t kColumns = 64;
constexpr int64_t kEntries = kRows * kColumns;

// Work of a stream that comes late must be seen by a call that follows it. Returns what the call finds: entries that changed.
int64_t changed_behind(tg_context* context, void* stream, int device = 0) {
  const std::vector<float> before(kEntries, 1.0F);
  std::vector<float> after = before;
  after[5] = 2.0F;
  after[700] = 3.0F;
  const DeviceMemory source(kEntries * 4, device);
  const DeviceMemory target(kEntries * 4, device);
  std::memcpy(source.get(), after.data(), kEntries * 4);
  std::memcpy(target.get(), before.data(), kEntries * 4);
  EXPECT_EQ(0, TG_ON_DEVICE(tg_test_copy_late)(device, static_cast<uint32_t*>(target.get()),
                                               static_cast<const uint32_t*>(source.get()), kEntries, stream));
  const int64_t found = changed(context, operand(before.data(), kRows, kColumns), operand(target.get(), kRows, kColumns));
  EXPECT_EQ(0, TG_ON_DEVICE(tg_test_synchronize)(device, stream));
  return found;
}

TEST_F(DeviceFaults, ACallBeginsAfterTheWorkOfTheDefaultStream) {
  const auto context = support::make_context();
  EXPECT_EQ(2, changed_behind(context.get(), nullptr));
  const Stream blocking(true);
  EXPECT_EQ(2, changed_behind(context.get(), blocking.get()));
}

TEST_F(DeviceFaults, ACallBeginsAfterTheWorkOfItsStream) {
  const auto context = support::make_context();
  const Stream stream(false);
  // Without the stream the call does not wait for it.
  EXPECT_EQ(0, changed_behind(context.get(), stream.get()));
  ASSERT_EQ(TG_OK, tg_context_set_stream(context.get(), stream.get())) << support::error_of(context.get());
  EXPECT_EQ(2, changed_behind(context.get(), stream.get()));
  ASSERT_EQ(TG_OK, tg_context_set_stream(context.get(), nullptr));
  EXPECT_EQ(2, changed_behind(context.get(), nullptr));
}

// Two emulated devices, or those of the machine.
class TwoDevices : public DeviceFaults {
 protected:
  void SetUp() override {
    DeviceFaults::SetUp();
    tg_capabilities capabilities{};
    capabilities.size = sizeof(capabilities);
    EXPECT_EQ(TG_OK, tg_capabilities_query(&capabilities));
    if (!IsSkipped() && capabilities.cuda_devices < 2) {
      GTEST_SKIP() << "there is one device; the emulation has more with THREEGATE_EMULATED_DEVICES";
    }
  }
};

TEST_F(TwoDevices, StreamsOfAnotherDeviceAreRefused) {
  const auto first = context_of(0);
  const auto second = context_of(1);
  const Stream stream(false, 1);
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_context_set_stream(first.get(), stream.get()));
  EXPECT_EQ("stream belongs to CUDA device 1; this context uses device 0", support::error_of(first.get()));
  ASSERT_EQ(TG_OK, tg_context_set_stream(second.get(), stream.get())) << support::error_of(second.get());
  EXPECT_EQ(2, changed_behind(second.get(), stream.get(), 1));
}

// Each function refuses memory of the other device, with the name of the argument.
TEST_F(TwoDevices, MemoryOfAnotherDeviceIsRefused) {
  const auto owner = context_of(0);
  tg_context* const context = owner.get();
  void* memory = nullptr;
  ASSERT_EQ(0, TG_ON_DEVICE(tg_test_allocate_on_device)(1, &memory, kEntries * 4));
  const std::vector<float> host(kEntries, 1.0F);
  const tg_operand here = operand(host.data(), kRows, kColumns);
  const tg_operand there = operand(memory, kRows, kColumns);
  const auto expect_refused = [&](const std::string& name, tg_status status) {
    EXPECT_EQ(TG_INVALID_ARGUMENT, status) << name;
    EXPECT_EQ(name + " is in the memory of CUDA device 1; this context uses device 0", support::error_of(context));
  };
  const auto workspace_memory = support::allocate(1 << 20);
  const tg_workspace workspace{sizeof(workspace), workspace_memory.get(), 1 << 20, nullptr, 0};
  EXPECT_EQ(-1, changed(context, here, there));
  EXPECT_EQ("tuned.values.data is in the memory of CUDA device 1; this context uses device 0", support::error_of(context));

  std::vector<uint64_t> mask(kRows);
  auto* const foreign = static_cast<uint64_t*>(memory);
  const tg_mask_options options{sizeof(options), 5, 1, 0};
  tg_mask_scores scores{sizeof(scores), &there, nullptr, nullptr, nullptr, 0, 0, 0};
  expect_refused("scores.matrix.values.data",
                 tg_mask_select(context, &scores, &options, nullptr, &workspace, mask.data(), kRows));
  scores.matrix = &here;
  expect_refused("mask", tg_mask_select(context, &scores, &options, nullptr, &workspace, foreign, kRows));
  const uint64_t* const masks[] = {mask.data(), foreign};
  tg_mask_sets sets{sizeof(sets), &masks[0], 2, kRows, kColumns};
  int64_t entries = 0;
  expect_refused("sets.masks[1]", tg_mask_combine(context, &sets, TG_MASK_UNION, mask.data(), kRows, &entries));
  int64_t common[4] = {};
  expect_refused("sets.masks[1]", tg_mask_overlaps(context, &sets, common, nullptr));
  sets.count = 1;
  expect_refused("result", tg_mask_combine(context, &sets, TG_MASK_UNION, foreign, kRows, &entries));
  std::vector<int64_t> counts(4 * TG_MAGNITUDE_CODES);
  int64_t* const all = counts.data();
  const auto histogram = [&](const tg_operand& matrix, const uint64_t* first) {
    return tg_magnitude_histogram(context, &matrix, first, mask.data(), all, all + TG_MAGNITUDE_CODES,
                                  all + 2 * TG_MAGNITUDE_CODES, all + 3 * TG_MAGNITUDE_CODES);
  };
  expect_refused("matrix.values.data", histogram(there, mask.data()));
  expect_refused("first", histogram(here, foreign));
  std::vector<double> table(TG_MAGNITUDE_CODES);
  std::vector<double> sums(kRows + kColumns);
  expect_refused("matrix.values.data", tg_magnitude_profile(context, &there, table.data(), sums.data(), sums.data() + kRows));

  const tg_layer_samples samples{sizeof(samples), here.values, there.values};
  const tg_operand square = operand(host.data(), kColumns, kColumns);
  const tg_direction direction{sizeof(direction), &square, nullptr, nullptr, nullptr, 0};
  std::vector<double> slopes(kRows);
  double squares = 0;
  expect_refused("samples.gradient.data",
                 tg_layer_slopes(context, &samples, &direction, 1, nullptr, &workspace, slopes.data(), &squares));
  std::vector<double> products(kColumns * kColumns);
  expect_refused("right.data",
                 tg_token_products(context, &here.values, nullptr, &there.values, nullptr, &workspace, products.data()));
  std::vector<double> values(2 * (1 + kRows + kColumns));
  double* const vectors = values.data() + 2;
  tg_svd_result result{sizeof(result), values.data(), vectors, vectors + 2 * kRows, nullptr, 0, 0, 0, 0, 0};
  const tg_svd_options svd{sizeof(svd), 2, 1e-4, 1, 0};
  tg_workspace_size size{sizeof(size), 0, 0};
  ASSERT_EQ(TG_OK, tg_svd_workspace(context, &there, nullptr, 1, &svd, &result, &size)) << support::error_of(context);
  const auto larger = support::allocate(size.host_bytes);
  const tg_workspace room{sizeof(room), larger.get(), size.host_bytes, nullptr, 0};
  expect_refused("matrices[0].values.data", tg_svd(context, &there, nullptr, 1, &svd, nullptr, &room, &result));
  const tg_patch_pair pair{sizeof(pair), host.data(), memory, kEntries, 0, 4, TG_PATCH_XOR};
  const tg_patch_entries none{sizeof(none), nullptr, nullptr, 0, 4, TG_PATCH_XOR};
  expect_refused("pair.after", tg_patch_extract(context, &pair, &none, &entries));
  double rounding = 0;
  const tg_displacement displacement{sizeof(displacement), host.data(), memory, kEntries, TG_F32, 0, 1};
  expect_refused("displacement.direction", tg_displace(context, &displacement, memory, &rounding));
  EXPECT_EQ(0, TG_ON_DEVICE(tg_test_free)(1, memory));
}

TEST_F(TwoDevices, AContextFreesAllMemoryOfItsDevice) {
  const std::vector<float> host(kEntries, 1.0F);
  size_t before = 0;
  ASSERT_EQ(0, TG_ON_DEVICE(tg_test_available)(1, &before));
  {
    const auto context = context_of(1);
    EXPECT_EQ(0, changed(context.get(), operand(host.data(), kRows, kColumns), operand(host.data(), kRows, kColumns)));
  }
  size_t after = 0;
  ASSERT_EQ(0, TG_ON_DEVICE(tg_test_available)(1, &after));
  EXPECT_EQ(before, after);
}

TEST_F(DeviceFaults, AnErrorThatPassesConcernsOneCall) {
  if (!support::is_emulated()) {
    GTEST_SKIP() << "only an emulated device can be made to refuse a launch";
  }
  const auto context = support::make_context();
  const std::vector<float> host(kEntries, 1.0F);
  const tg_operand matrix = operand(host.data(), kRows, kColumns);
  {
    const Setting fault("THREEGATE_EMULATED_FAULT", "argument");
    EXPECT_EQ(-1, changed(context.get(), matrix, matrix));
    EXPECT_NE(std::string::npos, support::error_of(context.get()).find("cudaErrorInvalidValue"));
  }
  EXPECT_EQ(0, changed(context.get(), matrix, matrix)) << support::error_of(context.get());
}

// Data on the device may have any alignment. Kernels load vectors only where it allows that.
TEST_F(DeviceFaults, DataOnTheDeviceMayHaveAnyAlignment) {
  constexpr int64_t kWide = 304;
  constexpr int64_t kStride = kWide + 1;
  constexpr int64_t kHigh = 70;
  constexpr int64_t kRoom = 16;
  constexpr int64_t kCount = kHigh * kWide / 3;
  constexpr int64_t kWords = kHigh * ((kWide + 63) / 64);
  const tg_context_options on_cpu{sizeof(on_cpu), 1, TG_CPU, 0, 0};
  tg_context* made = nullptr;
  ASSERT_EQ(TG_OK, tg_context_create(&on_cpu, &made, nullptr, 0));
  const support::Context cpu(made);
  const auto context = support::make_context();
  std::mt19937_64 random(support::seed());
  struct Kind {
    tg_dtype dtype;
    size_t bytes;
  };
  for (const Kind& kind : {Kind{TG_BF16, 2}, Kind{TG_F32, 4}, Kind{TG_F64, 8}, Kind{TG_F8_E4M3, 1}}) {
    const size_t bytes = static_cast<size_t>(kHigh * kStride) * kind.bytes;
    std::vector<uint8_t> before(bytes);
    for (uint8_t& byte : before) {
      byte = static_cast<uint8_t>(random() % 0x3f);  // finite in every dtype
    }
    std::vector<uint8_t> after = before;
    for (size_t i = 0; i < bytes; i += 17 * kind.bytes) {
      after[i] ^= 1;
    }
    int64_t stride = kStride;
    const auto matrix = [&](const void* data) {
      tg_operand result = operand(data, kHigh, kWide, kind.dtype);
      result.values.row_stride = stride;
      return result;
    };
    const auto select = [&](tg_context* own, const tg_operand& entries) {
      std::vector<uint64_t> mask(kWords);
      const tg_mask_scores scores{sizeof(scores), &entries, nullptr, nullptr, nullptr, 0, 0, 0};
      const tg_mask_options options{sizeof(options), kCount, 0, 0};
      tg_workspace_size size{sizeof(size), 0, 0};
      EXPECT_EQ(TG_OK, tg_mask_select_workspace(own, &scores, &options, &size));
      const auto host = support::allocate(size.host_bytes);
      const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
      EXPECT_EQ(TG_OK, tg_mask_select(own, &scores, &options, nullptr, &workspace, mask.data(), kWords))
          << support::error_of(own);
      return mask;
    };
    const DeviceMemory first(static_cast<int64_t>(bytes) + kRoom);
    const DeviceMemory second(static_cast<int64_t>(bytes) + kRoom);
    for (const int64_t own_stride : {kWide, kStride}) {
      stride = own_stride;
      const std::vector<uint64_t> expected = select(cpu.get(), matrix(before.data()));
      for (const auto& [left, right] : {std::pair{0, 0}, {2, 2}, {8, 8}, {1, 0}, {0, 4}, {3, 7}, {12, 6}}) {
        auto* const base = static_cast<uint8_t*>(first.get()) + left;
        auto* const tuned = static_cast<uint8_t*>(second.get()) + right;
        std::memcpy(base, before.data(), bytes);
        std::memcpy(tuned, after.data(), bytes);
        EXPECT_EQ(changed(context.get(), matrix(before.data()), matrix(after.data())),
                  changed(context.get(), matrix(base), matrix(tuned)))
            << kind.dtype << " " << left << " " << right;
        EXPECT_EQ(expected, select(context.get(), matrix(base))) << kind.dtype << " " << left;
      }
    }
  }
}

}  // namespace
