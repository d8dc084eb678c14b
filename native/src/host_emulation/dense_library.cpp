// Replaces cuBLAS and cuSOLVER on the emulated device, whose memory is that of the host. OpenBLAS implements the functions of
// cuda/support/libraries.h. They run immediately, because their callers have waited for the stream.
#include <cblas.h>
#include <lapacke.h>

#include <cstddef>
#include <cstdint>

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {

int handle_target = 0;

int create(void** handle) {
  *handle = &handle_target;
  return 0;
}

CBLAS_TRANSPOSE transposition(int transpose) { return transpose == 0 ? CblasNoTrans : CblasTrans; }

}  // namespace

EXPORTED int cublasCreate_v2(void** handle) { return create(handle); }
EXPORTED int cublasDestroy_v2(void*) { return 0; }
EXPORTED int cublasSetStream_v2(void*, void*) { return 0; }
EXPORTED int cublasDgemm_v2(void*, int transpose_a, int transpose_b, int m, int n, int k, const double* alpha, const double* a,
                            int lda, const double* b, int ldb, const double* beta, double* c, int ldc) {
  cblas_dgemm(CblasColMajor, transposition(transpose_a), transposition(transpose_b), m, n, k, *alpha, a, lda, b, ldb, *beta, c,
              ldc);
  return 0;
}

EXPORTED int cublasDsyrk_v2(void*, int triangle, int transpose, int n, int k, const double* alpha, const double* a, int lda,
                            const double* beta, double* c, int ldc) {
  cblas_dsyrk(CblasColMajor, triangle == 0 ? CblasLower : CblasUpper, transposition(transpose), n, k, *alpha, a, lda, *beta, c,
              ldc);
  return 0;
}

EXPORTED int cusolverDnCreate(void** handle) { return create(handle); }
EXPORTED int cusolverDnDestroy(void*) { return 0; }
EXPORTED int cusolverDnSetStream(void*, void*) { return 0; }
EXPORTED int cusolverDnCreateParams(void** parameters) { return create(parameters); }
EXPORTED int cusolverDnDestroyParams(void*) { return 0; }
EXPORTED int cusolverDnXsyevd_bufferSize(void*, void*, int, int, int64_t n, int, const void*, int64_t, int, const void*, int,
                                         size_t* device_bytes, size_t* host_bytes) {
  *device_bytes = static_cast<size_t>(n);
  *host_bytes = 0;
  return 0;
}
EXPORTED int cusolverDnXsyevd(void*, void*, int vectors, int triangle, int64_t n, int, void* a, int64_t lda, int, void* values,
                              int, void*, size_t, void*, size_t, int* info) {
  *info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, vectors != 0 ? 'V' : 'N', triangle == 0 ? 'L' : 'U', static_cast<lapack_int>(n),
                         static_cast<double*>(a), static_cast<lapack_int>(lda), static_cast<double*>(values));
  return 0;
}
