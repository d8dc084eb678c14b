#include "mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/context.h"

namespace threegate {
namespace {

constexpr int64_t kReadAtOnce = int64_t{1} << 24;  // bytes between two looks for a cancellation
constexpr int64_t kUnit = int64_t{2} << 20;        // a huge page

// The mapped ranges, in a list that a signal handler may walk. Nodes are reused and never freed.
struct Range {
  std::atomic<uintptr_t> begin{0};  // 0 if the node is not used
  std::atomic<uintptr_t> end{0};
  std::atomic<bool> lost{false};
  Range* next = nullptr;  // written once, before the node is published
};

std::atomic<Range*> ranges{nullptr};
std::mutex ranges_mutex;
struct sigaction previous_action;

Range* find_range(uintptr_t address) noexcept {
  for (Range* range = ranges.load(std::memory_order_acquire); range != nullptr; range = range->next) {
    if (address >= range->begin.load(std::memory_order_acquire) && address < range->end.load(std::memory_order_acquire)) {
      return range;
    }
  }
  return nullptr;
}

// Uses only calls that are safe in a signal handler. Pages beyond the end of a truncated file raise SIGBUS. This handler maps
// zeros in their place, up to the end of the mapping, and marks the range. Readers check the mark after they have read.
void on_bus_error(int signal, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  Range* range = find_range(address);
  if (range != nullptr) {
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const uintptr_t begin = address / page * page;
    void* zeros = mmap(reinterpret_cast<void*>(begin), range->end.load() - begin, PROT_READ,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    if (zeros != MAP_FAILED) {
      range->lost.store(true, std::memory_order_release);
      return;
    }
  }
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal, info, context);
  } else if (previous_action.sa_handler == SIG_DFL || previous_action.sa_handler == SIG_IGN) {
    // Restores the previous action. The faulting instruction runs again and receives the signal.
    sigaction(SIGBUS, &previous_action, nullptr);
  } else {
    previous_action.sa_handler(signal);
  }
}

void install_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous_action);
  });
}

Range* publish_range(const void* data, int64_t bytes) {
  install_handler();
  const auto begin = reinterpret_cast<uintptr_t>(data);
  const std::lock_guard<std::mutex> lock(ranges_mutex);
  Range* range = ranges.load();
  while (range != nullptr && range->begin.load() != 0) {
    range = range->next;
  }
  const bool fresh = range == nullptr;
  if (fresh) {
    range = std::make_unique<Range>().release();
    range->next = ranges.load();
  }
  range->lost.store(false);
  range->end.store(begin + static_cast<uintptr_t>(bytes));
  range->begin.store(begin, std::memory_order_release);
  if (fresh) {
    ranges.store(range, std::memory_order_release);
  }
  return range;
}

void retire_range(Range& range) {
  const std::lock_guard<std::mutex> lock(ranges_mutex);
  range.end.store(0);
  range.begin.store(0);
}

