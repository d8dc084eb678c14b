#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

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

}  // namespace
