// Measures the comparison of two buffers with all outputs except the mask, and the read bandwidth of the same buffers.
//
// BM_Read/CHANGED/T sums both buffers as 64-bit words on T threads, which is the physical limit of the run. BM_Diff/CHANGED/T
// compares the buffers, where CHANGED tenths of a per cent of the entries moved by a step of the size of an RL step. There are 64
// M entries in rows of 1536, so that no cache holds the data. Both report bytes per second of real time.
#include <benchmark/benchmark.h>
#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "threegate/threegate.h"

namespace {

constexpr int64_t kRows = 43691;
constexpr int64_t kColumns = 1536;
constexpr int64_t kElements = kRows * kColumns;
constexpr int64_t kBytes = 2 * 2 * kElements;

struct Free {
  void operator()(void* memory) const { tg_memory_free(memory); }
};
using Memory = std::unique_ptr<void, Free>;

Memory allocate(int64_t bytes) {
  void* memory = nullptr;
  if (tg_memory_allocate(bytes, &memory) != TG_OK) {
    std::fprintf(stderr, "out of memory\n");
    std::exit(1);
  }
  return Memory(memory);
}

uint16_t to_bf16(float value) {
  uint32_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

float to_float(uint16_t code) {
  const uint32_t bits = static_cast<uint32_t>(code) << 16;
  float value = 0;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}

// Gaussian weights with standard deviation 0.02. Every changed entry moves by one to two of its own spacings, or by 1e-4 if that
// is larger. Small weights then cross binades and signs, as they do in a real step.
struct Pair {
  explicit Pair(int64_t per_mille) : base(allocate(2 * kElements)), tuned(allocate(2 * kElements)) {
    auto* a = static_cast<uint16_t*>(base.get());
    auto* b = static_cast<uint16_t*>(tuned.get());
    std::mt19937_64 random(7);
    std::vector<float> normals(1 << 20);
    std::normal_distribution<float> normal(0.0F, 0.02F);
    for (float& value : normals) {
      value = normal(random);
    }
    for (int64_t i = 0; i < kElements; ++i) {
      a[i] = to_bf16(normals[random() % normals.size()]);
      const uint64_t draw = random();
      const bool changes = static_cast<int64_t>(draw % 1000) < per_mille;
      const float value = to_float(a[i]);
      const float step = std::max(std::abs(value) * 0.012F, 1e-4F);
      b[i] = changes ? to_bf16((draw >> 32 & 1) != 0 ? value + step : value - step) : a[i];
    }
  }
  Memory base;
  Memory tuned;
};

const Pair& pair(int64_t per_mille) {
  static int64_t current = -1;
  static std::unique_ptr<Pair> held;
  if (current != per_mille) {
    held.reset();
    held = std::make_unique<Pair>(per_mille);
    current = per_mille;
  }
  return *held;
}

uint64_t sum_words(const uint8_t* data, int64_t bytes) {
  __m256i sums[8] = {};
  for (int64_t i = 0; i + 256 <= bytes; i += 256) {
    for (int k = 0; k < 8; ++k) {
      sums[k] = _mm256_add_epi64(sums[k], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + i + 32 * k)));
    }
  }
  uint64_t total = 0;
  for (const __m256i& sum : sums) {
    total += static_cast<uint64_t>(_mm256_extract_epi64(sum, 0)) + static_cast<uint64_t>(_mm256_extract_epi64(sum, 2));
  }
  return total;
}

// Reads both buffers side by side, as the comparison does.
uint64_t sum_both(const uint8_t* a, const uint8_t* b, int64_t bytes) {
  constexpr int64_t kChunk = 3072;
  uint64_t total = 0;
  for (int64_t i = 0; i < bytes; i += kChunk) {
    const int64_t count = std::min(kChunk, bytes - i);
    total += sum_words(a + i, count) + sum_words(b + i, count);
  }
  return total;
}

// Threads that exist before the clock starts, like those of a context, and take parts of the buffers as they become free. They
// wait without sleeping, because a limit should not contain the cost of waking up.
class Readers {
 public:
  Readers(int64_t threads, const uint8_t* a, const uint8_t* b, int64_t bytes) : a_(a), b_(b), bytes_(bytes) {
    for (int64_t thread = 1; thread < threads; ++thread) {
      workers_.emplace_back([this] {
        for (int64_t seen = 0; !stopping_;) {
          if (round_ != seen) {
            seen = round_;
            take();
            ++finished_;
          }
        }
      });
    }
  }
  ~Readers() {
    stopping_ = true;
    for (std::thread& worker : workers_) {
      worker.join();
    }
  }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  void read() {
    next_ = 0;
    finished_ = 0;
    ++round_;
    take();
    while (finished_ < workers_.size()) {
    }
  }

 private:
  void take() {
    constexpr int64_t kPart = 1 << 20;
    for (int64_t i = next_.fetch_add(kPart); i < bytes_; i = next_.fetch_add(kPart)) {
      benchmark::DoNotOptimize(sum_both(a_ + i, b_ + i, std::min(kPart, bytes_ - i)));
    }
  }

