// Triplets and their certificate from vectors of the short side, when there are many of them.
//
// Half of the products of a certificate, and all of float64, are avoided. Products with A^T A are those with its Gram matrix, and
// products with A are in float32. What this changes is measured: for sums of groups of triplets with random signs, both residuals
// are computed from the matrix itself in float64. The length of such a sum is the root of the squared errors of its group, unless
// errors are parallel and cancel, and is added to the residual (Freivalds, "Probabilistic machines can use less running time",
// 1977). Signs are the same in every run.
#ifndef THREEGATE_CPU_SVD_PROBED_CERTIFICATE_H
#define THREEGATE_CPU_SVD_PROBED_CERTIFICATE_H

#include <cstdint>

#include "cpu/support/arena.h"
#include "cpu/support/simd_level.h"
#include "implicit_gram.h"
#include "panel.h"
#include "singular_vectors.h"

namespace threegate::svd {

class ProbedCertificate {
 public:
  // `accurate` tells whether the certificate is for a tolerance near the rounding of float32.
  ProbedCertificate(Arena& arena, const View& view, int64_t rank, bool accurate);

  // Returns whether there are enough triplets.
  [[nodiscard]] bool suits() const { return groups_ > 0; }

  // Computes the triplets from the vectors of the short side. The Gram matrix is in `below`, whose diagonal is zero, and in
  // `diagonal`. Products without the diagonal are smaller, and so is their rounding.
  Certificate run(const View& view, SimdLevel level, const float* below, const double* diagonal, double tolerance,
                  const Vectors<float>& vectors);

  // Does so for triplets and products that were computed in float32: y is A x / sigma, and z is A^T y.
  Certificate complete(const View& view, SimdLevel level, const Vectors<float>& vectors);

 private:
  double row_products(const float* rows, int64_t length, const Vectors<float>& vectors);
  void correct(const Vectors<float>& vectors);
  double measure(const float* below, const double* diagonal, const Vectors<float>& vectors);
  void combine(SimdLevel level, const Vectors<float>& vectors);
  double probe(const View& view, SimdLevel level, double measured, const Vectors<float>& vectors);

  int64_t rank_;
  int64_t order_;
  int64_t length_;
  int64_t group_;     // triplets of a sum
  int64_t groups_;    // sums
  double* products_;  // rank x rank
  double* of_short_;  // groups x order: sums of x / sigma
  double* of_long_;   // groups x length: sums of y, and then their residuals
  double* expected_;  // groups x order: sums of A^T y according to the Gram matrix
  double* back_;      // groups x order
  float* signs_;
  ImplicitGram<double> gram_;
};

}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_PROBED_CERTIFICATE_H
