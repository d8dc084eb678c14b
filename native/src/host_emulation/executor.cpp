// Runs the clusters of a kernel one after the other, and the threads of all blocks of a cluster as fibers. Most clusters are
// single blocks. A fiber yields at barriers and at operations of a warp. THREEGATE_EMULATED_ORDER selects the order of threads:
// "forward", "reverse", or a number that is the seed of a random order. A kernel that lacks a barrier gives other results in
// another order.
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "asynchronous.h"
#include "context_switch.h"
#include "cuda_runtime.h"
#include "executor.h"
#include "race_detector.h"
#include "thread_order.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace emulation {
namespace {

constexpr size_t kStackBytes = size_t{256} << 10;
// From one stack to the next. The odd number of cache lines between them spreads the frames of the threads over all sets of the
// caches. At a distance of a power of two, the same place of all stacks has one set, and each switch of threads misses.
constexpr size_t kStackStride = kStackBytes + size_t{17} * 64;
constexpr int kWarp = 32;
constexpr int kMaxThreads = 1024;          // of a block
constexpr int kMaxThreadsTogether = 2048;  // of a cluster
// Shared memory that a launch asks for lies behind other shared memory, and a device promises no more than this alignment of it.
constexpr size_t kSharedBegin = 128;
constexpr size_t kSharedAlignment = 1024;
constexpr size_t kSharedMargin = kSharedBegin + kSharedAlignment;

struct Copy {
  void* to;
  std::vector<unsigned char> bytes;
  int group;
};

struct Thread {
  void* pointer = nullptr;
  uint3 index{};
  int block = 0;  // of the cluster
  void* fake_stack = nullptr;
  bool finished = false;
  int copy_group = 0;
  std::vector<Copy> copies;
  bool at_cluster_barrier = false;  // it has arrived, and not waited
  uint64_t cluster_phase = 0;       // of the barrier at which it arrived
};

struct Block {
  uint3 index{};
  int running = 0;
  std::vector<int> at_barrier;
  uint64_t passed_barriers = 0;
};

struct Warp {
  const char* name = nullptr;
  int arrived = 0;
  void* arguments[kWarp] = {};
};

class Executor {
 public:
  ~Executor() {
    if (stacks_ != nullptr) {
      munmap(stacks_, kMaxThreadsTogether * kStackStride);
    }
  }

  void run(const Launch& launch, const Task& body) {
    const std::lock_guard<std::mutex> lock(mutex_);
    count_ = static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
    blocks_.resize(launch.cluster);
    body_ = &body;
    gridDim = launch.grid;
    blockDim = launch.block;
    shared_bytes_ = launch.shared_bytes;
    shared_.reset(launch.shared_bytes == 0 ? nullptr : new unsigned char[shared_room()]);
    prepare();
    const uint64_t clusters = uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z / launch.cluster;
    const char* order = std::getenv("THREEGATE_EMULATED_ORDER");
    const char* last = std::getenv("THREEGATE_EMULATED_LAST_BLOCKS");
    const uint64_t most = last == nullptr ? clusters : std::strtoull(last, nullptr, 10) / launch.cluster;
    const uint64_t count = std::min<uint64_t>(clusters, most);
    for (uint64_t i = 0; i < count; ++i) {
      order_.restart(order, i);
      run_cluster(is_backwards(order) ? clusters - 1 - i : clusters - count + i);
    }
    shared_.reset();
  }

  // Memory beyond the end is not valid. The same offset from the base is the same place in each block of a cluster.
  [[nodiscard]] SharedWindow window(int block) const {
    if (shared_.get() == nullptr) {
      return {};
    }
    const auto at = reinterpret_cast<uintptr_t>(shared_.get());
    auto* const base = shared_.get() + (kSharedAlignment - at % kSharedAlignment) % kSharedAlignment +
                       static_cast<size_t>(block) * shared_stride();
    return {base, base + kSharedBegin, base + kSharedBegin + shared_bytes_};
  }

