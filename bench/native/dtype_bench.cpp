// Measures the comparison of pairs of every dtype with all outputs except the mask, and a plain read of the
// same bytes.
//
// usage: threegate_bench_dtypes [ROUNDS [PAIR...]]. A PAIR is a name that it prints; without one, it measures all. Prints one
// line for each pair and share of changed entries: the pair, changed entries per mille, bytes of a pair of entries, nanoseconds
// per pair, gigabytes per second, the read bandwidth, and the ratio. Reads and comparisons alternate, and the best one counts,
// because other programs may run. THREEGATE_SIMD selects the instruction set. One thread.
#include <immintrin.h>

#include <string>

#include "support.h"

namespace {

constexpr bench::Shape kShape{24 * 1024, 2048};
constexpr int64_t kElements = kShape.rows * kShape.columns;
constexpr int64_t kScaleBlock = 128;
// Reads and comparisons take parts of the rows in turn, which are short enough that many of them run without an interruption.
constexpr int64_t kParts = 24;
constexpr int64_t kPartRows = kShape.rows / kParts;
constexpr int64_t kPartEntries = kPartRows * kShape.columns;

int64_t bytes_of(tg_dtype dtype) {
  switch (dtype) {
    case TG_F64:
      return 8;
    case TG_F32:
      return 4;
    case TG_F16:
    case TG_BF16:
      return 2;
    default:
      return 1;
  }
}

// Stores a number in a dtype. The low bits of a float8 code are cut, which does not matter here.
void put(uint8_t* to, tg_dtype dtype, float value) {
  if (dtype == TG_F64) {
    const double wide = value;
    std::memcpy(to, &wide, sizeof(wide));
  } else if (dtype == TG_F32) {
    std::memcpy(to, &value, sizeof(value));
  } else if (dtype == TG_BF16) {
    const uint16_t code = bench::to_bf16(value);
    std::memcpy(to, &code, sizeof(code));
  } else {
    const auto code = static_cast<uint16_t>(_cvtss_sh(dtype == TG_F8_E4M3 ? value / 256 : value, 0));
    if (dtype == TG_F16) {
      std::memcpy(to, &code, sizeof(code));
    } else {
      *to = static_cast<uint8_t>(dtype == TG_F8_E5M2 ? code >> 8 : (code >> 8 & 0x80) | (code >> 7 & 0x7f));
    }
  }
}

struct Side {
  tg_dtype dtype;
  bool scaled;

  [[nodiscard]] std::string name() const {
    const char* names[] = {"", "f64", "f32", "f16", "bf16", "e4m3", "e5m2"};
    return std::string(names[dtype]) + (scaled ? "*scale" : "");
  }
};

struct Pair {
  Side base;
  Side tuned;

