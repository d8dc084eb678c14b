#include "library_directory.h"

#include <dlfcn.h>

#include "threegate/threegate.h"

namespace threegate {

std::string library_directory() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&tg_abi_version), &info) == 0 || info.dli_fname == nullptr) {
    return ".";
  }
  const std::string path(info.dli_fname);
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace threegate
