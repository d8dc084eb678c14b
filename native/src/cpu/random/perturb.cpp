#include "perturb.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "common/control.h"
#include "cpu/support/crew.h"
#include "cpu/support/operand.h"
#include "normals.h"
#include "words.h"

namespace threegate::random {
namespace {

// mean number of entries in a bucket, so that half a MiB stays in the second-level cache
constexpr int64_t kBucket = int64_t{1} << 17;
constexpr int64_t kPartEntries = int64_t{1} << 16;  // of a part that a thread takes

void stage(const tg_operand& operand, int64_t row, int64_t column, int64_t count, double* out) {
  stage_double(operand, row, column, count, out, convert_f16_plain);
}

Stream stream_of(const tg_perturb_options& options, Purpose purpose) {
  return {static_cast<uint64_t>(options.seed), static_cast<uint32_t>(options.draw), purpose};
}

// Calls body(row, column, count) for runs of entries within rows from `begin` to `end`. Returns false if the call was cancelled.
template <typename Body>
bool for_runs(const tg_operand& operand, int64_t begin, int64_t end, const tg_control* control, Body body) {
  const int64_t columns = operand.values.columns;
  for (int64_t row = begin; row < end; ++row) {
    if (is_cancelled(control)) {
      return false;
    }
    for (int64_t column = 0; column < columns; column += kRun) {
      body(row, column, std::min(kRun, columns - column));
    }
  }
  return true;
}

// Does so for parts of the rows on all threads of the call.
template <typename Body>
bool for_runs_in_parts(const tg_operand& operand, const tg_control* control, const Body& body) {
  const int64_t rows = operand.values.rows;
  const int64_t together = std::max<int64_t>(1, kPartEntries / std::max<int64_t>(1, operand.values.columns));
  in_parts((rows + together - 1) / together,
           [&](int64_t part) { for_runs(operand, part * together, std::min(rows, (part + 1) * together), control, body); });
  return !is_cancelled(control);
}

}  // namespace

Outcome perturb_gaussian(SimdLevel level, const tg_operand& base, const tg_perturb_options& options, const tg_control* control,
                         void* perturbed) {
  const int64_t columns = base.values.columns;
  const int64_t row_blocks = (columns + kBlock - 1) / kBlock;
  const Stream stream = stream_of(options, Purpose::kGaussian);
  const auto add = [&](int64_t row, int64_t column, int64_t count) {
    double entries[kRun];
    float noise[kRun];
    normals(level, stream, row * row_blocks + column / kBlock, (count + kBlock - 1) / kBlock, noise);
    stage(base, row, column, count, entries);
    const int64_t at = row * columns + column;
    if (options.dtype == TG_BF16) {
      auto* out = static_cast<uint8_t*>(perturbed) + 2 * at;
      for (int64_t i = 0; i < count; ++i) {
        const uint16_t code = double_to_bf16(entries[i] + options.deviation * static_cast<double>(noise[i]));
        std::memcpy(out + 2 * i, &code, sizeof(code));
      }
    } else {
      auto* out = static_cast<uint8_t*>(perturbed) + 4 * at;
      for (int64_t i = 0; i < count; ++i) {
        const auto value = static_cast<float>(entries[i] + options.deviation * static_cast<double>(noise[i]));
        std::memcpy(out + 4 * i, &value, sizeof(value));
      }
    }
  };
  const bool done = for_runs_in_parts(base, control, add);
  return done ? Outcome::kDone : Outcome::kCancelled;
}

// Permutes in two passes that stay in the caches (Rao and Sandelius, 1961): each entry goes to a random bucket, and then each
// bucket is shuffled. Every permutation is equally likely.
Outcome perturb_permuted(const tg_operand& base, const tg_operand& tuned, const tg_perturb_options& options,
                         const tg_control* control, float* perturbed) {
  const int64_t entries = base.values.rows * base.values.columns;
  const int64_t buckets = (entries + kBucket - 1) / kBucket;
  const Stream choice = stream_of(options, Purpose::kBucket);
  std::vector<int64_t> ends(static_cast<size_t>(buckets) + 1, 0);
  Words counted(choice, 0);
  for (int64_t i = 0; i < entries; ++i) {
    ++ends[counted.below(static_cast<uint32_t>(buckets)) + 1];
  }
  for (int64_t i = 0; i < buckets; ++i) {
    ends[static_cast<size_t>(i) + 1] += ends[static_cast<size_t>(i)];
  }
  std::vector<int64_t> next(ends.begin(), ends.end() - 1);
  Words words(choice, 0);
  double before[kRun];
  double after[kRun];
  bool done = for_runs(base, 0, base.values.rows, control, [&](int64_t row, int64_t column, int64_t count) {
    stage(base, row, column, count, before);
    stage(tuned, row, column, count, after);
    for (int64_t i = 0; i < count; ++i) {
      perturbed[next[words.below(static_cast<uint32_t>(buckets))]++] = static_cast<float>(after[i] - before[i]);
    }
  });
  const Stream order = stream_of(options, Purpose::kShuffle);
  in_parts(done ? buckets : 0, [&](int64_t i) {
    if (!is_cancelled(control)) {
      const int64_t begin = ends[static_cast<size_t>(i)];
      // Buckets are much smaller than 2^32, so that their streams do not overlap.
      Words shuffled(order, i << 32);
      shuffle(shuffled, perturbed + begin, ends[static_cast<size_t>(i) + 1] - begin);
    }
  });
  const auto add = [&](int64_t row, int64_t column, int64_t count) {
    double unchanged[kRun];
    stage(base, row, column, count, unchanged);
    float* out = perturbed + row * base.values.columns + column;
    for (int64_t i = 0; i < count; ++i) {
      out[i] = static_cast<float>(unchanged[i] + static_cast<double>(out[i]));
    }
  };
  done = done && for_runs_in_parts(base, control, add);
  return done ? Outcome::kDone : Outcome::kCancelled;
}

}  // namespace threegate::random
