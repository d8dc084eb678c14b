// Functions that the benchmarks of matrices share.
#ifndef THREEGATE_BENCH_SUPPORT_H
#define THREEGATE_BENCH_SUPPORT_H

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <random>
#include <vector>

#include "threegate/threegate.h"

namespace bench {

struct Shape {
  int64_t rows;
  int64_t columns;
};

// Shapes of matrices in language models.
constexpr Shape kShapes[] = {{1536, 1536}, {1536, 8960}, {4096, 4096}};

struct Free {
  void operator()(void* memory) const { tg_memory_free(memory); }
};
using Memory = std::unique_ptr<void, Free>;

struct Destroy {
  void operator()(tg_context* context) const { tg_context_destroy(context); }
};
using Context = std::unique_ptr<tg_context, Destroy>;

[[noreturn]] inline void fail(const char* text) {
  std::fprintf(stderr, "%s\n", text);
  std::exit(1);
}

inline void require(tg_context* context, tg_status status) {
  if (status != TG_OK) {
    char error[256] = "";
    tg_error_message(context, error, sizeof(error));
    fail(error);
  }
}

inline Context open_context(int threads = 1) {
  const tg_context_options options{sizeof(options), threads, TG_CPU, 0, 0};
  tg_context* context = nullptr;
  char error[256] = "";
  if (tg_context_create(&options, &context, error, sizeof(error)) != TG_OK) {
    fail(error);
  }
  return Context(context);
}

inline Memory allocate(int64_t bytes) {
  void* memory = nullptr;
  if (tg_memory_allocate(bytes, &memory) != TG_OK) {
    fail("out of memory");
  }
  std::memset(memory, 0, static_cast<size_t>(bytes));
  return Memory(memory);
}

// Returns the best time of several runs.
template <typename Work>
double seconds(int runs, Work work) {
  double best = 1e9;
  for (int run = 0; run < runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

// Returns the least processor time of several runs with one thread. It does not contain the work of other programs.
template <typename Work>
double processor_seconds(int runs, Work work) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  double best = 1e9;
  for (int run = 0; run < runs; ++run) {
    const double start = now();
    work();
    best = std::min(best, now() - start);
  }
  return best;
}

inline uint16_t to_bf16(float entry) {
  uint32_t bits = 0;
  std::memcpy(&bits, &entry, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

inline float from_bf16(uint16_t code) {
  const uint32_t bits = static_cast<uint32_t>(code) << 16;
  float entry = 0;
  std::memcpy(&entry, &bits, sizeof(entry));
  return entry;
}

// Weights with a flat bulk of singular values and a few spikes, like those of language models.
inline std::vector<uint16_t> weights(const Shape& shape) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> entries(static_cast<size_t>(shape.rows * shape.columns));
  for (float& entry : entries) {
    entry = 0.02F * normal(random);
  }
  constexpr int kSpikes = 20;
  const float scale = 0.02F / std::sqrt(static_cast<float>(std::max(shape.rows, shape.columns)));
  for (int spike = 0; spike < kSpikes; ++spike) {
    std::vector<float> right(static_cast<size_t>(shape.columns));
    for (float& entry : right) {
      entry = normal(random);
    }
    for (int64_t i = 0; i < shape.rows; ++i) {
      const float left = scale * (4.0F / static_cast<float>(spike + 1) + 0.3F) * normal(random);
      for (int64_t j = 0; j < shape.columns; ++j) {
        entries[static_cast<size_t>(i * shape.columns + j)] += left * right[static_cast<size_t>(j)];
      }
    }
  }
  std::vector<uint16_t> codes(entries.size());
  std::transform(entries.begin(), entries.end(), codes.begin(), to_bf16);
  return codes;
}

inline tg_operand operand(const std::vector<uint16_t>& codes, const Shape& shape) {
  tg_operand matrix{};
  matrix.size = sizeof(matrix);
  matrix.values = {codes.data(), shape.rows, shape.columns, shape.columns, TG_BF16, 0};
  return matrix;
}

// Triplets and their memory.
struct Triplets {
  Triplets(const Shape& shape, int64_t rank, double tolerance)
      : values(static_cast<size_t>(rank)),
        left(static_cast<size_t>(rank * shape.rows)),
        right(static_cast<size_t>(rank * shape.columns)),
        options{sizeof(options), rank, tolerance, 1, 0},
        result{sizeof(result), values.data(), left.data(), right.data(), nullptr, 0, 0, 0, 0, 0} {}

  std::vector<double> values;
  std::vector<double> left;
  std::vector<double> right;
  tg_svd_options options;
  tg_svd_result result;
};

// Returns the processor seconds that tg_svd takes.
inline double decompose(tg_context* context, const tg_operand& matrix, Triplets& triplets, int runs) {
  tg_workspace_size size{sizeof(size), 0, 0};
  require(context, tg_svd_workspace(context, &matrix, nullptr, 1, &triplets.options, &triplets.result, &size));
  const Memory host = allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  return processor_seconds(runs, [&] {
    require(context, tg_svd(context, &matrix, nullptr, 1, &triplets.options, nullptr, &workspace, &triplets.result));
  });
}

}  // namespace bench

#endif  // THREEGATE_BENCH_SUPPORT_H
