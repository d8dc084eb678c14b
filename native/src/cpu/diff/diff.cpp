#include "diff.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "block.h"
#include "coded.h"
#include "common/control.h"
#include "cpu/codes/codes.h"
#include "cpu/support/operand.h"

namespace threegate::diff {
namespace {

constexpr int64_t kMaxBlocksPerSum = 256;

__extension__ typedef __int128 Integer128;  // for products of two 64-bit sizes

// (a * b + more) / c for sizes, rounded down. Small products take a division of 64 bits, which is many times as fast.
int64_t multiply_divide(int64_t a, int64_t b, int64_t c, int64_t more) {
  if (std::max(a, b) <= INT32_MAX) {
    return (a * b + more) / c;
  }
  return static_cast<int64_t>((static_cast<Integer128>(a) * b + more) / c);
}

// The row or column of a map, of `bands`, that entry `index` of `size` belongs to.
int64_t band_of(int64_t index, int64_t size, int64_t bands) { return multiply_divide(index, bands, size, 0); }

// The first entry of a band: the smallest i for which i * bands / size, rounded down, is the band.
int64_t first_of_band(int64_t band, int64_t size, int64_t bands) { return multiply_divide(band, size, bands, bands - 1); }

// The division of a matrix into blocks. It depends only on the shape and on the rows of the map, so that sums do not depend on
// the number of threads. A block lies within one row (a band) of the map, unless it is of codes.
class Grid {
 public:
  Grid(int64_t rows, int64_t columns, int64_t map_rows, bool tall)
      : rows_(rows),
        columns_(columns),
        bands_(map_rows),
        block_columns_(std::min(columns, tall ? kTallColumns : kBlockColumns)),
        block_rows_(columns == 0 ? 1 : std::clamp<int64_t>(kBlockElements / block_columns_, 1, kBlockRows)) {
    if (rows == 0 || columns == 0) {
      return;
    }
    column_blocks_ = (columns + block_columns_ - 1) / block_columns_;
    if (tall) {
      block_rows_ = kTallRows;
      blocks_per_band_ = (rows + block_rows_ - 1) / block_rows_;
      return;
    }
    // The heights of bands differ by at most one row.
    const int64_t tallest = (rows + bands_ - 1) / bands_;
    blocks_per_band_ = (tallest + block_rows_ - 1) / block_rows_;
    block_rows_ = (tallest + blocks_per_band_ - 1) / blocks_per_band_;
  }

  [[nodiscard]] int64_t blocks() const { return bands_ * blocks_per_band_ * column_blocks_; }
  [[nodiscard]] int64_t column_blocks() const { return column_blocks_; }

  // The band of block `index`.
  [[nodiscard]] int64_t band(int64_t index) const { return index / column_blocks_ / blocks_per_band_; }

  // Returns false for a block without rows, which the last one of a band may be.
  bool place(int64_t index, BlockInput& input) const {
    const int64_t row_block = index / column_blocks_;
    const int64_t band_index = row_block / blocks_per_band_;
    const int64_t first = first_of_band(band_index, rows_, bands_) + row_block % blocks_per_band_ * block_rows_;
    input.row = first;
    input.rows = std::min(block_rows_, first_of_band(band_index + 1, rows_, bands_) - first);
    input.column = index % column_blocks_ * block_columns_;
    input.columns = std::min(block_columns_, columns_ - input.column);
    return input.rows > 0;
  }

