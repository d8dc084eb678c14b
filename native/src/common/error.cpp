#include "common/error.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <system_error>

namespace threegate {

tg_status describe_current_exception(std::string& message) noexcept {
  const auto keep = [&message](const char* text) noexcept {
    try {
      message = text;
    } catch (...) {
      message.clear();
    }
  };
  try {
    throw;
  } catch (const Error& error) {
    keep(error.what());
    return error.status();
  } catch (const std::bad_alloc&) {
    keep("out of memory");
    return TG_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    keep(error.what());
    return TG_INTERNAL;
  } catch (...) {
    keep("unknown failure");
    return TG_INTERNAL;
  }
}

void copy_text(const std::string& text, char* buffer, int64_t capacity) noexcept {
  if (buffer == nullptr || capacity <= 0) {
    return;
  }
  const auto bytes = std::min(text.size(), static_cast<size_t>(capacity) - 1);
  std::memcpy(buffer, text.data(), bytes);
  buffer[bytes] = '\0';
}

void throw_invalid_argument(const char* name, const std::string& value, const char* allowed) {
  throw Error(TG_INVALID_ARGUMENT, std::string(name) + " is " + value + "; " + allowed);
}

int64_t checked_product(int64_t a, int64_t b, const char* what) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) {
    throw Error(TG_INVALID_ARGUMENT, std::string(what) + " overflows: " + std::to_string(a) + " * " + std::to_string(b));
  }
  return product;
}

}  // namespace threegate
