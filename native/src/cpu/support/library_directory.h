// The directory of this library. Libraries that ship with it are loaded from there.
#ifndef THREEGATE_CPU_SUPPORT_LIBRARY_DIRECTORY_H
#define THREEGATE_CPU_SUPPORT_LIBRARY_DIRECTORY_H

#include <string>

namespace threegate {

// Returns the directory without a slash at the end, or "." if the loader does not tell it.
std::string library_directory();

}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_LIBRARY_DIRECTORY_H
