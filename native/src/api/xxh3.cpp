#include "cpu/digest/xxh3.h"

#include <algorithm>
#include <atomic>

#include "api/context.h"
#include "api/mapped_file.h"

namespace threegate {
namespace {

constexpr int64_t kPiece = int64_t{1} << 24;  // bytes that are read between two looks for a cancellation

void require_parts(const tg_xxh3_part* parts, int64_t count) {
  require(count >= 0, "count", std::to_string(count), "it must not be negative");
  require(parts != nullptr || count == 0, "parts", "NULL", "count elements are required");
  for (int64_t i = 0; i < count; ++i) {
    const std::string name = "parts[" + std::to_string(i) + "]";
    require(parts[i].state != nullptr, (name + ".state").c_str(), "NULL", "it must not be NULL");
    require(parts[i].bytes >= 0, (name + ".bytes").c_str(), std::to_string(parts[i].bytes), "it must not be negative");
    require(parts[i].data != nullptr || parts[i].bytes == 0, (name + ".data").c_str(), "NULL",
            "data is required if bytes is not 0");
    for (int64_t other = 0; other < i; ++other) {
      require(parts[other].state != parts[i].state, (name + ".state").c_str(), "that of another part", "each has its own");
    }
  }
}

void in_pieces(const tg_xxh3_part& part, digest::Xxh3Function update) {
  tg_xxh3_part piece = part;
  int64_t left = part.bytes;
  do {
    require_not_cancelled();
    piece.bytes = std::min(left, kPiece);
    update(piece);
    left -= piece.bytes;
    piece.data = static_cast<const uint8_t*>(piece.data) + piece.bytes;
  } while (left > 0);
}

}  // namespace
}  // namespace threegate

extern "C" tg_status tg_xxh3_update(tg_context* context, const tg_xxh3_part* parts, int64_t count) {
  return threegate::guarded_call(context, [&] {
    threegate::require_parts(parts, count);
    const threegate::digest::Xxh3Function update = threegate::digest::choose_xxh3(context->simd);
    std::atomic<int64_t> next{0};
    context->pool.run(static_cast<int>(std::clamp<int64_t>(count, 1, context->pool.threads())), [&](int) {
      for (int64_t part = next.fetch_add(1); part < count; part = next.fetch_add(1)) {
        threegate::in_pieces(parts[part], update);
      }
    });
    for (int64_t i = 0; i < count; ++i) {
      threegate::require_intact(parts[i].data, parts[i].bytes);
    }
  });
}

extern "C" tg_status tg_xxh3_digest(tg_context* context, const void* state, uint8_t* digest) {
  return threegate::guarded_call(context, [&] {
    threegate::require(state != nullptr, "state", "NULL", "it is required");
    threegate::require(digest != nullptr, "digest", "NULL", "it must not be NULL");
    threegate::digest::xxh3_digest(state, digest);
  });
}
