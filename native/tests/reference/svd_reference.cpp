#include "svd_reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace reference {
namespace {

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
  long double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum += static_cast<long double>(a[i]) * b[i];
  }
  return static_cast<double>(sum);
}

void rotate(Vector& a, Vector& b, double cosine, double sine) {
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = a[i];
    a[i] = cosine * x - sine * b[i];
    b[i] = sine * x + cosine * b[i];
  }
}

// Computes V with A V = U Sigma from the columns of A.
Svd of_columns(std::vector<Vector> a) {
  const size_t n = a.size();
  std::vector<Vector> v(n, Vector(n, 0));
  for (size_t i = 0; i < n; ++i) {
    v[i][i] = 1;
  }
  for (int sweep = 0; sweep < 60; ++sweep) {
    bool rotated = false;
    for (size_t p = 0; p < n; ++p) {
      for (size_t q = p + 1; q < n; ++q) {
        const double alpha = dot(a[p], a[p]);
        const double beta = dot(a[q], a[q]);
        const double gamma = dot(a[p], a[q]);
        if (gamma == 0 || std::abs(gamma) <= 1e-16 * std::sqrt(alpha) * std::sqrt(beta)) {
          continue;
        }
        rotated = true;
        const double zeta = (beta - alpha) / (2 * gamma);
        const double tangent = (zeta < 0 ? -1 : 1) / (std::abs(zeta) + std::hypot(1, zeta));
        const double cosine = 1 / std::hypot(1, tangent);
        rotate(a[p], a[q], cosine, cosine * tangent);
        rotate(v[p], v[q], cosine, cosine * tangent);
      }
    }
    if (!rotated) {
      break;
    }
  }
  Vector norms(n);
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = 0; i < n; ++i) {
    norms[i] = std::sqrt(dot(a[i], a[i]));
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return norms[i] > norms[j]; });
  Svd result;
  for (const size_t i : order) {
    result.sigma.push_back(norms[i]);
    for (double& x : a[i]) {
      x = norms[i] > 0 ? x / norms[i] : 0;
    }
    result.left.push_back(a[i]);
    result.right.push_back(v[i]);
  }
  return result;
}

}  // namespace

Svd singular_values(const std::vector<double>& a, int64_t rows, int64_t columns) {
  // Squares of entries must not vanish or overflow.
  double largest = 0;
  for (const double entry : a) {
    largest = std::max(largest, std::abs(entry));
  }
  const int exponent = largest > 0 ? std::ilogb(largest) : 0;
  const bool tall = rows >= columns;
  std::vector<Vector> vectors(static_cast<size_t>(tall ? columns : rows), Vector(static_cast<size_t>(tall ? rows : columns)));
  for (size_t i = 0; i < static_cast<size_t>(rows); ++i) {
    for (size_t j = 0; j < static_cast<size_t>(columns); ++j) {
      (tall ? vectors[j][i] : vectors[i][j]) = std::ldexp(a[i * static_cast<size_t>(columns) + j], -exponent);
    }
  }
  Svd result = of_columns(std::move(vectors));
  for (double& sigma : result.sigma) {
    sigma = std::ldexp(sigma, exponent);
  }
  if (!tall) {
    std::swap(result.left, result.right);
  }
  return result;
}

}  // namespace reference
