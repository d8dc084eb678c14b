// Where this library's file lies: its siblings are loaded from there.
#ifndef THREEGATE_CPU_SUPPORT_LIBRARY_DIRECTORY_H
#define THREEGATE_CPU_SUPPORT_LIBRARY_DIRECTORY_H

#include <string>

namespace threegate {

// Without a slash at the end; "." when the loader does not say.
std::string library_directory();

}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_LIBRARY_DIRECTORY_H
