// NVIDIA's libraries for dense linear algebra, for whole spectra and for more vectors than a block can have. They are loaded when
// they are first needed, and not needed to build. Types and constants are those of the headers of CUDA 13.
#ifndef THREEGATE_CUDA_SUPPORT_LIBRARIES_H
#define THREEGATE_CUDA_SUPPORT_LIBRARIES_H

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace threegate::cuda {

constexpr int kNotTransposed = 0;
constexpr int kTransposed = 1;
constexpr int kValuesAlone = 0;
constexpr int kVectorsToo = 1;
constexpr int kLowerTriangle = 0;
constexpr int kFloat64 = 1;

struct DenseFunctions {
  int (*cublas_create)(void** handle);
  int (*cublas_destroy)(void* handle);
  int (*cublas_set_stream)(void* handle, cudaStream_t stream);
  int (*dgemm)(void* handle, int transpose_a, int transpose_b, int m, int n, int k, const double* alpha, const double* a, int lda,
               const double* b, int ldb, const double* beta, double* c, int ldc);
  int (*dsyrk)(void* handle, int triangle, int transpose, int n, int k, const double* alpha, const double* a, int lda,
               const double* beta, double* c, int ldc);
  int (*cusolver_create)(void** handle);
  int (*cusolver_destroy)(void* handle);
  int (*cusolver_set_stream)(void* handle, cudaStream_t stream);
  int (*create_parameters)(void** parameters);
  int (*destroy_parameters)(void* parameters);
  int (*syevd_sizes)(void* handle, void* parameters, int vectors, int triangle, int64_t n, int type_a, const void* a, int64_t lda,
                     int type_w, const void* w, int type, size_t* device_bytes, size_t* host_bytes);
  int (*syevd)(void* handle, void* parameters, int vectors, int triangle, int64_t n, int type_a, void* a, int64_t lda, int type_w,
               void* w, int type, void* device, size_t device_bytes, void* host, size_t host_bytes, int* info);
  std::string reason;  // why the libraries are not available. Empty if they are
};

// Sets the directories to search, separated by colons. Empty for those of the system. THREEGATE_CUDA_LIBRARIES has precedence.
// Returns false if the libraries were loaded from another place before.
bool set_library_path(const std::string& path);

// Loads the libraries once, and keeps the reason if that fails.
const DenseFunctions& dense_functions();

// The handles of both libraries for one stream. Throws UNSUPPORTED with the reason if the libraries are not available.
class DenseAlgebra {
 public:
  explicit DenseAlgebra(cudaStream_t stream);

  // c = op(a) op(b), column-major.
  void multiply(int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, const double* a, int64_t lda, const double* b,
                int64_t ldb, double* c, int64_t ldc) const;
  // The lower triangle of c = op(a) op(a)^T, n x n and column-major. The other one, half of the work, is not written.
  void multiply_by_transpose(int transpose, int64_t n, int64_t k, const double* a, int64_t lda, double* c) const;

  // The eigenproblem of the lower triangle of an n x n matrix, column-major. Values ascend. Vectors overwrite the matrix if they
  // are wanted.
  struct Workspace {
    size_t device_bytes;
    size_t host_bytes;
  };
  Workspace eigen_workspace(bool vectors, int64_t n, const double* a, const double* values) const;
  void eigen(bool vectors, int64_t n, double* a, double* values, const Workspace& sizes, void* device, void* host,
             int* info) const;

 private:
  struct Destroy {
    int (*function)(void*);
    void operator()(void* handle) const noexcept { function(handle); }
  };
  using Handle = std::unique_ptr<void, Destroy>;

  const DenseFunctions& functions_;
  cudaStream_t stream_;
  Handle cublas_;
  Handle cusolver_;
  Handle parameters_;
};

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_SUPPORT_LIBRARIES_H
