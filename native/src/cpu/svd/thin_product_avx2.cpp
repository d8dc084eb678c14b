#include <immintrin.h>

#include "thin_lanes.h"

namespace threegate::svd {
namespace {

struct Avx2 {
  using Type = __m256;
  static constexpr int64_t kWidth = 8;
  static constexpr int64_t kColumns = 2;

  static Type all(float value) { return _mm256_set1_ps(value); }
  static Type load(const float* from) { return _mm256_loadu_ps(from); }
  static void store(float* to, Type vector) { _mm256_storeu_ps(to, vector); }
  static Type multiply_add(Type a, Type b, Type c) { return _mm256_fmadd_ps(a, b, c); }
  static void sum_lanes(Type a, Type b, Type c, Type d, float* totals) {
    const Type quarters = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(totals, _mm_add_ps(_mm256_castps256_ps128(quarters), _mm256_extractf128_ps(quarters, 1)));
  }
};

}  // namespace

void thin_copy_avx2(int64_t count, int64_t length, const float* rows, float* copy) { pack<Avx2>(count, length, rows, copy); }

void thin_multiply_avx2(int64_t count, int64_t length, const ThinColumns& columns, const float* copy, const float* matrix,
                        float* product) {
  product_of<Avx2>(count, length, columns, copy, matrix, product);
}

void thin_subtract_avx2(int64_t count, int64_t length, int64_t columns, const float* factors, const float* matrix, float* rows) {
  subtract_from<Avx2>(count, length, columns, factors, matrix, rows);
}

}  // namespace threegate::svd
