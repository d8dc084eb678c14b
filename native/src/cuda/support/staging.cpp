#include "staging.h"

#include <algorithm>

namespace threegate::cuda {
namespace {

constexpr int64_t kLeastSlot = int64_t{1} << 16;

int64_t padded(int64_t bytes) { return (bytes + Layout::kAlignment - 1) / Layout::kAlignment * Layout::kAlignment; }

// Whole numbers of any type fit.
int64_t slot_room(CudaSession& session, int64_t bytes) {
  return reserve_slots(session, std::min(kSlotBytes, std::max(bytes, kLeastSlot)), kLeastSlot) / Layout::kAlignment *
         Layout::kAlignment;
}

const uint8_t* place(Uploads& uploads, const tg_matrix& matrix, uint8_t*& memory, int64_t& stride) {
  if (is_on_device(matrix.data)) {
    stride = matrix.row_stride;
    return static_cast<const uint8_t*>(matrix.data);
  }
  uint8_t* at = memory;
  memory += padded(matrix_bytes(matrix));
  uploads.add(matrix, at);
  stride = matrix.columns;
  return at;
}

// Copies the parts of an operand other than its rows.
Entries place_extras(Uploads& uploads, const tg_operand& operand, uint8_t* memory) {
  Entries entries{};
  entries.data = static_cast<const uint8_t*>(operand.values.data);
  entries.row_stride = operand.values.row_stride;
  entries.dtype = operand.values.dtype;
  entries.block_rows = std::max<int64_t>(operand.block_rows, 1);
  entries.block_columns = std::max<int64_t>(operand.block_columns, 1);
  entries.rows_reciprocal = 1.0 / static_cast<double>(entries.block_rows);
  entries.columns_reciprocal = 1.0 / static_cast<double>(entries.block_columns);
  if (operand.block_scale.data != nullptr) {
    entries.block_scale = place(uploads, operand.block_scale, memory, entries.scale_stride);
  }
  if (operand.low_rank_count > 0) {
    std::vector<Term> terms(static_cast<size_t>(operand.low_rank_count));
    for (int64_t i = 0; i < operand.low_rank_count; ++i) {
      const tg_low_rank& product = operand.low_rank[i];
      Term& term = terms[static_cast<size_t>(i)];
      term.left = place(uploads, product.left, memory, term.left_stride);
      term.right = place(uploads, product.right, memory, term.right_stride);
      term.rank = product.left.columns;
      term.scale = product.scale;
      term.left_dtype = product.left.dtype;
      term.right_dtype = product.right.dtype;
    }
    uploads.add_array(terms.data(), operand.low_rank_count, reinterpret_cast<Term*>(memory));
    entries.terms = reinterpret_cast<const Term*>(memory);
    entries.term_count = static_cast<int32_t>(operand.low_rank_count);
  }
  return entries;
}

}  // namespace

int64_t matrix_bytes(const tg_matrix& matrix) { return matrix.rows * matrix.columns * element_bytes(matrix.dtype); }

int64_t extras_bytes(const tg_operand& operand) {
  int64_t bytes = padded(operand.low_rank_count * static_cast<int64_t>(sizeof(Term)));
  if (operand.block_scale.data != nullptr) {
    bytes += padded(matrix_bytes(operand.block_scale));
  }
  for (int64_t i = 0; i < operand.low_rank_count; ++i) {
    bytes += padded(matrix_bytes(operand.low_rank[i].left)) + padded(matrix_bytes(operand.low_rank[i].right));
  }
  return bytes;
}

Entries stage_extras(CudaSession& session, const tg_operand& operand, uint8_t* memory) {
  Uploads uploads(session, extras_bytes(operand), nullptr);
  return place_extras(uploads, operand, memory);
}

void gather_rows(const CudaSession& session, const uint8_t* from, int64_t stride_bytes, int64_t rows, int64_t row_bytes,
                 uint8_t* to) {
  constexpr int64_t kPiece = int64_t{1} << 20;
  const int64_t bytes = rows * row_bytes;
  const auto tasks = static_cast<int>(std::clamp<int64_t>((bytes + kPiece - 1) / kPiece, 1, session.parallel.threads));
  session.run_parallel(tasks, [&](int task) {
    if (stride_bytes == row_bytes) {
      const int64_t begin = bytes * task / tasks;
      std::memcpy(to + begin, from + begin, static_cast<size_t>(bytes * (task + 1) / tasks - begin));
      return;
    }
    for (int64_t i = rows * task / tasks; i < rows * (task + 1) / tasks; ++i) {
      std::memcpy(to + i * row_bytes, from + i * stride_bytes, static_cast<size_t>(row_bytes));
    }
  });
}

int64_t reserve_slots(CudaSession& session, int64_t bytes, int64_t least) {
  const int64_t have = std::min(session.slots[0].device.bytes(), session.slots[1].device.bytes());
  if (have >= bytes) {
    return have;
  }
  // Copies that are under way use the memory that is about to be replaced.
  for (CudaSession::Slot& slot : session.slots) {
    check(cudaEventSynchronize(slot.finished.get()), "a copy");
  }
  const auto fits = [&](int64_t size) {
    return std::all_of(session.slots.begin(), session.slots.end(),
                       [&](CudaSession::Slot& slot) { return slot.host.try_reserve(size) && slot.device.try_reserve(size); });
  };
  for (int64_t size = bytes; size >= least; size /= 2) {
    if (fits(size)) {
      return size;
    }
  }
  for (CudaSession::Slot& slot : session.slots) {
    slot.host.reserve(least);
    slot.device.reserve(least);
  }
  return least;
}

Uploads::Uploads(CudaSession& session, int64_t bytes, const tg_control* control)
    : session_(session), control_(control), room_(bytes == 0 ? 0 : slot_room(session, bytes)), used_(room_) {}

uint8_t* Uploads::take(int64_t bytes) {
  if (used_ + bytes > room_) {
    session_.turn = 1 - session_.turn;
    used_ = 0;
    check(cudaEventSynchronize(session_.slots[session_.turn].finished.get()), "a copy to the device");
  }
  uint8_t* place = session_.slots[session_.turn].host.get() + used_;
  used_ += padded(bytes);
  return place;
}

void Uploads::add(const tg_matrix& matrix, uint8_t* device) {
  const int64_t row_bytes = matrix.columns * element_bytes(matrix.dtype);
  if (matrix.rows * row_bytes == 0) {
    return;
  }
  const int64_t stride_bytes = matrix.row_stride * element_bytes(matrix.dtype);
  const auto* from = static_cast<const uint8_t*>(matrix.data);
  // The host gathers one piece while the device copies the one before it.
  constexpr int64_t kPiece = int64_t{4} << 20;
  const int64_t most = std::min(room_, kPiece);
  const int64_t rows_each = std::max<int64_t>(most / row_bytes, 1);
  const int64_t bytes_each = std::min(most, row_bytes);
  for (int64_t i = 0; i < matrix.rows; i += rows_each) {
    const int64_t rows = std::min(rows_each, matrix.rows - i);
    for (int64_t at = 0; at < row_bytes; at += bytes_each) {
      check_cancelled(control_);
      const int64_t bytes = std::min(bytes_each, row_bytes - at);
      uint8_t* host = take(rows * bytes);
      gather_rows(session_, from + i * stride_bytes + at, stride_bytes, rows, bytes, host);
      check(cudaMemcpyAsync(device + i * row_bytes + at, host, static_cast<size_t>(rows * bytes), cudaMemcpyHostToDevice,
                            session_.stream()),
            "a copy to the device");
      check(cudaEventRecord(session_.slots[session_.turn].finished.get(), session_.stream()), "a copy to the device");
    }
  }
}

void copy_matrix(CudaSession& session, const tg_matrix& matrix, uint8_t* device, const tg_control* control) {
  Uploads(session, matrix_bytes(matrix), control).add(matrix, device);
}

Downloads::Downloads(CudaSession& session, int64_t bytes)
    : session_(session), room_(bytes == 0 ? 0 : slot_room(session, bytes)) {}

void Downloads::add(const void* device, int64_t bytes, const Deliver& deliver) {
  for (int64_t at = 0; at < bytes;) {
    if (used_ == room_) {
      finish(1 - session_.turn);
      session_.turn = 1 - session_.turn;
      used_ = 0;
    }
    CudaSession::Slot& slot = session_.slots[session_.turn];
    const int64_t own = std::min(room_ - used_, bytes - at);
    check(cudaMemcpyAsync(slot.host.get() + used_, static_cast<const uint8_t*>(device) + at, static_cast<size_t>(own),
                          cudaMemcpyDeviceToHost, session_.stream()),
          "a copy from the device");
    check(cudaEventRecord(slot.finished.get(), session_.stream()), "a copy from the device");
    pieces_[session_.turn].push_back({used_, at, own, deliver});
    used_ = std::min(room_, padded(used_ + own));
    at += own;
  }
}

void Downloads::add(const void* device, int64_t bytes, void* host) {
  add(device, bytes, [this, host](const uint8_t* from, int64_t at, int64_t count) {
    gather_rows(session_, from, count, 1, count, static_cast<uint8_t*>(host) + at);
  });
}

void Downloads::finish() {
  finish(1 - session_.turn);
  finish(session_.turn);
}

void Downloads::finish(size_t turn) {
  if (pieces_[turn].empty()) {
    return;
  }
  CudaSession::Slot& slot = session_.slots[turn];
  check(cudaEventSynchronize(slot.finished.get()), "a copy from the device");
  for (const Piece& piece : pieces_[turn]) {
    piece.deliver(slot.host.get() + piece.place, piece.at, piece.bytes);
  }
  pieces_[turn].clear();
}

void copy_to_host(CudaSession& session, const void* device, int64_t bytes, void* host) {
  Downloads downloads(session, bytes);
  downloads.add(device, bytes, host);
  downloads.finish();
}

int64_t staged_bytes(const tg_operand& operand) { return extras_bytes(operand) + padded(matrix_bytes(operand.values)); }

Entries stage(Uploads& uploads, const tg_operand& operand, uint8_t* memory) {
  Entries entries = place_extras(uploads, operand, memory);
  if (!is_on_device(operand.values.data)) {
    uint8_t* at = memory + extras_bytes(operand);
    uploads.add(operand.values, at);
    entries.data = at;
    entries.row_stride = operand.values.columns;
  }
  return entries;
}

Entries stage(CudaSession& session, const tg_operand& operand, uint8_t* memory, const tg_control* control) {
  Uploads uploads(session, staged_bytes(operand), control);
  return stage(uploads, operand, memory);
}

}  // namespace threegate::cuda
