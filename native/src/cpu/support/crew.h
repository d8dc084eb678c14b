// The threads that share the work of one matrix. Products outside of the work of a pool are divided among its threads. How work
// is divided depends on its shape only, so that results do not depend on the number of threads.
#ifndef THREEGATE_CPU_SUPPORT_CREW_H
#define THREEGATE_CPU_SUPPORT_CREW_H

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

// Divides `size` into parts of the same length, but for the last one: about eight of them, of 256 to 1024.
int64_t part_length(int64_t size);

}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_CREW_H
