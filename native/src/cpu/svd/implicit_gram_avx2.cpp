#include "implicit_gram_lanes.h"

namespace threegate::svd {
namespace {

struct Single {
  using Entry = float;
  using Type = __m256;
  static constexpr int64_t kWidth = 8;
  static constexpr int64_t kColumns = 3;
  static constexpr int64_t kTileRows = 4;

  static Type all(float value) { return _mm256_set1_ps(value); }
  static Type load(const float* from) { return _mm256_loadu_ps(from); }
  static void store(float* to, Type vector) { _mm256_storeu_ps(to, vector); }
  static Type add(Type a, Type b) { return _mm256_add_ps(a, b); }
  static Type multiply_add(Type a, Type b, Type c) { return _mm256_fmadd_ps(a, b, c); }
  static void sum_lanes(Type a, Type b, Type c, Type d, float* totals) {
    const Type quarters = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(totals, _mm_add_ps(_mm256_castps256_ps128(quarters), _mm256_extractf128_ps(quarters, 1)));
  }
};

struct Wide {
  using Entry = double;
  using Type = __m256d;
  static constexpr int64_t kWidth = 4;
  static constexpr int64_t kColumns = 3;
  static constexpr int64_t kTileRows = 4;

  static Type all(double value) { return _mm256_set1_pd(value); }
  static Type load(const double* from) { return _mm256_loadu_pd(from); }
  static void store(double* to, Type vector) { _mm256_storeu_pd(to, vector); }
  static Type add(Type a, Type b) { return _mm256_add_pd(a, b); }
  static Type multiply_add(Type a, Type b, Type c) { return _mm256_fmadd_pd(a, b, c); }
  static void sum_lanes(Type a, Type b, Type c, Type d, double* totals) {
    const Type ab = _mm256_hadd_pd(a, b);
    const Type cd = _mm256_hadd_pd(c, d);
    _mm_storeu_pd(totals, _mm_add_pd(_mm256_castpd256_pd128(ab), _mm256_extractf128_pd(ab, 1)));
    _mm_storeu_pd(totals + 2, _mm_add_pd(_mm256_castpd256_pd128(cd), _mm256_extractf128_pd(cd, 1)));
  }
};

}  // namespace

GramKernelSet gram_kernels_avx2() { return {kernels_of<Single>(), kernels_of<Wide>()}; }

}  // namespace threegate::svd
