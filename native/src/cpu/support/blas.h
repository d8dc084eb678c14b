// A private instance of OpenBLAS. It is loaded when it is first needed, and uses one thread per call, because kernels run only on
// the workers of a context. Large products are divided into blocks, see crew.h. Another OpenBLAS in the process keeps its number
// of threads.
#ifndef THREEGATE_CPU_SUPPORT_BLAS_H
#define THREEGATE_CPU_SUPPORT_BLAS_H

#include <cblas.h>
#include <lapacke.h>

#include <cstdint>
#include <string>

namespace threegate {

// BLAS and LAPACK sizes have 32 bits. Callers have checked that a size fits.
inline lapack_int blas_size(int64_t size) { return static_cast<lapack_int>(size); }

// The functions of one precision. Matrices are row-major for CBLAS and column-major for LAPACK.
template <typename T>
struct BlasFunctions;

template <>
struct BlasFunctions<float> {
  decltype(&cblas_sgemm) gemm;
  decltype(&cblas_ssyrk) syrk;
  decltype(&cblas_ssyr2k) syr2k;
  decltype(&cblas_ssymm) symm;
  decltype(&LAPACKE_ssytrd_work) sytrd;
  decltype(&LAPACKE_ssterf_work) sterf;
  decltype(&LAPACKE_sstebz_work) stebz;
  decltype(&LAPACKE_sstein_work) stein;
  decltype(&LAPACKE_sstemr_work) stemr;
  decltype(&LAPACKE_sormtr_work) ormtr;
  decltype(&LAPACKE_sorgqr_work) orgqr;
  decltype(&LAPACKE_spotrf_work) potrf;
  decltype(&cblas_strsm) trsm;
};

template <>
struct BlasFunctions<double> {
  decltype(&cblas_dgemm) gemm;
  decltype(&cblas_dsyrk) syrk;
  decltype(&cblas_dsyr2k) syr2k;
  decltype(&LAPACKE_dsytrd_work) sytrd;
  decltype(&LAPACKE_dsterf_work) sterf;
  decltype(&LAPACKE_dstebz_work) stebz;
  decltype(&LAPACKE_dstein_work) stein;
  decltype(&LAPACKE_dstemr_work) stemr;
  decltype(&LAPACKE_dormtr_work) ormtr;
  decltype(&LAPACKE_dsyevd_work) syevd;
  decltype(&LAPACKE_dgesdd_work) gesdd;
  decltype(&LAPACKE_dgeqrf_work) geqrf;
  decltype(&LAPACKE_dorgqr_work) orgqr;
  decltype(&LAPACKE_dpotrf_work) potrf;
  decltype(&cblas_dtrsm) trsm;
};

struct Blas {
  std::string description;  // name, version and kernels
  std::string file;         // the path of the library
  BlasFunctions<float> single;
  BlasFunctions<double> wide;

  template <typename T>
  [[nodiscard]] const BlasFunctions<T>& functions() const;
};

// Loads OpenBLAS if necessary. Throws INTERNAL with the reason if it cannot be loaded.
const Blas& blas();

template <>
inline const BlasFunctions<float>& Blas::functions<float>() const {
  return single;
}
template <>
inline const BlasFunctions<double>& Blas::functions<double>() const {
  return wide;
}

}  // namespace threegate

#endif  // THREEGATE_CPU_SUPPORT_BLAS_H
