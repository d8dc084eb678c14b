#include "diff.h"

#include <algorithm>
#include <vector>

#include "cuda/support/staging.h"
#include "device_pairs.h"
#include "diff_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int64_t kLeastSlot = int64_t{1} << 20;
constexpr int64_t kSlotParts = 512;  // parts of a launch

class Run {
 public:
  Run(CudaSession& session, const CudaDiff* items, int64_t count, tg_control* control) : session_(session), control_(control) {
    const int64_t own = lay_out_all(items, count, nullptr, pairs_, ranges_, results_);
    int64_t extras = 0;
    for (int64_t i = 0; i < count; ++i) {
      extras += extras_bytes(*items[i].base) + extras_bytes(*items[i].tuned);
    }
    session.memory.reserve(own + extras);
    pairs_.clear();
    lay_out_all(items, count, session.memory.get(), pairs_, ranges_, results_);
    uint8_t* at = session.memory.get() + own;
    for (Pair& pair : pairs_) {
      pair.base = stage_extras(session, *pair.item->base, at);
      at += extras_bytes(*pair.item->base);
      pair.tuned = stage_extras(session, *pair.item->tuned, at);
      at += extras_bytes(*pair.item->tuned);
      pair.base_resident = is_on_device(pair.base.data);
      pair.tuned_resident = is_on_device(pair.tuned.data);
    }
    // Counters start at zero. Results of units are always written.
    check(cudaMemsetAsync(session.memory.get(), 0, static_cast<size_t>(own), session.stream()), "counters");
    check(cudaStreamSynchronize(session.stream()), "counters");
  }

  void run() {
    room_ = reserve_slots(session_, slot_bytes(), kLeastSlot);
    for (const Pair& pair : pairs_) {
      add(pair);
    }
    submit();
    for (size_t i = 0; i < session_.slots.size(); ++i) {
      wait(i);
    }
    collect();
  }

 private:
  struct Load {
    std::vector<DiffPart> parts;
    std::vector<const Pair*> pairs;
    std::vector<PairKind> kinds;
    int64_t used = 0;
  };

  // A slot need not be larger than the data to copy.
  [[nodiscard]] int64_t slot_bytes() const {
    int64_t bytes = list_bytes();
    for (const Pair& pair : pairs_) {
      const tg_matrix& values = pair.item->base->values;
      bytes += values.rows * row_bytes(pair, values.columns) + 4 * Layout::kAlignment;
      if (bytes >= kSlotBytes) {
        return kSlotBytes;
      }
    }
    return std::max(bytes, kLeastSlot);
  }

  static int64_t list_bytes() { return padded(kSlotParts * static_cast<int64_t>(sizeof(DiffPart))); }
  static bool wants_mask(const Pair& pair) { return pair.item->profiles != nullptr && pair.item->profiles->mask != nullptr; }

  // The bytes of a slot that `columns` entries of a row need.
  static int64_t row_bytes(const Pair& pair, int64_t columns) {
    int64_t bytes = 0;
    if (!pair.base_resident) {
      bytes += columns * element_bytes(pair.base.dtype);
    }
    if (!pair.tuned_resident) {
      bytes += columns * element_bytes(pair.tuned.dtype);
    }
    return bytes + (wants_mask(pair) ? 8 * quotient(columns, 64) : 0);
  }

  // Divides the pair into parts that fit a slot. These are whole rows, or pieces of rows that are too long.
  void add(const Pair& pair) {
    const tg_matrix& values = pair.item->base->values;
    int64_t columns_each = values.columns;
    const int64_t largest = room_ - list_bytes() - 4 * Layout::kAlignment;
    while (kUnitRows * row_bytes(pair, columns_each) > largest && columns_each > kUnitColumns) {
      columns_each = quotient(quotient(columns_each, 2), kUnitColumns) * kUnitColumns;
    }
    for (int64_t row = 0; row < values.rows;) {
      int64_t rows = values.rows - row;
      for (int64_t column = 0; column < values.columns; column += columns_each) {
        const int64_t columns = std::min(columns_each, values.columns - column);
        const int64_t each = row_bytes(pair, columns);
        if (column == 0) {
          const auto fitting = [&] { return each == 0 ? rows : (largest_left() / each) / kUnitRows * kUnitRows; };
          if (fitting() < std::min(rows, kUnitRows)) {
            submit();
          }
          rows = std::min(rows, std::max(fitting(), kUnitRows));
        } else if (largest_left() < rows * each) {
          submit();
        }
        add_part(pair, row, rows, column, columns);
      }
      row += rows;
    }
  }

