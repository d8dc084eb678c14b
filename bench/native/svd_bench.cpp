// Leading singular triplets of bf16 matrices of the shapes of language models, one thread. Writes the matrices, widened to
// float32, to DIR/ROWSxCOLUMNS.f32 for the peers, and prints: rows, columns, rank, tolerance, name, seconds (the best of three),
// residual.
//
//   threegate_bench_svd DIR
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "threegate/threegate.h"

namespace {

struct Shape {
  int64_t rows;
  int64_t columns;
};

// A flat bulk and a few spikes, as weight matrices have.
std::vector<uint16_t> weights(const Shape& shape) {
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
  std::vector<uint16_t> codes;
  codes.reserve(entries.size());
  for (const float entry : entries) {
    uint32_t bits = 0;
    __builtin_memcpy(&bits, &entry, sizeof(bits));
    codes.push_back(static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16));
  }
  return codes;
}

void write(const std::string& path, const std::vector<uint16_t>& codes) {
  std::vector<uint32_t> wide;
  wide.reserve(codes.size());
  for (const uint16_t code : codes) {
    wide.push_back(static_cast<uint32_t>(code) << 16);
  }
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(wide.data()), static_cast<std::streamsize>(4 * wide.size()));
}

struct Free {
  void operator()(void* memory) const { tg_memory_free(memory); }
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: threegate_bench_svd DIR\n");
    return 2;
  }
  const tg_context_options options{sizeof(options), 1, TG_CPU, 0, 0};
  tg_context* context = nullptr;
  char error[256] = "";
  if (tg_context_create(&options, &context, error, sizeof(error)) != TG_OK) {
    std::fprintf(stderr, "%s\n", error);
    return 1;
  }
  for (const Shape& shape : {Shape{1536, 1536}, Shape{1536, 8960}, Shape{4096, 4096}}) {
    const std::vector<uint16_t> codes = weights(shape);
    write(std::string(arguments[1]) + "/" + std::to_string(shape.rows) + "x" + std::to_string(shape.columns) + ".f32", codes);
    tg_operand matrix{};
    matrix.size = sizeof(matrix);
    matrix.values = {codes.data(), shape.rows, shape.columns, shape.columns, TG_BF16, 0};
    for (const int64_t rank : {32, 128, 512}) {
      for (const double tolerance : {1e-4, 1e-6}) {
        std::vector<double> values(static_cast<size_t>(rank));
        std::vector<double> left(static_cast<size_t>(rank * shape.rows));
        std::vector<double> right(static_cast<size_t>(rank * shape.columns));
        const tg_svd_options request{sizeof(request), rank, tolerance, 1, 0};
        tg_svd_result result{sizeof(result), values.data(), left.data(), right.data(), nullptr, 0, 0, 0, 0, 0};
        tg_workspace_size size{sizeof(size), 0, 0};
        void* memory = nullptr;
        if (tg_svd_workspace(context, &matrix, nullptr, 1, &request, &result, &size) != TG_OK ||
            tg_memory_allocate(size.host_bytes, &memory) != TG_OK) {
          return 1;
        }
        const std::unique_ptr<void, Free> host(memory);
        const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
        double best = 1e9;
        for (int run = 0; run < 3; ++run) {
          const auto start = std::chrono::steady_clock::now();
          if (tg_svd(context, &matrix, nullptr, 1, &request, nullptr, &workspace, &result) != TG_OK) {
            tg_error_message(context, error, sizeof(error));
            std::fprintf(stderr, "%s\n", error);
            return 1;
          }
          best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
        }
        std::printf("%lld\t%lld\t%lld\t%g\tthreegate\t%.4f\t%.1e\n", static_cast<long long>(shape.rows),
                    static_cast<long long>(shape.columns), static_cast<long long>(rank), tolerance, best, result.residual);
        std::fflush(stdout);
      }
    }
  }
  tg_context_destroy(context);
  return 0;
}
