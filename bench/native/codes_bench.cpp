// Measures the decoding of quantised weights in each layout, and a plain read of the same bytes.
//
// usage: threegate_bench_codes [ROUNDS]. Prints one line for each layout: bytes of an entry as it is stored, nanoseconds per
// entry to decode it to float32 in memory that is in use already, gigabytes per second of stored bytes, the read bandwidth, and
// the ratio. Reads and decodings alternate, and the best of the rounds counts, because other programs may run. THREEGATE_SIMD
// selects the instruction set. One thread.
#include "support.h"

namespace {

constexpr int64_t kRows = 8192;
constexpr int64_t kColumns = 8192;
constexpr int64_t kEntries = kRows * kColumns;

struct Layout {
  const char* name;
  int32_t order;
  int32_t bits;
  int64_t group_columns;
  int64_t scale_rows;
  bool zeros;
};

volatile uint64_t sink;

uint64_t sum_of(const std::vector<uint64_t>& words) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 8 <= words.size(); i += 8) {
    for (size_t k = 0; k < 8; ++k) {
      sums[k] += words[i + k];
    }
  }
  uint64_t sum = 0;
  for (const uint64_t own : sums) {
    sum += own;
  }
  return sum;
}

void measure(const Layout& layout, int rounds) {
  std::mt19937_64 random(5);
  std::vector<uint64_t> words(static_cast<size_t>(kEntries * layout.bits / 64));
  std::generate(words.begin(), words.end(), random);
  const bool across = layout.order >= TG_CODES_DOWN;
  const int64_t groups = kColumns / layout.group_columns;
  const int64_t blocks = kRows / layout.scale_rows;
  std::vector<float> table(size_t{1} << layout.bits);
  for (size_t code = 0; code < table.size(); ++code) {
    table[code] = layout.bits == 8 ? static_cast<float>(static_cast<int8_t>(code)) : static_cast<float>(code);
  }
  const std::vector<float> scales(static_cast<size_t>(groups * blocks), 0.01F);
  const std::vector<float> zeros(scales.size(), 7.0F);
  const tg_codes codes{sizeof(codes),
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
  const bench::Context context = bench::open_context();
  const bench::Memory entries = bench::allocate(4 * kEntries);
  double read = 1e9;
  double decode = 1e9;
  for (int round = 0; round < rounds; ++round) {
    read = std::min(read, bench::seconds(1, [&] { sink = sum_of(words); }));
    decode = std::min(decode, bench::seconds(1, [&] {
                        bench::require(context.get(), tg_codes_decode(context.get(), &codes, static_cast<float*>(entries.get())));
                      }));
  }
  const double bytes = layout.bits / 8.0;
  const auto count = static_cast<double>(kEntries);
  std::printf("%s\t%.1f\t%.3f\t%.1f\t%.1f\t%.2f\n", layout.name, bytes, decode / count * 1e9, bytes * count / decode * 1e-9,
              bytes * count / read * 1e-9, read / decode);
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** arguments) {
  const int rounds = count > 1 ? std::atoi(arguments[1]) : 9;
  std::printf("layout\tbytes an entry\tns an entry\tGB/s\tread GB/s\tratio\n");
  for (const Layout& layout :
       {Layout{"int8, rows", TG_CODES_LOW_FIRST, 8, kColumns, 1, false},
        Layout{"packed, groups of 128", TG_CODES_LOW_FIRST, 4, 128, 1, true},
        Layout{"NVFP4, groups of 16", TG_CODES_LOW_FIRST, 4, 16, 1, false},
        Layout{"NF4, blocks of 64", TG_CODES_HIGH_FIRST, 4, 64, 1, false},
        Layout{"GPTQ, groups of 128", TG_CODES_DOWN, 4, 128, 1, true},
        Layout{"AWQ, groups of 128", TG_CODES_AWQ, 4, 128, 1, true}, Layout{"MXFP4 experts", TG_CODES_ACROSS, 4, 1, 32, false}}) {
    measure(layout, rounds);
  }
  return 0;
}
