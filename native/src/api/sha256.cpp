#include "cpu/digest/sha256.h"

#include <atomic>

#include "api/context.h"
#include "api/mapped_file.h"

namespace threegate {
namespace {

void require_spans(const tg_span* spans, int64_t count, const uint8_t* digests) {
  require(count >= 0, "count", std::to_string(count), "it must not be negative");
  require((spans != nullptr && digests != nullptr) || count == 0, "spans or digests", "NULL",
          "count elements of each are required");
  for (int64_t i = 0; i < count; ++i) {
    const std::string name = "spans[" + std::to_string(i) + "]";
    require(spans[i].bytes >= 0, (name + ".bytes").c_str(), std::to_string(spans[i].bytes), "it must not be negative");
    require(spans[i].data != nullptr || spans[i].bytes == 0, (name + ".data").c_str(), "NULL",
            "data is required if bytes is not 0");
  }
}

// Returns false if the call was cancelled.
bool digest_all(ThreadPool& pool, SimdLevel level, const tg_span* spans, int64_t count, tg_control* control, uint8_t* digests) {
  const digest::CompressFunction compress = digest::choose_compress(level);
  const int threads = static_cast<int>(std::min<int64_t>(count, pool.threads()));
  // A thread takes no more streams at a time than its share of the ranges.
  const int64_t share = threads == 0 ? 0 : (count + threads - 1) / threads;
  const size_t streams = std::min(static_cast<size_t>(share), digest::kMostStreams);
  std::atomic<int64_t> next{0};
  std::atomic<bool> complete{true};
  pool.run(threads, [&](int) {
    if (!digest::sha256(compress, spans, count, next, streams, control, digests)) {
      complete = false;
    }
  });
  return complete;
}

}  // namespace
}  // namespace threegate

extern "C" tg_status tg_sha256(tg_context* context, const tg_span* spans, int64_t count, tg_control* control, uint8_t* digests) {
  return threegate::guarded_call(context, [&] {
    threegate::require_spans(spans, count, digests);
    if (control != nullptr) {
      threegate::require_struct(control, "control");
    }
    if (!threegate::digest_all(context->pool, context->simd, spans, count, control, digests)) {
      throw threegate::Error(TG_CANCELLED, "cancelled");
    }
    for (int64_t i = 0; i < count; ++i) {
      threegate::require_intact(spans[i].data, spans[i].bytes);
    }
  });
}
