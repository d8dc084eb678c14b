// The libraries that ship with this one: OpenBLAS and libthreegate_cuda.
#ifndef THREEGATE_CPU_SUPPORT_LIBRARY_DIRECTORY_H
#define THREEGATE_CPU_SUPPORT_LIBRARY_DIRECTORY_H

#include <string>

namespace threegate {

// Returns the path of a library that ships with this one. It lies in the directory "threegate" beside libthreegate, as in an
// installation, or beside libthreegate itself, where Java unpacks all libraries. Returns "" if it is in neither. In a program
// that is linked with the static library, it returns `name` then, because the loader can search for it.
std::string shipped_library(const std::string& name);

}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_LIBRARY_DIRECTORY_H
