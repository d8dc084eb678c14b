#include "lanes_avx512.h"
#include "thin_lanes.h"

namespace threegate::svd {
namespace {

struct Avx512 {
  using Type = __m512;
  static constexpr int64_t kWidth = 16;
  static constexpr int64_t kColumns = 4;

  static Type all(float value) { return _mm512_set1_ps(value); }
  static Type load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, Type vector) { _mm512_storeu_ps(to, vector); }
  static Type multiply_add(Type a, Type b, Type c) { return _mm512_fmadd_ps(a, b, c); }
  static void sum_lanes(Type a, Type b, Type c, Type d, float* totals) {
    _mm_storeu_ps(totals, ::threegate::svd::sum_lanes(a, b, c, d));
  }
};

}  // namespace

void thin_copy_avx512(int64_t count, int64_t length, const float* rows, float* copy) { pack<Avx512>(count, length, rows, copy); }

void thin_multiply_avx512(int64_t count, int64_t length, const ThinColumns& columns, const float* copy, const float* matrix,
                          float* product) {
  product_of<Avx512>(count, length, columns, copy, matrix, product);
}

void thin_subtract_avx512(int64_t count, int64_t length, int64_t columns, const float* factors, const float* matrix,
                          float* rows) {
  subtract_from<Avx512>(count, length, columns, factors, matrix, rows);
}

}  // namespace threegate::svd
