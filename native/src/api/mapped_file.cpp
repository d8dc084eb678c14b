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
#include <string>

#include "api/context.h"

namespace threegate {
namespace {

constexpr int64_t kReadAtOnce = int64_t{1} << 24;  // bytes between two looks for a cancellation

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
    file->require_range(offset, bytes);
    const int64_t size = file->opened.st_size;
    if (bytes == 0) {
      return;
    }
    const int64_t page = sysconf(_SC_PAGESIZE);
    // A needed range is widened to whole pages. A range that is no longer needed is narrowed, because its neighbours may still be
    // read.
    const int64_t begin = (needed != 0 ? offset : offset + page - 1) / page * page;
    const int64_t end = needed != 0 || offset + bytes == size ? offset + bytes : (offset + bytes) / page * page;
    if (end > begin) {
      // This is only advice. If the kernel ignores it, only the speed changes.
      madvise(static_cast<char*>(file->data) + begin, static_cast<size_t>(end - begin),
              needed != 0 ? MADV_WILLNEED : MADV_DONTNEED);
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
