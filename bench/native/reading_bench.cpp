// Ways to read a file, and to sum its bytes as words of 64 bits. Each way runs in turn with the others, first with nothing of the
// file in the page cache ("cold") and then with all of it ("cached"). Prints tab-separated: state, way, threads, the median of
// the seconds, its ratio to that of `read`, and the least processor seconds.
//
//   threegate_bench_reading FILE [ROUNDS]     the file should be larger than any cache, and smaller than the memory
//
// The ways:
//   read            blocks of 128 KiB into one buffer, on one thread, without a sum: what cat does
//   mapped          through the mapping; its pages are asked for 16 MiB ahead (MADV_WILLNEED)
//   read, mapped    through the mapping, after reading the same bytes into one small buffer
//   blocks          blocks of 256 KiB into a buffer of each thread
//   huge pages      the same in blocks of 2 MiB, into memory with huge pages
//   direct          the same past the page cache (O_DIRECT)
//   ring            16 reads of 1 MiB in flight with io_uring, summed by the same thread
//   ring, direct    the same past the page cache
//
// Reading past the page cache does not fill it, so a second comparison of the same checkpoint would read the disk again.
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int64_t kBlock = 128 << 10;
constexpr int64_t kHugePage = int64_t{2} << 20;
constexpr int64_t kAhead = int64_t{16} << 20;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

class File {
 public:
  File(const char* path, int flags) : descriptor_(open(path, O_RDONLY | O_CLOEXEC | flags)) {
    struct stat status {};
    if (descriptor_ < 0 || fstat(descriptor_, &status) != 0) {
      fail(path);
    }
    bytes_ = status.st_size / kHugePage * kHugePage;  // O_DIRECT reads whole blocks of the disk
  }
  ~File() { close(descriptor_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] int64_t bytes() const { return bytes_; }

  void forget() const {
    if (fdatasync(descriptor_) != 0 || posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED) != 0) {
      fail("cannot drop the pages");
    }
  }

 private:
  int descriptor_;
  int64_t bytes_ = 0;
};

struct Unmap {
  int64_t bytes = 0;
  void operator()(void* memory) const { munmap(memory, static_cast<size_t>(bytes)); }
};
using Pages = std::unique_ptr<void, Unmap>;

