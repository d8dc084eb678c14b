#include "libraries.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>
#include <sstream>
#include <vector>

#include "runtime.h"

namespace threegate::cuda {
namespace {

// The directories to search, and whether the libraries were loaded from them.
struct Place {
  std::mutex mutex;
  std::string path;
  bool used = false;
};

Place& place() {
  static Place own;
  return own;
}

std::vector<std::string> split(const std::string& path) {
  std::vector<std::string> directories;
  std::istringstream stream(path);
  for (std::string directory; std::getline(stream, directory, ':');) {
    directories.push_back(directory);
  }
  return directories;
}

// Loads libraries from a list of directories, or from those of the system if the list is empty.
class Loading {
 public:
  Loading(const std::string& path, std::string& reason) : directories_(split(path)), reason_(reason) {}

  // Loads what the libraries need, if it is there. A dependency is not searched for beside its dependent, but one that was loaded
  // before is found by its name.
  void dependency(const char* name) const {
    const std::string file = find(name);
    if (!file.empty()) {
      open(file);
    }
  }

  void library(const char* name) {
    file_ = directories_.empty() ? name : find(name);
    library_ = file_.empty() ? nullptr : open(file_);
    if (library_ == nullptr && reason_.empty()) {
      reason_ = file_.empty() ? std::string(name) + " is in none of the directories " + joined() : dlerror();
    }
  }

  template <typename Function>
  void find(Function*& function, const char* symbol) {
    function = library_ == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(library_, symbol));
    if (library_ != nullptr && function == nullptr && reason_.empty()) {
      reason_ = file_ + " lacks " + symbol;
    }
  }

 private:
  // A library is never unloaded, like the driver, because handles may outlive this object.
  static void* open(const std::string& file) { return dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE); }

  [[nodiscard]] std::string find(const char* name) const {
    for (const std::string& directory : directories_) {
      std::string file = directory + "/" + name;
      if (access(file.c_str(), F_OK) == 0) {
        return file;
      }
    }
    return "";
  }

  [[nodiscard]] std::string joined() const {
    std::string text;
    for (const std::string& directory : directories_) {
      text += (text.empty() ? "" : ", ") + directory;
    }
    return text;
  }

  std::vector<std::string> directories_;
  std::string& reason_;
  std::string file_;
  void* library_ = nullptr;
};

std::string use_place() {
  Place& own = place();
  const std::lock_guard<std::mutex> lock(own.mutex);
  own.used = true;
  const char* variable = std::getenv("THREEGATE_CUDA_LIBRARIES");
  return variable == nullptr ? own.path : variable;
}

DenseFunctions load() {
  DenseFunctions functions{};
  Loading loading(use_place(), functions.reason);
  for (const char* name : {"libnvJitLink.so.13", "libcusparse.so.12", "libcublasLt.so.13"}) {
    loading.dependency(name);
  }
  loading.library("libcublas.so.13");
  loading.find(functions.cublas_create, "cublasCreate_v2");
  loading.find(functions.cublas_destroy, "cublasDestroy_v2");
  loading.find(functions.cublas_set_stream, "cublasSetStream_v2");
  loading.find(functions.dgemm, "cublasDgemm_v2");
  loading.find(functions.dsyrk, "cublasDsyrk_v2");
  // It needs cuBLAS.
  loading.library("libcusolver.so.12");
  loading.find(functions.cusolver_create, "cusolverDnCreate");
  loading.find(functions.cusolver_destroy, "cusolverDnDestroy");
  loading.find(functions.cusolver_set_stream, "cusolverDnSetStream");
  loading.find(functions.create_parameters, "cusolverDnCreateParams");
  loading.find(functions.destroy_parameters, "cusolverDnDestroyParams");
  loading.find(functions.syevd_sizes, "cusolverDnXsyevd_bufferSize");
  loading.find(functions.syevd, "cusolverDnXsyevd");
  return functions;
}

