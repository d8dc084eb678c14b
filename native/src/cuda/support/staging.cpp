#include "staging.h"

#include <algorithm>

namespace threegate::cuda {
namespace {

int64_t padded(int64_t bytes) { return (bytes + Layout::kAlignment - 1) / Layout::kAlignment * Layout::kAlignment; }

const uint8_t* place(CudaSession& session, const tg_matrix& matrix, uint8_t*& memory, int64_t& stride) {
  if (is_on_device(matrix.data)) {
    stride = matrix.row_stride;
    return static_cast<const uint8_t*>(matrix.data);
  }
  uint8_t* at = memory;
  memory += padded(matrix_bytes(matrix));
  copy_matrix(session, matrix, at, nullptr);
  stride = matrix.columns;
  return at;
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
  Entries entries{};
  entries.data = static_cast<const uint8_t*>(operand.values.data);
  entries.row_stride = operand.values.row_stride;
  entries.dtype = operand.values.dtype;
  entries.block_rows = std::max<int64_t>(operand.block_rows, 1);
  entries.block_columns = std::max<int64_t>(operand.block_columns, 1);
  entries.rows_reciprocal = 1.0 / static_cast<double>(entries.block_rows);
  entries.columns_reciprocal = 1.0 / static_cast<double>(entries.block_columns);
  if (operand.block_scale.data != nullptr) {
    entries.block_scale = place(session, operand.block_scale, memory, entries.scale_stride);
  }
  if (operand.low_rank_count > 0) {
    std::vector<Term> terms(static_cast<size_t>(operand.low_rank_count));
    for (int64_t i = 0; i < operand.low_rank_count; ++i) {
      const tg_low_rank& product = operand.low_rank[i];
      Term& term = terms[static_cast<size_t>(i)];
      term.left = place(session, product.left, memory, term.left_stride);
      term.right = place(session, product.right, memory, term.right_stride);
      term.rank = product.left.columns;
      term.scale = product.scale;
      term.left_dtype = product.left.dtype;
      term.right_dtype = product.right.dtype;
    }
    const tg_matrix list{terms.data(),
                         1,
                         operand.low_rank_count * static_cast<int64_t>(sizeof(Term)),
                         operand.low_rank_count * static_cast<int64_t>(sizeof(Term)),
                         TG_F8_E4M3,
                         0};  // bytes
    copy_matrix(session, list, memory, nullptr);
    entries.terms = reinterpret_cast<const Term*>(memory);
    entries.term_count = static_cast<int32_t>(operand.low_rank_count);
  }
  return entries;
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
  const auto fits = [&](int64_t size) {
    return std::all_of(session.slots.begin(), session.slots.end(),
                       [&](CudaSession::Slot& slot) { return slot.host.try_reserve(size) && slot.device.try_reserve(size); });
  };
  const int64_t have = std::min(session.slots[0].device.bytes(), session.slots[1].device.bytes());
  if (have >= bytes) {
    return have;
  }
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

void copy_matrix(CudaSession& session, const tg_matrix& matrix, uint8_t* device, const tg_control* control) {
  const int64_t row_bytes = matrix.columns * element_bytes(matrix.dtype);
  if (matrix.rows * row_bytes == 0) {
    return;
  }
  const int64_t stride_bytes = matrix.row_stride * element_bytes(matrix.dtype);
  const auto* from = static_cast<const uint8_t*>(matrix.data);
  constexpr int64_t kLeast = int64_t{1} << 16;
  const int64_t total = matrix.rows * row_bytes;
  const int64_t room = reserve_slots(session, std::min(kSlotBytes, std::max(total, kLeast)), kLeast);
  // Rows that are longer than a slot are copied in pieces.
  const int64_t rows_each = std::max<int64_t>(room / row_bytes, 1);
  const int64_t bytes_each = std::min(room, row_bytes);
  size_t turn = 0;
  for (int64_t i = 0; i < matrix.rows; i += rows_each) {
    const int64_t rows = std::min(rows_each, matrix.rows - i);
    for (int64_t at = 0; at < row_bytes; at += bytes_each) {
      check_cancelled(control);
      CudaSession::Slot& slot = session.slots[turn++ % 2];
      const int64_t bytes = std::min(bytes_each, row_bytes - at);
      check(cudaEventSynchronize(slot.finished.get()), "a copy to the device");
      gather_rows(session, from + i * stride_bytes + at, stride_bytes, rows, bytes, slot.host.get());
      check(cudaMemcpyAsync(device + i * row_bytes + at, slot.host.get(), static_cast<size_t>(rows * bytes),
                            cudaMemcpyHostToDevice, slot.stream.get()),
            "a copy to the device");
      check(cudaEventRecord(slot.finished.get(), slot.stream.get()), "a copy to the device");
    }
  }
  for (CudaSession::Slot& slot : session.slots) {
    check(cudaStreamSynchronize(slot.stream.get()), "a copy to the device");
  }
}

void copy_to_host(CudaSession& session, const void* device, int64_t bytes, void* host) {
  if (bytes == 0) {
    return;
  }
  constexpr int64_t kLeast = int64_t{1} << 16;
  const int64_t room = reserve_slots(session, std::min(kSlotBytes, std::max(bytes, kLeast)), kLeast);
  // Kernels run on the stream of the first slot. The other one waits for them.
  check(cudaStreamSynchronize(session.stream()), "a copy from the device");
  const int64_t pieces = (bytes + room - 1) / room;
  const auto piece = [&](int64_t i) { return std::min(room, bytes - i * room); };
  const auto finish = [&](int64_t i) {
    CudaSession::Slot& slot = session.slots[static_cast<size_t>(i % 2)];
    check(cudaEventSynchronize(slot.finished.get()), "a copy from the device");
    gather_rows(session, slot.host.get(), piece(i), 1, piece(i), static_cast<uint8_t*>(host) + i * room);
  };
  for (int64_t i = 0; i < pieces; ++i) {
    CudaSession::Slot& slot = session.slots[static_cast<size_t>(i % 2)];
    if (i >= 2) {
      finish(i - 2);
    }
    check(cudaMemcpyAsync(slot.host.get(), static_cast<const uint8_t*>(device) + i * room, static_cast<size_t>(piece(i)),
                          cudaMemcpyDeviceToHost, slot.stream.get()),
          "a copy from the device");
    check(cudaEventRecord(slot.finished.get(), slot.stream.get()), "a copy from the device");
  }
  for (int64_t i = std::max<int64_t>(pieces - 2, 0); i < pieces; ++i) {
    finish(i);
  }
}

int64_t staged_bytes(const tg_operand& operand) { return extras_bytes(operand) + padded(matrix_bytes(operand.values)); }

Entries stage(CudaSession& session, const tg_operand& operand, uint8_t* memory, const tg_control* control) {
  Entries entries = stage_extras(session, operand, memory);
  if (!is_on_device(operand.values.data)) {
    uint8_t* at = memory + extras_bytes(operand);
    copy_matrix(session, operand.values, at, control);
    entries.data = at;
    entries.row_stride = operand.values.columns;
  }
  return entries;
}

}  // namespace threegate::cuda
