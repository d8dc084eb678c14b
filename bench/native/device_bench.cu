// Measures the kernels of the CUDA device on matrices of a whole model, and the limits of the device in the same run. Matrices
// have a flat bulk of singular values and a few spikes, as weights have. They are made on the device and stay there. All other
// data is random as well, because zeros take less power and let clocks rise. The data is made on the default stream, which calls
// of the library wait for. Prints one figure per line: name TAB value TAB unit.
//
//   threegate_bench_device [SHARE [SECTION...]]      the share of a model of 6.7 billion weights, 1 by default, and what to
//   measure
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "threegate/threegate.h"

namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 4096;
constexpr int kSpikes = 8;

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) {
    std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
    std::exit(1);
  }
}

void check(tg_status status, tg_context* context, const char* what) {
  if (status != TG_OK) {
    char text[512] = "";
    tg_error_message(context, text, sizeof(text));
    std::fprintf(stderr, "%s: %s\n", what, text);
    std::exit(1);
  }
}

struct FreeDevice {
  void operator()(void* memory) const { cudaFree(memory); }
};
using Device = std::unique_ptr<void, FreeDevice>;

Device device_memory(int64_t bytes) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, static_cast<size_t>(bytes)), "device memory");
  return Device(memory);
}

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Returns the median of several runs after a warm-up run.
template <typename Body>
double median(int runs, Body body) {
  body();
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    const double begin = seconds();
    body();
    times.push_back(seconds() - begin);
  }
  std::nth_element(times.begin(), times.begin() + runs / 2, times.end());
  return times[static_cast<size_t>(runs / 2)];
}

void print(const char* name, double value, const char* unit) { std::printf("%s\t%.6g\t%s\n", name, value, unit); }

__device__ uint32_t mixed(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return static_cast<uint32_t>(x >> 32);
}

__device__ float normal(uint64_t at) {
  const float u = (static_cast<float>(mixed(2 * at)) + 0.5F) * 0x1p-32F;
  const float v = static_cast<float>(mixed(2 * at + 1)) * 0x1p-32F;
  return sqrtf(-2 * logf(u)) * cospif(2 * v);
}

__device__ uint16_t rounded(float value) {
  const uint32_t bits = __float_as_uint(value);
  return static_cast<uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

// Fills `base` with 0.02 times normal numbers, and with spikes of 1 to 8 times the edge of their spectrum in random directions of
// signs. `tuned` may be null. Of 2^32 of its entries, `changed` differ by a step.
__global__ void fill_kernel(uint16_t* base, uint16_t* tuned, int64_t rows, int64_t columns, uint64_t seed, uint32_t changed) {
  const float scale = 0.02F;
  const float edge = scale * (sqrtf(static_cast<float>(rows)) + sqrtf(static_cast<float>(columns)));
  const float entry = edge / sqrtf(static_cast<float>(rows)) / sqrtf(static_cast<float>(columns));
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < rows * columns; i += step) {
    float value = scale * normal((seed << 40) + static_cast<uint64_t>(i));
    for (int spike = 1; spike <= kSpikes; ++spike) {
      const uint32_t u =
          mixed(seed * 1000003 + static_cast<uint64_t>(spike) * 7919 + static_cast<uint64_t>(i / columns) * 104729);
      const uint32_t v =
          mixed(seed * 2000003 + static_cast<uint64_t>(spike) * 6271 + static_cast<uint64_t>(i % columns) * 15485863);
      value += (((u ^ v) & 1U) != 0 ? -entry : entry) * static_cast<float>(spike);
    }
    base[i] = rounded(value);
    if (tuned != nullptr) {
      const uint32_t chance = mixed((seed << 41) + static_cast<uint64_t>(i) * 3);
      tuned[i] = static_cast<uint16_t>(base[i] ^ (chance < changed ? 1U : 0U));
    }
  }
}

__global__ void fill_numbers_kernel(float* numbers, int64_t count) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += step) {
    numbers[i] = normal(static_cast<uint64_t>(i));
  }
}

struct Shape {
  int64_t rows;
  int64_t columns;
};

