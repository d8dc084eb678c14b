// Slopes of the tokens of a layer along eight directions, with one thread, 2048 tokens and a layer of 2048 x 2048. Directions are
// dense, from float32 and from bf16 samples, or of rank 32. Products F V of one direction follow. Rates are compared with that of
// a large sgemm by the same library in the same run. Finite differences of 2^26 numbers are compared with the bandwidth of a
// copy. Prints: name, seconds (the best of five), share of the rate compared with.
//
//   threegate_bench_curvature LIBOPENBLAS
#include <dlfcn.h>

#include <string>

#include "support.h"

namespace {

constexpr int64_t kSide = 2048;
constexpr int64_t kTokens = 2048;
constexpr int64_t kDirections = 8;
constexpr int64_t kRank = 32;
constexpr int kRuns = 5;

using Gemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*, int);
using SetThreads = void (*)(int);

std::vector<float> normal(int64_t count, std::mt19937_64& random) {
  std::normal_distribution<float> distribution;
  std::vector<float> numbers(static_cast<size_t>(count));
  for (float& number : numbers) {
    number = distribution(random);
  }
  return numbers;
}

// Returns the operations per second.
double sgemm_rate(const char* library, const std::vector<float>& a, const std::vector<float>& b) {
  void* const handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    bench::fail(dlerror());
  }
  reinterpret_cast<SetThreads>(dlsym(handle, "openblas_set_num_threads"))(1);
  const auto gemm = reinterpret_cast<Gemm>(dlsym(handle, "cblas_sgemm"));
  std::vector<float> c(static_cast<size_t>(kSide * kSide));
  constexpr int kRowMajor = 101;
  constexpr int kPlain = 111;
  constexpr int kTransposed = 112;
  const auto side = static_cast<int>(kSide);
  const double best = bench::seconds(kRuns, [&] {
    gemm(kRowMajor, kPlain, kTransposed, side, side, side, 1, a.data(), side, b.data(), side, 0, c.data(), side);
  });
  return 2.0 * static_cast<double>(kSide * kSide * kSide) / best;
}

double slopes(tg_context* context, const tg_layer_samples& samples, const std::vector<tg_direction>& directions) {
  tg_workspace_size size{sizeof(size), 0, 0};
  const auto count = static_cast<int64_t>(directions.size());
  bench::require(context, tg_layer_slopes_workspace(context, &samples, directions.data(), count, &size));
  const bench::Memory host = bench::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  std::vector<double> out(static_cast<size_t>(count * samples.input.rows));
  return bench::seconds(kRuns, [&] {
    bench::require(context,
                   tg_layer_slopes(context, &samples, directions.data(), count, nullptr, &workspace, out.data(), nullptr));
  });
}

double products(tg_context* context, const tg_layer_samples& samples) {
  tg_workspace_size size{sizeof(size), 0, 0};
  bench::require(context, tg_token_products_workspace(context, &samples.gradient, &samples.input, &size));
  const bench::Memory host = bench::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  const std::vector<double> weights(static_cast<size_t>(kTokens), 0.5);
  std::vector<double> sums(static_cast<size_t>(kSide * kSide));
  return bench::seconds(kRuns, [&] {
    bench::require(
        context, tg_token_products(context, &samples.gradient, weights.data(), &samples.input, nullptr, &workspace, sums.data()));
  });
}