 private:
  int64_t rows_;
  int64_t columns_;
  int64_t bands_;
  int64_t block_columns_;
  int64_t block_rows_;
  int64_t column_blocks_ = 0;
  int64_t blocks_per_band_ = 0;
};

struct Sums {
  double base_squares;
  double delta_squares;
  double delta_dot_base;
  double max_abs_delta;
};

int64_t map_rows(const tg_diff_profiles* profiles) {
  return profiles != nullptr && profiles->map != nullptr ? profiles->map_rows : 1;
}

bool are_codes(const tg_operand& operand) { return operand.values.dtype == TG_CODES; }

const tg_codes& codes_of(const tg_operand& operand) { return *static_cast<const tg_codes*>(operand.values.data); }

Grid make_grid(const tg_operand& base, const tg_diff_profiles* profiles) {
  return {base.values.rows, base.values.columns, is_coded(base) ? 1 : map_rows(profiles), is_tall(base)};
}

int64_t columns_per_thread(const tg_operand& base, const tg_diff_profiles* profiles) {
  return profiles != nullptr && profiles->column_changed != nullptr ? base.values.columns : 0;
}

std::vector<int64_t> ends_of_cells(const tg_operand& base, const tg_diff_profiles* profiles) {
  std::vector<int64_t> ends;
  if (profiles != nullptr && profiles->map != nullptr && base.values.columns > 0) {
    for (int64_t cell = 1; cell <= profiles->map_columns; ++cell) {
      ends.push_back(first_of_band(cell, base.values.columns, profiles->map_columns));
    }
  }
  return ends;
}

// One scalar variant serves all operands.
constexpr BlockFunction block_bf16_scalar = block_scalar;
constexpr BlockFunction block_wide_scalar = block_scalar;

BlockFunction choose(SimdLevel level, const tg_operand& base, const tg_operand& tuned) {
  const bool bf16 = base.values.dtype == TG_BF16 && tuned.values.dtype == TG_BF16 && is_plain(base) && is_plain(tuned);
  return bf16 ? TG_AT_LEVEL(level, block_bf16) : TG_AT_LEVEL(level, block_wide);
}

constexpr CodedFunction block_coded_scalar = nullptr;
[[maybe_unused]] constexpr CodedFunction block_coded_neon = nullptr;

// The entries of the blocks of one side. Codes are decoded to float32, block by block.
class SideReader {
 public:
  SideReader(SimdLevel level, const tg_operand& operand) : level_(level), operand_(operand), decoded_(operand) {}

  // Returns where the entries of a block are. They stay there until the next call.
  BlockSide read(const BlockInput& block) {
    if (!are_codes(operand_)) {
      return {&operand_, block.row, block.column};
    }
    const auto entries = static_cast<size_t>(block.rows * block.columns);
    if (entries_.size() < entries) {
      entries_.resize(entries);
    }
    codes::decode_range(level_, codes_of(operand_),
                        {block.row, block.row + block.rows, block.column, block.column + block.columns},
                        {entries_.data(), block.row, block.column, block.columns});
    decoded_.values = {entries_.data(), block.rows, block.columns, block.columns, TG_F32, 0};
    return {&decoded_, 0, 0};
  }

 private:
  SimdLevel level_;
  const tg_operand& operand_;
  tg_operand decoded_;
  std::vector<float> entries_;
};

// Sums by recursive halving. The rounding error grows with the logarithm of the number of blocks.
double pairwise_sum(const Sums* sums, int64_t count, double Sums::*field) {
  if (count <= kMaxBlocksPerSum) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      sum += sums[i].*field;
    }
    return sum;
  }
  const int64_t half = count / 2;
  return pairwise_sum(sums, half, field) + pairwise_sum(sums + half, count - half, field);
}

// Adds to a count that other threads may add to, if there are any.
void add_shared(int64_t& target, int64_t amount, int threads) {
  if (threads == 1) {
    target += amount;
  } else {
    __atomic_fetch_add(&target, amount, __ATOMIC_RELAXED);
  }
}

// `part` is a BlockResult or a tg_diff_result, whose counts have the same names.
template <typename Part>
void add_counts(const Part& part, tg_diff_result& result) {
  result.changed += part.changed;
  result.changed_bits += part.changed_bits;
  result.changed_stored += part.changed_stored;
  result.hidden += part.hidden;
  result.non_finite += part.non_finite;
  result.sign_flips += part.sign_flips;
  for (int bin = 1; bin < TG_ULP_BINS; ++bin) {
    result.ulp_histogram[bin] += part.ulp_histogram[bin];
  }
}