std::vector<Shape> model(double share) {
  constexpr int64_t kHidden = 4096;
  constexpr int64_t kInner = 11008;
  constexpr int64_t kVocabulary = 32000;
  constexpr int kLayers = 32;
  std::vector<Shape> shapes;
  for (int layer = 0; layer < std::max(1, static_cast<int>(kLayers * share)); ++layer) {
    for (int i = 0; i < 4; ++i) {
      shapes.push_back({kHidden, kHidden});
    }
    shapes.push_back({kInner, kHidden});
    shapes.push_back({kInner, kHidden});
    shapes.push_back({kHidden, kInner});
  }
  if (share >= 1) {
    shapes.push_back({kVocabulary, kHidden});
    shapes.push_back({kVocabulary, kHidden});
  }
  return shapes;
}

tg_operand operand(const void* data, const Shape& shape) {
  tg_operand result{};
  result.size = sizeof(result);
  result.values = {data, shape.rows, shape.columns, shape.columns, TG_BF16, 0};
  return result;
}

class Workspace {
 public:
  explicit Workspace(const tg_workspace_size& size) {
    void* memory = nullptr;
    if (tg_memory_allocate(size.host_bytes, &memory) != TG_OK) {
      std::fprintf(stderr, "no host memory\n");
      std::exit(1);
    }
    own_ = {sizeof(own_), memory, size.host_bytes, nullptr, 0};
  }
  ~Workspace() { tg_memory_free(own_.host); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  const tg_workspace* get() const { return &own_; }

 private:
  tg_workspace own_{};
};

// Returns the bytes that a copy reads and writes per second.
double copy_bandwidth() {
  constexpr int64_t kBytes = int64_t{4} << 30;
  const Device from = device_memory(kBytes);
  const Device to = device_memory(kBytes);
  fill_kernel<<<kBlocks, kThreads>>>(static_cast<uint16_t*>(from.get()), nullptr, 1 << 15, kBytes >> 16, 1, 0);
  const double time = median(15, [&] {
    check(cudaMemcpy(to.get(), from.get(), kBytes, cudaMemcpyDeviceToDevice), "a copy");
    check(cudaDeviceSynchronize(), "a copy");
  });
  return 2 * static_cast<double>(kBytes) / time;
}

void bench_diff(tg_context* context, double share, double bandwidth) {
  const std::vector<Shape> shapes = model(share);
  std::vector<Device> memory;
  std::vector<tg_operand> bases;
  std::vector<tg_operand> tuned;
  double bytes = 0;
  for (const double changed : {0.01, 0.1}) {
    memory.clear();
    bases.clear();
    tuned.clear();
    bytes = 0;
    for (const Shape& shape : shapes) {
      const int64_t own = 2 * shape.rows * shape.columns;
      memory.push_back(device_memory(own));
      memory.push_back(device_memory(own));
      auto* base = static_cast<uint16_t*>(memory[memory.size() - 2].get());
      auto* other = static_cast<uint16_t*>(memory.back().get());
      fill_kernel<<<kBlocks, kThreads>>>(base, other, shape.rows, shape.columns, memory.size(),
                                         static_cast<uint32_t>(changed * 0x1p32));
      bases.push_back(operand(base, shape));
      tuned.push_back(operand(other, shape));
      bytes += 2 * static_cast<double>(own);
    }
    check(cudaGetLastError(), "matrices");
    const auto count = static_cast<int64_t>(shapes.size());
    std::vector<tg_diff_result> results(shapes.size());
    for (auto& result : results) {
      result.size = sizeof(result);
    }
    const tg_diff_options options{sizeof(options)};
    tg_workspace_size size{sizeof(size), 0, 0};
    check(tg_diff_workspace(context, bases.data(), tuned.data(), count, &options, nullptr, &size), context, "diff");
    const Workspace workspace(size);
    const double time = median(9, [&] {
      check(tg_diff(context, bases.data(), tuned.data(), count, &options, nullptr, workspace.get(), nullptr, results.data()),
            context, "diff");
    });
    const std::string name = "diff, " + std::to_string(static_cast<int>(std::lround(100 * changed))) + " % changed";
    print((name + ", seconds").c_str(), time, "s");
    print((name + ", share of copy bandwidth").c_str(), bytes / time / bandwidth, ">= 0.9");
  }
}

void bench_svd(tg_context* context, double share, double bandwidth) {
  std::vector<Shape> shapes = model(share);
  shapes.erase(std::remove_if(shapes.begin(), shapes.end(), [](const Shape& shape) { return shape.rows > 16384; }), shapes.end());
  constexpr int64_t kRank = 64;
  std::vector<Device> memory;
  std::vector<tg_operand> matrices;
  std::vector<tg_svd_options> options;
  std::vector<tg_svd_result> results;
  std::vector<std::vector<double>> outputs;
  double bytes = 0;
  for (const Shape& shape : shapes) {
    memory.push_back(device_memory(2 * shape.rows * shape.columns));
    auto* data = static_cast<uint16_t*>(memory.back().get());
    fill_kernel<<<kBlocks, kThreads>>>(data, nullptr, shape.rows, shape.columns, memory.size(), 0);
    matrices.push_back(operand(data, shape));
    options.push_back({sizeof(tg_svd_options), kRank, 1e-5, 1, 0});
    outputs.emplace_back(static_cast<size_t>(kRank * (1 + shape.rows + shape.columns)));
    double* out = outputs.back().data();
    results.push_back({sizeof(tg_svd_result), out, out + kRank, out + kRank * (1 + shape.rows), nullptr, 0, 0, 0, 0, 0});
    bytes += 2 * static_cast<double>(shape.rows * shape.columns);
  }
  check(cudaGetLastError(), "matrices");
  const auto count = static_cast<int64_t>(shapes.size());
  tg_workspace_size size{sizeof(size), 0, 0};
  check(tg_svd_workspace(context, matrices.data(), nullptr, count, options.data(), results.data(), &size), context, "svd");
  print("svd, device memory", static_cast<double>(size.device_bytes), "bytes");
  const Workspace workspace(size);
  const double time = median(3, [&] {
    check(tg_svd(context, matrices.data(), nullptr, count, options.data(), nullptr, workspace.get(), results.data()), context,
          "svd");
  });
  double worst = 0;
  int64_t on_device = 0;
  for (const tg_svd_result& result : results) {
    worst = std::max(worst, result.residual);
    on_device += result.method == TG_SVD_CHEBYSHEV ? 1 : 0;
  }
  print("svd, matrices", static_cast<double>(count), "");
  print("svd, of them on the device", static_cast<double>(on_device), "");
  print("svd, rank 64, seconds", time, "s");
  print("svd, largest certified residual", worst, "<= 1e-5");
  print("svd, one pass at copy bandwidth, seconds", bytes / bandwidth, "s");
}

void bench_mask(tg_context* context) {
  constexpr int64_t kRank = 64;
  for (const Shape& shape : {Shape{4096, 4096}, Shape{11008, 4096}}) {
    std::vector<double> values;
    std::vector<double> left(static_cast<size_t>(kRank * shape.rows));
    std::vector<double> right(static_cast<size_t>(kRank * shape.columns));
    for (int64_t i = 0; i < kRank; ++i) {
      values.push_back(1.0 + 10.0 / static_cast<double>(i + 1));
    }
    uint64_t state = 1;
    const auto fill = [&](std::vector<double>& factor) {
      for (double& entry : factor) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        entry = (static_cast<double>(state >> 11) * 0x1p-53 - 0.5) / std::sqrt(static_cast<double>(factor.size() / kRank));
      }
    };
    fill(left);
    fill(right);
    const tg_mask_scores scores{sizeof(scores), nullptr, values.data(), left.data(),
                                right.data(),   kRank,   shape.rows,    shape.columns};
    const tg_mask_options options{sizeof(options), shape.rows * shape.columns / 2, 0, 0};
    tg_workspace_size size{sizeof(size), 0, 0};
    check(tg_mask_select_workspace(context, &scores, &options, &size), context, "mask");
    const Workspace workspace(size);
    const int64_t words = shape.rows * ((shape.columns + 63) / 64);
    std::vector<uint64_t> mask(static_cast<size_t>(words));
    const double time = median(9, [&] {
      check(tg_mask_select(context, &scores, &options, nullptr, workspace.get(), mask.data(), words), context, "mask");
    });
    print(("mask, " + std::to_string(shape.rows) + " x " + std::to_string(shape.columns) + ", rank 64, half, seconds").c_str(),
          time, "s");
  }
}

