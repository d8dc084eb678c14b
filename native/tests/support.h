// Functions that the native tests share: contexts, random codes and reproducible seeds.
#ifndef THREEGATE_TESTS_SUPPORT_H
#define THREEGATE_TESTS_SUPPORT_H

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "threegate/threegate.h"

namespace support {

// THREEGATE_TEST_SEED or a fixed seed. SCOPED_TRACE prints it with every failure.
inline uint64_t seed() {
  const char* given = std::getenv("THREEGATE_TEST_SEED");
  return given == nullptr ? 20251 : std::strtoull(given, nullptr, 10);
}

// A variable of the environment, until the end of a block.
struct Setting {
  Setting(const char* setting, const std::string& value) : name(setting) {
    const char* before = std::getenv(setting);
    kept = before == nullptr ? "" : before;
    setenv(setting, value.c_str(), 1);
  }
  ~Setting() { kept.empty() ? unsetenv(name) : setenv(name, kept.c_str(), 1); }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;
  const char* name;
  std::string kept;
};

struct DestroyContext {
  void operator()(tg_context* context) const { EXPECT_EQ(TG_OK, tg_context_destroy(context)); }
};
using Context = std::unique_ptr<tg_context, DestroyContext>;

// Returns whether contexts use a CUDA device: THREEGATE_TEST_DEVICE=cuda. THREEGATE_CUDA_LIBRARY may name an emulated one.
inline bool tests_device() {
  const char* device = std::getenv("THREEGATE_TEST_DEVICE");
  return device != nullptr && std::string(device) == "cuda";
}

// Returns whether that device is the emulation on the CPU.
inline bool is_emulated() {
  tg_capabilities capabilities{};
  capabilities.size = sizeof(capabilities);
  EXPECT_EQ(TG_OK, tg_capabilities_query(&capabilities));
  return std::string(capabilities.cuda).find("emulated") != std::string::npos;
}

inline Context make_context(int threads = 1, const char* simd = nullptr) {
  if (simd != nullptr) {
    setenv("THREEGATE_SIMD", simd, 1);
  }
  const tg_context_options options{sizeof(tg_context_options), threads, tests_device() ? TG_CUDA : TG_CPU, 0, 0};
  tg_context* context = nullptr;
  char error[256] = "";
  const tg_status status = tg_context_create(&options, &context, error, sizeof(error));
  if (simd != nullptr) {
    unsetenv("THREEGATE_SIMD");
  }
  EXPECT_EQ(TG_OK, status) << error;
  return Context(context);
}

inline std::string error_of(tg_context* context) {
  char text[512] = "";
  EXPECT_EQ(TG_OK, tg_error_message(context, text, sizeof(text)));
  return text;
}

// Returns whether the device can use libraries for dense algebra.
inline bool has_dense_algebra() {
  const char* directory = std::getenv("THREEGATE_CUDA_LIBRARIES");
  return directory == nullptr || std::string(directory) != "/nowhere";
}

// The tolerances of `all` (descending) that are worth the time of a run. On an emulated device without libraries these are the
// ones that the device reaches by itself, and the next one, which it leaves to the CPU. With libraries they are the remaining
// ones.
inline std::vector<double> tolerances(const std::vector<double>& all) {
  if (!tests_device() || !is_emulated()) {
    return all;
  }
  constexpr double kLeastOnDevice = 1e-5;
  const auto beyond = std::find_if(all.begin(), all.end(), [](double tolerance) { return tolerance < kLeastOnDevice; });
  return has_dense_algebra() ? std::vector<double>(beyond, all.end())
                             : std::vector<double>(all.begin(), beyond == all.end() ? beyond : beyond + 1);
}

// The SIMD levels of this architecture, ascending.
inline std::vector<std::pair<int, const char*>> simd_names() {
#if defined(__x86_64__)
  return {{TG_SIMD_SCALAR, "scalar"}, {TG_SIMD_AVX2, "avx2"}, {TG_SIMD_AVX512, "avx512"}};
#elif defined(__aarch64__)
  return {{TG_SIMD_SCALAR, "scalar"}, {TG_SIMD_NEON, "neon"}};
#else
  return {{TG_SIMD_SCALAR, "scalar"}};
#endif
}

// The SIMD levels of this machine. Kernels are tested at each of them.
inline std::vector<std::string> simd_levels() {
  tg_capabilities capabilities{};
  capabilities.size = sizeof(capabilities);
  EXPECT_EQ(TG_OK, tg_capabilities_query(&capabilities));
  std::vector<std::string> levels{"scalar"};
  if (tests_device()) {
    return levels;  // a device has one level
  }
  for (const auto& [code, name] : simd_names()) {
    if (code != TG_SIMD_SCALAR && code <= capabilities.simd) {
      levels.emplace_back(name);
    }
  }
  return levels;
}

struct FreeMemory {
  void operator()(void* memory) const { EXPECT_EQ(TG_OK, tg_memory_free(memory)); }
};
using Memory = std::unique_ptr<void, FreeMemory>;

inline Memory allocate(int64_t bytes) {
  void* memory = nullptr;
  EXPECT_EQ(TG_OK, tg_memory_allocate(bytes, &memory));
  return Memory(memory);
}

using Rows = std::vector<std::vector<double>>;

// Random orthonormal rows, by two passes of Gram-Schmidt.
inline Rows orthonormal(int64_t count, int64_t length, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  Rows rows;
  while (static_cast<int64_t>(rows.size()) < count) {
    std::vector<double> row(static_cast<size_t>(length));
    for (double& entry : row) {
      entry = normal(random);
    }
    for (int pass = 0; pass < 2; ++pass) {
      for (const auto& other : rows) {
        double sum = 0;
        for (size_t i = 0; i < row.size(); ++i) {
          sum += row[i] * other[i];
        }
        for (size_t i = 0; i < row.size(); ++i) {
          row[i] -= sum * other[i];
        }
      }
    }
    double norm = 0;
    for (const double entry : row) {
      norm += entry * entry;
    }
    for (double& entry : row) {
      entry /= std::sqrt(norm);
    }
    rows.push_back(row);
  }
  return rows;
}

// Zeroed memory that takes no physical memory until it is written.
class ZeroPages {
 public:
  explicit ZeroPages(size_t bytes)
      : bytes_(bytes), data_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    EXPECT_NE(MAP_FAILED, data_);
  }
  ~ZeroPages() { munmap(data_, bytes_); }
  ZeroPages(const ZeroPages&) = delete;
  ZeroPages& operator=(const ZeroPages&) = delete;
  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] size_t bytes() const { return bytes_; }

 private:
  size_t bytes_;
  void* data_;
};

// Address space of any size in which every 64 MiB are the same physical memory.
class RepeatedPages {
 public:
  explicit RepeatedPages(size_t bytes) : room_(bytes + kEach) {
    const int file = memfd_create("repeated", 0);
    EXPECT_EQ(0, ftruncate(file, kEach));
    for (size_t at = 0; at < bytes; at += kEach) {
      EXPECT_NE(MAP_FAILED,
                mmap(static_cast<uint8_t*>(room_.data()) + at, kEach, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0));
    }
    close(file);
  }
  [[nodiscard]] void* data() const { return room_.data(); }

 private:
  static constexpr size_t kEach = size_t{64} << 20;
  ZeroPages room_;
};

}  // namespace support

#endif  // THREEGATE_TESTS_SUPPORT_H
