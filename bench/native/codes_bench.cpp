// Measures the comparison of quantised weights in each layout with all outputs except the mask, the decoding of one side to
// float32 in memory, and a plain read of the stored bytes of both sides.
//
// usage: threegate_bench_codes [ROUNDS [LAYOUT [CHANGED]]]. Prints one line for each layout, or for those whose names begin so,
// and share of changed codes: the layout, changed codes per mille, stored bytes of a pair of entries, nanoseconds per entry to
// decode one side, nanoseconds per pair to compare, gigabytes of stored bytes per second of the comparison, the read bandwidth,
// and the ratio of the two. Reads, decodings and comparisons alternate, and the best of the rounds counts, because other programs
// may run. THREEGATE_SIMD selects the instruction set. One thread.
#include <cstring>

#include "support.h"

namespace {

constexpr int64_t kRows = 2048;
constexpr int64_t kColumns = 2048;
// Matrices in turn, which are short enough that many reads and comparisons run without an interruption.
constexpr int64_t kParts = 16;
constexpr int64_t kEntries = kRows * kColumns;  // of a matrix

struct Layout {
  const char* name;
  int32_t order;
  int32_t bits;
  int64_t group_columns;
  int64_t scale_rows;
  bool zeros;
  float scale;
  enum { kIntegers, kE2m1, kNormal } numbers;
};

constexpr float kHalf = 0x1.47cp-7F;  // 0.01 in F16, whose products with small integers are exact
constexpr float kSingle = 0.01F;      // the same in F32
constexpr float kPower = 0x1p-7F;     // E8M0
constexpr float kE2m1[16] = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6, -0.0F, -0.5F, -1, -1.5F, -2, -3, -4, -6};

// The number of a code. Those of kNormal resemble the quantiles of a normal distribution, and have no common divisor.
float number_of(const Layout& layout, size_t code) {
  if (layout.bits == 8) {
    return static_cast<float>(static_cast<int8_t>(code));
  }
  const float centred = (static_cast<float>(code) - 7) / 8;
  return layout.numbers == Layout::kE2m1     ? kE2m1[code]
         : layout.numbers == Layout::kNormal ? centred * (0.6F + 0.4F * centred * centred)
                                             : static_cast<float>(code);
}

volatile uint64_t sink;

uint64_t sum_of(const uint64_t* words, int64_t count) {
  uint64_t sums[8] = {};
  for (int64_t i = 0; i + 8 <= count; i += 8) {
    for (int64_t k = 0; k < 8; ++k) {
      sums[k] += words[i + k];
    }
  }
  uint64_t sum = 0;
  for (const uint64_t own : sums) {
    sum += own;
  }
  return sum;
}