  void barrier() {
    Block& own = blocks_[static_cast<size_t>(block_)];
    own.at_barrier.push_back(current_);
    if (static_cast<int>(own.at_barrier.size()) == own.running) {
      own.at_barrier.pop_back();
      release_barrier(block_);
    } else {
      suspend();
    }
  }

  void arrive_at_cluster() {
    Thread& own = thread();
    if (own.at_cluster_barrier) {
      fail("a thread arrives twice at the barrier of its cluster");
    }
    own.at_cluster_barrier = true;
    own.cluster_phase = cluster_phase_;
    ++arrived_;
    end_cluster_phase_if_complete();
  }
  void wait_for_cluster() {
    Thread& own = thread();
    if (!own.at_cluster_barrier) {
      fail("a thread waits at the barrier of its cluster without an arrival");
    }
    if (own.cluster_phase == cluster_phase_) {
      at_cluster_barrier_.push_back(current_);
      suspend();
    }
    own.at_cluster_barrier = false;
  }

  void collective(const char* name, unsigned mask, void* argument, void (*complete)(void* const arguments[32])) {
    if (mask != 0xffffffffU) {
      fail("only operations of whole warps are emulated: ", name);
    }
    Warp& warp = warps_[static_cast<size_t>(current_ / kWarp)];
    if (warp.arrived > 0 && warp.name != name && std::string(warp.name) != name) {
      fail("lanes of a warp diverge at ", name);
    }
    warp.name = name;
    warp.arguments[current_ % kWarp] = argument;
    if (++warp.arrived < kWarp) {
      suspend();
      return;
    }
    complete(warp.arguments);
    warp.arrived = 0;
    const int first = current_ / kWarp * kWarp;
    for (int i = first; i < first + kWarp; ++i) {
      if (i != current_) {
        ready_.push_back(i);
      }
    }
  }

  [[nodiscard]] int current() const { return current_; }
  [[nodiscard]] int threads() const { return count_; }
  [[nodiscard]] int block() const { return block_; }
  [[nodiscard]] const std::vector<Block>& blocks() const { return blocks_; }
  [[nodiscard]] uint64_t cluster_phase() const { return cluster_phase_; }

  void sleep() {
    asleep_.push_back(current_);
    suspend();
  }
  void let_others_run() {
    unhurried_.push_back(current_);
    suspend();
  }
  void wake_all() {
    ready_.insert(ready_.end(), asleep_.begin(), asleep_.end());
    asleep_.clear();
  }
  Thread& thread() { return threads_[static_cast<size_t>(current_)]; }

  [[noreturn]] void thread_main() {
    finish_switch(nullptr);
    (*body_)();
    Thread& own = thread();
    if (!own.copies.empty()) {
      fail("a thread ended before its copies were complete");
    }
    asynchronous::end_thread();
    own.finished = true;
    --running_;
    Block& block = blocks_[static_cast<size_t>(block_)];
    if (--block.running == 0) {
      asynchronous::end_block();
    } else if (static_cast<int>(block.at_barrier.size()) == block.running) {
      release_barrier(block_);
    }
    // The barrier of the cluster is for threads that have not ended.
    if (own.at_cluster_barrier && own.cluster_phase == cluster_phase_) {
      --arrived_;
    }
    end_cluster_phase_if_complete();
    suspend(true);
    fail("a finished thread continued");
  }

 private:
  // The order of blocks. It is reversed for odd seeds.
  static bool is_backwards(const char* text) {
    return text != nullptr && (std::string(text) == "reverse" || (std::strtoull(text, nullptr, 10) & 1U) != 0);
  }

