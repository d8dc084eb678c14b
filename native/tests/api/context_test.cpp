#include <array>
#include <cstddef>
#include <memory>
#include <sstream>
#include <thread>
#include <vector>

#include "api/processor_name.h"
#include "support.h"

extern "C" int32_t abi_version_in_c(void);

namespace {

TEST(Context, AbiVersionIsTheHeaders) { EXPECT_EQ(TG_ABI_VERSION, abi_version_in_c()); }

TEST(Context, RefusesBadOptionsWithAReason) {
  tg_context* context = nullptr;
  char error[256] = "";
  const tg_context_options wrong_size{7, 1, TG_CPU, 0, 0};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_context_create(&wrong_size, &context, error, sizeof(error)));
  EXPECT_STREQ("options is a struct of size 7; the size in this library is 24", error);
  const tg_context_options threads{sizeof(tg_context_options), -1, TG_CPU, 0, 0};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_context_create(&threads, &context, error, sizeof(error)));
  EXPECT_STREQ("options.threads is -1; allowed are 0 (all) to 1024", error);
  const tg_context_options device{sizeof(tg_context_options), 1, 9, 0, 0};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_context_create(&device, &context, error, sizeof(error)));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_context_create(nullptr, &context, nullptr, 0));
  EXPECT_EQ(nullptr, context);
}

TEST(Context, FillsCapabilitiesOfAnOlderProgram) {
  tg_capabilities whole{};
  whole.size = sizeof(whole);
  ASSERT_EQ(TG_OK, tg_capabilities_query(&whole));
  EXPECT_NE(std::string::npos, std::string(whole.blas_file).find("libopenblas"));
  // AddressSanitizer would detect a write beyond these bytes.
  const auto older = std::make_unique<std::array<uint64_t, offsetof(tg_capabilities, blas_file) / 8>>();
  auto* capabilities = reinterpret_cast<tg_capabilities*>(older->data());
  capabilities->size = sizeof(*older);
  ASSERT_EQ(TG_OK, tg_capabilities_query(capabilities));
  EXPECT_EQ(static_cast<int64_t>(sizeof(*older)), capabilities->size);
  EXPECT_STREQ(whole.blas, capabilities->blas);
  for (const int64_t size : {int64_t{0}, capabilities->size - 8, whole.size + 8}) {
    capabilities->size = size;
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_capabilities_query(capabilities));
  }
}

TEST(Context, SaysWhyCudaIsNotThere) {
  tg_capabilities capabilities{};
  capabilities.size = sizeof(capabilities);
  ASSERT_EQ(TG_OK, tg_capabilities_query(&capabilities));
  if (capabilities.cuda_devices > 0) {
    EXPECT_STREQ("", capabilities.cuda_reason);
    return;
  }
  EXPECT_STRNE("", capabilities.cuda_reason);
  if (const char* expected = std::getenv("THREEGATE_TEST_CUDA_REASON")) {
    EXPECT_STREQ(expected, capabilities.cuda_reason);
  }
  const tg_context_options options{sizeof(tg_context_options), 1, TG_CUDA, 0, 0};
  tg_context* context = nullptr;
  char error[400] = "";
  EXPECT_EQ(TG_UNSUPPORTED, tg_context_create(&options, &context, error, sizeof(error)));
  EXPECT_EQ(std::string("CUDA is not available: ") + capabilities.cuda_reason, error);
}

TEST(Context, CancelsCallsThatTakeNoControl) {
  const tg_context_options options{sizeof(tg_context_options), 2, TG_CPU, 0, 0};
  tg_context* context = nullptr;
  ASSERT_EQ(TG_OK, tg_context_create(&options, &context, nullptr, 0));
  const std::vector<uint64_t> words(4096, 5);
  const std::array<const uint64_t*, 2> masks{words.data(), words.data()};
  const tg_mask_sets sets{sizeof(tg_mask_sets), masks.data(), 2, 4096, 64};
  std::array<int64_t, 4> common{};
  tg_control control{};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_context_set_control(context, &control));
  control.size = sizeof(control);
  control.cancel = 1;
  ASSERT_EQ(TG_OK, tg_context_set_control(context, &control));
  EXPECT_EQ(TG_CANCELLED, tg_mask_overlaps(context, &sets, common.data(), nullptr));
  control.cancel = 0;
  EXPECT_EQ(TG_OK, tg_mask_overlaps(context, &sets, common.data(), nullptr));
  EXPECT_EQ(2 * 4096, common[1]);
  control.cancel = 1;
  ASSERT_EQ(TG_OK, tg_context_set_control(context, nullptr));
  EXPECT_EQ(TG_OK, tg_mask_overlaps(context, &sets, common.data(), nullptr));
  EXPECT_EQ(TG_OK, tg_context_destroy(context));
}