// The cells of the map that a block of codes lies in.
class CellCounts {
 public:
  BlockCells start(const tg_diff_profiles& profiles, const tg_matrix& values, const BlockInput& block) {
    first_row_ = band_of(block.row, values.rows, profiles.map_rows);
    first_column_ = band_of(block.column, values.columns, profiles.map_columns);
    const int64_t rows = band_of(block.row + block.rows - 1, values.rows, profiles.map_rows) - first_row_ + 1;
    columns_ = band_of(block.column + block.columns - 1, values.columns, profiles.map_columns) - first_column_ + 1;
    counts_.assign(static_cast<size_t>(rows * columns_), 0);
    place(block.row, block.rows, values.rows, profiles.map_rows, columns_, of_rows_);
    place(block.column, block.columns, values.columns, profiles.map_columns, 1, of_columns_);
    return {of_rows_.data(), of_columns_.data(), counts_.data()};
  }

  void add_to(const tg_diff_profiles& profiles, int threads) const {
    for (size_t i = 0; i < counts_.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      const int64_t cell = (first_row_ + at / columns_) * profiles.map_columns + first_column_ + at % columns_;
      if (counts_[i] != 0) {
        add_shared(profiles.map[cell], counts_[i], threads);
      }
    }
  }

 private:
  // The band of each of `count` entries, from 0 on, times `step`.
  static void place(int64_t first, int64_t count, int64_t size, int64_t bands, int64_t step, std::vector<uint32_t>& out) {
    out.resize(static_cast<size_t>(count));
    int64_t band = band_of(first, size, bands);
    uint32_t cell = 0;
    for (int64_t i = 0; i < count; ++band, cell += static_cast<uint32_t>(step)) {
      const int64_t end = std::min(count, first_of_band(band + 1, size, bands) - first);
      std::fill(out.begin() + i, out.begin() + end, cell);
      i = end;
    }
  }

  int64_t first_row_ = 0;
  int64_t first_column_ = 0;
  int64_t columns_ = 1;
  std::vector<uint32_t> of_rows_;
  std::vector<uint32_t> of_columns_;
  std::vector<uint32_t> counts_;
};

// The counts of rows whose columns lie in several blocks. Those of one thread are added to the others when it has other rows.
class RowCounts {
 public:
  void add(const BlockInput& input, const BlockResult& block, int64_t* all, int threads) {
    if (input.row != first_ || input.rows != static_cast<int64_t>(counts_.size())) {
      flush(all, threads);
      first_ = input.row;
      counts_.assign(static_cast<size_t>(input.rows), 0);
    }
    for (int64_t i = 0; block.changed > 0 && i < input.rows; ++i) {
      counts_[static_cast<size_t>(i)] += block.row_changed[i];
    }
  }
  void flush(int64_t* all, int threads) {
    for (size_t i = 0; i < counts_.size(); ++i) {
      add_shared(all[first_ + static_cast<int64_t>(i)], counts_[i], threads);
    }
    counts_.clear();
  }

 private:
  int64_t first_ = 0;
  std::vector<int64_t> counts_;
};

class Run {
 public:
  Run(SimdLevel level, const Request& request, int threads)
      : request_(request),
        level_(level),
        grid_(make_grid(*request.base, request.profiles)),
        block_(choose(level, *request.base, *request.tuned)),
        coded_(TG_AT_LEVEL(level, block_coded)),
        columns_of_level_(TG_AT_LEVEL(level, kColumnCounts)),
        pair_(coded_ == nullptr ? nullptr : make_coded_pair(*request.base, *request.tuned)),
        spans_bands_(is_coded(*request.base) && map_rows(request.profiles) > 1),
        counts_cells_(is_coded(*request.base) && request.profiles != nullptr && request.profiles->map != nullptr),
        threads_(static_cast<int>(std::min<int64_t>(threads, std::max<int64_t>(grid_.blocks(), 1)))),
        columns_(columns_per_thread(*request.base, request.profiles)),
        cell_ends_(ends_of_cells(*request.base, request.profiles)),
        sums_(static_cast<Sums*>(request.workspace)),
        column_counts_(reinterpret_cast<int64_t*>(sums_ + grid_.blocks())) {}

