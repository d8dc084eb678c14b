// One-sided Jacobi in float64. It is slow and simple. Every singular value is accurate relative to itself if columns are graded
// (Demmel and Veselic, "Jacobi's method is more accurate than QR", 1992).
#ifndef THREEGATE_TESTS_SVD_REFERENCE_H
#define THREEGATE_TESTS_SVD_REFERENCE_H

#include <cstdint>
#include <vector>

namespace reference {

struct Svd {
  std::vector<double> sigma;               // descending, min(rows, columns)
  std::vector<std::vector<double>> left;   // vectors of length rows. A zero singular value has a zero vector
  std::vector<std::vector<double>> right;  // vectors of length columns
};

// `a` is rows x columns, row-major.
Svd singular_values(const std::vector<double>& a, int64_t rows, int64_t columns);

}  // namespace reference

#endif  // THREEGATE_TESTS_SVD_REFERENCE_H
