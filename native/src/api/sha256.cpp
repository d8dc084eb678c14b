#include "cpu/digest/sha256.h"

#include <atomic>

#include "api/spans.h"

namespace threegate {
namespace {

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
    threegate::require_spans(spans, count, control, digests);
    if (!threegate::digest_all(context->pool, context->simd, spans, count, control, digests)) {
      throw threegate::Error(TG_CANCELLED, "cancelled");
    }
    threegate::require_intact_spans(spans, count);
  });
}
