// The division of a matrix into blocks of rows. It depends only on the shape, so that sums over blocks do not depend on the
// number of threads.
#ifndef THREEGATE_CPU_NULLS_ROW_BLOCKS_H
#define THREEGATE_CPU_NULLS_ROW_BLOCKS_H

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "common/control.h"
#include "cpu/support/thread_pool.h"

namespace threegate::nulls {

class RowBlocks {
 public:
  RowBlocks(int64_t rows, int64_t columns)
      : rows_(rows), count_(std::clamp<int64_t>(rows * columns / kLeastEntries, 1, std::clamp<int64_t>(rows, 1, kMost))) {}

  [[nodiscard]] int64_t count() const { return count_; }
  [[nodiscard]] int64_t begin(int64_t block) const {
    return rows_ / count_ * block + std::min(block, rows_ % count_);  // the first blocks have one row more
  }
  [[nodiscard]] int threads(const ThreadPool& pool) const { return static_cast<int>(std::min<int64_t>(pool.threads(), count_)); }

  // Calls body(thread, block, row) for the rows of each block in order. Blocks run at the same time.
  template <typename Body>
  void for_rows(ThreadPool& pool, Body body) const {
    std::atomic<int64_t> next{0};
    pool.run(threads(pool), [&](int thread) {
      for (int64_t block = next.fetch_add(1); block < count_; block = next.fetch_add(1)) {
        for (int64_t row = begin(block); row < begin(block + 1); ++row) {
          require_not_cancelled();
          body(thread, block, row);
        }
      }
    });
  }

  // Adds the arrays of all blocks, each `length` long, into that of the first one.
  void add_up(double* arrays, int64_t length) const {
    for (int64_t block = 1; block < count_; ++block) {
      for (int64_t i = 0; i < length; ++i) {
        arrays[i] += arrays[block * length + i];
      }
    }
  }

 private:
  static constexpr int64_t kLeastEntries = 1 << 15;
  static constexpr int64_t kMost = 16;

  int64_t rows_;
  int64_t count_;
};

}  // namespace threegate::nulls

#endif  // THREEGATE_CPU_NULLS_ROW_BLOCKS_H
