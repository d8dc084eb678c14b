#include "blas.h"

#include <dlfcn.h>
#include <unistd.h>

#include <vector>

#include "common/error.h"
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

void* open_library() {
  static char threads[] = "OPENBLAS_NUM_THREADS=1";
  const Environment environment({threads});
  const std::string path = library_directory() + "/" + "libopenblas.so.0";
#if defined(__SANITIZE_ADDRESS__)
  constexpr int kFlags = RTLD_NOW | RTLD_LOCAL;  // AddressSanitizer does not allow RTLD_DEEPBIND
#else
  constexpr int kFlags = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#endif
  void* library = dlopen(path.c_str(), kFlags);
  if (library == nullptr) {
    throw Error(TG_INTERNAL, std::string("OpenBLAS cannot be loaded: ") + dlerror());
  }
  return library;
}

template <typename Function>
void find(void* library, const char* name, Function& function) {
  void* address = dlsym(library, name);
  if (address == nullptr) {
    throw Error(TG_INTERNAL, std::string("OpenBLAS lacks ") + name);
  }
  function = reinterpret_cast<Function>(address);
}

Blas load() {
  void* library = open_library();
  Blas result{};
  find(library, "cblas_sgemm", result.single.gemm);
  find(library, "cblas_ssyrk", result.single.syrk);
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
  void (*set_threads)(int) = nullptr;
  char* (*config)() = nullptr;
  find(library, "openblas_set_num_threads", set_threads);
  find(library, "openblas_get_config", config);
  set_threads(1);
  result.description = config();
  return result;
}

}  // namespace

const Blas& blas() {
  static const Blas loaded = load();
  return loaded;
}

}  // namespace threegate