// Overlaps and union of random masks of 4 Gbit each on the device. The union is written there, too.
void bench_sets(tg_context* context, double bandwidth) {
  constexpr int64_t kSide = int64_t{1} << 16;
  constexpr int64_t kWords = kSide * kSide / 64;
  constexpr int64_t kMasks = 4;
  const Device memory = device_memory((kMasks + 1) * kWords * 8);
  auto* const words = static_cast<uint64_t*>(memory.get());
  std::vector<const uint64_t*> masks;
  for (int64_t i = 0; i < kMasks; ++i) {
    masks.push_back(words + i * kWords);
  }
  fill_kernel<<<kBlocks, kThreads>>>(static_cast<uint16_t*>(memory.get()), nullptr, kMasks * kSide, kSide / 16, 1, 0);
  check(cudaGetLastError(), "masks");
  const tg_mask_sets sets{sizeof(sets), masks.data(), kMasks, kSide, kSide};
  int64_t entries = 0;
  const double united = median(9, [&] {
    check(tg_mask_combine(context, &sets, TG_MASK_UNION, words + kMasks * kWords, kWords, &entries), context, "union");
  });
  std::vector<int64_t> common(kMasks * kMasks);
  const double counted = median(9, [&] { check(tg_mask_overlaps(context, &sets, common.data(), nullptr), context, "overlaps"); });
  print("union of 4 masks of 65536 x 65536, seconds", united, "s");
  print("union of 4 masks, share of the copy bandwidth", (kMasks + 1) * kWords * 8 / bandwidth / united, "");
  print("overlaps of 4 masks of 65536 x 65536, seconds", counted, "s");
  print("overlaps of 4 masks, share of the copy bandwidth", kMasks * kWords * 8 / bandwidth / counted, "");
}