class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) {
      close(descriptor_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

[[noreturn]] void throw_io(const std::string& path, const std::string& what) { throw Error(TG_IO, path + ": " + what); }

[[noreturn]] void throw_errno(const std::string& path, const char* what) {
  throw_io(path, std::string(what) + ": " + std::strerror(errno));
}

// Parts of a mapping that were read past the page cache. A part is read into new memory with huge pages, which then takes the
// place of the mapped pages. Readers of the mapping see the same bytes before and after. Parts are whole units of 2 MiB of
// addresses, so that the kernel moves entries for huge pages. Filling the page cache takes several times the processor time of
// this, and drops other files from it.
class UncachedUnits {
 public:
  UncachedUnits(int descriptor, char* data, int64_t bytes) : descriptor_(descriptor), data_(data) {
    const auto address = static_cast<int64_t>(reinterpret_cast<uintptr_t>(data));
    first_ = (kUnit - address % kUnit) % kUnit;
    units_.resize(static_cast<size_t>(std::max<int64_t>(0, (bytes - first_) / kUnit)), kFile);
  }

  // Reads the units that a range overlaps, but for those that were read before or are in the page cache. Returns false if some
  // are left to the page cache.
  bool read(int64_t offset, int64_t bytes) {
    const size_t end = unit_after(offset + bytes);
    bool complete = offset >= first_ && offset + bytes <= offset_of(units_.size());
    for (size_t begin = unit_at(offset); begin < end;) {
      size_t next = begin;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (; next < end && units_[next] == kFile && !is_cached(next); ++next) {
          units_[next] = kReading;
        }
      }
      if (next == begin) {
        complete = complete && !is_cached(begin);
        ++begin;
        continue;
      }
      const bool done = replace(begin, next);
      const std::lock_guard<std::mutex> lock(mutex_);
      std::fill(units_.begin() + static_cast<std::ptrdiff_t>(begin), units_.begin() + static_cast<std::ptrdiff_t>(next),
                done ? kMemory : kFile);
      complete = complete && done;
      begin = next;
    }
    return complete;
  }

  // Maps the file again in each unit that ends in a range. A unit with the begin of another range stays for its readers. Then
  // calls `drop` with each part of the range that is not in memory of its own.
  template <typename Drop>
  void release(int64_t offset, int64_t bytes, Drop drop) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t end = unit_after(offset + bytes);
    int64_t rest = offset;
    for (size_t unit = unit_at(offset); unit < end; ++unit) {
      if (units_[unit] == kFile) {
        continue;
      }
      const bool ends = offset_of(unit + 1) <= offset + bytes;
      if (units_[unit] == kMemory && ends && map_file(unit)) {
        units_[unit] = kFile;
        continue;
      }
      drop(rest, std::min(offset_of(unit), offset + bytes));
      rest = offset_of(unit + 1);
    }
    drop(rest, offset + bytes);
  }

 private:
  enum State : uint8_t { kFile, kReading, kMemory };

  [[nodiscard]] int64_t offset_of(size_t unit) const { return first_ + static_cast<int64_t>(unit) * kUnit; }
  [[nodiscard]] size_t unit_at(int64_t offset) const {
    return static_cast<size_t>(std::max<int64_t>(0, offset - first_) / kUnit);
  }
  [[nodiscard]] size_t unit_after(int64_t offset) const {
    return std::min(units_.size(), static_cast<size_t>(std::max<int64_t>(0, offset - first_ + kUnit - 1) / kUnit));
  }

  // Whether the page cache has the begin of a unit. The kernel says yes for all files that the user may not write. A read that
  // must not wait would tell without that, but it makes the kernel read ahead.
  [[nodiscard]] bool is_cached(size_t unit) const {
    unsigned char resident = 0;
    return mincore(data_ + offset_of(unit), 1, &resident) == 0 && (resident & 1U) != 0;
  }

  // Another opening of the same file, as flags belong to an opening. It fails where the file system has no direct reads.
  int direct_descriptor() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!direct_) {
      direct_.emplace(open(("/proc/self/fd/" + std::to_string(descriptor_)).c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT));
    }
    return direct_->get();
  }

  bool replace(size_t begin, size_t end) {
    const int direct = direct_descriptor();
    const auto bytes = (end - begin) * static_cast<size_t>(kUnit);
    if (direct < 0) {
      return false;
    }
    // One unit more than needed, so that a part of it is aligned.
    void* memory = mmap(nullptr, bytes + kUnit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      return false;
    }
    const auto address = reinterpret_cast<uintptr_t>(memory);
    const size_t before = (kUnit - address % kUnit) % kUnit;
    char* aligned = static_cast<char*>(memory) + before;
    munmap(memory, before);
    munmap(aligned + bytes, kUnit - before);
    madvise(aligned, bytes, MADV_HUGEPAGE);
    size_t filled = 0;
    while (filled < bytes) {
      const ssize_t count = pread(direct, aligned + filled, bytes - filled, offset_of(begin) + static_cast<int64_t>(filled));
      if (count <= 0) {
        if (count < 0 && errno == EINTR) {
          continue;
        }
        break;  // an error, or the file became shorter: the mapping tells its readers
      }
      filled += static_cast<size_t>(count);
    }
    if (filled < bytes || mprotect(aligned, bytes, PROT_READ) != 0 ||
        mremap(aligned, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, data_ + offset_of(begin)) == MAP_FAILED) {
      munmap(aligned, bytes);
      return false;
    }
    return true;
  }

  [[nodiscard]] bool map_file(size_t unit) const {
    return mmap(data_ + offset_of(unit), kUnit, PROT_READ, MAP_SHARED | MAP_FIXED, descriptor_, offset_of(unit)) != MAP_FAILED;
  }

  int descriptor_;
  char* data_;
  int64_t first_ = 0;  // offset of the first whole unit
  std::mutex mutex_;
  std::vector<State> units_;
  std::optional<Descriptor> direct_;
};

}  // namespace
}  // namespace threegate

