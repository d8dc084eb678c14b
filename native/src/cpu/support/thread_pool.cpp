#include "thread_pool.h"

#include <csignal>
#include <system_error>

#include "common/control.h"

namespace threegate {
namespace {

thread_local bool at_work = false;

constexpr size_t kStackBytes = size_t{8} << 20;  // OpenBLAS overflows the smaller stacks that a JVM gives its threads

class ThreadAttributes {
 public:
  ThreadAttributes() {
    pthread_attr_init(&attributes_);
    pthread_attr_setstacksize(&attributes_, kStackBytes);
  }
  ~ThreadAttributes() { pthread_attr_destroy(&attributes_); }
  ThreadAttributes(const ThreadAttributes&) = delete;
  ThreadAttributes& operator=(const ThreadAttributes&) = delete;
  [[nodiscard]] const pthread_attr_t* get() const { return &attributes_; }

 private:
  pthread_attr_t attributes_{};
};

// Signals are handled by the application. Workers start with all signals blocked except the synchronous ones.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t blocked;
    sigfillset(&blocked);
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) {
      sigdelset(&blocked, signal);
    }
    pthread_sigmask(SIG_SETMASK, &blocked, &previous_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &previous_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t previous_{};
};

}  // namespace

ThreadPool::ThreadPool(int threads) : threads_(threads) {
  const ThreadAttributes attributes;
  const BlockedSignals blocked;
  starts_.reserve(static_cast<size_t>(threads));
  workers_.reserve(static_cast<size_t>(threads));
  for (int thread = 1; thread < threads; ++thread) {
    starts_.push_back({this, thread});
    pthread_t worker{};
    const int failure = pthread_create(&worker, attributes.get(), &ThreadPool::enter, &starts_.back());
    if (failure != 0) {
      stop();
      throw std::system_error(failure, std::generic_category(), "cannot start worker thread " + std::to_string(thread));
    }
    workers_.push_back(worker);
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() noexcept {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  begin_.notify_all();
  for (const pthread_t worker : workers_) {
    pthread_join(worker, nullptr);
  }
  workers_.clear();
}

void* ThreadPool::enter(void* start) {
  const auto* own = static_cast<const Start*>(start);
  own->pool->serve(own->thread);
  return nullptr;
}

void ThreadPool::serve(int thread) {
  int64_t seen = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    begin_.wait(lock, [&] { return stopping_ || generation_ != seen; });
    if (stopping_) {
      return;
    }
    seen = generation_;
    if (thread >= wanted_) {
      continue;
    }
    lock.unlock();
    guarded(thread);
    lock.lock();
    if (--running_ == 0) {
      end_.notify_one();
    }
  }
}

void ThreadPool::guarded(int thread) noexcept {
  at_work = true;
  try {
    const ControlOfCall control(control_);
    (*work_)(thread);
  } catch (...) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_) {
      failure_ = std::current_exception();
    }
  }
  at_work = false;
}

bool ThreadPool::is_at_work() noexcept { return at_work; }

void ThreadPool::run(int threads, const std::function<void(int)>& work) {
  const int used = threads < threads_ ? threads : threads_;
  if (used <= 1) {
    work(0);
    return;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    work_ = &work;
    control_ = control_of_call;
    failure_ = nullptr;
    wanted_ = used;
    running_ = used - 1;
    ++generation_;
  }
  begin_.notify_all();
  guarded(0);
  std::unique_lock<std::mutex> lock(mutex_);
  end_.wait(lock, [&] { return running_ == 0; });
  work_ = nullptr;
  if (failure_) {
    std::rethrow_exception(failure_);
  }
}

}  // namespace threegate
