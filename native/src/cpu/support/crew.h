// The threads that share the work of one matrix. Products outside of the work of a pool are divided among its threads. How work
// is divided depends on its shape only, so that results do not depend on the number of threads.
#ifndef THREEGATE_CPU_SUPPORT_CREW_H
#define THREEGATE_CPU_SUPPORT_CREW_H

#include <atomic>
#include <cstdint>
#include <functional>

#include "cpu/support/thread_pool.h"

namespace threegate {

// While it exists, the threads of a pool help the thread that made it, unless that runs work of the pool.
class Crew {
 public:
  explicit Crew(ThreadPool& pool) noexcept;
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

 private:
  ThreadPool* previous_;
};

// Calls part(i) once for each i < count, in any order: on the threads of the crew, or else on the calling thread. A part that
// calls this again runs its own parts itself.
void in_parts(int64_t count, const std::function<void(int64_t)>& part);

// Where the threads of at_the_same_time() wait for each other.
class Meeting {
 public:
  explicit Meeting(int threads) : threads_(threads) {}
  [[nodiscard]] int threads() const { return threads_; }
  // Returns when all threads have called it. Waits without sleeping at first, because meetings are microseconds apart.
  void wait() noexcept;

 private:
  int threads_;
  std::atomic<int> arrived_{0};
  std::atomic<int64_t> meetings_{0};
};

// Calls work(thread, meeting) on up to `most` threads of the crew at the same time, or once on the calling thread. The work must
// not throw, and must give the same results for any number of threads.
void at_the_same_time(int most, const std::function<void(int, Meeting&)>& work);

// Divides `size` into parts of the same length, but for the last one: about eight of them, of 256 to 1024.
int64_t part_length(int64_t size);

}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_CREW_H
