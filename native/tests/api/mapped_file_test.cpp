#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "support.h"

namespace {

class MappedFile : public testing::Test {
 protected:
  void SetUp() override { path_ = std::filesystem::temp_directory_path() / ("threegate-" + std::to_string(getpid()) + ".bin"); }
  void TearDown() override { std::filesystem::remove(path_); }

  void write(int64_t bytes) const {
    std::ofstream out(path_, std::ios::binary);
    for (int64_t i = 0; i < bytes; ++i) {
      out.put(static_cast<char>(i % 251 + 1));
    }
  }

  std::filesystem::path path_;
  support::Context context_ = support::make_context();
  tg_mapped_file* file_ = nullptr;
  const void* data_ = nullptr;
  int64_t bytes_ = 0;
};

TEST_F(MappedFile, ReadsWhatIsThere) {
  write(10000);
  ASSERT_EQ(TG_OK, tg_mapped_file_open(context_.get(), path_.c_str(), &file_, &data_, &bytes_));
  EXPECT_EQ(10000, bytes_);
  EXPECT_EQ(1 + 9999 % 251, static_cast<const uint8_t*>(data_)[9999]);
  EXPECT_EQ(TG_OK, tg_mapped_file_advise(context_.get(), file_, 10, 5000, 1));
  EXPECT_EQ(TG_OK, tg_mapped_file_advise(context_.get(), file_, 0, 10000, 0));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_mapped_file_advise(context_.get(), file_, 10, 9991, 1));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_mapped_file_advise(context_.get(), file_, -1, 1, 1));
  EXPECT_EQ(TG_OK, tg_mapped_file_check(context_.get(), file_));
  EXPECT_EQ(TG_OK, tg_mapped_file_close(file_));
}

TEST_F(MappedFile, CopiesARange) {
  write(10000);
  ASSERT_EQ(TG_OK, tg_mapped_file_open(context_.get(), path_.c_str(), &file_, &data_, &bytes_));
  std::vector<uint8_t> copy(5002, 0);
  ASSERT_EQ(TG_OK, tg_mapped_file_read(context_.get(), file_, 4999, 5001, copy.data()));
  for (size_t i = 0; i < 5001; ++i) {
    ASSERT_EQ(static_cast<uint8_t>((i + 4999) % 251 + 1), copy[i]) << i;
  }
  EXPECT_EQ(0, copy[5001]);
  EXPECT_EQ(TG_OK, tg_mapped_file_read(context_.get(), file_, 10000, 0, nullptr));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_mapped_file_read(context_.get(), file_, 5000, 5001, copy.data()));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_mapped_file_read(context_.get(), file_, -1, 1, copy.data()));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_mapped_file_read(context_.get(), file_, 0, 1, nullptr));
  ASSERT_EQ(0, truncate(path_.c_str(), 6000));
  EXPECT_EQ(TG_IO, tg_mapped_file_read(context_.get(), file_, 4999, 5001, copy.data()));
  EXPECT_EQ(path_.string() + ": changed while it was read (it ends at byte 6000 now)", support::error_of(context_.get()));
  EXPECT_EQ(TG_OK, tg_mapped_file_close(file_));
}

TEST_F(MappedFile, AnEmptyFileHasNoData) {
  write(0);
  ASSERT_EQ(TG_OK, tg_mapped_file_open(context_.get(), path_.c_str(), &file_, &data_, &bytes_));
  EXPECT_EQ(0, bytes_);
  EXPECT_EQ(nullptr, data_);
  EXPECT_EQ(TG_OK, tg_mapped_file_check(context_.get(), file_));
  EXPECT_EQ(TG_OK, tg_mapped_file_close(file_));
}

