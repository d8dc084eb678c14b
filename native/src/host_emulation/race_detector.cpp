#include "race_detector.h"

#include <dlfcn.h>
#include <link.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <unordered_map>
#include <vector>

namespace emulation {
namespace {

using races::Range;

constexpr int kWarp = 32;
constexpr size_t kPageBytes = 4096;
constexpr size_t kMostPages = 8192;  // 256 MiB of cells
constexpr uint32_t kFlag = uint32_t{1} << 31;
constexpr uint32_t kMostSegments = uint32_t{1} << 30;

// The last write and a read of a byte, as numbers of segments. The flag of a write says that it was atomic. The flag of a read
// says that threads of other warps read as well since the last barrier.
struct Cell {
  uint32_t write;
  uint32_t read;
};
using Page = std::array<Cell, kPageBytes>;

// What a thread does between two points that order it with others.
struct Segment {
  int thread;
  int block;
  uint32_t barriers;          // of its block and of the cluster
  uint32_t cluster_barriers;  // these alone order threads of other blocks
  uint32_t warp_barriers;
};

// A cluster of the launch, by its first block. Its segments begin with `first`. Those before `fenced` come before what another
// cluster does after an atomic access to global memory.
struct Cluster {
  uint64_t number;
  uint32_t first;
  uint32_t fenced;
  bool asked;  // it has had such an access
};

[[gnu::tls_model("initial-exec")]] thread_local int current = -1;
int current_block = 0;  // of the cluster
Range stacks{};
bool instrumented = false;  // whether there are kernels that call the functions below

// The data of this library or program, in which static shared memory lies.
Range own_data() {
  Range range{};
  dl_iterate_phdr(
      [](dl_phdr_info* module, size_t, void* result) {
        const auto here = reinterpret_cast<uintptr_t>(&own_data);
        Range data{};
        bool own = false;
        for (int i = 0; i < module->dlpi_phnum; ++i) {
          const auto& part = module->dlpi_phdr[i];
          const uintptr_t begin = module->dlpi_addr + part.p_vaddr;
          const Range at{begin, begin + part.p_memsz};
          own = own || (part.p_type == PT_LOAD && at.has(here));
          if (part.p_type == PT_LOAD && (part.p_flags & PF_W) != 0) {
            data = at;
          }
        }
        *static_cast<Range*>(result) = own ? data : *static_cast<Range*>(result);
        return own ? 1 : 0;
      },
      &range);
  return range;
}

class Detector {
 public:
  void begin_launch(int threads, int blocks) {
    if (pages_.size() > kMostPages || next_ > kMostSegments) {
      pages_.clear();
      cached_ = {};
      next_ = 1;
    }
    threads_of_block_ = threads;
    threads_.assign(static_cast<size_t>(threads) * static_cast<size_t>(blocks), 0);
    barriers_.resize(static_cast<size_t>(blocks));
    clusters_.clear();
    launch_ = next_;
  }

  void begin_cluster(uint64_t first_block, const Range& dynamic_shared) {
    shared_ = dynamic_shared;
    clusters_.push_back({first_block, next_, 0, false});
    segments_.clear();
    std::fill(barriers_.begin(), barriers_.end(), 0);
    cluster_barriers_ = 0;
    warp_barriers_.assign(threads_.size() / kWarp, 0);
    std::fill(threads_.begin(), threads_.end(), 0);
  }

  void pass_barrier(int block) {
    ++barriers_[static_cast<size_t>(block)];
    std::fill_n(&threads_[static_cast<size_t>(block) * static_cast<size_t>(threads_of_block_)], threads_of_block_, 0);
  }
  void pass_cluster_barrier() {
    ++cluster_barriers_;
    for (size_t block = 0; block < barriers_.size(); ++block) {
      pass_barrier(static_cast<int>(block));
    }
  }
  void pass_warp_barrier(int warp) {
    ++warp_barriers_[static_cast<size_t>(warp)];
    std::fill_n(&threads_[static_cast<size_t>(warp) * kWarp], kWarp, 0);
  }
  void pass_fence() { clusters_.back().fenced = next_; }

  void access(uintptr_t address, size_t bytes, Access kind, const void* code) {
    code_ = code;
    const uint32_t own = segment();
    for (size_t i = 0; i < bytes; ++i) {
      Cell& at = cell(address + i);
      // Most accesses repeat one of the same thread.
      const bool repeated =
          kind == Access::kRead ? at.read == own && is_own(at.write, own) : at.write == own && is_own(at.read, own);
      if (!repeated) {
        visit(at, address + i, own, kind);
      }
    }
  }

