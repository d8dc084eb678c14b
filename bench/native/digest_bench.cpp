// Digests of 256 MiB of random bytes with one thread, and a plain read of them. Prints: name, ranges, seconds (the best of five).
//
// The rows "diff, ..." compare the halves as bf16 matrices, and compute digests of both. They make the same calls for blocks
// that fit the second-level cache: first all comparisons and then all digests, or both for one block after the other. The
// difference is what one pass would save.
//
//   threegate_bench_digest [FILE]     writes the bytes into FILE for other programs
#include <array>
#include <fstream>
#include <numeric>
#include <utility>

#include "support.h"

namespace {

constexpr int64_t kBytes = 1 << 28;
constexpr int kRuns = 5;

using Digest = tg_status (*)(tg_context*, const tg_span*, int64_t, tg_control*, uint8_t*);

void measure(const bench::Context& context, const char* name, Digest digest, const uint8_t* data, int64_t ranges) {
  std::array<tg_span, 4> spans{};
  for (int64_t i = 0; i < ranges; ++i) {
    spans[static_cast<size_t>(i)] = {data + i * (kBytes / ranges), kBytes / ranges};
  }
  std::array<uint8_t, 32 * 4> out{};
  const double best = bench::seconds(
      kRuns, [&] { bench::require(context.get(), digest(context.get(), spans.data(), ranges, nullptr, out.data())); });
  std::printf("%s\t%d\t%.4f\n", name, static_cast<int>(ranges), best);
}

// Blocks of both halves of the bytes, two of each at a time, because SHA-256 is fastest with four ranges.
class Pass {
 public:
  Pass(const bench::Context& context, const uint8_t* data) : context_(context), data_(data) {
    const auto [base, tuned] = pairs(0);
    tg_workspace_size size{sizeof(size), 0, 0};
    bench::require(context.get(), tg_diff_workspace(context.get(), base.data(), tuned.data(), 2, &kOptions, nullptr, &size));
    memory_ = bench::allocate(size.host_bytes);
    workspace_ = {sizeof(workspace_), memory_.get(), size.host_bytes, nullptr, 0};
  }

  void compare(int64_t step) {
    const auto [base, tuned] = pairs(step);
    std::array<tg_diff_result, 2> results{};
    results[0].size = results[1].size = sizeof(tg_diff_result);
    bench::require(context_.get(), tg_diff(context_.get(), base.data(), tuned.data(), 2, &kOptions, nullptr, &workspace_, nullptr,
                                           results.data()));
  }

  void digest(Digest function, int64_t step) {
    std::array<tg_span, 4> spans{};
    for (size_t i = 0; i < 2; ++i) {
      spans[2 * i] = {start(step, i), kBlock};
      spans[2 * i + 1] = {start(step, i) + kHalf, kBlock};
    }
    std::array<uint8_t, 32 * 4> out{};
    bench::require(context_.get(), function(context_.get(), spans.data(), spans.size(), nullptr, out.data()));
  }

  static constexpr int64_t kHalf = kBytes / 2;
  static constexpr int64_t kBlock = 1 << 17;
  static constexpr int64_t kSteps = kHalf / kBlock / 2;

 private:
  static constexpr tg_diff_options kOptions{sizeof(tg_diff_options)};

  using Matrices = std::array<tg_operand, 2>;

  [[nodiscard]] std::pair<Matrices, Matrices> pairs(int64_t step) const {
    return {{matrix(start(step, 0)), matrix(start(step, 1))}, {matrix(start(step, 0) + kHalf), matrix(start(step, 1) + kHalf)}};
  }

  [[nodiscard]] const uint8_t* start(int64_t step, size_t which) const {
    return data_ + (step + static_cast<int64_t>(which) * kSteps) * kBlock;
  }

  static tg_operand matrix(const uint8_t* data) {
    tg_operand operand{};
    operand.size = sizeof(operand);
    operand.values = {data, kBlock / 2048, 1024, 1024, TG_BF16, 0};
    return operand;
  }

  const bench::Context& context_;
  const uint8_t* data_;
  bench::Memory memory_;
  tg_workspace workspace_{};
};

void measure_passes(const bench::Context& context, const char* name, Digest digest, const uint8_t* data) {
  Pass pass(context, data);
  double two = 1e9;
  double one = 1e9;
  for (int run = 0; run < kRuns; ++run) {
    two = std::min(two, bench::seconds(1, [&] {
                     for (int64_t step = 0; step < Pass::kSteps; ++step) {
                       pass.compare(step);
                     }
                     for (int64_t step = 0; step < Pass::kSteps; ++step) {
                       pass.digest(digest, step);
                     }
                   }));
    one = std::min(one, bench::seconds(1, [&] {
                     for (int64_t step = 0; step < Pass::kSteps; ++step) {
                       pass.compare(step);
                       pass.digest(digest, step);
                     }
                   }));
  }
  std::printf("diff, then %s\t4\t%.4f\ndiff, %s by blocks\t4\t%.4f\n", name, two, name, one);
}

// Makes the first half of the bytes bf16 numbers of the magnitudes of weights, and the second half a copy in which 1 % differ.
void pair_halves(uint64_t* words) {
  std::transform(words, words + kBytes / 16, words,
                 [](uint64_t word) { return (word & 0x87ff87ff87ff87ff) | 0x3800380038003800; });
  std::copy(words, words + kBytes / 16, words + kBytes / 16);
  std::mt19937_64 random(2);
  auto* const codes = reinterpret_cast<uint16_t*>(words) + kBytes / 4;
  for (int64_t i = 0; i < kBytes / 400; ++i) {
    codes[random() % (kBytes / 4)] ^= 1;
  }
}

}  // namespace

int main(int count, char** arguments) {
  const bench::Context context = bench::open_context();
  const bench::Memory memory = bench::allocate(kBytes);
  auto* const words = static_cast<uint64_t*>(memory.get());
  std::mt19937_64 random(1);
  std::generate(words, words + kBytes / 8, [&] { return random(); });
  const auto* const bytes = static_cast<const uint8_t*>(memory.get());
  if (count > 1) {
    std::ofstream(arguments[1], std::ios::binary).write(reinterpret_cast<const char*>(bytes), kBytes);
  }
  volatile uint64_t sum = 0;
  const double read = bench::seconds(kRuns, [&] { sum = std::accumulate(words, words + kBytes / 8, uint64_t{0}); });
  std::printf("read\t1\t%.4f\n", read);
  measure(context, "sha256", tg_sha256, bytes, 1);
  measure(context, "sha256", tg_sha256, bytes, 4);
  measure(context, "blake3", tg_blake3, bytes, 1);
  pair_halves(words);
  measure_passes(context, "sha256", tg_sha256, bytes);
  measure_passes(context, "blake3", tg_blake3, bytes);
  return 0;
}