TEST_F(MappedFile, NamesTheFileThatCannotBeOpened) {
  EXPECT_EQ(TG_IO, tg_mapped_file_open(context_.get(), "/nowhere/x.bin", &file_, &data_, &bytes_));
  EXPECT_EQ("/nowhere/x.bin: cannot open: No such file or directory", support::error_of(context_.get()));
  EXPECT_EQ(TG_IO, tg_mapped_file_open(context_.get(), "/tmp", &file_, &data_, &bytes_));
  EXPECT_EQ("/tmp: not a regular file", support::error_of(context_.get()));
  EXPECT_EQ(TG_OK, tg_mapped_file_close(nullptr));
}

// Opening a pipe without a writer must not wait.
TEST_F(MappedFile, RefusesAPipe) {
  ASSERT_EQ(0, mkfifo(path_.c_str(), 0600));
  EXPECT_EQ(TG_IO, tg_mapped_file_open(context_.get(), path_.c_str(), &file_, &data_, &bytes_));
  EXPECT_EQ(path_.string() + ": not a regular file", support::error_of(context_.get()));
}

TEST_F(MappedFile, NoticesAChange) {
  write(5000);
  ASSERT_EQ(TG_OK, tg_mapped_file_open(context_.get(), path_.c_str(), &file_, &data_, &bytes_));
  write(5001);
  EXPECT_EQ(TG_IO, tg_mapped_file_check(context_.get(), file_));
  EXPECT_NE(std::string::npos, support::error_of(context_.get()).find("changed while it was read"));
  EXPECT_EQ(TG_OK, tg_mapped_file_close(file_));
}

TEST_F(MappedFile, TruncationUnderAKernelIsAnErrorOnEveryThread) {
  constexpr int64_t kBytes = 4 << 20;
  write(kBytes);
  const auto context = support::make_context(2);
  ASSERT_EQ(TG_OK, tg_mapped_file_open(context.get(), path_.c_str(), &file_, &data_, &bytes_));
  ASSERT_EQ(0, truncate(path_.c_str(), 4096));
  tg_operand operand{};
  operand.size = sizeof(operand);
  operand.values = {data_, 1024, kBytes / 2 / 1024, kBytes / 2 / 1024, TG_BF16, 0};
  const tg_diff_options options{sizeof(tg_diff_options)};
  tg_workspace_size size{sizeof(tg_workspace_size), 0, 0};
  ASSERT_EQ(TG_OK, tg_diff_workspace(context.get(), &operand, &operand, 1, &options, nullptr, &size));
  const auto host = support::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(tg_workspace), host.get(), size.host_bytes, nullptr, 0};
  tg_diff_result result{};
  result.size = sizeof(result);
  EXPECT_EQ(TG_IO, tg_diff(context.get(), &operand, &operand, 1, &options, nullptr, &workspace, nullptr, &result));
  EXPECT_EQ("a mapped file was truncated while it was read", support::error_of(context.get()));
  EXPECT_EQ(TG_IO, tg_mapped_file_check(context.get(), file_));
  EXPECT_EQ(TG_OK, tg_mapped_file_close(file_));
}

// A comparison with all profiles. `shift` bytes lie before the first entry, and `gap` entries after each row.
struct Compared {
  tg_diff_result result{};
  std::vector<int64_t> rows;
  std::vector<int64_t> columns;
  std::vector<int64_t> map;
};

struct Shape {
  int64_t rows;
  int64_t columns;
  int64_t gap;
  int64_t shift;
  tg_dtype dtype;
};

