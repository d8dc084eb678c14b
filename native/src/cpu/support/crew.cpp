#include "crew.h"

#include <sched.h>

#include <algorithm>
#include <atomic>

namespace threegate {
namespace {

thread_local ThreadPool* crew = nullptr;

ThreadPool* available() { return ThreadPool::is_at_work() ? nullptr : crew; }

}  // namespace

Crew::Crew(ThreadPool& pool) noexcept : previous_(crew) { crew = &pool; }
Crew::~Crew() { crew = previous_; }

void in_parts(int64_t count, const std::function<void(int64_t)>& part) {
  ThreadPool* const pool = available();
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

void Meeting::wait() noexcept {
  if (threads_ == 1) {
    return;
  }
  constexpr int kSpins = 4000;
  const int64_t meeting = meetings_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
    arrived_.store(0, std::memory_order_relaxed);
    meetings_.store(meeting + 1, std::memory_order_release);
    return;
  }
  for (int spins = 0; meetings_.load(std::memory_order_acquire) == meeting; ++spins) {
    if (spins >= kSpins) {
      sched_yield();
    }
  }
}

void at_the_same_time(int most, const std::function<void(int, Meeting&)>& work) {
  ThreadPool* const pool = available();
  const int threads = pool == nullptr ? 1 : std::min(most, pool->threads());
  Meeting meeting(threads);
  if (threads == 1) {
    work(0, meeting);
  } else {
    pool->run(threads, [&](int thread) { work(thread, meeting); });
  }
}

int64_t part_length(int64_t size) {
  constexpr int64_t kParts = 8;
  constexpr int64_t kUnit = 64;
  const int64_t length = (size + kParts * kUnit - 1) / (kParts * kUnit) * kUnit;
  return std::clamp<int64_t>(length, 256, 1024);
}

}  // namespace threegate