struct tg_mapped_file {
  // Opens without blocking, because opening a pipe without a writer would block. For a regular file it makes no difference.
  explicit tg_mapped_file(const char* name) : path(name), descriptor(open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (descriptor.get() < 0) {
      threegate::throw_errno(path, "cannot open");
    }
    if (fstat(descriptor.get(), &opened) != 0) {
      threegate::throw_errno(path, "cannot read the size");
    }
    if (!S_ISREG(opened.st_mode)) {
      threegate::throw_io(path, "not a regular file");
    }
    if (opened.st_size > 0) {
      data = mmap(nullptr, static_cast<size_t>(opened.st_size), PROT_READ, MAP_SHARED, descriptor.get(), 0);
      if (data == MAP_FAILED) {
        data = nullptr;
        threegate::throw_errno(path, "cannot map");
      }
      range = threegate::publish_range(data, opened.st_size);
      uncached.emplace(descriptor.get(), static_cast<char*>(data), opened.st_size);
    }
    ++threegate::live_objects().objects;
  }

  ~tg_mapped_file() {
    if (range != nullptr) {
      threegate::retire_range(*range);
      munmap(data, static_cast<size_t>(opened.st_size));
    }
    --threegate::live_objects().objects;
  }

  tg_mapped_file(const tg_mapped_file&) = delete;
  tg_mapped_file& operator=(const tg_mapped_file&) = delete;

  void require_range(int64_t offset, int64_t bytes) const {
    threegate::require(offset >= 0 && offset <= opened.st_size, "offset", std::to_string(offset), "it must lie in the file");
    threegate::require(bytes >= 0 && bytes <= opened.st_size - offset, "bytes", std::to_string(bytes),
                       "offset + bytes must lie in the file");
  }

  void read(int64_t offset, int64_t bytes, char* destination) const {
    while (bytes > 0) {
      threegate::require_not_cancelled();
      const ssize_t count =
          pread(descriptor.get(), destination, static_cast<size_t>(std::min(bytes, threegate::kReadAtOnce)), offset);
      if (count < 0 && errno == EINTR) {
        continue;
      }
      if (count < 0) {
        threegate::throw_errno(path, "cannot read");
      }
      if (count == 0) {
        threegate::throw_io(path, "changed while it was read (it ends at byte " + std::to_string(offset) + " now)");
      }
      offset += count;
      bytes -= count;
      destination += count;
    }
  }

  void check() const {
    struct stat now {};
    if (fstat(descriptor.get(), &now) != 0) {
      threegate::throw_errno(path, "cannot read the size");
    }
    const bool lost = range != nullptr && range->lost.load(std::memory_order_acquire);
    if (lost || now.st_size != opened.st_size || now.st_mtim.tv_sec != opened.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != opened.st_mtim.tv_nsec) {
      threegate::throw_io(path, "changed while it was read (" + std::to_string(opened.st_size) + " bytes when opened, " +
                                    std::to_string(now.st_size) + " now)");
    }
  }

