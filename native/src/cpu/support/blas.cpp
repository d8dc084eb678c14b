#include "blas.h"

#include <dlfcn.h>
#include <unistd.h>

#include <sstream>
#include <vector>

#include "common/error.h"
#include "divided_blas.h"
#include "library_directory.h"

namespace threegate {
namespace {

// OpenBLAS reads its number of threads from the environment while it is loaded, and starts these threads. setenv would move the
// environment while other threads read it. Instead a second array of the same strings replaces it for that time, so that every
// reader sees a valid environment.
class Environment {
 public:
  explicit Environment(const std::vector<char*>& added) : previous_(environ) {
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
      entries_.push_back(*entry);
    }
    // If two entries have the same name, the first one counts. It is the user's.
    entries_.insert(entries_.end(), added.begin(), added.end());
    entries_.push_back(nullptr);
    environ = entries_.data();
  }
  ~Environment() { environ = previous_; }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  char** previous_;
  std::vector<char*> entries_;
};

// The libraries of OpenBLAS that could be loaded, and why others could not.
struct Libraries {
  std::vector<void*> loaded;
  std::string reasons;
};

void open_library(const std::string& name, Libraries& libraries) {
#if defined(__SANITIZE_ADDRESS__)
  constexpr int kFlags = RTLD_NOW | RTLD_LOCAL;  // AddressSanitizer does not allow RTLD_DEEPBIND
#else
  constexpr int kFlags = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#endif
#if defined(THREEGATE_SYSTEM_BLAS)
  const std::string& path = name;
#else
  const std::string path = shipped_library(name);
#endif
  void* library = path.empty() ? nullptr : dlopen(path.c_str(), kFlags);
  if (library != nullptr) {
    libraries.loaded.push_back(library);
    return;
  }
  libraries.reasons += (libraries.reasons.empty() ? "" : "; ") +
                       (path.empty() ? name + " is neither beside libthreegate nor in threegate/ there" : std::string(dlerror()));
}

// Libraries come after those that they need. The loader then takes these and not others of the same name in the system.
Libraries open_libraries() {
  static char threads[] = "OPENBLAS_NUM_THREADS=1";
  const Environment environment({threads});
  Libraries libraries;
  std::istringstream names(THREEGATE_BLAS_LIBRARIES);
  for (std::string name; std::getline(names, name, ':');) {
    open_library(name, libraries);
  }
  return libraries;
}

template <typename Function>
void find(const Libraries& libraries, const char* name, Function& function) {
  for (void* library : libraries.loaded) {
    if (void* address = dlsym(library, name)) {
      function = reinterpret_cast<Function>(address);
      return;
    }
  }
  throw Error(TG_INTERNAL, libraries.reasons.empty() ? std::string("OpenBLAS lacks ") + name
                                                     : "OpenBLAS cannot be loaded: " + libraries.reasons);
}

Blas load() {
  const Libraries library = open_libraries();
  Blas result{};
  find(library, "cblas_sgemm", result.single.gemm);
  find(library, "cblas_ssyrk", result.single.syrk);
  find(library, "cblas_ssyr2k", result.single.syr2k);
  find(library, "cblas_ssymm", result.single.symm);
  find(library, "LAPACKE_ssytrd_work", result.single.sytrd);
  find(library, "LAPACKE_ssterf_work", result.single.sterf);
  find(library, "LAPACKE_sstebz_work", result.single.stebz);
  find(library, "LAPACKE_sstein_work", result.single.stein);
  find(library, "LAPACKE_sstemr_work", result.single.stemr);
  find(library, "LAPACKE_sormtr_work", result.single.ormtr);
  find(library, "LAPACKE_sorgqr_work", result.single.orgqr);
  find(library, "LAPACKE_spotrf_work", result.single.potrf);
  find(library, "cblas_strsm", result.single.trsm);
  find(library, "cblas_dgemm", result.wide.gemm);
  find(library, "cblas_dsyrk", result.wide.syrk);
  find(library, "cblas_dsyr2k", result.wide.syr2k);
  find(library, "LAPACKE_dsytrd_work", result.wide.sytrd);
  find(library, "LAPACKE_dsterf_work", result.wide.sterf);
  find(library, "LAPACKE_dstebz_work", result.wide.stebz);
  find(library, "LAPACKE_dstein_work", result.wide.stein);
  find(library, "LAPACKE_dstemr_work", result.wide.stemr);
  find(library, "LAPACKE_dormtr_work", result.wide.ormtr);
  find(library, "LAPACKE_dsyevd_work", result.wide.syevd);
  find(library, "LAPACKE_dgesdd_work", result.wide.gesdd);
  find(library, "LAPACKE_dgeqrf_work", result.wide.geqrf);
  find(library, "LAPACKE_dorgqr_work", result.wide.orgqr);
  find(library, "LAPACKE_dpotrf_work", result.wide.potrf);
  find(library, "cblas_dtrsm", result.wide.trsm);
  void (*set_threads)(int) = nullptr;
  char* (*config)() = nullptr;
  find(library, "openblas_set_num_threads", set_threads);
  find(library, "openblas_get_config", config);
  set_threads(1);
  result.description = config();
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(result.single.gemm), &info) != 0) {
    result.file = info.dli_fname;
  }
  return result;
}

}  // namespace

const Blas& blas() {
  static const Blas loaded = load();
  static const Blas divided = [] {
    Blas table = loaded;
    divide_blas(loaded, table);
    return table;
  }();
  return divided;
}

}  // namespace threegate
