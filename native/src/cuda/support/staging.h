// Copies between the host and the device. They run on the session's stream: after the work before them and before the work after
// them, so that nobody waits for them. Page-locked memory in two halves lies between: while one half is copied by the device, the
// host fills or empties the other one. A copy of page-able memory would not overlap with anything, and each would wait.
#ifndef THREEGATE_CUDA_SUPPORT_STAGING_H
#define THREEGATE_CUDA_SUPPORT_STAGING_H

#include <functional>
#include <vector>

#include "entries.h"
#include "session.h"

namespace threegate::cuda {

// Bytes of the parts of an operand other than its rows: the scales of blocks and the factors of terms.
int64_t extras_bytes(const tg_operand& operand);

// Copies these parts into `memory`, which has extras_bytes(). `data` of the result is that of the operand.
Entries stage_extras(CudaSession& session, const tg_operand& operand, uint8_t* memory);

// Copies to the device. Small ones share a half. The caller's memory has been read when add() returns.
class Uploads {
 public:
  // `bytes` is about the sum of all matrices.
  Uploads(CudaSession& session, int64_t bytes, const tg_control* control);

  // Copied rows are contiguous.
  void add(const tg_matrix& matrix, uint8_t* device);
  template <typename T>
  void add_array(const T* values, int64_t count, T* device) {
    const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
    add({values, 1, bytes, bytes, TG_F8_E4M3, 0}, reinterpret_cast<uint8_t*>(device));
  }

 private:
  uint8_t* take(int64_t bytes);

  CudaSession& session_;
  const tg_control* control_;
  int64_t room_;
  int64_t used_;
};

// A copy of one matrix.
void copy_matrix(CudaSession& session, const tg_matrix& matrix, uint8_t* device, const tg_control* control);

// Copies from the device. Results are at their place when finish() returns, and no other copy may begin before.
class Downloads {
 public:
  // Receives `bytes` of an array, from byte `at` on.
  using Deliver = std::function<void(const uint8_t* from, int64_t at, int64_t bytes)>;

  Downloads(CudaSession& session, int64_t bytes);
  void add(const void* device, int64_t bytes, const Deliver& deliver);
  void add(const void* device, int64_t bytes, void* host);
  void finish();

 private:
  struct Piece {
    int64_t place;
    int64_t at;
    int64_t bytes;
    Deliver deliver;
  };
  void finish(size_t turn);

  CudaSession& session_;
  int64_t room_;
  int64_t used_ = 0;
  std::array<std::vector<Piece>, 2> pieces_;
};

// A copy of one array, which is at its place afterwards.
void copy_to_host(CudaSession& session, const void* device, int64_t bytes, void* host);

int64_t matrix_bytes(const tg_matrix& matrix);

// Copies the whole operand into `memory`, which has staged_bytes(), unless it is on the device.
int64_t staged_bytes(const tg_operand& operand);
Entries stage(Uploads& uploads, const tg_operand& operand, uint8_t* memory);
Entries stage(CudaSession& session, const tg_operand& operand, uint8_t* memory, const tg_control* control);

// Copies rows of the host to contiguous memory, with several threads.
void gather_rows(const CudaSession& session, const uint8_t* from, int64_t stride_bytes, int64_t rows, int64_t row_bytes,
                 uint8_t* to);

// Makes both slots `bytes` large. If there is too little memory, tries half of it again and again. Throws below `least`.
int64_t reserve_slots(CudaSession& session, int64_t bytes, int64_t least);

constexpr int64_t kSlotBytes = int64_t{64} << 20;

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SUPPORT_STAGING_H
