// Checks of arguments that several functions share.
#ifndef THREEGATE_API_OPERAND_H
#define THREEGATE_API_OPERAND_H

#include <cstdint>
#include <string>

#include "threegate/threegate.h"

namespace threegate {

int64_t ceiling_quotient(int64_t a, int64_t b);

// These throw INVALID_ARGUMENT with the field, its value and the allowed values.
void require_matrix(const tg_matrix& matrix, const std::string& name);
void require_operand(const tg_operand* operand, const std::string& name);
// Returns whether data is in the memory of the context's device. Throws INVALID_ARGUMENT for memory of another device.
bool is_on_device(const tg_context& context, const void* data, const std::string& name);
void require_own_device(const tg_context& context, const tg_operand* operand, const std::string& name);
// These throw INVALID_ARGUMENT for data in device memory, because the function runs on the CPU.
void require_on_host(const tg_context& context, const void* data, const std::string& name);
void require_operand_on_host(const tg_context& context, const tg_operand* operand, const std::string& name);
void require_workspace(const tg_workspace* workspace, int64_t needed);

// Throws IO if a mapped file that the operand reads was truncated.
void require_intact_operand(const tg_operand& operand);

}  // namespace threegate

#endif  // THREEGATE_API_OPERAND_H
