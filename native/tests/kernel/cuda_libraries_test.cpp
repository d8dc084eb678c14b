// Where cuBLAS and cuSOLVER are looked for. They are loaded once in a process, so each test has one of its own.
#include <dlfcn.h>

#include "support.h"

namespace {

constexpr int64_t kOrder = 90;  // more than a block of a kernel solves

bool is_loaded() { return dlopen("libcusolver.so.12", RTLD_NOW | RTLD_NOLOAD) != nullptr; }

tg_status spectrum(tg_context* context, bool computes = true) {
  std::vector<float> entries(static_cast<size_t>(kOrder * kOrder));
  for (int64_t i = 0; i < kOrder; ++i) {
    entries[static_cast<size_t>(i * (kOrder + 1))] = static_cast<float>(i + 1);
  }
  tg_operand matrix{};
  matrix.size = sizeof(matrix);
  matrix.values = {entries.data(), kOrder, kOrder, kOrder, TG_F32, 0};
  std::vector<double> values(static_cast<size_t>(kOrder));
  std::vector<double> all(static_cast<size_t>(kOrder));
  tg_svd_result result{sizeof(result), values.data(), nullptr, nullptr, all.data(), 0, 0, 0, 0, 0};
  const tg_svd_options options{sizeof(options), kOrder, 1e-9, 0, 0};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_svd_workspace(context, &matrix, nullptr, 1, &options, &result, &size)) << support::error_of(context);
  const auto host = support::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  const tg_status status = tg_svd(context, &matrix, nullptr, 1, &options, nullptr, &workspace, &result);
  EXPECT_NEAR(computes ? static_cast<double>(kOrder) : 0, values[0], 1e-9 * kOrder);
  return status;
}

TEST(CudaLibraries, CannotBeSetWithoutADevice) {
  if (support::tests_device()) {
    GTEST_SKIP() << "there is a device";
  }
  EXPECT_EQ(TG_UNSUPPORTED, tg_set_cuda_library_path("/nowhere"));
}

TEST(CudaLibraries, AreLoadedFromTheDirectoriesThatWereSetLast) {
  const char* directory = std::getenv("THREEGATE_TEST_CUDA_DIRECTORY");
  if (directory == nullptr) {
    GTEST_SKIP() << "THREEGATE_TEST_CUDA_DIRECTORY names no directory";
  }
  const std::string path = "/nowhere:" + std::string(directory);
  EXPECT_EQ(TG_OK, tg_set_cuda_library_path("/nowhere"));
  EXPECT_EQ(TG_OK, tg_set_cuda_library_path(nullptr));
  EXPECT_EQ(TG_OK, tg_set_cuda_library_path(path.c_str()));
  EXPECT_FALSE(is_loaded());
  const auto context = support::make_context();
  EXPECT_EQ(TG_OK, spectrum(context.get())) << support::error_of(context.get());
  EXPECT_TRUE(is_loaded());
  EXPECT_EQ(TG_OK, tg_set_cuda_library_path(path.c_str()));
  EXPECT_EQ(TG_UNSUPPORTED, tg_set_cuda_library_path("/nowhere"));
}

// NVIDIA's own libraries, which ci/cuda-libraries has fetched. The emulated device is none for them. They say so after all
// functions were found.
TEST(CudaLibraries, OfNvidiaLackADeviceAndNothingElse) {
  const char* directories = std::getenv("THREEGATE_TEST_NVIDIA_LIBRARIES");
  if (directories == nullptr) {
    GTEST_SKIP() << "THREEGATE_TEST_NVIDIA_LIBRARIES names no directories";
  }
  ASSERT_EQ(TG_OK, tg_set_cuda_library_path(directories));
  const auto context = support::make_context();
  EXPECT_EQ(TG_DEVICE, spectrum(context.get(), false));
  EXPECT_EQ("cuBLAS finds no device that it can use", support::error_of(context.get()));
  EXPECT_TRUE(is_loaded());
}

}  // namespace