// Prints shares of the bandwidth of memcpy, which counts the bytes that it reads and writes.
void print_differences(tg_context* context) {
  constexpr int64_t kCount = int64_t{1} << 26;
  constexpr double kBytes = 4 * static_cast<double>(kCount);
  std::vector<bench::Memory> streams;
  for (int i = 0; i < 5; ++i) {
    streams.push_back(bench::allocate(4 * kCount));
  }
  const double copied = bench::seconds(kRuns, [&] { std::memcpy(streams[0].get(), streams[1].get(), 4 * kCount); });
  const double bandwidth = 2 * kBytes / copied;
  std::printf("copy bandwidth\t%.4g\tbytes/s\n", bandwidth);
  const tg_displacement displacement{sizeof(displacement), streams[0].get(), streams[1].get(), kCount, TG_F32, 0, 0.5};
  double rounding = 0;
  const double displaced =
      bench::seconds(kRuns, [&] { bench::require(context, tg_displace(context, &displacement, streams[4].get(), &rounding)); });
  std::printf("displace 2^26 float32\t%.4f\t%.3f\n", displaced, 3 * kBytes / displaced / bandwidth);
  const tg_gradient_difference difference{
      sizeof(difference), streams[0].get(), streams[1].get(), streams[2].get(), streams[3].get(), kCount, TG_F32, 0, 0.5};
  tg_difference_sums sums{};
  sums.size = sizeof(sums);
  const double apart = bench::seconds(
      kRuns, [&] { bench::require(context, tg_difference_gradients(context, &difference, streams[4].get(), &sums)); });
  std::printf("difference of 2^26 float32, extrapolated, with sums\t%.4f\t%.3f\n", apart, 5 * kBytes / apart / bandwidth);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: threegate_bench_curvature LIBOPENBLAS\n");
    return 2;
  }
  std::mt19937_64 random(1);
  const std::vector<float> input = normal(kTokens * kSide, random);
  const std::vector<float> gradient = normal(kTokens * kSide, random);
  const auto narrowed = [](const std::vector<float>& from) {
    std::vector<uint16_t> codes;
    for (const float value : from) {
      uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof(bits));
      codes.push_back(static_cast<uint16_t>(bits >> 16));
    }
    return codes;
  };
  const std::vector<uint16_t> narrow_input = narrowed(input);
  const std::vector<uint16_t> narrow_gradient = narrowed(gradient);
  std::vector<std::vector<float>> entries;
  std::vector<tg_operand> operands(kDirections);
  std::vector<tg_direction> dense;
  std::vector<tg_low_rank> terms(kDirections);
  std::vector<tg_direction> factored;
  for (size_t i = 0; i < kDirections; ++i) {
    entries.push_back(normal(kSide * kSide, random));
    const tg_matrix matrix{entries[i].data(), kSide, kSide, kSide, TG_F32, 0};
    operands[i].size = sizeof(tg_operand);
    operands[i].values = matrix;
    dense.push_back({sizeof(tg_direction), &operands[i], nullptr, nullptr, nullptr, 0});
    terms[i] = {{entries[i].data(), kSide, kRank, kSide, TG_F32, 0}, {entries[i].data(), kRank, kSide, kSide, TG_F32, 0}, 1};
    factored.push_back({sizeof(tg_direction), nullptr, nullptr, nullptr, &terms[i], 1});
  }
  const bench::Context context = bench::open_context();
  const tg_layer_samples wide{
      sizeof(wide), {input.data(), kTokens, kSide, kSide, TG_F32, 0}, {gradient.data(), kTokens, kSide, kSide, TG_F32, 0}};
  const tg_layer_samples narrow{sizeof(narrow),
                                {narrow_input.data(), kTokens, kSide, kSide, TG_BF16, 0},
                                {narrow_gradient.data(), kTokens, kSide, kSide, TG_BF16, 0}};
  const double rate = sgemm_rate(arguments[1], input, entries[0]);
  std::printf("sgemm\t%.4g\tflop/s\n", rate);
  const double work = 2.0 * static_cast<double>(kDirections * kTokens * kSide * kSide);
  const double of_float = slopes(context.get(), wide, dense);
  std::printf("8 dense directions, float32\t%.4f\t%.3f\n", of_float, work / of_float / rate);
  const double of_bf16 = slopes(context.get(), narrow, dense);
  std::printf("8 dense directions, bf16\t%.4f\t%.3f\n", of_bf16, work / of_bf16 / rate);
  const double of_factors = slopes(context.get(), wide, factored);
  std::printf("8 directions of rank 32, float32\t%.4f\t%.1f times as fast as dense\n", of_factors, of_float / of_factors);
  const double of_sums = products(context.get(), wide);
  std::printf("F V of given slopes, float32\t%.4f\t%.3f\n", of_sums, work / kDirections / of_sums / rate);
  print_differences(context.get());
}