  void release(std::vector<int>& waiting) {
    ready_.insert(ready_.end(), waiting.begin(), waiting.end());
    waiting.clear();
  }
  void release_barrier(int block) {
    races::pass_barrier(block);
    Block& own = blocks_[static_cast<size_t>(block)];
    ++own.passed_barriers;
    release(own.at_barrier);
  }
  void end_cluster_phase_if_complete() {
    if (arrived_ == 0 || arrived_ < running_) {
      return;
    }
    races::pass_cluster_barrier();
    asynchronous::pass_cluster_barrier();
    for (Block& block : blocks_) {
      ++block.passed_barriers;
    }
    ++cluster_phase_;
    arrived_ = 0;
    release(at_cluster_barrier_);
  }

  // From the shared memory of a block to that of the next one of its cluster.
  [[nodiscard]] size_t shared_stride() const {
    return (kSharedBegin + shared_bytes_ + 2 * kSharedAlignment - 1) / kSharedAlignment * kSharedAlignment;
  }
  [[nodiscard]] size_t shared_room() const { return (blocks_.size() - 1) * shared_stride() + shared_bytes_ + kSharedMargin; }

  void prepare() {
    const int together = count_ * static_cast<int>(blocks_.size());
    if (count_ % kWarp != 0 || count_ > kMaxThreads || together > kMaxThreadsTogether) {
      fail("blocks must consist of whole warps and have at most 1024 threads, and clusters at most 2048");
    }
    if (stacks_ == nullptr) {
      void* const memory = mmap(nullptr, kMaxThreadsTogether * kStackStride, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (memory == MAP_FAILED) {
        fail("no memory for stacks");
      }
      stacks_ = static_cast<unsigned char*>(memory);
      threads_.resize(kMaxThreadsTogether);
    }
    for (int thread = 0; thread < together; ++thread) {
      const auto i = static_cast<unsigned>(thread % count_);
      threads_[static_cast<size_t>(thread)].index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
      threads_[static_cast<size_t>(thread)].block = thread / count_;
    }
    const auto first_stack = reinterpret_cast<uintptr_t>(stacks_);
    races::begin_launch(count_, static_cast<int>(blocks_.size()),
                        {first_stack, first_stack + kMaxThreadsTogether * kStackStride});
  }

  // The lowest address of the stack of a thread.
  [[nodiscard]] unsigned char* stack(int thread) const { return stacks_ + static_cast<size_t>(thread) * kStackStride; }

  void run_cluster(uint64_t index) {
    const uint64_t first = index * blocks_.size();
    for (size_t i = 0; i < blocks_.size(); ++i) {
      const uint64_t at = first + i;
      blocks_[i].index = {static_cast<unsigned>(at % gridDim.x), static_cast<unsigned>(at / gridDim.x % gridDim.y),
                          static_cast<unsigned>(at / gridDim.x / gridDim.y)};
      blocks_[i].running = count_;
      blocks_[i].passed_barriers = 0;
    }
    if (shared_) {
      std::memset(shared_.get(), kPoison, shared_room());
#if defined(__SANITIZE_ADDRESS__)
      __asan_unpoison_memory_region(shared_.get(), shared_room());
      for (size_t i = 0; i < blocks_.size(); ++i) {
        const auto block = static_cast<int>(i);
        const unsigned char* const end = window(block).end;
        const unsigned char* const next = i + 1 < blocks_.size() ? window(block + 1).begin : shared_.get() + shared_room();
        __asan_poison_memory_region(end, static_cast<size_t>(next - end));
      }
#endif
    }
    const int last = static_cast<int>(blocks_.size()) - 1;
    races::begin_cluster(first, {reinterpret_cast<uintptr_t>(window(0).begin), reinterpret_cast<uintptr_t>(window(last).end)});
    running_ = count_ * (last + 1);
    arrived_ = 0;
    cluster_phase_ = 0;
    warps_.assign(static_cast<size_t>(running_ / kWarp), Warp{});
    asynchronous::begin_cluster(count_, last + 1);
    asleep_.clear();
    unhurried_.clear();
    ready_.clear();
    const int together = running_;
    for (int i = 0; i < together; ++i) {
      begin(i);
      ready_.push_back(i);
    }
    current_ = -1;
    suspend();
#if defined(__SANITIZE_ADDRESS__)
    if (shared_) {
      __asan_unpoison_memory_region(shared_.get(), shared_room());
    }
#endif
  }

  static void enter();

  void begin(int index) {
    Thread& thread = threads_[static_cast<size_t>(index)];
    thread.finished = false;
    thread.copy_group = 0;
    thread.at_cluster_barrier = false;
    thread.fake_stack = nullptr;
    auto* top = reinterpret_cast<void**>(stack(index) + kStackBytes);
#if defined(__SANITIZE_ADDRESS__)
    // The outermost frames of the previous thread never returned.
    constexpr size_t kOutermost = 8192;
    __asan_unpoison_memory_region(reinterpret_cast<unsigned char*>(top) - kOutermost, kOutermost);
#endif
    thread.pointer = first_frame(top, &Executor::enter);
  }

  void finish_switch([[maybe_unused]] void* fake_stack) {
#if defined(__SANITIZE_ADDRESS__)
    const void* bottom = nullptr;
    size_t bytes = 0;
    __sanitizer_finish_switch_fiber(fake_stack, &bottom, &bytes);
    if (main_bottom_ == nullptr) {
      main_bottom_ = bottom;
      main_bytes_ = bytes;
    }
#endif
  }

  // Continues with the next thread that can run, or with run_cluster if all have finished.
  void suspend([[maybe_unused]] bool last = false) {
    const int from = current_;
    int to = -1;
    if (ready_.empty()) {
      ready_.swap(unhurried_);
    }
    while (ready_.empty() && running_ > 0 && asynchronous::complete_one(order_)) {
    }
    if (!ready_.empty()) {
      const size_t at = order_.pick(ready_.size());
      to = ready_[at];
      if (at == 0 && ready_.size() > 1) {
        ready_.erase(ready_.begin());
      } else {
        ready_[at] = ready_.back();
        ready_.pop_back();
      }
    } else if (running_ > 0) {
      if (!asleep_.empty()) {
        fail("threads wait for a phase of a barrier that does not end");
      }
      fail("threads wait for others that have ended or wait at another place");
    }
    if (to == from) {
      return;  // it waited for what the other units did, and goes on
    }
    void** save = from < 0 ? &main_pointer_ : &threads_[static_cast<size_t>(from)].pointer;
    void* load = to < 0 ? main_pointer_ : threads_[static_cast<size_t>(to)].pointer;
#if defined(__SANITIZE_ADDRESS__)
    void** fake = from < 0 ? &main_fake_ : &threads_[static_cast<size_t>(from)].fake_stack;
    if (from < 0) {
      main_bottom_ = nullptr;
    }
    __sanitizer_start_switch_fiber(last ? nullptr : fake, to < 0 ? main_bottom_ : stack(to), to < 0 ? main_bytes_ : kStackBytes);
#endif
    current_ = to;
    set_index();
    races::run_thread(to, block_);
    emulation_switch(save, load);
#if defined(__SANITIZE_ADDRESS__)
    finish_switch(*fake);
#endif
  }

  void set_index() {
    if (current_ >= 0) {
      const Thread& own = threads_[static_cast<size_t>(current_)];
      block_ = own.block;
      threadIdx = own.index;
      blockIdx = blocks_[static_cast<size_t>(block_)].index;
    }
  }

  std::mutex mutex_;
  unsigned char* stacks_ = nullptr;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<Block> blocks_;  // of the cluster
  std::vector<int> ready_;
  std::vector<int> at_cluster_barrier_;
  std::vector<int> asleep_;
  std::vector<int> unhurried_;
  int arrived_ = 0;  // at the barrier of the cluster
  uint64_t cluster_phase_ = 0;
  ThreadOrder order_;
  const Task* body_ = nullptr;
  std::unique_ptr<unsigned char[]> shared_;
  size_t shared_bytes_ = 0;
  int count_ = 0;  // threads of a block
  int current_ = -1;
  int block_ = 0;  // of the current thread
  int running_ = 0;
  void* main_pointer_ = nullptr;
  [[maybe_unused]] void* main_fake_ = nullptr;
  [[maybe_unused]] const void* main_bottom_ = nullptr;
  [[maybe_unused]] size_t main_bytes_ = 0;
};

Executor& executor() {
  static Executor instance;
  return instance;
}

void Executor::enter() { executor().thread_main(); }

}  // namespace

void execute(const Launch& launch, const Task& body) { executor().run(launch, body); }

[[noreturn]] void fail(const char* what, const char* name) {
  std::fprintf(stderr, "emulated CUDA: %s%s (block %u, thread %u)\n", what, name, blockIdx.x, threadIdx.x);
  std::abort();
}
int current_thread() { return executor().current() % executor().threads(); }
int current_block() { return executor().block(); }
int cluster_blocks() { return static_cast<int>(executor().blocks().size()); }
bool has_ended(int block) { return executor().blocks()[static_cast<size_t>(block)].running == 0; }
uint64_t passed_barriers() { return executor().blocks()[static_cast<size_t>(current_block())].passed_barriers; }
uint64_t passed_cluster_barriers() { return executor().cluster_phase(); }
bool has_arrived_at_cluster() { return executor().thread().at_cluster_barrier; }
void arrive_at_cluster() { executor().arrive_at_cluster(); }
void wait_for_cluster() { executor().wait_for_cluster(); }
void sleep_until_woken() { executor().sleep(); }
void let_others_run() { executor().let_others_run(); }
void wake_all() { executor().wake_all(); }
SharedWindow shared_window(int block) { return executor().window(block); }

void* dynamic_shared_memory() { return shared_window(current_block()).begin; }
void block_barrier() { executor().barrier(); }
void sync_warp(unsigned mask) {
  int nothing = 0;
  // The last lane to arrive passes for all.
  warp_collective("__syncwarp", mask, &nothing, [](void* const[32]) { races::pass_warp_barrier(executor().current() / kWarp); });
}
void require_aligned(const void* address, size_t bytes, const char* what) {
  auto value = reinterpret_cast<uintptr_t>(address);
  asm volatile("" : "+r"(value));  // the compiler believes that it is aligned
  if (value % bytes != 0) {
    fail("misaligned: ", what);
  }
}
void fence() { races::pass_fence(); }
int lane() { return executor().current() % kWarp; }
void warp_collective(const char* name, unsigned mask, void* argument, void (*complete)(void* const arguments[32])) {
  executor().collective(name, mask, argument, complete);
}

// The target of a copy is undefined until the copy is waited for.
void copy_asynchronously(void* to, const void* from, size_t bytes) {
  require_aligned(to, bytes, "the target of a copy");
  require_aligned(from, bytes, "the source of a copy");
  note_access(to, bytes, Access::kWrite);
  note_access(from, bytes, Access::kRead);
  const auto* source = static_cast<const unsigned char*>(from);
  Copy copy{to, std::vector<unsigned char>(source, source + bytes), executor().thread().copy_group};
  std::memset(to, kPoison, bytes);
  executor().thread().copies.push_back(std::move(copy));
}
void commit_copies() { ++executor().thread().copy_group; }
void wait_for_copies(int groups_left) {
  Thread& thread = executor().thread();
  std::vector<Copy> left;
  for (Copy& copy : thread.copies) {
    if (copy.group < thread.copy_group - groups_left) {
      note_access(copy.to, copy.bytes.size(), Access::kWrite);
      std::memcpy(copy.to, copy.bytes.data(), copy.bytes.size());
    } else {
      left.push_back(std::move(copy));
    }
  }
  thread.copies = std::move(left);
}

}  // namespace emulation
