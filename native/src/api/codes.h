// Checks of quantised weights that take the place of an operand.
#ifndef THREEGATE_API_CODES_H
#define THREEGATE_API_CODES_H

#include <string>

#include "threegate/threegate.h"

namespace threegate {

// Throws INVALID_ARGUMENT with the field, its value and the allowed values. The dtype of `operand.values` is TG_CODES.
void require_codes_operand(const tg_operand& operand, const std::string& name);

// Throws IO if a mapped file that the codes lie in was truncated.
void require_intact_codes(const tg_operand& operand);

}  // namespace threegate

#endif  // THREEGATE_API_CODES_H
