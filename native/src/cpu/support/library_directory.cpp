#include "library_directory.h"

#include <dlfcn.h>
#include <unistd.h>

#include "threegate/threegate.h"

namespace threegate {
namespace {

// The static library is a part of a program somewhere. The program's rpath leads to the libraries.
#if defined(THREEGATE_STATIC)
constexpr bool kStatic = true;
#else
constexpr bool kStatic = false;
#endif

// Returns the directory of the program or the library that has this code, without a slash at the end.
std::string library_directory() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&tg_abi_version), &info) == 0 || info.dli_fname == nullptr) {
    return ".";
  }
  const std::string path(info.dli_fname);
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace

std::string shipped_library(const std::string& name) {
  for (const char* directory : {"/threegate/", "/"}) {
    std::string path = library_directory() + directory + name;
    if (access(path.c_str(), F_OK) == 0) {
      return path;
    }
  }
  return kStatic ? name : "";
}

}  // namespace threegate
