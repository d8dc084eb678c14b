#include "libraries.h"

#include <dlfcn.h>

#include <cstdlib>

#include "runtime.h"

namespace threegate::cuda {
namespace {

class Library {
 public:
  Library(const char* name, std::string& reason) : reason_(reason) {
    const char* directory = std::getenv("THREEGATE_CUDA_LIBRARIES");
    path_ = directory == nullptr ? name : std::string(directory) + "/" + name;
    // The library is never unloaded, like the driver, because handles may outlive this object.
    library_ = dlopen(path_.c_str(), RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
    if (library_ == nullptr && reason_.empty()) {
      reason_ = dlerror();
    }
  }

  template <typename Function>
  void find(Function*& function, const char* symbol) {
    function = library_ == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(library_, symbol));
    if (library_ != nullptr && function == nullptr && reason_.empty()) {
      reason_ = path_ + " lacks " + symbol;
    }
  }

 private:
  std::string& reason_;
  std::string path_;
  void* library_;
};

DenseFunctions load() {
  DenseFunctions functions{};
  // cuSOLVER needs cuBLAS. Both must come from the same place.
  Library cublas("libcublas.so.13", functions.reason);
  Library cusolver("libcusolver.so.12", functions.reason);
  cublas.find(functions.cublas_create, "cublasCreate_v2");
  cublas.find(functions.cublas_destroy, "cublasDestroy_v2");
  cublas.find(functions.cublas_set_stream, "cublasSetStream_v2");
  cublas.find(functions.dgemm, "cublasDgemm_v2");
  cusolver.find(functions.cusolver_create, "cusolverDnCreate");
  cusolver.find(functions.cusolver_destroy, "cusolverDnDestroy");
  cusolver.find(functions.cusolver_set_stream, "cusolverDnSetStream");
  cusolver.find(functions.create_parameters, "cusolverDnCreateParams");
  cusolver.find(functions.destroy_parameters, "cusolverDnDestroyParams");
  cusolver.find(functions.syevd_sizes, "cusolverDnXsyevd_bufferSize");
  cusolver.find(functions.syevd, "cusolverDnXsyevd");
  return functions;
}

void check_library(int status, const char* what) {
  constexpr int kAllocationFailed = 2;  // CUSOLVER_STATUS_ALLOC_FAILED. In cuBLAS it is 3
  constexpr int kCublasAllocationFailed = 3;
  if (status == 0) {
    return;
  }
  if (status == kAllocationFailed || status == kCublasAllocationFailed) {
    throw Error(TG_OUT_OF_MEMORY, std::string(what) + ": the device has too little memory");
  }
  throw Error(TG_DEVICE, std::string(what) + " failed with status " + std::to_string(status));
}

}  // namespace

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