  [[nodiscard]] int64_t largest_left() const { return room_ - list_bytes() - load_.used - 4 * Layout::kAlignment; }

  CudaSession::Slot& slot() { return session_.slots[turn_ % 2]; }

  void add_part(const Pair& pair, int64_t row, int64_t rows, int64_t column, int64_t columns) {
    if (load_.parts.empty()) {
      wait(turn_ % 2);
    }
    DiffPart part{};
    const tg_matrix& values = pair.item->base->values;
    part.base = side(pair.base, pair.base_resident, pair.item->base->values, row, rows, column, columns);
    part.tuned = side(pair.tuned, pair.tuned_resident, pair.item->tuned->values, row, rows, column, columns);
    part.row = row;
    part.rows = rows;
    part.column = column;
    part.columns = columns;
    part.all_rows = values.rows;
    part.all_columns = values.columns;
    part.units = pair.units;
    const tg_diff_profiles* profiles = pair.item->profiles;
    if (profiles != nullptr) {
      part.row_changed = profiles->row_changed != nullptr ? pair.row_changed : nullptr;
      part.column_changed = profiles->column_changed != nullptr ? pair.column_changed : nullptr;
      part.map = profiles->map != nullptr ? pair.map : nullptr;
      part.map_rows = profiles->map_rows;
      part.map_columns = profiles->map_columns;
      part.map_rows_of_one = static_cast<double>(part.map_rows) / static_cast<double>(part.all_rows);
      part.rows_of_map_row = static_cast<double>(part.all_rows) / static_cast<double>(part.map_rows);
      part.map_columns_of_one = static_cast<double>(part.map_columns) / static_cast<double>(part.all_columns);
    }
    if (wants_mask(pair)) {
      part.mask_stride = 8 * quotient(columns, 64);
      part.mask = slot().device.get() + list_bytes() + load_.used;
      load_.used += padded(rows * part.mask_stride);
    }
    load_.parts.push_back(part);
    load_.pairs.push_back(&pair);
    load_.kinds.push_back(kind_of(part));
    if (static_cast<int64_t>(load_.parts.size()) == kSlotParts) {
      submit();
    }
  }

  // One side of a part. It is copied into the slot unless it is on the device.
  Entries side(const Entries& whole, bool resident, const tg_matrix& values, int64_t row, int64_t rows, int64_t column,
               int64_t columns) {
    Entries entries = whole;
    const int64_t bytes = element_bytes(values.dtype);
    const uint8_t* from = static_cast<const uint8_t*>(values.data) + (row * values.row_stride + column) * bytes;
    entries.first_row = row;
    entries.first_column = column;
    if (resident) {
      entries.data = from;
      return entries;
    }
    const int64_t at = list_bytes() + load_.used;
    gather_rows(session_, from, values.row_stride * bytes, rows, columns * bytes, slot().host.get() + at);
    check(cudaMemcpyAsync(slot().device.get() + at, slot().host.get() + at, static_cast<size_t>(rows * columns * bytes),
                          cudaMemcpyHostToDevice, slot().stream.get()),
          "a copy to the device");
    entries.data = slot().device.get() + at;
    entries.row_stride = columns;
    load_.used += padded(rows * columns * bytes);
    return entries;
  }