// Measures the float32 units of a multiprocessor with sixteen chains of fused multiplications in each thread.
__global__ void multiply_kernel(float* out, float factor, int rounds) {
  constexpr int kChains = 16;
  float chains[kChains];
  for (int i = 0; i < kChains; ++i) {
    chains[i] = static_cast<float>(threadIdx.x + static_cast<unsigned>(i));
  }
  for (int round = 0; round < rounds; ++round) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) {
      chains[i] = fmaf(chains[i], factor, 1.0F);
    }
  }
  float sum = 0;
  for (int i = 0; i < kChains; ++i) {
    sum += chains[i];
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

double float_rate() {
  constexpr int kRounds = 1 << 14;
  constexpr int kChains = 16;
  const Device memory = device_memory(int64_t{kBlocks} * kThreads * 4);
  const double time = median(9, [&] {
    multiply_kernel<<<kBlocks, kThreads>>>(static_cast<float*>(memory.get()), 0.5F, kRounds);
    check(cudaDeviceSynchronize(), "float32 rate");
  });
  return 2.0 * kRounds * kChains * kBlocks * kThreads / time;
}

// Samples of bf16 and directions on the device, for 16384 tokens of a layer of 4096 x 4096, and finite differences of 2^28
// numbers.
void bench_curvature(tg_context* context, double bandwidth) {
  constexpr int64_t kSide = 4096;
  constexpr int64_t kTokens = 16384;
  constexpr int64_t kDirections = 8;
  const double rate = float_rate();
  print("float32 rate of the multiprocessors", rate, "flop/s");
  constexpr int64_t kRows = 2 * kTokens + kDirections * kSide;
  const Device memory = device_memory(2 * kRows * kSide);
  auto* const codes = static_cast<uint16_t*>(memory.get());
  fill_kernel<<<kBlocks, kThreads>>>(codes, nullptr, kRows, kSide, 2, 0);
  const tg_layer_samples samples{
      sizeof(samples), {codes, kTokens, kSide, kSide, TG_BF16, 0}, {codes + kTokens * kSide, kTokens, kSide, kSide, TG_BF16, 0}};
  std::vector<tg_operand> operands(kDirections);
  std::vector<tg_direction> directions;
  for (int64_t i = 0; i < kDirections; ++i) {
    tg_operand& own = operands[static_cast<size_t>(i)];
    own.size = sizeof(own);
    own.values = {codes + 2 * kTokens * kSide + i * kSide * kSide, kSide, kSide, kSide, TG_BF16, 0};
    directions.push_back({sizeof(tg_direction), &own, nullptr, nullptr, nullptr, 0});
  }
  tg_workspace_size size{sizeof(size), 0, 0};
  check(tg_layer_slopes_workspace(context, &samples, directions.data(), kDirections, &size), context, "slopes");
  const Workspace workspace(size);
  std::vector<double> slopes(static_cast<size_t>(kDirections * kTokens));
  const double slope_time = median(5, [&] {
    check(tg_layer_slopes(context, &samples, directions.data(), kDirections, nullptr, workspace.get(), slopes.data(), nullptr),
          context, "slopes");
  });
  const double work = 2.0 * kTokens * kSide * kSide;
  print("slopes of 16384 tokens along 8 directions of 4096 x 4096, seconds", slope_time, "s");
  print("slopes, share of the float32 rate", kDirections * work / slope_time / rate, "");
  print("slopes, products of bf16 numbers", kDirections * work / slope_time, "flop/s");
  tg_workspace_size more{sizeof(more), 0, 0};
  check(tg_token_products_workspace(context, &samples.gradient, &samples.input, &more), context, "products");
  const Workspace room(more);
  std::vector<double> sums(static_cast<size_t>(kSide * kSide));
  const double product_time = median(5, [&] {
    check(tg_token_products(context, &samples.gradient, slopes.data(), &samples.input, nullptr, room.get(), sums.data()), context,
          "products");
  });
  print("F V of 16384 tokens, 4096 x 4096, seconds", product_time, "s");
  print("F V, share of the float32 rate", work / product_time / rate, "");
  // Weighted inputs are three bf16 numbers each.
  print("F V, products of bf16 numbers", 3 * work / product_time, "flop/s");

  constexpr int64_t kCount = int64_t{1} << 28;
  const Device streams = device_memory(5 * 4 * kCount);
  auto* const numbers = static_cast<float*>(streams.get());
  fill_numbers_kernel<<<kBlocks, kThreads>>>(numbers, 5 * kCount);
  const tg_displacement displacement{sizeof(displacement), numbers, numbers + kCount, kCount, TG_F32, 0, 0.5};
  double rounding = 0;
  const double displaced =
      median(9, [&] { check(tg_displace(context, &displacement, numbers + 4 * kCount, &rounding), context, "displace"); });
  print("displace 2^28 float32, share of the copy bandwidth", 3 * 4.0 * kCount / bandwidth / displaced, "");
  const tg_gradient_difference difference{
      sizeof(difference), numbers, numbers + kCount, numbers + 2 * kCount, numbers + 3 * kCount, kCount, TG_F32, 0, 0.5};
  tg_difference_sums found{};
  found.size = sizeof(found);
  const double apart = median(
      9, [&] { check(tg_difference_gradients(context, &difference, numbers + 4 * kCount, &found), context, "difference"); });
  print("difference of 2^28 float32, share of the copy bandwidth", 5 * 4.0 * kCount / bandwidth / apart, "");
}

// Copies bytes of the device to the host.
template <typename T>
std::vector<T> on_host(const T* memory, int64_t count) {
  std::vector<T> all(static_cast<size_t>(count));
  check(cudaMemcpy(all.data(), memory, all.size() * sizeof(T), cudaMemcpyDeviceToHost), "copying");
  return all;
}

void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::exit(1);
}

