#include "cpu/digest/blake3.h"

#include <algorithm>
#include <atomic>

#include "api/spans.h"

namespace threegate {
namespace {

// Returns false if the call was cancelled.
bool digest_all(ThreadPool& pool, SimdLevel level, const tg_span* spans, int64_t count, tg_control* control, uint8_t* digests) {
  digest::Blake3 all(digest::choose_nodes(level), spans, count, digests);
  std::atomic<int64_t> next{0};
  std::atomic<bool> complete{true};
  pool.run(static_cast<int>(std::min<int64_t>(all.subtrees(), pool.threads())), [&](int) {
    if (!all.run(next, control)) {
      complete = false;
    }
  });
  if (complete) {
    all.finish();
  }
  return complete;
}

}  // namespace
}  // namespace threegate

extern "C" tg_status tg_blake3(tg_context* context, const tg_span* spans, int64_t count, tg_control* control, uint8_t* digests) {
  return threegate::guarded_call(context, [&] {
    threegate::require_spans(spans, count, control, digests);
    if (!threegate::digest_all(context->pool, context->simd, spans, count, control, digests)) {
      throw threegate::Error(TG_CANCELLED, "cancelled");
    }
    threegate::require_intact_spans(spans, count);
  });
}
