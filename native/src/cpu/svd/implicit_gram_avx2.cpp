#include <immintrin.h>

#include "implicit_gram_lanes.h"

namespace threegate::svd {
namespace {

struct Avx2 {
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

}  // namespace

GramKernels gram_kernels_avx2() { return kernels_of<Avx2>(); }

}  // namespace threegate::svd
