// The worker threads of one context.
#ifndef THREEGATE_CPU_SUPPORT_THREAD_POOL_H
#define THREEGATE_CPU_SUPPORT_THREAD_POOL_H

#include <pthread.h>

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <vector>

#include "threegate/threegate.h"

namespace threegate {

class ThreadPool {
 public:
  // `threads` includes the calling thread. The pool starts threads - 1 workers with stacks of 8 MiB.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int threads() const noexcept { return threads_; }

  // Runs work(thread) once on each of `threads` threads, at most threads(), and waits for all of them. The caller is thread 0.
  // The first exception of a thread is thrown again here.
  void run(int threads, const std::function<void(int)>& work);

  // Returns whether the calling thread runs work of a pool.
  static bool is_at_work() noexcept;

 private:
  struct Start {
    ThreadPool* pool;
    int thread;
  };
  static void* enter(void* start);
  void serve(int thread);
  void guarded(int thread) noexcept;
  void stop() noexcept;

  int threads_;
  std::vector<pthread_t> workers_;
  std::vector<Start> starts_;
  std::mutex mutex_;
  std::condition_variable begin_;
  std::condition_variable end_;
  const std::function<void(int)>* work_ = nullptr;
  const tg_control* control_ = nullptr;  // of the call that the work belongs to
  std::exception_ptr failure_;
  int64_t generation_ = 0;
  int wanted_ = 0;
  int running_ = 0;
  bool stopping_ = false;
};

}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_THREAD_POOL_H
