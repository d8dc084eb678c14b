// The one way from C++ failures to tg_status.
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

// Status and text of the exception in flight. Never throws: when even the text cannot be kept, it is left empty.
tg_status describe_current_exception(std::string& message) noexcept;

// Copies a string into a caller's buffer, truncated and terminated.
void copy_text(const std::string& text, char* buffer, int64_t capacity) noexcept;

[[noreturn]] void throw_invalid_argument(const char* name, const std::string& value, const char* allowed);

// Throws INVALID_ARGUMENT "<name> is <value>; <allowed>" unless the condition holds. Here, so that static analysis sees it.
inline void require(bool condition, const char* name, const std::string& value, const char* allowed) {
  if (!condition) {
    throw_invalid_argument(name, value, allowed);
  }
}

// `a * b`, both >= 0, or INVALID_ARGUMENT naming what overflowed.
int64_t checked_product(int64_t a, int64_t b, const char* what);

}  // namespace threegate

#endif  // THREEGATE_COMMON_ERROR_H