TEST(Context, TheCpuHasNoStreams) {
  const tg_context_options options{sizeof(options), 1, TG_CPU, 0, 0};
  tg_context* context = nullptr;
  ASSERT_EQ(TG_OK, tg_context_create(&options, &context, nullptr, 0));
  EXPECT_EQ(TG_OK, tg_context_set_stream(context, nullptr));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_context_set_stream(context, &context));
  EXPECT_EQ("stream is a stream; a context of the CPU takes NULL only", support::error_of(context));
  EXPECT_EQ(TG_OK, tg_context_destroy(context));
}

TEST(Context, ForcedSimdLevelIsObeyedOrRefused) {
  tg_capabilities capabilities{};
  capabilities.size = sizeof(capabilities);
  setenv("THREEGATE_SIMD", "scalar", 1);
  EXPECT_EQ(TG_OK, tg_capabilities_query(&capabilities));
  EXPECT_EQ(TG_SIMD_SCALAR, capabilities.simd);
  EXPECT_EQ(support::simd_names().size() > 1, std::string(capabilities.simd_reason).find("THREEGATE_SIMD") == 0);
  setenv("THREEGATE_SIMD", "mmx", 1);
  const tg_context_options options{sizeof(tg_context_options), 1, TG_CPU, 0, 0};
  tg_context* context = nullptr;
  char error[256] = "";
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_context_create(&options, &context, error, sizeof(error)));
  std::string names;
  for (const auto& [code, name] : support::simd_names()) {
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  EXPECT_EQ("THREEGATE_SIMD is \"mmx\"; allowed are " + names, error);
  unsetenv("THREEGATE_SIMD");
}

TEST(Context, NamesTheProcessorsOfEveryArchitecture) {
  const auto name = [](const std::string& text) {
    std::istringstream info(text);
    return threegate::processor_name(info);
  };
  EXPECT_EQ("AMD EPYC", name("processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\n"));
  EXPECT_EQ("Arm Neoverse V2", name("processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd4f\n"));
  EXPECT_EQ("AArch64 implementer 0x61, part 0x022", name("CPU implementer\t: 0x61\nCPU part\t: 0x022\n"));
  EXPECT_EQ("unknown processor", name(""));
}

TEST(Context, ThreadsAreWhatWasAskedFor) {
  const auto context = support::make_context(3);
  int32_t threads = 0;
  EXPECT_EQ(TG_OK, tg_context_threads(context.get(), &threads));
  EXPECT_EQ(3, threads);
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_context_threads(context.get(), nullptr));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_context_threads(nullptr, &threads));
}

TEST(Context, EverythingCreatedIsCountedAndGone) {
  int64_t objects = 0;
  int64_t bytes = 0;
  ASSERT_EQ(TG_OK, tg_live_objects(&objects, &bytes));
  {
    const auto context = support::make_context(2);
    const auto memory = support::allocate(1000);
    EXPECT_EQ(0U, reinterpret_cast<uintptr_t>(memory.get()) % 64);
    int64_t more = 0;
    int64_t more_bytes = 0;
    ASSERT_EQ(TG_OK, tg_live_objects(&more, &more_bytes));
    EXPECT_EQ(objects + 2, more);
    EXPECT_EQ(bytes + 1000, more_bytes);
  }
  int64_t after = 0;
  int64_t bytes_after = 0;
  ASSERT_EQ(TG_OK, tg_live_objects(&after, &bytes_after));
  EXPECT_EQ(objects, after);
  EXPECT_EQ(bytes, bytes_after);
}

TEST(Memory, RefusesWhatCannotBe) {
  void* memory = nullptr;
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_memory_allocate(-1, &memory));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_memory_allocate(1, nullptr));
  EXPECT_EQ(TG_OUT_OF_MEMORY, tg_memory_allocate(INT64_MAX, &memory));
  EXPECT_EQ(TG_OK, tg_memory_free(nullptr));
}

}  // namespace