  [[noreturn]] void fail(const char* what, uintptr_t address, const Segment* other, uint64_t block) {
    Dl_info module{};
    dladdr(code_, &module);
    std::fprintf(stderr, "emulated CUDA: %s at %p in %s memory: block %llu, thread %d", what, reinterpret_cast<void*>(address),
                 is_shared(address) ? "shared" : "global", static_cast<unsigned long long>(clusters_.back().number), current);
    if (other != nullptr) {
      std::fprintf(stderr, ", and before it thread %d", other->thread);
    } else if (block != kNoBlock) {
      std::fprintf(stderr, ", and before it block %llu", static_cast<unsigned long long>(block));
    }
    std::fprintf(stderr, " (addr2line -e %s %#zx)\n", module.dli_fname == nullptr ? "?" : module.dli_fname,
                 reinterpret_cast<uintptr_t>(code_) - reinterpret_cast<uintptr_t>(module.dli_fbase) - 1);
    std::abort();
  }
  [[noreturn]] void fail_alignment(uintptr_t address, const void* code) {
    code_ = code;
    fail("a misaligned access", address, nullptr, kNoBlock);
  }

 private:
  static constexpr uint64_t kNoBlock = ~uint64_t{0};

  // Whether an earlier access was by the same segment, or before the launch.
  [[nodiscard]] bool is_own(uint32_t before, uint32_t own) const { return before == own || before < launch_; }

  [[nodiscard]] bool is_shared(uintptr_t address) const { return shared_.has(address) || data_.has(address); }

  // The segment of the current thread. A new one begins after each barrier.
  uint32_t segment() {
    uint32_t& own = threads_[static_cast<size_t>(current)];
    if (own == 0) {
      own = next_++;
      segments_.push_back({current, current_block, barriers_[static_cast<size_t>(current_block)], cluster_barriers_,
                           warp_barriers_[static_cast<size_t>(current / kWarp)]});
    }
    return own;
  }

  Cell& cell(uintptr_t address) {
    const uintptr_t number = address / kPageBytes;
    auto& slot = cached_[number % cached_.size()];
    if (slot.second == nullptr || slot.first != number) {
      auto& page = pages_[number];
      if (page == nullptr) {
        page = std::make_unique<Page>();
      }
      slot = {number, page.get()};
    }
    return (*slot.second)[address % kPageBytes];
  }

  [[nodiscard]] const Segment& segment_of(uint32_t number) const { return segments_[number - clusters_.back().first]; }

  // Whether no barrier has come after a segment that the current thread waited for.
  [[nodiscard]] bool is_recent(const Segment& other) const {
    return other.block == current_block ? other.barriers == barriers_[static_cast<size_t>(current_block)]
                                        : other.cluster_barriers == cluster_barriers_;
  }

  // Fails unless an earlier access comes before that of the current thread.
  void require_order(uint32_t before, uint32_t own, uintptr_t address, const char* what) {
    if (before < launch_ || before == own) {
      return;
    }
    if (before < clusters_.back().first) {
      if (is_shared(address)) {
        return;
      }
      size_t at = clusters_.size() - 1;
      while (clusters_[at].first > before) {
        --at;
      }
      if (before >= clusters_[at].fenced || !clusters_.back().asked) {
        fail(what, address, nullptr, clusters_[at].number);
      }
      return;
    }
    const Segment& other = segment_of(before);
    const Segment& mine = segment_of(own);
    const bool same_warp = other.thread / kWarp == mine.thread / kWarp;
    if (other.thread != mine.thread && is_recent(other) && !(same_warp && other.warp_barriers != mine.warp_barriers)) {
      fail(what, address, &other, kNoBlock);
    }
  }

  void visit(Cell& at, uintptr_t address, uint32_t own, Access kind) {
    const bool atomic = (at.write & kFlag) != 0;
    if (kind == Access::kRead) {
      require_order(at.write & ~kFlag, own, address, "a word is written and read without an order");
      keep_read(at, own);
      return;
    }
    if (kind == Access::kWrite || !atomic) {
      require_order(at.write & ~kFlag, own, address, "a word is written twice without an order");
    }
    require_order(at.read & ~kFlag, own, address, "a word is read and written without an order");
    if ((at.read & kFlag) != 0 && (at.read & ~kFlag) >= clusters_.back().first && is_recent(segment_of(at.read & ~kFlag))) {
      fail("a word is read by several threads and written without an order", address, nullptr, kNoBlock);
    }
    at.write = own | (kind == Access::kAtomic ? kFlag : 0);
    if (kind == Access::kAtomic && !is_shared(address)) {
      clusters_.back().asked = true;
    }
  }

  // A read by another warp in the same interval marks the first one. Within a warp the last one is kept.
  void keep_read(Cell& at, uint32_t own) {
    const uint32_t before = at.read & ~kFlag;
    const bool recent = before >= clusters_.back().first && is_recent(segment_of(before));
    if (recent && segment_of(before).thread / kWarp != current / kWarp) {
      at.read |= kFlag;
    } else if (!recent) {
      at.read = own;
    } else {
      at.read = own | (at.read & kFlag);
    }
  }