Compared compare(int threads, const Shape& shape, const uint8_t* base, const uint8_t* tuned) {
  const auto context = support::make_context(threads);
  const auto operand = [&](const uint8_t* data) {
    tg_operand side{};
    side.size = sizeof(side);
    side.values = {data + shape.shift, shape.rows, shape.columns, shape.columns + shape.gap, shape.dtype, 0};
    return side;
  };
  const tg_operand left = operand(base);
  const tg_operand right = operand(tuned);
  Compared compared;
  compared.result.size = sizeof(tg_diff_result);
  compared.rows.resize(static_cast<size_t>(shape.rows));
  compared.columns.resize(static_cast<size_t>(shape.columns));
  compared.map.resize(4);
  tg_diff_profiles profiles{};
  profiles.size = sizeof(profiles);
  profiles.row_changed = compared.rows.data();
  profiles.column_changed = compared.columns.data();
  profiles.map = compared.map.data();
  profiles.map_rows = std::min<int64_t>(2, shape.rows);
  profiles.map_columns = 2;
  const tg_diff_options options{sizeof(tg_diff_options)};
  tg_workspace_size size{sizeof(tg_workspace_size), 0, 0};
  EXPECT_EQ(TG_OK, tg_diff_workspace(context.get(), &left, &right, 1, &options, &profiles, &size));
  const auto host = support::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(tg_workspace), host.get(), size.host_bytes, nullptr, 0};
  EXPECT_EQ(TG_OK, tg_diff(context.get(), &left, &right, 1, &options, nullptr, &workspace, &profiles, &compared.result))
      << support::error_of(context.get());
  return compared;
}

void expect_equal(const Compared& expected, const Compared& actual) {
  EXPECT_EQ(0, std::memcmp(&expected.result, &actual.result, sizeof(tg_diff_result)));
  EXPECT_EQ(expected.rows, actual.rows);
  EXPECT_EQ(expected.columns, actual.columns);
  EXPECT_EQ(expected.map, actual.map);
}

// A mapping gives the same bits as memory: whole rows, parts of long rows, rows with gaps, misaligned rows.
TEST_F(MappedFile, AComparisonReadsFilesAndMemoryAlike) {
  const std::vector<Shape> shapes = {
      {700, 1536, 0, 1, TG_BF16}, {41, 9001, 0, 3, TG_BF16},     {60, 9001, 5, 0, TG_F32},      {1, 300000, 0, 7, TG_F32},
      {5000, 3, 0, 2, TG_F16},    {300, 4096, 100, 8, TG_F64},   {77, 20000, 0, 1, TG_F8_E4M3}, {3, 5, 0, 0, TG_BF16},
      {120, 12000, 1, 0, TG_F16}, {2000, 600, 0, 5, TG_F8_E5M2}, {33, 40000, 3, 2, TG_BF16},
  };
  for (const Shape& shape : shapes) {
    const int64_t bytes = shape.shift + shape.rows * (shape.columns + shape.gap) * 8;
    write(bytes);
    ASSERT_EQ(TG_OK, tg_mapped_file_open(context_.get(), path_.c_str(), &file_, &data_, &bytes_));
    const auto* mapped = static_cast<const uint8_t*>(data_);
    const std::vector<uint8_t> base(mapped, mapped + bytes);
    std::vector<uint8_t> tuned = base;
    for (size_t i = 0; i < tuned.size(); i += 997) {
      tuned[i] ^= 1U;
    }
    const Compared expected = compare(1, shape, base.data(), tuned.data());
    EXPECT_GT(expected.result.total, 0);
    for (const int threads : {1, 3}) {
      expect_equal(expected, compare(threads, shape, mapped, tuned.data()));
      expect_equal(compare(1, shape, tuned.data(), base.data()), compare(threads, shape, tuned.data(), mapped));
    }
    EXPECT_EQ(TG_OK, tg_mapped_file_close(file_));
  }
}

// Files that are read past the page cache. Bytes depend on their position in many periods.
class UncachedFile : public MappedFile {
 protected:
  static constexpr int64_t kBytes = (23 << 20) + 4096 + 77;

  static uint8_t byte(int64_t position) { return static_cast<uint8_t>((position * 2654435761U) >> 16U); }