  static PairKind kind_of(const DiffPart& part) {
    const auto aligned = [&](const Entries& entries) {
      constexpr int64_t kVector = 16;
      return reinterpret_cast<uintptr_t>(entries.data) % kVector == 0 &&
             entries.row_stride * element_bytes(entries.dtype) % kVector == 0 && entries.block_scale == nullptr &&
             entries.term_count == 0;
    };
    if (part.base.dtype != part.tuned.dtype || part.columns % 8 != 0 || !aligned(part.base) || !aligned(part.tuned)) {
      return PairKind::kAny;
    }
    return part.base.dtype == TG_BF16 ? PairKind::kBf16 : part.base.dtype == TG_F32 ? PairKind::kFloat : PairKind::kAny;
  }

  void submit() {
    if (load_.parts.empty()) {
      return;
    }
    check_cancelled(control_);
    CudaSession::Slot& own = slot();
    cudaStream_t stream = own.stream.get();
    // The parts of each kind are contiguous in the list and launched together.
    auto* list = reinterpret_cast<DiffPart*>(own.host.get());
    auto* device_list = reinterpret_cast<DiffPart*>(own.device.get());
    int64_t placed = 0;
    struct Range {
      PairKind kind;
      int64_t begin;
      int64_t count;
      int64_t units;
    };
    std::vector<Range> ranges;
    for (const PairKind kind : {PairKind::kBf16, PairKind::kFloat, PairKind::kAny}) {
      Range range{kind, placed, 0, 0};
      for (size_t i = 0; i < load_.parts.size(); ++i) {
        if (load_.kinds[i] == kind) {
          list[placed] = load_.parts[i];
          list[placed].first_unit = range.units;
          range.units += quotient(list[placed].rows, kUnitRows) * quotient(list[placed].columns, kUnitColumns);
          ++placed;
          ++range.count;
        }
      }
      if (range.count > 0) {
        ranges.push_back(range);
      }
    }
    check(cudaMemcpyAsync(device_list, list, static_cast<size_t>(placed) * sizeof(DiffPart), cudaMemcpyHostToDevice, stream),
          "a list of work");
    for (const DiffPart& part : load_.parts) {
      if (part.mask != nullptr) {
        // Kernels write the words with changes only.
        check(cudaMemsetAsync(part.mask, 0, static_cast<size_t>(part.rows * part.mask_stride), stream), "a mask");
      }
    }
    for (const Range& range : ranges) {
      check(launch_diff(range.kind, device_list + range.begin, range.count, range.units, session_.multiprocessors, stream),
            "the diff kernel");
    }
    for (const DiffPart& part : load_.parts) {
      if (part.mask != nullptr) {
        check(cudaMemcpyAsync(own.host.get() + (part.mask - own.device.get()), part.mask,
                              static_cast<size_t>(part.rows * part.mask_stride), cudaMemcpyDeviceToHost, stream),
              "a mask");
      }
    }
    check(cudaEventRecord(own.finished.get(), stream), "the diff kernel");
    pending_[turn_ % 2] = std::move(load_);
    load_ = Load{};
    ++turn_;
  }

  // Copies the rows of a part's mask to the caller, whose memory may be on the device.
  static void hand_over(uint64_t* to, int64_t to_stride, const uint8_t* from, int64_t from_stride, int64_t rows,
                        cudaStream_t stream) {
    const bool there = is_on_device(to);
    const bool whole = to_stride == from_stride;
    const int64_t bytes = whole ? rows * from_stride : from_stride;
    auto* into = reinterpret_cast<uint8_t*>(to);
    for (int64_t row = 0; row < (whole ? 1 : rows); ++row) {
      if (there) {
        check(cudaMemcpyAsync(into + row * to_stride, from + row * from_stride, static_cast<size_t>(bytes),
                              cudaMemcpyHostToDevice, stream),
              "a mask");
      } else {
        std::memcpy(into + row * to_stride, from + row * from_stride, static_cast<size_t>(bytes));
      }
    }
    if (there) {
      check(cudaStreamSynchronize(stream), "a mask");
    }
  }