  std::unordered_map<uintptr_t, std::unique_ptr<Page>> pages_;
  std::array<std::pair<uintptr_t, Page*>, 1024> cached_{};
  std::vector<uint32_t> threads_;  // the segment of each thread, or 0
  std::vector<Segment> segments_;  // of the current cluster
  std::vector<Cluster> clusters_;
  std::vector<uint32_t> warp_barriers_;
  std::vector<uint32_t> barriers_;  // of each block
  uint32_t cluster_barriers_ = 0;
  int threads_of_block_ = 0;
  uint32_t next_ = 1;
  uint32_t launch_ = 1;
  Range shared_{};
  Range data_ = own_data();
  const void* code_ = nullptr;
};

Detector& detector() {
  static Detector* const instance = std::make_unique<Detector>().release();  // kernels may run until the process ends
  return *instance;
}

// Whether a thread of a kernel accesses memory that others see.
bool is_of_interest(const void* address) { return current >= 0 && !stacks.has(reinterpret_cast<uintptr_t>(address)); }

}  // namespace

void note_access(const void* address, size_t bytes, Access access) {
  if (is_of_interest(address)) {
    detector().access(reinterpret_cast<uintptr_t>(address), bytes, access, __builtin_return_address(0));
  }
}

namespace races {

void begin_launch(int threads, int blocks, const Range& of_threads) {
  if (instrumented) {
    stacks = of_threads;
    detector().begin_launch(threads, blocks);
  }
}
void begin_cluster(uint64_t first_block, const Range& dynamic_shared) {
  if (instrumented) {
    detector().begin_cluster(first_block, dynamic_shared);
  }
}
void run_thread(int thread, int block) {
  current = instrumented ? thread : -1;
  current_block = block;
}
void pass_barrier(int block) {
  if (instrumented) {
    detector().pass_barrier(block);
  }
}
void pass_cluster_barrier() {
  if (instrumented) {
    detector().pass_cluster_barrier();
  }
}
void pass_warp_barrier(int warp) {
  if (instrumented) {
    detector().pass_warp_barrier(warp);
  }
}
void pass_fence() {
  if (instrumented) {
    detector().pass_fence();
  }
}

}  // namespace races
}  // namespace emulation

// The functions that g++ calls. An access of a type has its alignment on a GPU, too; the "unaligned" ones are of bytes there.
#define TG_ACCESS(name, bytes, kind, aligned)                                                                    \
  extern "C" void name(void* address) {                                                                          \
    if (emulation::is_of_interest(address)) {                                                                    \
      if ((aligned) && reinterpret_cast<uintptr_t>(address) % (bytes) != 0) {                                    \
        emulation::detector().fail_alignment(reinterpret_cast<uintptr_t>(address), __builtin_return_address(0)); \
      }                                                                                                          \
      emulation::detector().access(reinterpret_cast<uintptr_t>(address), bytes, emulation::Access::kind,         \
                                   __builtin_return_address(0));                                                 \
    }                                                                                                            \
  }
#define TG_ACCESSES(bytes)                                                \
  TG_ACCESS(__tsan_read##bytes, bytes, kRead, true)                       \
  TG_ACCESS(__tsan_write##bytes, bytes, kWrite, true)                     \
  TG_ACCESS(__tsan_unaligned_read##bytes, bytes, kRead, false)            \
  TG_ACCESS(__tsan_unaligned_write##bytes, bytes, kWrite, false)          \
  TG_ACCESS(__tsan_volatile_read##bytes, bytes, kAtomic, true)            \
  TG_ACCESS(__tsan_volatile_write##bytes, bytes, kAtomic, true)           \
  TG_ACCESS(__tsan_unaligned_volatile_read##bytes, bytes, kAtomic, false) \
  TG_ACCESS(__tsan_unaligned_volatile_write##bytes, bytes, kAtomic, false)
TG_ACCESSES(1)
TG_ACCESSES(2)
TG_ACCESSES(4)
TG_ACCESSES(8)
TG_ACCESSES(16)
extern "C" {
void __tsan_read_range(void* address, size_t bytes) { emulation::note_access(address, bytes, emulation::Access::kRead); }
void __tsan_write_range(void* address, size_t bytes) { emulation::note_access(address, bytes, emulation::Access::kWrite); }
// Whether a static variable with a constructor, such as shared memory for vectors, has been constructed.
unsigned char __tsan_atomic8_load(const volatile unsigned char* flag, int) { return *flag; }
void __tsan_init() { emulation::instrumented = true; }
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void*, void*) {}
}