// Extraction of the changes of 2^29 bf16 numbers on the device, with a part of the result compared with that of the CPU, and
// their application.
void bench_patch(tg_context* context, double bandwidth) {
  constexpr int64_t kCount = int64_t{1} << 29;
  constexpr int64_t kCompared = (int64_t{1} << 22) + 77;
  const tg_context_options options{sizeof(options), 0, TG_CPU, 0, 0};
  tg_context* host = nullptr;
  char error[512] = "";
  if (tg_context_create(&options, &host, error, sizeof(error)) != TG_OK) {
    fail(error);
  }
  const Device pair_memory = device_memory(3 * 2 * kCount);
  auto* const before = static_cast<uint16_t*>(pair_memory.get());
  auto* const after = before + kCount;
  auto* const target = after + kCount;
  const Device entry_memory = device_memory(6 * (kCount / 4));
  auto* const positions = static_cast<uint32_t*>(entry_memory.get());
  auto* const values = reinterpret_cast<uint16_t*>(positions + kCount / 4);
  for (const int percent : {1, 3, 10}) {
    fill_kernel<<<kBlocks, kThreads>>>(before, after, int64_t{1} << 15, kCount >> 15, 3,
                                       static_cast<uint32_t>(42949673.0 * percent));
    check(cudaMemcpy(target, before, 2 * kCount, cudaMemcpyDeviceToDevice), "target");
    const tg_patch_pair pair{sizeof(pair), before, after, kCount, 0, 2, TG_PATCH_OVERWRITE};
    tg_patch_entries entries{sizeof(entries), positions, values, kCount / 4, 2, TG_PATCH_OVERWRITE};
    int64_t changed = 0;
    const double extracted =
        median(9, [&] { check(tg_patch_extract(context, &pair, &entries, &changed), context, "extracting"); });
    const tg_patch_pair beside{sizeof(beside), before + 1, after + 1, kCount - 1, 0, 2, TG_PATCH_OVERWRITE};
    const double misaligned =
        median(9, [&] { check(tg_patch_extract(context, &beside, &entries, &changed), context, "extracting"); });
    check(tg_patch_extract(context, &pair, &entries, &changed), context, "extracting");
    entries.count = changed;
    const double applied = median(9, [&] { check(tg_patch_apply(context, &entries, target, kCount), context, "applying"); });
    int64_t left = -1;
    const tg_patch_pair done{sizeof(done), target, after, kCount, 0, 2, TG_PATCH_OVERWRITE};
    tg_patch_entries none{sizeof(none), positions, values, 0, 2, TG_PATCH_OVERWRITE};
    check(tg_patch_extract(context, &done, &none, &left), context, "comparing");
    const std::vector<uint16_t> old = on_host(before, kCompared);
    const std::vector<uint16_t> own = on_host(after, kCompared);
    std::vector<uint32_t> places(kCompared);
    std::vector<uint16_t> bits(kCompared);
    const tg_patch_pair part{sizeof(part), old.data(), own.data(), kCompared, 0, 2, TG_PATCH_OVERWRITE};
    const tg_patch_entries found{sizeof(found), places.data(), bits.data(), kCompared, 2, TG_PATCH_OVERWRITE};
    int64_t expected = 0;
    check(tg_patch_extract(host, &part, &found, &expected), host, "extracting on the CPU");
    const std::vector<uint32_t> there = on_host(positions, expected);
    const std::vector<uint16_t> those = on_host(values, expected);
    if (left != 0 || !std::equal(there.begin(), there.end(), places.begin()) ||
        !std::equal(those.begin(), those.end(), bits.begin())) {
      fail("the device and the CPU found different changes");
    }
    // Checks gaps in both directions, and byte planes.
    const int64_t back = std::min<int64_t>(changed, kCompared);
    check(tg_patch_gaps(context, positions, back, -1), context, "gaps");
    check(tg_patch_positions(context, positions, back, -1), context, "positions");
    check(tg_byte_planes(context, after, kCompared, 2, target), context, "planes");
    std::vector<uint16_t> planes(kCompared);
    check(tg_byte_planes(host, own.data(), kCompared, 2, planes.data()), host, "planes on the CPU");
    const std::vector<uint32_t> again = on_host(positions, expected);
    const std::vector<uint16_t> turned = on_host(target, kCompared);
    if (again != there || turned != planes) {
      fail("gaps or planes differ between the device and the CPU");
    }
    const std::string name = "patch of 2^29 bf16, " + std::to_string(percent) + " % changed, ";
    print((name + "extract, seconds").c_str(), extracted, "s");
    print((name + "extract, share of the copy bandwidth").c_str(), 4.0 * kCount / bandwidth / extracted, "");
    print((name + "extract misaligned, share of the copy bandwidth").c_str(), 4.0 * kCount / bandwidth / misaligned, "");
    print((name + "apply, seconds").c_str(), applied, "s");
  }
  tg_context_destroy(host);
}

}  // namespace

