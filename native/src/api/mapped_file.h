// Files mapped for reading, whose truncation by somebody else is an error and not a SIGBUS.
#ifndef THREEGATE_API_MAPPED_FILE_H
#define THREEGATE_API_MAPPED_FILE_H

#include <cstdint>

namespace threegate {

// Throws IO when [data, data + bytes) touches a mapped file that has lost mapped bytes since it was opened.
void require_intact(const void* data, int64_t bytes);

}  // namespace threegate

#endif  // THREEGATE_API_MAPPED_FILE_H