Pages allocate(int64_t bytes, bool huge) {
  void* memory =
      mmap(nullptr, static_cast<size_t>(bytes + kHugePage), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    fail("cannot allocate");
  }
  madvise(memory, static_cast<size_t>(bytes + kHugePage), huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  return Pages(memory, Unmap{bytes + kHugePage});
}

char* aligned(const Pages& pages) {
  const auto address = reinterpret_cast<uintptr_t>(pages.get());
  return static_cast<char*>(pages.get()) + (kHugePage - static_cast<int64_t>(address) % kHugePage) % kHugePage;
}

// A vector of the compiler, because it does not vectorise this loop in every place.
using Words [[gnu::vector_size(32)]] = uint64_t;

uint64_t sum(const char* data, int64_t bytes) {
  Words parts[4] = {};
  for (int64_t i = 0; i < bytes; i += int64_t{sizeof parts}) {
    Words words[4];
    std::memcpy(words, data + i, sizeof words);
    for (int j = 0; j < 4; ++j) {
      parts[j] += words[j];
    }
  }
  const Words all = parts[0] + parts[1] + parts[2] + parts[3];
  return all[0] + all[1] + all[2] + all[3];
}

void read_whole(int descriptor, char* destination, int64_t bytes, int64_t offset) {
  while (bytes > 0) {
    const ssize_t count = pread(descriptor, destination, static_cast<size_t>(bytes), offset);
    if (count <= 0) {
      fail("cannot read");
    }
    destination += count;
    offset += count;
    bytes -= count;
  }
}

uint64_t read_only(const File& file) {
  const Pages pages = allocate(kBlock, false);
  for (int64_t offset = 0; offset < file.bytes(); offset += kBlock) {
    read_whole(file.get(), aligned(pages), kBlock, offset);
  }
  return 0;
}

// Threads take the next block of the file, as long as there are any.
uint64_t in_blocks(const File& file, int threads, int64_t block, const std::function<uint64_t(int64_t, char*)>& work, bool huge) {
  std::atomic<int64_t> next{0};
  std::atomic<uint64_t> all{0};
  std::vector<std::thread> pool;
  for (int i = 0; i < threads; ++i) {
    pool.emplace_back([&] {
      const Pages pages = allocate(block, huge);
      for (int64_t offset = next.fetch_add(block); offset < file.bytes(); offset = next.fetch_add(block)) {
        all += work(offset, aligned(pages));
      }
    });
  }
  for (std::thread& thread : pool) {
    thread.join();
  }
  return all;
}

uint64_t blocks(const File& file, int threads, int64_t block, bool huge) {
  return in_blocks(
      file, threads, block,
      [&](int64_t offset, char* buffer) {
        read_whole(file.get(), buffer, block, offset);
        return sum(buffer, block);
      },
      huge);
}

uint64_t mapped(const File& file, int threads, bool asked) {
  void* data = mmap(nullptr, static_cast<size_t>(file.bytes()), PROT_READ, MAP_SHARED, file.get(), 0);
  if (data == MAP_FAILED) {
    fail("cannot map");
  }
  const Pages mapping(data, Unmap{file.bytes()});
  return in_blocks(
      file, threads, kHugePage,
      [&](int64_t offset, char* buffer) {
        char* own = static_cast<char*>(data) + offset;
        if (asked) {
          madvise(own + kAhead, static_cast<size_t>(std::clamp<int64_t>(file.bytes() - offset - kAhead, 0, kHugePage)),
                  MADV_WILLNEED);
        } else {
          for (int64_t i = 0; i < kHugePage; i += kBlock) {
            read_whole(file.get(), buffer, kBlock, offset + i);
          }
        }
        return sum(own, kHugePage);
      },
      false);
}

// A ring of io_uring without its library: one thread, which submits and takes what is complete.
class Ring {
 public:
  explicit Ring(unsigned depth) {
    descriptor_ = static_cast<int>(syscall(SYS_io_uring_setup, depth, &parameters_));
    if (descriptor_ < 0) {
      return;
    }
    submissions_ = map(IORING_OFF_SQ_RING, parameters_.sq_off.array + parameters_.sq_entries * sizeof(unsigned));
    completions_ = map(IORING_OFF_CQ_RING, parameters_.cq_off.cqes + parameters_.cq_entries * sizeof(io_uring_cqe));
    entries_ = map(IORING_OFF_SQES, parameters_.sq_entries * sizeof(io_uring_sqe));
  }
  ~Ring() {
    if (descriptor_ >= 0) {
      close(descriptor_);
    }
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  [[nodiscard]] bool works() const { return descriptor_ >= 0; }

  void read(int file, char* destination, unsigned bytes, int64_t offset, uint64_t tag) {
    unsigned* tail = at<unsigned>(submissions_, parameters_.sq_off.tail);
    const unsigned index = *tail & *at<unsigned>(submissions_, parameters_.sq_off.ring_mask);
    io_uring_sqe& entry = static_cast<io_uring_sqe*>(entries_.get())[index];
    std::memset(&entry, 0, sizeof entry);
    entry.opcode = IORING_OP_READ;
    entry.fd = file;
    entry.addr = reinterpret_cast<uintptr_t>(destination);
    entry.len = bytes;
    entry.off = static_cast<uint64_t>(offset);
    entry.user_data = tag;
    at<unsigned>(submissions_, parameters_.sq_off.array)[index] = index;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    ++waiting_;
  }

  // Submits what waits, and returns the tag of a read that is complete.
  uint64_t complete(unsigned bytes) {
    unsigned* head = at<unsigned>(completions_, parameters_.cq_off.head);
    while (*head == __atomic_load_n(at<unsigned>(completions_, parameters_.cq_off.tail), __ATOMIC_ACQUIRE)) {
      const auto submitted = syscall(SYS_io_uring_enter, descriptor_, waiting_, 1, IORING_ENTER_GETEVENTS, nullptr, 0);
      if (submitted < 0) {
        fail("io_uring_enter");
      }
      waiting_ -= static_cast<unsigned>(submitted);
    }
    const unsigned mask = *at<unsigned>(completions_, parameters_.cq_off.ring_mask);
    const io_uring_cqe entry = at<io_uring_cqe>(completions_, parameters_.cq_off.cqes)[*head & mask];
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    if (entry.res != static_cast<int>(bytes)) {
      fail("io_uring read");
    }
    return entry.user_data;
  }

 private:
  [[nodiscard]] Pages map(int64_t offset, size_t bytes) const {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor_, offset);
    if (memory == MAP_FAILED) {
      fail("cannot map the ring");
    }
    return Pages(memory, Unmap{static_cast<int64_t>(bytes)});
  }
  template <typename T>
  static T* at(const Pages& pages, unsigned offset) {
    return reinterpret_cast<T*>(static_cast<char*>(pages.get()) + offset);
  }

  io_uring_params parameters_{};
  int descriptor_ = -1;
  unsigned waiting_ = 0;
  Pages submissions_{nullptr};
  Pages completions_{nullptr};
  Pages entries_{nullptr};
};

uint64_t by_ring(const File& file) {
  constexpr int64_t kRequest = 1 << 20;
  constexpr int kDepth = 16;
  Ring ring(kDepth);
  const Pages pages = allocate(kDepth * kRequest, true);
  char* memory = aligned(pages);
  std::memset(memory, 0, kDepth * kRequest);
  int64_t next = 0;
  int flying = 0;
  const auto start = [&](uint64_t slot) {
    if (next < file.bytes()) {
      ring.read(file.get(), memory + static_cast<int64_t>(slot) * kRequest, kRequest, next, slot);
      next += kRequest;
      ++flying;
    }
  };
  for (uint64_t slot = 0; slot < kDepth; ++slot) {
    start(slot);
  }
  uint64_t all = 0;
  while (flying > 0) {
    const uint64_t slot = ring.complete(kRequest);
    --flying;
    all += sum(memory + static_cast<int64_t>(slot) * kRequest, kRequest);
    start(slot);
  }
  return all;
}

double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

struct Way {
  const char* name;
  int threads;
  std::function<uint64_t()> run;
  std::vector<double> seconds = {};
  double least_processor_seconds = 1e9;
};

void measure(const char* state, const File& file, std::vector<Way>& ways, int rounds) {
  uint64_t expected = 0;
  for (int round = 0; round < rounds; ++round) {
    for (Way& way : ways) {
      if (std::strcmp(state, "cold") == 0) {
        file.forget();
      }
      const double used = processor_seconds();
      const auto begin = std::chrono::steady_clock::now();
      const uint64_t result = way.run();
      way.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
      way.least_processor_seconds = std::min(way.least_processor_seconds, processor_seconds() - used);
      if (&way == &ways[1]) {
        expected = result;
      } else if (&way != ways.data() && result != expected) {
        fail("the sums differ");
      }
    }
  }
  double reference = 0;
  for (Way& way : ways) {
    std::sort(way.seconds.begin(), way.seconds.end());
    const double median = way.seconds[way.seconds.size() / 2];
    reference = reference == 0 ? median : reference;
    std::printf("%s\t%s\t%d\t%.3f\t%.2f\t%.3f\n", state, way.name, way.threads, median, median / reference,
                way.least_processor_seconds);
    way.seconds.clear();
    way.least_processor_seconds = 1e9;
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: threegate_bench_reading FILE [ROUNDS]\n");
    return 2;
  }
  const int rounds = count > 2 ? std::atoi(arguments[2]) : 5;
  const File file(arguments[1], 0);
  const File direct(arguments[1], O_DIRECT);
  std::vector<Way> ways;
  ways.push_back({"read", 1, [&] { return read_only(file); }});
  for (const int threads : {1, 2}) {
    ways.push_back({"mapped", threads, [&, threads] { return mapped(file, threads, true); }});
    ways.push_back({"read, mapped", threads, [&, threads] { return mapped(file, threads, false); }});
    ways.push_back({"blocks", threads, [&, threads] { return blocks(file, threads, 256 << 10, false); }});
    ways.push_back({"huge pages", threads, [&, threads] { return blocks(file, threads, kHugePage, true); }});
    ways.push_back({"direct", threads, [&, threads] { return blocks(direct, threads, kHugePage, true); }});
  }
  if (Ring(1).works()) {
    ways.push_back({"ring", 1, [&] { return by_ring(file); }});
    ways.push_back({"ring, direct", 1, [&] { return by_ring(direct); }});
  } else {
    std::printf("# io_uring is not allowed here: %s\n", std::strerror(errno));
  }
  measure("cold", file, ways, rounds);
  read_only(file);
  measure("cached", file, ways, rounds);
  return 0;
}
