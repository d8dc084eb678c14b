#include "crew.h"

#include <algorithm>
#include <atomic>

namespace threegate {
namespace {

thread_local ThreadPool* crew = nullptr;

}  // namespace

Crew::Crew(ThreadPool& pool) noexcept : previous_(crew) { crew = &pool; }
Crew::~Crew() { crew = previous_; }

void in_parts(int64_t count, const std::function<void(int64_t)>& part) {
  ThreadPool* const pool = ThreadPool::is_at_work() ? nullptr : crew;
  if (pool == nullptr || count <= 1) {
    for (int64_t i = 0; i < count; ++i) {
      part(i);
    }
    return;
  }
  std::atomic<int64_t> next{0};
  pool->run(static_cast<int>(std::min<int64_t>(count, pool->threads())), [&](int) {
    for (int64_t i = next++; i < count; i = next++) {
      part(i);
    }
  });
}

int64_t part_length(int64_t size) {
  constexpr int64_t kParts = 8;
  constexpr int64_t kUnit = 64;
  const int64_t length = (size + kParts * kUnit - 1) / (kParts * kUnit) * kUnit;
  return std::clamp<int64_t>(length, 256, 1024);
}

}  // namespace threegate
