// What the native tests share: contexts, random codes, replayable seeds.
#ifndef THREEGATE_TESTS_SUPPORT_H
#define THREEGATE_TESTS_SUPPORT_H

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "threegate/threegate.h"

namespace support {

// THREEGATE_TEST_SEED, or a fixed seed; printed with every failure through SCOPED_TRACE.
inline uint64_t seed() {
  const char* given = std::getenv("THREEGATE_TEST_SEED");
  return given == nullptr ? 20251 : std::strtoull(given, nullptr, 10);
}

struct DestroyContext {
  void operator()(tg_context* context) const { EXPECT_EQ(TG_OK, tg_context_destroy(context)); }
};
using Context = std::unique_ptr<tg_context, DestroyContext>;

// Whether contexts are of a CUDA device: THREEGATE_TEST_DEVICE=cuda, with THREEGATE_CUDA_LIBRARY an emulated one where there is
// none.
inline bool tests_device() {
  const char* device = std::getenv("THREEGATE_TEST_DEVICE");
  return device != nullptr && std::string(device) == "cuda";
}

// Whether that device is the CPU's emulation.
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

// The SIMD levels of this machine; the kernels are tested at each.
inline std::vector<std::string> simd_levels() {
  tg_capabilities capabilities{};
  capabilities.size = sizeof(capabilities);
  EXPECT_EQ(TG_OK, tg_capabilities_query(&capabilities));
  std::vector<std::string> levels{"scalar", "avx2", "avx512"};
  // A device has one.
  levels.resize(tests_device() ? 1 : static_cast<size_t>(capabilities.simd) + 1);
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

// Random orthonormal rows, by Gram-Schmidt, twice.
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

}  // namespace support

#endif  // THREEGATE_TESTS_SUPPORT_H
