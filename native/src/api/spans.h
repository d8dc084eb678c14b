// Checks of byte ranges that digests are computed of.
#ifndef THREEGATE_API_SPANS_H
#define THREEGATE_API_SPANS_H

#include "api/context.h"
#include "api/mapped_file.h"

namespace threegate {

inline void require_spans(const tg_span* spans, int64_t count, const tg_control* control, const uint8_t* digests) {
  require(count >= 0, "count", std::to_string(count), "it must not be negative");
  require((spans != nullptr && digests != nullptr) || count == 0, "spans or digests", "NULL",
          "count elements of each are required");
  for (int64_t i = 0; i < count; ++i) {
    const std::string name = "spans[" + std::to_string(i) + "]";
    require(spans[i].bytes >= 0, (name + ".bytes").c_str(), std::to_string(spans[i].bytes), "it must not be negative");
    require(spans[i].data != nullptr || spans[i].bytes == 0, (name + ".data").c_str(), "NULL",
            "data is required if bytes is not 0");
  }
  if (control != nullptr) {
    require_struct(control, "control");
  }
}

// Throws IO if a mapped file was truncated while the ranges were read.
inline void require_intact_spans(const tg_span* spans, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    require_intact(spans[i].data, spans[i].bytes);
  }
}

}  // namespace threegate

#endif  // THREEGATE_API_SPANS_H