  [[nodiscard]] std::string name() const { return base.name() + " / " + tuned.name(); }
};

// Entries of a side. Scaled entries are stored 64 times as large.
bench::Memory entries(const Side& side, const std::vector<float>& values) {
  bench::Memory memory = bench::allocate(kElements * bytes_of(side.dtype) + 1);
  auto* to = static_cast<uint8_t*>(memory.get());
  for (int64_t i = 0; i < kElements; ++i) {
    put(to + i * bytes_of(side.dtype), side.dtype, values[static_cast<size_t>(i)] * (side.scaled ? 64 : 1));
  }
  return memory;
}

const uint8_t* part_of(const Side& side, const bench::Memory& memory, int64_t part) {
  return static_cast<const uint8_t*>(memory.get()) + part * kPartEntries * bytes_of(side.dtype);
}

uint64_t sum_of(const void* memory, int64_t bytes) {
  const auto* words = static_cast<const __m256i*>(memory);
  __m256i sum[4] = {};
  for (int64_t i = 0; i + 4 <= bytes / 32; i += 4) {
    for (int k = 0; k < 4; ++k) {
      sum[k] = _mm256_add_epi64(sum[k], _mm256_loadu_si256(words + i + k));
    }
  }
  const __m256i all = _mm256_add_epi64(_mm256_add_epi64(sum[0], sum[1]), _mm256_add_epi64(sum[2], sum[3]));
  return static_cast<uint64_t>(all[0] + all[1] + all[2] + all[3]);
}

volatile uint64_t sink;

void measure(const Pair& pair, int64_t per_mille, int rounds) {
  std::mt19937_64 random(11);
  std::normal_distribution<float> normal(0.0F, 0.02F);
  std::vector<float> normals(1 << 16);
  std::generate(normals.begin(), normals.end(), [&] { return normal(random); });
  std::vector<float> before(static_cast<size_t>(kElements));
  std::vector<float> after(before.size());
  for (size_t i = 0; i < before.size(); ++i) {
    before[i] = normals[random() % normals.size()];
    const bool moves = static_cast<int64_t>(random() % 1000) < per_mille;
    after[i] = moves ? before[i] * (random() % 2 == 0 ? 1.26F : 0.77F) : before[i];
  }
  const bench::Memory base = entries(pair.base, before);
  const bench::Memory tuned = entries(pair.tuned, after);
  const std::vector<float> scales(static_cast<size_t>(kShape.rows / kScaleBlock * kShape.columns / kScaleBlock), 1.0F / 64);
  const auto operand = [&](const Side& side, const bench::Memory& memory, int64_t part) {
    tg_operand matrix{};
    matrix.size = sizeof(matrix);
    matrix.values = {part_of(side, memory, part), kPartRows, kShape.columns, kShape.columns, side.dtype, 0};
    if (side.scaled) {
      const int64_t blocks = kPartRows / kScaleBlock;
      const float* own = scales.data() + part * blocks * (kShape.columns / kScaleBlock);
      matrix.block_scale = {own, blocks, kShape.columns / kScaleBlock, kShape.columns / kScaleBlock, TG_F32, 0};
      matrix.block_rows = kScaleBlock;
      matrix.block_columns = kScaleBlock;
    }
    return matrix;
  };
  std::vector<tg_operand> a;
  std::vector<tg_operand> b;
  for (int64_t part = 0; part < kParts; ++part) {
    a.push_back(operand(pair.base, base, part));
    b.push_back(operand(pair.tuned, tuned, part));
  }
  const bench::Context context = bench::open_context();
  std::vector<int64_t> rows(static_cast<size_t>(kShape.rows));
  std::vector<int64_t> columns(static_cast<size_t>(kShape.columns));
  std::vector<int64_t> map(64 * 64);
  const tg_diff_options options{sizeof(options)};
  const tg_diff_profiles profiles{sizeof(profiles), rows.data(), columns.data(), nullptr, 0, map.data(), 64, 64};
  tg_workspace_size size{sizeof(size), 0, 0};
  bench::require(context.get(), tg_diff_workspace(context.get(), a.data(), b.data(), 1, &options, &profiles, &size));
  const bench::Memory host = bench::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  tg_diff_result result{};
  result.size = sizeof(result);
  const int64_t bytes = bytes_of(pair.base.dtype) + bytes_of(pair.tuned.dtype);
  double read = 1e9;
  double compare = 1e9;
  for (int round = 0; round < rounds; ++round) {
    for (size_t part = 0; part < a.size(); ++part) {
      read = std::min(read, bench::seconds(1, [&] {
                        sink = sum_of(a[part].values.data, kPartEntries * bytes_of(pair.base.dtype)) +
                               sum_of(b[part].values.data, kPartEntries * bytes_of(pair.tuned.dtype));
                      }));
    }
    for (size_t part = 0; part < a.size(); ++part) {
      compare = std::min(compare, bench::seconds(1, [&] {
                           bench::require(context.get(), tg_diff(context.get(), &a[part], &b[part], 1, &options, nullptr,
                                                                 &workspace, &profiles, &result));
                         }));
    }
  }
  const auto count = static_cast<double>(kPartEntries);
  std::printf("%s\t%ld\t%ld\t%.3f\t%.1f\t%.1f\t%.2f\n", pair.name().c_str(), static_cast<long>(per_mille),
              static_cast<long>(bytes), compare / count * 1e9, static_cast<double>(bytes) * count / compare * 1e-9,
              static_cast<double>(bytes) * count / read * 1e-9, read / compare);
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** arguments) {
  const int rounds = count > 1 ? std::atoi(arguments[1]) : 9;
  const Pair pairs[] = {{{TG_F32, false}, {TG_F32, false}},         {{TG_F32, false}, {TG_BF16, false}},
                        {{TG_BF16, false}, {TG_F32, false}},        {{TG_F16, false}, {TG_F16, false}},
                        {{TG_F64, false}, {TG_F64, false}},         {{TG_F8_E4M3, false}, {TG_F8_E4M3, false}},
                        {{TG_F8_E4M3, true}, {TG_F8_E4M3, true}},   {{TG_F8_E4M3, true}, {TG_BF16, false}},
                        {{TG_F8_E5M2, false}, {TG_F8_E5M2, false}}, {{TG_BF16, false}, {TG_BF16, false}}};
  std::printf("pair\tchanged, per mille\tbytes\tns an entry\tGB/s\tread GB/s\tratio\n");
  for (const Pair& pair : pairs) {
    if (count > 2 && std::find(arguments + 2, arguments + count, pair.name()) == arguments + count) {
      continue;
    }
    for (const int64_t per_mille : {0, 10, 200, 1000}) {
      measure(pair, per_mille, rounds);
    }
  }
  return 0;
}
