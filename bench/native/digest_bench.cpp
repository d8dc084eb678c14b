// Digests of 256 MiB of random bytes with one thread, and a plain read of them. Prints: name, ranges, seconds (the best of five).
//
//   threegate_bench_digest [FILE]     writes the bytes into FILE for other programs
#include <array>
#include <fstream>
#include <numeric>

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
  return 0;
}