  void SetUp() override {
    MappedFile::SetUp();
    std::vector<uint8_t> bytes(kBytes);
    for (int64_t i = 0; i < kBytes; ++i) {
      bytes[static_cast<size_t>(i)] = byte(i);
    }
    std::ofstream(path_, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), kBytes);
    const int direct = open(path_.c_str(), O_RDONLY | O_DIRECT);
    if (direct < 0) {
      GTEST_SKIP() << "SKIPPED: " << path_ << " is on a file system without direct reads";
    }
    close(direct);
    descriptor_ = open(path_.c_str(), O_RDONLY);
    forget();
    ASSERT_EQ(TG_OK, tg_mapped_file_open(context_.get(), path_.c_str(), &file_, &data_, &bytes_));
  }

  void TearDown() override {
    EXPECT_EQ(TG_OK, tg_mapped_file_close(file_));
    close(descriptor_);
    MappedFile::TearDown();
  }

  void forget() const {
    ASSERT_EQ(0, fdatasync(descriptor_));
    ASSERT_EQ(0, posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED));
  }

  // Whether the page cache has a page, by its position.
  [[nodiscard]] bool cached(int64_t position) const {
    void* page = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, descriptor_, position);
    unsigned char resident = 0;
    EXPECT_EQ(0, mincore(page, 4096, &resident));
    munmap(page, 4096);
    return (resident & 1U) != 0;
  }

  void advise(int64_t offset, int64_t bytes, int32_t needed) const {
    const auto context = support::make_context();
    ASSERT_EQ(TG_OK, tg_mapped_file_advise(context.get(), file_, offset, bytes, needed)) << support::error_of(context.get());
  }

  [[nodiscard]] int64_t first_difference(int64_t begin, int64_t end) const {
    for (int64_t i = begin; i < end; ++i) {
      if (static_cast<const volatile uint8_t*>(data_)[i] != byte(i)) {
        return i;
      }
    }
    return -1;
  }

  int descriptor_ = -1;
};

TEST_F(UncachedFile, IsReadPastThePageCache) {
  advise(5000, kBytes - 5000, 2);
  constexpr int64_t kMiddle = 8 << 20;
  EXPECT_EQ(-1, first_difference(kMiddle, kMiddle + (8 << 20)));
  EXPECT_FALSE(cached(kMiddle));
  EXPECT_FALSE(cached(kMiddle + (4 << 20)));
  EXPECT_EQ(-1, first_difference(0, kBytes));
  advise(0, kBytes, 2);
  advise(0, kBytes, 0);
  EXPECT_EQ(-1, first_difference(0, kBytes));
  EXPECT_TRUE(cached(kMiddle)) << "a range that was released is read from the file again";
  EXPECT_EQ(TG_OK, tg_mapped_file_check(context_.get(), file_));
}

// Releasing a range must not clear memory that neighbours still read.
TEST_F(UncachedFile, ARangeIsReleasedWithoutItsNeighbours) {
  for (const auto& [offset, bytes] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 5 << 20}, {(5 << 20) + 1, 3 << 20}, {(9 << 20) + 4096, 100}, {(10 << 20) - 1, 2}, {kBytes - 10, 10}}) {
    advise(0, kBytes, 2);
    advise(offset, bytes, 0);
    EXPECT_EQ(-1, first_difference(0, kBytes)) << offset;
    forget();
  }
}

TEST_F(UncachedFile, CachedPartsAreNotReadAgain) {
  advise(0, kBytes, 1);
  ASSERT_EQ(-1, first_difference(0, kBytes));
  advise(0, kBytes, 2);
  forget();  // pages that are mapped stay in the cache
  EXPECT_TRUE(cached(8 << 20)) << "the mapping does not hold the pages of the file any more";
  EXPECT_EQ(-1, first_difference(0, kBytes));
}

TEST_F(UncachedFile, ThreadsReadAndReleaseWhileOthersLook) {
  std::atomic<bool> done{false};
  std::atomic<int64_t> wrong{-1};
  std::vector<std::thread> threads;
  for (int64_t own = 0; own < 3; ++own) {
    threads.emplace_back([&, own] {
      for (int64_t i = 0; i < 60; ++i) {
        const int64_t offset = (i * 7919 + own * 104729) * 613 % kBytes;
        advise(offset, std::min<int64_t>(kBytes - offset, 3 << 20), (i + own) % 3 == 0 ? 0 : 2);
      }
    });
  }
  std::thread reader([&] {
    do {
      const int64_t found = first_difference(0, kBytes);
      wrong = found >= 0 ? found : wrong.load();
    } while (!done);
  });
  for (std::thread& thread : threads) {
    thread.join();
  }
  done = true;
  reader.join();
  EXPECT_EQ(-1, wrong.load());
}

