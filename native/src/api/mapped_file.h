// Files that are mapped for reading. If another process truncates such a file, the result is an error and not a SIGBUS.
#ifndef THREEGATE_API_MAPPED_FILE_H
#define THREEGATE_API_MAPPED_FILE_H

#include <cstdint>

namespace threegate {

// Throws IO if [data, data + bytes) overlaps a mapped file that has lost mapped bytes since it was opened.
void require_intact(const void* data, int64_t bytes);

}  // namespace threegate

#endif  // THREEGATE_API_MAPPED_FILE_H