int main(int count, char** arguments) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a run that is stopped leaves its figures
  const double share = count > 1 ? std::atof(arguments[1]) : 1;
  const tg_context_options options{sizeof(options), 0, TG_CUDA, 0, 0};
  tg_context* context = nullptr;
  char error[512] = "";
  if (tg_context_create(&options, &context, error, sizeof(error)) != TG_OK) {
    std::fprintf(stderr, "%s\n", error);
    return 77;
  }
  const double bandwidth = copy_bandwidth();
  print("copy bandwidth", bandwidth, "bytes/s");
  const std::pair<const char*, std::function<void()>> sections[] = {{"diff", [&] { bench_diff(context, share, bandwidth); }},
                                                                    {"svd", [&] { bench_svd(context, share, bandwidth); }},
                                                                    {"mask", [&] { bench_mask(context); }},
                                                                    {"sets", [&] { bench_sets(context, bandwidth); }},
                                                                    {"curvature", [&] { bench_curvature(context, bandwidth); }},
                                                                    {"patch", [&] { bench_patch(context, bandwidth); }}};
  for (const auto& [name, run] : sections) {
    if (count <= 2 || std::find(arguments + 2, arguments + count, std::string(name)) != arguments + count) {
      run();
    }
  }
  return tg_context_destroy(context) == TG_OK ? 0 : 1;
}
