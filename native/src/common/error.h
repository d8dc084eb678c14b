// The conversion of C++ exceptions to tg_status.
#ifndef THREEGATE_COMMON_ERROR_H
#define THREEGATE_COMMON_ERROR_H

#include <cstdint>
#include <exception>
#include <string>
#include <utility>

#include "threegate/threegate.h"

namespace threegate {

class Error : public std::exception {
 public:
  Error(tg_status status, std::string message) : status_(status), message_(std::move(message)) {}
  [[nodiscard]] tg_status status() const noexcept { return status_; }
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

 private:
  tg_status status_;
  std::string message_;
};

// The status and the text of the current exception. Never throws. The text is empty if there is no memory for it.
tg_status describe_current_exception(std::string& message) noexcept;

// Copies a string to a buffer of the caller. The text is truncated and terminated by a zero byte.
void copy_text(const std::string& text, char* buffer, int64_t capacity) noexcept;

[[noreturn]] void throw_invalid_argument(const char* name, const std::string& value, const char* allowed);

// Throws INVALID_ARGUMENT "<name> is <value>; <allowed>" unless the condition holds. It is inline so that static analysis sees
// the condition.
inline void require(bool condition, const char* name, const std::string& value, const char* allowed) {
  if (!condition) {
    throw_invalid_argument(name, value, allowed);
  }
}

// Returns `a * b` for a, b >= 0. Throws INVALID_ARGUMENT with `what` if the product overflows.
int64_t checked_product(int64_t a, int64_t b, const char* what);

}  // namespace threegate

#endif  // THREEGATE_COMMON_ERROR_H