void measure(const Layout& layout, int64_t per_mille, int rounds) {
  std::mt19937_64 random(5);
  std::vector<uint64_t> words(static_cast<size_t>(kParts * kEntries * layout.bits / 64));
  std::generate(words.begin(), words.end(), random);
  std::vector<uint64_t> other = words;
  auto* codes_after = reinterpret_cast<uint8_t*>(other.data());
  for (int64_t i = 0; i < kParts * kEntries; ++i) {
    if (static_cast<int64_t>(random() % 1000) < per_mille) {
      codes_after[i * layout.bits / 8] ^= static_cast<uint8_t>(layout.bits == 8 || i % 2 == 0 ? 1 : 16);
    }
  }
  const bool across = layout.order >= TG_CODES_DOWN;
  const int64_t groups = kColumns / layout.group_columns;
  const int64_t blocks = kRows / layout.scale_rows;
  std::vector<float> table(size_t{1} << layout.bits);
  for (size_t code = 0; code < table.size(); ++code) {
    table[code] = number_of(layout, code);
  }
  const std::vector<float> scales(static_cast<size_t>(groups * blocks), layout.scale);
  const std::vector<float> zeros(scales.size(), 7.0F);
  tg_codes codes{sizeof(codes),
                 words.data(),
                 kEntries * layout.bits / 8,
                 kRows,
                 kColumns,
                 layout.order == TG_CODES_DOWN ? 4 * kRows : (across ? kRows : kColumns) * layout.bits / 8,
                 layout.bits,
                 layout.order,
                 0,
                 table.data(),
                 scales.data(),
                 layout.zeros ? zeros.data() : nullptr,
                 across ? blocks : groups,
                 layout.scale_rows,
                 groups,
                 layout.group_columns,
                 nullptr};
  tg_codes tuned_codes = codes;
  tuned_codes.codes = other.data();
  const bench::Context context = bench::open_context();
  const bench::Memory entries = bench::allocate(4 * kEntries);
  tg_operand a{};
  a.size = sizeof(a);
  a.values = {&codes, kRows, kColumns, kColumns, TG_CODES, 0};
  tg_operand b = a;
  b.values.data = &tuned_codes;
  std::vector<int64_t> rows(static_cast<size_t>(kRows));
  std::vector<int64_t> columns(static_cast<size_t>(kColumns));
  std::vector<int64_t> map(64 * 64);
  const tg_diff_options options{sizeof(options)};
  const tg_diff_profiles profiles{sizeof(profiles), rows.data(), columns.data(), nullptr, 0, map.data(), 64, 64};
  tg_workspace_size size{sizeof(size), 0, 0};
  bench::require(context.get(), tg_diff_workspace(context.get(), &a, &b, 1, &options, &profiles, &size));
  const bench::Memory host = bench::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  tg_diff_result result{};
  result.size = sizeof(result);
  double read = 1e9;
  double compare = 1e9;
  double decode = 1e9;
  const int64_t words_of_part = kEntries * layout.bits / 64;
  for (int64_t part = 0; part < rounds * kParts; ++part) {
    const int64_t at = part % kParts * words_of_part;
    codes.codes = words.data() + at;
    tuned_codes.codes = other.data() + at;
    const int64_t ahead = (part + kParts / 2) % kParts * words_of_part;  // read another part, which no cache holds
    read = std::min(read, bench::seconds(1, [&] {
                      sink = sum_of(words.data() + ahead, words_of_part) + sum_of(other.data() + ahead, words_of_part);
                    }));
    compare = std::min(compare, bench::seconds(1, [&] {
                         bench::require(context.get(),
                                        tg_diff(context.get(), &a, &b, 1, &options, nullptr, &workspace, &profiles, &result));
                       }));
    decode = std::min(decode, bench::seconds(1, [&] {
                        bench::require(context.get(), tg_codes_decode(context.get(), &codes, static_cast<float*>(entries.get())));
                      }));
  }
  const double bytes = 2 * layout.bits / 8.0;
  const auto count = static_cast<double>(kEntries);
  std::printf("%s\t%ld\t%.0f\t%.3f\t%.3f\t%.1f\t%.1f\t%.2f\n", layout.name, static_cast<long>(per_mille), bytes,
              decode / count * 1e9, compare / count * 1e9, bytes * count / compare * 1e-9, bytes * count / read * 1e-9,
              read / compare);
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** arguments) {
  const int rounds = count > 1 ? std::atoi(arguments[1]) : 9;
  const char* only = count > 2 ? arguments[2] : "";
  const int64_t only_share = count > 3 ? std::atoi(arguments[3]) : -1;
  std::printf("layout\tchanged, per mille\tbytes\tns to decode\tns to compare\tGB/s\tread GB/s\tratio\n");
  for (const Layout& layout :
       {Layout{"int8, rows, F32", TG_CODES_LOW_FIRST, 8, kColumns, 1, false, kSingle, Layout::kIntegers},
        Layout{"int8, rows, F16", TG_CODES_LOW_FIRST, 8, kColumns, 1, false, kHalf, Layout::kIntegers},
        Layout{"packed, groups of 128, F32", TG_CODES_LOW_FIRST, 4, 128, 1, true, kSingle, Layout::kIntegers},
        Layout{"packed, groups of 128, F16", TG_CODES_LOW_FIRST, 4, 128, 1, true, kHalf, Layout::kIntegers},
        Layout{"NVFP4, groups of 16", TG_CODES_LOW_FIRST, 4, 16, 1, false, kSingle, Layout::kE2m1},
        Layout{"NF4, blocks of 64", TG_CODES_HIGH_FIRST, 4, 64, 1, false, kSingle, Layout::kNormal},
        Layout{"GPTQ, groups of 128, F16", TG_CODES_DOWN, 4, 128, 1, true, kHalf, Layout::kIntegers},
        Layout{"AWQ, groups of 128, F16", TG_CODES_AWQ, 4, 128, 1, true, kHalf, Layout::kIntegers},
        Layout{"MXFP4 experts", TG_CODES_ACROSS, 4, 1, 32, false, kPower, Layout::kE2m1}}) {
    for (const int64_t per_mille : {0, 10, 200}) {
      if (std::strncmp(layout.name, only, std::strlen(only)) == 0 && (only_share < 0 || only_share == per_mille)) {
        measure(layout, per_mille, rounds);
      }
    }
  }
  return 0;
}