TEST_F(UncachedFile, ATruncatedFileIsLeftToTheMapping) {
  advise(0, 4 << 20, 2);
  ASSERT_EQ(0, truncate(path_.c_str(), 6 << 20));
  advise(0, kBytes, 2);
  EXPECT_EQ(-1, first_difference(0, 2 << 20));
  EXPECT_EQ(0, static_cast<const volatile uint8_t*>(data_)[kBytes - 1]);
  EXPECT_EQ(TG_IO, tg_mapped_file_check(context_.get(), file_));
}

TEST_F(UncachedFile, OtherAdviceIsRefused) {
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_mapped_file_advise(context_.get(), file_, 0, 1, 3));
  EXPECT_EQ("needed is 3; it must be 0, 1 or 2", support::error_of(context_.get()));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_mapped_file_advise(context_.get(), file_, 0, 1, -1));
}

using Digest = tg_status (*)(tg_context*, const tg_span*, int64_t, tg_control*, uint8_t*);

class FileDigest : public MappedFile, public testing::WithParamInterface<Digest> {};

TEST_P(FileDigest, ReadsFilesAndMemoryAlike) {
  constexpr int64_t kBytes = (5 << 20) + 77;
  write(kBytes);
  ASSERT_EQ(TG_OK, tg_mapped_file_open(context_.get(), path_.c_str(), &file_, &data_, &bytes_));
  const auto* mapped = static_cast<const uint8_t*>(data_);
  const std::vector<uint8_t> copy(mapped, mapped + kBytes);
  const std::vector<std::pair<int64_t, int64_t>> ranges = {{0, kBytes}, {1, 20000}, {77, 0},
                                                           {3, 16384},  {5, 16383}, {4095, 3 << 20}};
  std::vector<tg_span> files;
  std::vector<tg_span> memory;
  for (const auto& [offset, bytes] : ranges) {
    files.push_back({mapped + offset, bytes});
    memory.push_back({copy.data() + offset, bytes});
  }
  std::vector<uint8_t> expected(32 * ranges.size());
  ASSERT_EQ(TG_OK, GetParam()(context_.get(), memory.data(), static_cast<int64_t>(memory.size()), nullptr, expected.data()));
  for (const int threads : {1, 2, 5}) {
    const auto context = support::make_context(threads);
    std::vector<uint8_t> actual(32 * ranges.size());
    ASSERT_EQ(TG_OK, GetParam()(context.get(), files.data(), static_cast<int64_t>(files.size()), nullptr, actual.data()));
    EXPECT_EQ(expected, actual);
  }
  EXPECT_EQ(TG_OK, tg_mapped_file_close(file_));
}

TEST_P(FileDigest, ATruncatedFileIsAnError) {
  write(4 << 20);
  ASSERT_EQ(TG_OK, tg_mapped_file_open(context_.get(), path_.c_str(), &file_, &data_, &bytes_));
  ASSERT_EQ(0, truncate(path_.c_str(), 300000));
  const tg_span span{data_, 4 << 20};
  uint8_t digest[32];
  EXPECT_EQ(TG_IO, GetParam()(context_.get(), &span, 1, nullptr, digest));
  EXPECT_EQ("a mapped file was truncated while it was read", support::error_of(context_.get()));
  EXPECT_EQ(TG_OK, tg_mapped_file_close(file_));
}

INSTANTIATE_TEST_SUITE_P(Kinds, FileDigest, testing::Values(tg_sha256, tg_blake3));

}  // namespace