  std::string path;
  threegate::Descriptor descriptor;
  struct stat opened {};
  void* data = nullptr;
  threegate::Range* range = nullptr;
  std::optional<threegate::UncachedUnits> uncached;  // none for an empty file
};

namespace threegate {

void require_intact(const void* data, int64_t bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(data);
  const uintptr_t end = begin + static_cast<uintptr_t>(bytes);
  for (const Range* range = ranges.load(std::memory_order_acquire); range != nullptr; range = range->next) {
    if (begin < range->end.load() && end > range->begin.load() && range->lost.load(std::memory_order_acquire)) {
      throw Error(TG_IO, "a mapped file was truncated while it was read");
    }
  }
}

void require_file_range(const tg_mapped_file& file, int64_t offset, int64_t bytes) { file.require_range(offset, bytes); }

void copy_file_range(const tg_mapped_file& file, int64_t offset, int64_t bytes, void* destination) {
  file.read(offset, bytes, static_cast<char*>(destination));
}

}  // namespace threegate

extern "C" {

tg_status tg_mapped_file_open(tg_context* context, const char* path, tg_mapped_file** file, const void** data, int64_t* bytes) {
  return threegate::guarded_call(context, [&] {
    threegate::require(path != nullptr, "path", "NULL", "it must be a file name");
    threegate::require(file != nullptr && data != nullptr && bytes != nullptr, "an output", "NULL",
                       "file, data and bytes are required");
    auto opened = std::make_unique<tg_mapped_file>(path);
    *data = opened->data;
    *bytes = opened->opened.st_size;
    *file = opened.release();
  });
}

tg_status tg_mapped_file_check(tg_context* context, tg_mapped_file* file) {
  return threegate::guarded_call(context, [&] {
    threegate::require(file != nullptr, "file", "NULL", "it must be an open mapped file");
    file->check();
  });
}

tg_status tg_mapped_file_advise(tg_context* context, tg_mapped_file* file, int64_t offset, int64_t bytes, int32_t needed) {
  return threegate::guarded_call(context, [&] {
    threegate::require(file != nullptr, "file", "NULL", "it must be an open mapped file");
    threegate::require(needed >= 0 && needed <= 2, "needed", std::to_string(needed), "it must be 0, 1 or 2");
    file->require_range(offset, bytes);
    if (bytes == 0) {
      return;
    }
    // This is only advice. If the kernel ignores it, only the speed changes.
    const auto advise = [&](int64_t begin, int64_t end, int advice) {
      if (end > begin) {
        madvise(static_cast<char*>(file->data) + begin, static_cast<size_t>(end - begin), advice);
      }
    };
    const int64_t page = sysconf(_SC_PAGESIZE);
    if (needed == 0) {
      // Only whole pages, because their neighbours may still be read.
      file->uncached->release(offset, bytes, [&](int64_t begin, int64_t end) {
        const bool last = end == file->opened.st_size;
        advise((begin + page - 1) / page * page, last ? end : end / page * page, MADV_DONTNEED);
      });
    } else if (needed == 1 || !file->uncached->read(offset, bytes)) {
      advise(offset / page * page, offset + bytes, MADV_WILLNEED);
    }
  });
}

tg_status tg_mapped_file_read(tg_context* context, tg_mapped_file* file, int64_t offset, int64_t bytes, void* destination) {
  return threegate::guarded_call(context, [&] {
    threegate::require(file != nullptr, "file", "NULL", "it must be an open mapped file");
    file->require_range(offset, bytes);
    threegate::require(destination != nullptr || bytes == 0, "destination", "NULL", "it must have room for the bytes");
    file->read(offset, bytes, static_cast<char*>(destination));
  });
}

tg_status tg_mapped_file_close(tg_mapped_file* file) {
  const std::unique_ptr<tg_mapped_file> owned(file);
  return TG_OK;
}

}  // extern "C"
