// Files that are mapped for reading. If another process truncates such a file, the result is an error and not a SIGBUS.
#ifndef THREEGATE_API_MAPPED_FILE_H
#define THREEGATE_API_MAPPED_FILE_H

#include <cstdint>

#include "threegate/threegate.h"

namespace threegate {

// Throws IO if [data, data + bytes) overlaps a mapped file that has lost mapped bytes since it was opened.
void require_intact(const void* data, int64_t bytes);

// Copies a range of a file, which require_file_range checked, with read calls.
void require_file_range(const tg_mapped_file& file, int64_t offset, int64_t bytes);
void copy_file_range(const tg_mapped_file& file, int64_t offset, int64_t bytes, void* destination);

}  // namespace threegate

#endif  // THREEGATE_API_MAPPED_FILE_H
