// Brings operands to the device: what is not there already is copied, rows without gaps.
#ifndef THREEGATE_CUDA_SUPPORT_STAGING_H
#define THREEGATE_CUDA_SUPPORT_STAGING_H

#include <vector>

#include "entries.h"
#include "session.h"

namespace threegate::cuda {

// The parts of an operand that do not come in rows: scales of blocks and factors of terms.
int64_t extras_bytes(const tg_operand& operand);

// Copies them into `memory` (extras_bytes() of it); the result's `data` is the operand's own.
Entries stage_extras(CudaSession& session, const tg_operand& operand, uint8_t* memory);

// Copies a matrix of the host to `device`, rows without gaps, through both slots. Blocks until it is there.
void copy_matrix(CudaSession& session, const tg_matrix& matrix, uint8_t* device, const tg_control* control);

// The other way: `bytes` of the device to the host, through both slots. Blocks until they are there.
void copy_to_host(CudaSession& session, const void* device, int64_t bytes, void* host);

int64_t matrix_bytes(const tg_matrix& matrix);

// The whole operand on the device: copied into `memory` (staged_bytes() of it) unless it is there.
int64_t staged_bytes(const tg_operand& operand);
Entries stage(CudaSession& session, const tg_operand& operand, uint8_t* memory, const tg_control* control);

// Rows of the host, one behind the other; several threads copy.
void gather_rows(const CudaSession& session, const uint8_t* from, int64_t stride_bytes, int64_t rows, int64_t row_bytes,
                 uint8_t* to);

// Makes both slots `bytes` large, or as large as there is memory for, halving; throws below `least`.
int64_t reserve_slots(CudaSession& session, int64_t bytes, int64_t least);

constexpr int64_t kSlotBytes = int64_t{64} << 20;

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SUPPORT_STAGING_H
