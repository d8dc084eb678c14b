// Copying of operands to the device, unless they are there. Copied rows are contiguous.
#ifndef THREEGATE_CUDA_SUPPORT_STAGING_H
#define THREEGATE_CUDA_SUPPORT_STAGING_H

#include <vector>

#include "entries.h"
#include "session.h"

namespace threegate::cuda {

// Bytes of the parts of an operand other than its rows: the scales of blocks and the factors of terms.
int64_t extras_bytes(const tg_operand& operand);

// Copies these parts into `memory`, which has extras_bytes(). `data` of the result is that of the operand.
Entries stage_extras(CudaSession& session, const tg_operand& operand, uint8_t* memory);

// Copies a matrix of the host to `device`, with contiguous rows, through both slots. Blocks until the copy is complete.
void copy_matrix(CudaSession& session, const tg_matrix& matrix, uint8_t* device, const tg_control* control);

// Copies `bytes` from the device to the host through both slots. Blocks until the copy is complete.
void copy_to_host(CudaSession& session, const void* device, int64_t bytes, void* host);

int64_t matrix_bytes(const tg_matrix& matrix);

// Copies the whole operand into `memory`, which has staged_bytes(), unless it is on the device.
int64_t staged_bytes(const tg_operand& operand);
Entries stage(CudaSession& session, const tg_operand& operand, uint8_t* memory, const tg_control* control);

// Copies rows of the host to contiguous memory, with several threads.
void gather_rows(const CudaSession& session, const uint8_t* from, int64_t stride_bytes, int64_t rows, int64_t row_bytes,
                 uint8_t* to);

// Makes both slots `bytes` large. If there is too little memory, tries half of it again and again. Throws below `least`.
int64_t reserve_slots(CudaSession& session, int64_t bytes, int64_t least);

constexpr int64_t kSlotBytes = int64_t{64} << 20;

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SUPPORT_STAGING_H