  // Waits until slot `index` may be used again, and copies its masks to the caller.
  void wait(size_t index) {
    CudaSession::Slot& own = session_.slots[index];
    check(cudaEventSynchronize(own.finished.get()), "the diff kernel");
    Load& load = pending_[index];
    for (size_t i = 0; i < load.parts.size(); ++i) {
      const DiffPart& part = load.parts[i];
      if (part.mask != nullptr) {
        const int64_t stride = quotient(part.all_columns, 64);
        uint64_t* to = load.pairs[i]->item->profiles->mask + part.row * stride + part.column / 64;
        const uint8_t* from = own.host.get() + (part.mask - own.device.get());
        hand_over(to, 8 * stride, from, part.mask_stride, part.rows, own.stream.get());
      }
      add_done(control_, part.rows * part.columns);
    }
    load = Load{};
  }

  template <typename T>
  void fetch(const uint64_t* from, T* to, int64_t count) const {
    static_assert(sizeof(T) == sizeof(uint64_t));
    check(cudaMemcpyAsync(to, from, static_cast<size_t>(count) * sizeof(T), cudaMemcpyDeviceToHost, session_.stream()),
          "results");
  }

  void collect() {
    if (pairs_.empty()) {
      return;
    }
    const auto count = static_cast<int64_t>(pairs_.size());
    session_.results.reserve(count * static_cast<int64_t>(sizeof(UnitRange) + sizeof(MatrixResult)));
    auto* results = reinterpret_cast<MatrixResult*>(session_.results.get());
    auto* ranges = reinterpret_cast<UnitRange*>(results + count);
    for (int64_t i = 0; i < count; ++i) {
      const Pair& pair = pairs_[static_cast<size_t>(i)];
      ranges[i] = {pair.units, units_of(pair.item->base->values)};
    }
    const cudaStream_t stream = session_.stream();
    check(cudaMemcpyAsync(ranges_, ranges, static_cast<size_t>(count) * sizeof(UnitRange), cudaMemcpyHostToDevice, stream),
          "a list of results");
    check(launch_diff_sums(ranges_, count, results_, stream), "the sums of the diff");
    check(cudaMemcpyAsync(results, results_, static_cast<size_t>(count) * sizeof(MatrixResult), cudaMemcpyDeviceToHost, stream),
          "results");
    for (const Pair& pair : pairs_) {
      const tg_diff_profiles* profiles = pair.item->profiles;
      if (profiles == nullptr) {
        continue;
      }
      if (profiles->row_changed != nullptr) {
        fetch(pair.row_changed, profiles->row_changed, pair.item->base->values.rows);
      }
      if (profiles->column_changed != nullptr) {
        fetch(pair.column_changed, profiles->column_changed, pair.item->base->values.columns);
      }
      if (profiles->map != nullptr) {
        fetch(pair.map, profiles->map, profiles->map_rows * profiles->map_columns);
      }
    }
    check(cudaStreamSynchronize(stream), "the diff kernel");
    for (int64_t i = 0; i < count; ++i) {
      copy_result(results[i], *pairs_[static_cast<size_t>(i)].item->result);
    }
  }

  CudaSession& session_;
  tg_control* control_;
  std::vector<Pair> pairs_;
  UnitRange* ranges_ = nullptr;
  MatrixResult* results_ = nullptr;
  int64_t room_ = 0;
  size_t turn_ = 0;
  Load load_;
  std::array<Load, 2> pending_;
};

}  // namespace

int64_t diff_bytes(const CudaDiff* items, int64_t count) {
  std::vector<Pair> pairs;
  UnitRange* ranges = nullptr;
  MatrixResult* results = nullptr;
  int64_t bytes = lay_out_all(items, count, nullptr, pairs, ranges, results);
  for (int64_t i = 0; i < count; ++i) {
    bytes += extras_bytes(*items[i].base) + extras_bytes(*items[i].tuned);
  }
  return bytes;
}

void diff(CudaSession& session, const CudaDiff* items, int64_t count, tg_control* control) {
  int64_t total = 0;
  for (int64_t i = 0; i < count; ++i) {
    clear(items[i]);
    total += items[i].result->total;
  }
  begin_work(control, total);
  check_cancelled(control);
  Run(session, items, count, control).run();
}

}  // namespace threegate::cuda
