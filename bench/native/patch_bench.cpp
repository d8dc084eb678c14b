// Extraction of the changed elements of two bf16 buffers, compared with a plain read of both, and application of the changes,
// compared with a copy of the whole buffer. Prints: name, seconds, and the rate relative to the plain read or the copy.
#include "support.h"

namespace {

constexpr int64_t kCount = int64_t{1} << 27;  // 256 MB per buffer
constexpr int kRuns = 5;

uint64_t read_both(const uint64_t* one, const uint64_t* two) {
  uint64_t sums[8] = {};
  for (int64_t i = 0; i < kCount / 4; i += 8) {
    for (int64_t j = 0; j < 8; ++j) {
      sums[j] += one[i + j] ^ two[i + j];
    }
  }
  uint64_t sum = 0;
  for (const uint64_t own : sums) {
    sum += own;
  }
  return sum;
}

void measure(double density, uint16_t* before, uint16_t* after, uint32_t* positions, uint16_t* values, uint16_t* target) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> uniform;
  for (int64_t i = 0; i < kCount; ++i) {
    before[i] = static_cast<uint16_t>(random());
    after[i] = static_cast<uint16_t>(before[i] ^ (uniform(random) < density ? 1 : 0));
  }
  std::memcpy(target, before, 2 * kCount);
  volatile uint64_t kept = 0;
  const double read = bench::seconds(
      kRuns, [&] { kept = read_both(reinterpret_cast<const uint64_t*>(before), reinterpret_cast<const uint64_t*>(after)); });
  const double copied = bench::seconds(kRuns, [&] { std::memcpy(target, before, 2 * kCount); });
  const bench::Context context = bench::open_context();
  const tg_patch_pair pair{sizeof(pair), before, after, kCount, 0, 2, TG_PATCH_OVERWRITE};
  tg_patch_entries entries{sizeof(entries), positions, values, kCount, 2, TG_PATCH_OVERWRITE};
  int64_t changed = 0;
  const double extracted =
      bench::seconds(kRuns, [&] { bench::require(context.get(), tg_patch_extract(context.get(), &pair, &entries, &changed)); });
  entries.count = changed;
  const double applied =
      bench::seconds(kRuns, [&] { bench::require(context.get(), tg_patch_apply(context.get(), &entries, target, kCount)); });
  std::printf("extract, %.0f %% changed\t%.4f\t%.2f\n", 100 * density, extracted, read / extracted);
  std::printf("apply, %.0f %% changed\t%.4f\t%.1f\n", 100 * density, applied, copied / applied);
}

}  // namespace

int main() {
  const bench::Memory before = bench::allocate(2 * kCount);
  const bench::Memory after = bench::allocate(2 * kCount);
  const bench::Memory positions = bench::allocate(4 * kCount);
  const bench::Memory values = bench::allocate(2 * kCount);
  const bench::Memory target = bench::allocate(2 * kCount);
  for (const double density : {0.01, 0.03, 0.1}) {
    measure(density, static_cast<uint16_t*>(before.get()), static_cast<uint16_t*>(after.get()),
            static_cast<uint32_t*>(positions.get()), static_cast<uint16_t*>(values.get()), static_cast<uint16_t*>(target.get()));
  }
}