void check_library(int status, const char* what) {
  constexpr int kNotInitialised = 1;    // of both: the runtime has no device, or cannot use it
  constexpr int kAllocationFailed = 2;  // CUSOLVER_STATUS_ALLOC_FAILED. In cuBLAS it is 3
  constexpr int kCublasAllocationFailed = 3;
  if (status == 0) {
    return;
  }
  if (status == kAllocationFailed || status == kCublasAllocationFailed) {
    throw Error(TG_OUT_OF_MEMORY, std::string(what) + ": the device has too little memory");
  }
  if (status == kNotInitialised) {
    throw Error(TG_DEVICE, std::string(what) + " finds no device that it can use");
  }
  throw Error(TG_DEVICE, std::string(what) + " failed with status " + std::to_string(status));
}

}  // namespace

bool set_library_path(const std::string& path) {
  Place& own = place();
  const std::lock_guard<std::mutex> lock(own.mutex);
  if (own.used) {
    return own.path == path;
  }
  own.path = path;
  return true;
}

const DenseFunctions& dense_functions() {
  static const DenseFunctions functions = load();
  return functions;
}

DenseAlgebra::DenseAlgebra(cudaStream_t stream)
    : functions_(dense_functions()), stream_(stream), cublas_(nullptr, {}), cusolver_(nullptr, {}), parameters_(nullptr, {}) {
  if (!functions_.reason.empty()) {
    throw Error(TG_UNSUPPORTED, functions_.reason);
  }
  const auto create = [](int (*function)(void**), int (*destroy)(void*), const char* what) {
    void* handle = nullptr;
    check_library(function(&handle), what);
    return Handle(handle, Destroy{destroy});
  };
  cublas_ = create(functions_.cublas_create, functions_.cublas_destroy, "cuBLAS");
  cusolver_ = create(functions_.cusolver_create, functions_.cusolver_destroy, "cuSOLVER");
  parameters_ = create(functions_.create_parameters, functions_.destroy_parameters, "cuSOLVER");
  check_library(functions_.cublas_set_stream(cublas_.get(), stream), "cuBLAS");
  check_library(functions_.cusolver_set_stream(cusolver_.get(), stream), "cuSOLVER");
}

void DenseAlgebra::multiply(int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, const double* a, int64_t lda,
                            const double* b, int64_t ldb, double* c, int64_t ldc) const {
  const double one = 1;
  const double zero = 0;
  check(cudaStreamSynchronize(stream_), "the work before a product");
  check_library(
      functions_.dgemm(cublas_.get(), transpose_a, transpose_b, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k),
                       &one, a, static_cast<int>(lda), b, static_cast<int>(ldb), &zero, c, static_cast<int>(ldc)),
      "cublasDgemm");
}

void DenseAlgebra::multiply_by_transpose(int transpose, int64_t n, int64_t k, const double* a, int64_t lda, double* c) const {
  const double one = 1;
  const double zero = 0;
  check(cudaStreamSynchronize(stream_), "the work before a product");
  check_library(functions_.dsyrk(cublas_.get(), kLowerTriangle, transpose, static_cast<int>(n), static_cast<int>(k), &one, a,
                                 static_cast<int>(lda), &zero, c, static_cast<int>(n)),
                "cublasDsyrk");
}

DenseAlgebra::Workspace DenseAlgebra::eigen_workspace(bool vectors, int64_t n, const double* a, const double* values) const {
  Workspace sizes{};
  check_library(functions_.syevd_sizes(cusolver_.get(), parameters_.get(), vectors ? kVectorsToo : kValuesAlone, kLowerTriangle,
                                       n, kFloat64, a, n, kFloat64, values, kFloat64, &sizes.device_bytes, &sizes.host_bytes),
                "cusolverDnXsyevd_bufferSize");
  return sizes;
}

void DenseAlgebra::eigen(bool vectors, int64_t n, double* a, double* values, const Workspace& sizes, void* device, void* host,
                         int* info) const {
  check(cudaStreamSynchronize(stream_), "the work before an eigenproblem");
  check_library(
      functions_.syevd(cusolver_.get(), parameters_.get(), vectors ? kVectorsToo : kValuesAlone, kLowerTriangle, n, kFloat64, a,
                       n, kFloat64, values, kFloat64, device, sizes.device_bytes, host, sizes.host_bytes, info),
      "cusolverDnXsyevd");
}

}  // namespace threegate::cuda
