#include "implicit_gram_lanes.h"
#include "lanes_avx512.h"

namespace threegate::svd {
namespace {

struct Single {
  using Entry = float;
  using Type = __m512;
  static constexpr int64_t kWidth = 16;
  static constexpr int64_t kColumns = 6;
  static constexpr int64_t kTileRows = 8;

  static Type all(float value) { return _mm512_set1_ps(value); }
  static Type load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, Type vector) { _mm512_storeu_ps(to, vector); }
  static Type add(Type a, Type b) { return _mm512_add_ps(a, b); }
  static Type multiply_add(Type a, Type b, Type c) { return _mm512_fmadd_ps(a, b, c); }
  static void sum_lanes(Type a, Type b, Type c, Type d, float* totals) {
    _mm_storeu_ps(totals, ::threegate::svd::sum_lanes(a, b, c, d));
  }
};

struct Wide {
  using Entry = double;
  using Type = __m512d;
  static constexpr int64_t kWidth = 8;
  static constexpr int64_t kColumns = 6;
  static constexpr int64_t kTileRows = 8;

  static Type all(double value) { return _mm512_set1_pd(value); }
  static Type load(const double* from) { return _mm512_loadu_pd(from); }
  static void store(double* to, Type vector) { _mm512_storeu_pd(to, vector); }
  static Type add(Type a, Type b) { return _mm512_add_pd(a, b); }
  static Type multiply_add(Type a, Type b, Type c) { return _mm512_fmadd_pd(a, b, c); }
  static void sum_lanes(Type a, Type b, Type c, Type d, double* totals) {
    totals[0] = _mm512_reduce_add_pd(a);
    totals[1] = _mm512_reduce_add_pd(b);
    totals[2] = _mm512_reduce_add_pd(c);
    totals[3] = _mm512_reduce_add_pd(d);
  }
};

}  // namespace

GramKernelSet gram_kernels_avx512() { return {kernels_of<Single>(), kernels_of<Wide>()}; }

}  // namespace threegate::svd