  [[nodiscard]] int threads() const { return threads_; }

  void prepare() {
    std::fill_n(sums_, grid_.blocks(), Sums{});
    std::fill_n(column_counts_, columns_ * threads_, int64_t{0});
    const tg_diff_profiles* profiles = request_.profiles;
    if (profiles == nullptr) {
      return;
    }
    if (profiles->row_changed != nullptr) {
      std::fill_n(profiles->row_changed, request_.base->values.rows, int64_t{0});
    }
    if (profiles->map != nullptr) {
      std::fill_n(profiles->map, profiles->map_rows * profiles->map_columns, int64_t{0});
    }
  }

  void work(int thread, tg_diff_result& counts) {
    const auto block = std::make_unique<BlockResult>();
    BlockInput input{};
    SideReader base(level_, *request_.base);
    SideReader tuned(level_, *request_.tuned);
    CellCounts cells;
    RowCounts rows;
    if (request_.profiles != nullptr) {
      input.mask = request_.profiles->mask;
      input.mask_stride = (request_.base->values.columns + 63) / 64;
    }
    for (;;) {
      const int64_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= grid_.blocks() || cancelled()) {
        break;
      }
      if (!grid_.place(index, input)) {
        continue;
      }
      Sums sums{};
      if (pair_ != nullptr && compare_codes(input, cells, *block)) {
        add_block(*block, counts, sums);
        add_profiles(thread, input, *block, rows);
        add_cells(index, input, cells, *block);
      } else {
        for_bands(index, input, [&](BlockInput part, int64_t band) {
          part.base = base.read(part);
          part.tuned = tuned.read(part);
          if (!block_(part, *block)) {
            block_scalar(part, *block);
          }
          add_block(*block, counts, sums);
          add_profiles(thread, part, *block, rows);
          add_map(band, part, *block);
        });
      }
      sums_[index] = sums;
      add_done(request_.control, input.rows * input.columns);
    }
    if (request_.profiles != nullptr && request_.profiles->row_changed != nullptr) {
      rows.flush(request_.profiles->row_changed, threads_);
    }
  }

  void finish(tg_diff_result& result) const {
    const int64_t blocks = grid_.blocks();
    result.base_squares = pairwise_sum(sums_, blocks, &Sums::base_squares);
    result.delta_squares = pairwise_sum(sums_, blocks, &Sums::delta_squares);
    result.delta_dot_base = pairwise_sum(sums_, blocks, &Sums::delta_dot_base);
    for (int64_t i = 0; i < blocks; ++i) {
      result.max_abs_delta = std::max(result.max_abs_delta, sums_[i].max_abs_delta);
    }
    int64_t beyond_first = 0;
    for (int bin = 1; bin < TG_ULP_BINS; ++bin) {
      beyond_first += result.ulp_histogram[bin];
    }
    result.ulp_histogram[0] = result.total - result.non_finite - beyond_first;
    for (int64_t j = 0; j < columns_; ++j) {
      int64_t sum = 0;
      for (int thread = 0; thread < threads_; ++thread) {
        sum += column_counts_[thread * columns_ + j];
      }
      request_.profiles->column_changed[j] = sum;
    }
  }

  [[nodiscard]] bool cancelled() const { return is_cancelled(request_.control); }

 private:
  bool compare_codes(const BlockInput& input, CellCounts& cells, BlockResult& block) const {
    if (!counts_cells_) {
      return coded_(*pair_, input, nullptr, block);
    }
    const BlockCells own = cells.start(*request_.profiles, request_.base->values, input);
    return coded_(*pair_, input, &own, block);
  }

  // Calls run(part, band) for the parts of a block in each row of the map.
  template <typename Part>
  void for_bands(int64_t index, const BlockInput& input, Part run) const {
    if (!spans_bands_) {
      run(input, grid_.band(index));
      return;
    }
    const int64_t rows = request_.base->values.rows;
    const int64_t bands = request_.profiles->map_rows;
    const int64_t end = input.row + input.rows;
    BlockInput part = input;
    for (int64_t band = band_of(input.row, rows, bands); part.row < end; ++band) {
      part.rows = std::min(end, first_of_band(band + 1, rows, bands)) - part.row;
      run(part, band);
      part.row += part.rows;
    }
  }

  static void add_block(const BlockResult& block, tg_diff_result& counts, Sums& sums) {
    add_counts(block, counts);
    sums.base_squares += block.base_squares;
    sums.delta_squares += block.delta_squares;
    sums.delta_dot_base += block.delta_dot_base;
    sums.max_abs_delta = std::max(sums.max_abs_delta, block.max_abs_delta);
  }

  void add_cells(int64_t index, const BlockInput& input, const CellCounts& cells, const BlockResult& block) const {
    if (counts_cells_) {
      cells.add_to(*request_.profiles, threads_);
    } else {
      add_map(grid_.band(index), input, block);
    }
  }

  void add_profiles(int thread, const BlockInput& input, const BlockResult& block, RowCounts& rows) {
    const tg_diff_profiles* profiles = request_.profiles;
    if (profiles == nullptr) {
      return;
    }
    if (profiles->row_changed != nullptr && input.columns == request_.base->values.columns) {
      std::copy_n(block.row_changed, input.rows, profiles->row_changed + input.row);
    } else if (profiles->row_changed != nullptr) {
      rows.add(input, block, profiles->row_changed, threads_);
    }
    if (block.changed > 0 && columns_ > 0) {
      columns_of_level_.add(block.column_changed, input.columns, column_counts_ + thread * columns_ + input.column);
    }
  }

  void add_map(int64_t band, const BlockInput& input, const BlockResult& block) const {
    const tg_diff_profiles* profiles = request_.profiles;
    if (profiles == nullptr || profiles->map == nullptr || block.changed == 0) {
      return;
    }
    int64_t* cells = profiles->map + band * profiles->map_columns;
    int64_t cell = band_of(input.column, request_.base->values.columns, profiles->map_columns);
    for (int64_t j = 0; j < input.columns; ++cell) {
      const int64_t end = std::min(input.columns, cell_ends_[static_cast<size_t>(cell)] - input.column);
      add_shared(cells[cell], columns_of_level_.sum(block.column_changed + j, end - j), threads_);
      j = end;
    }
  }

  const Request& request_;
  SimdLevel level_;
  Grid grid_;
  BlockFunction block_;
  CodedFunction coded_;
  ColumnCounts columns_of_level_;
  std::unique_ptr<CodedPair> pair_;
  bool spans_bands_;   // whether a block may lie in several rows of the map
  bool counts_cells_;  // whether codes are counted in cells as they are compared
  int threads_;
  int64_t columns_;
  std::vector<int64_t> cell_ends_;  // of each column of the map, the column of the matrix behind it
  Sums* sums_;
  int64_t* column_counts_;
  std::atomic<int64_t> next_{0};
};

}  // namespace

int64_t workspace_bytes(const tg_operand& base, const tg_diff_profiles* profiles, int threads) {
  const int64_t blocks = make_grid(base, profiles).blocks();
  return blocks * static_cast<int64_t>(sizeof(Sums)) +
         columns_per_thread(base, profiles) * threads * static_cast<int64_t>(sizeof(int64_t)) + 64;
}

bool run(ThreadPool& pool, SimdLevel level, const Request& request, tg_diff_result& result) {
  const int64_t size = result.size;
  result = tg_diff_result{};
  result.size = size;
  result.total = request.base->values.rows * request.base->values.columns;
  Run job(level, request, pool.threads());
  job.prepare();
  std::vector<tg_diff_result> counts(static_cast<size_t>(job.threads()));
  pool.run(job.threads(), [&](int thread) { job.work(thread, counts[static_cast<size_t>(thread)]); });
  if (job.cancelled()) {
    return false;
  }
  for (const tg_diff_result& part : counts) {
    add_counts(part, result);
  }
  job.finish(result);
  return true;
}

}  // namespace threegate::diff