  const uint8_t* a_;
  const uint8_t* b_;
  int64_t bytes_;
  std::atomic<int64_t> next_{0};
  std::atomic<int64_t> round_{0};
  std::atomic<size_t> finished_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
};

void BM_Read(benchmark::State& state) {
  const Pair& data = pair(state.range(0));
  Readers readers(state.range(1), static_cast<const uint8_t*>(data.base.get()), static_cast<const uint8_t*>(data.tuned.get()),
                  kBytes / 2);
  for (auto _ : state) {
    readers.read();
  }
  state.SetBytesProcessed(state.iterations() * kBytes);
}

// Measures the comparison with all profiles except the mask.
void run_diff(benchmark::State& state, const uint16_t* base_codes, const uint16_t* tuned_codes, int64_t row_count,
              int64_t threads) {
  const tg_context_options options{sizeof(tg_context_options), static_cast<int32_t>(threads), TG_CPU, 0, 0};
  tg_context* context = nullptr;
  char error[256];
  if (tg_context_create(&options, &context, error, sizeof(error)) != TG_OK) {
    state.SkipWithError(error);
    return;
  }
  const auto operand = [row_count](const uint16_t* codes) {
    tg_operand result{};
    result.size = sizeof(tg_operand);
    result.values = {codes, row_count, kColumns, kColumns, TG_BF16, 0};
    return result;
  };
  const tg_operand base = operand(base_codes);
  const tg_operand tuned = operand(tuned_codes);
  std::vector<int64_t> rows(static_cast<size_t>(row_count));
  std::vector<int64_t> columns(kColumns);
  std::vector<int64_t> map(64 * 64);
  const tg_diff_options diff_options{sizeof(tg_diff_options)};
  const tg_diff_profiles profiles{sizeof(tg_diff_profiles), rows.data(), columns.data(), nullptr, 0, map.data(), 64, 64};
  tg_workspace_size size{sizeof(tg_workspace_size), 0, 0};
  tg_diff_workspace(context, &base, &tuned, 1, &diff_options, &profiles, &size);
  const Memory host = allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(tg_workspace), host.get(), size.host_bytes, nullptr, 0};
  tg_diff_result result{};
  result.size = sizeof(result);
  for (auto _ : state) {
    if (tg_diff(context, &base, &tuned, 1, &diff_options, nullptr, &workspace, &profiles, &result) != TG_OK) {
      tg_error_message(context, error, sizeof(error));
      state.SkipWithError(error);
      break;
    }
  }
  state.SetBytesProcessed(state.iterations() * 4 * row_count * kColumns);
  // A label instead of a counter, because the CSV reporter requires every counter in every benchmark.
  state.SetLabel(std::to_string(result.changed) + " changed");
  tg_context_destroy(context);
}

void BM_Diff(benchmark::State& state) {
  const Pair& data = pair(state.range(0));
  run_diff(state, static_cast<const uint16_t*>(data.base.get()), static_cast<const uint16_t*>(data.tuned.get()), kRows,
           state.range(1));
}

// The data of two .safetensors files (THREEGATE_BENCH_BASE and _TUNED) as rows of kColumns. The compared programs read the same
// files.
std::vector<uint16_t> file_codes(const char* variable) {
  const char* path = std::getenv(variable);
  FILE* file = path == nullptr ? nullptr : std::fopen(path, "rb");
  if (file == nullptr) {
    return {};
  }
  uint64_t header = 0;
  std::vector<uint16_t> codes;
  if (std::fread(&header, sizeof(header), 1, file) == 1 && std::fseek(file, 0, SEEK_END) == 0) {
    const auto bytes = static_cast<size_t>(std::ftell(file)) - 8 - header;
    codes.resize(bytes / 2 / kColumns * kColumns);
    std::fseek(file, static_cast<long>(8 + header), SEEK_SET);
    codes.resize(std::fread(codes.data(), 2, codes.size(), file) / kColumns * kColumns);
  }
  std::fclose(file);
  return codes;
}

void BM_DiffFiles(benchmark::State& state) {
  const std::vector<uint16_t> base = file_codes("THREEGATE_BENCH_BASE");
  const std::vector<uint16_t> tuned = file_codes("THREEGATE_BENCH_TUNED");
  if (base.empty() || base.size() != tuned.size()) {
    state.SkipWithError("THREEGATE_BENCH_BASE and THREEGATE_BENCH_TUNED name no pair of files");
    return;
  }
  run_diff(state, base.data(), tuned.data(), static_cast<int64_t>(base.size()) / kColumns, 1);
}

// Measures a call without work.
void BM_Call(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(tg_abi_version());
  }
}

}  // namespace

BENCHMARK(BM_Read)->Args({10, 1})->Args({10, 2})->Args({200, 1})->Args({200, 2})->UseRealTime();
BENCHMARK(BM_Diff)->Args({10, 1})->Args({10, 2})->Args({200, 1})->Args({200, 2})->UseRealTime();
BENCHMARK(BM_DiffFiles)->UseRealTime();
BENCHMARK(BM_Call);

BENCHMARK_MAIN();
