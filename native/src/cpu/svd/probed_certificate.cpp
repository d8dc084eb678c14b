#include "probed_certificate.h"

#include <algorithm>
#include <cmath>

#include "cpu/random/normals.h"
#include "cpu/support/blas.h"
#include "rows.h"

namespace threegate::svd {
namespace {

constexpr int64_t kMany = 48;  // triplets. Fewer are cheap anyway
constexpr int64_t kManyForAccuracy = 32;
constexpr int64_t kGroup = 8;        // triplets of a sum, if the tolerance is near the rounding of float32
constexpr int64_t kLargeGroup = 64;  // and if not
constexpr int64_t kPart = 128;       // entries of which float32 sums products

// Rounding of such products of unit vectors, which is added to the reported deviation. It is an estimate: the kernels of OpenBLAS
// stay below 3e-8.
constexpr double kRounding = 5e-8;

int64_t groups_for(int64_t rank, bool accurate) {
  const int64_t group = accurate ? kGroup : kLargeGroup;
  return rank >= (accurate ? kManyForAccuracy : kMany) ? (rank + group - 1) / group : 0;
}

void add(const float* values, int64_t count, double factor, double* sum) {
  for (int64_t i = 0; i < count; ++i) {
    sum[i] += factor * static_cast<double>(values[i]);
  }
}

void add(const double* values, int64_t count, double factor, double* sum) {
  for (int64_t i = 0; i < count; ++i) {
    sum[i] += factor * values[i];
  }
}

// Turns z, which is A^T A x without the diagonal, into the residual of a triplet, and returns its length.
double to_residual(const float* x, int64_t count, double sigma, const double* diagonal, float* z) {
  for (int64_t i = 0; i < count; ++i) {
    const auto entry = static_cast<double>(x[i]);
    z[i] = static_cast<float>((static_cast<double>(z[i]) + diagonal[i] * entry) / sigma - sigma * entry);
  }
  return norm(z, count);
}

}  // namespace

ProbedCertificate::ProbedCertificate(Arena& arena, const View& view, int64_t rank, bool accurate)
    : rank_(groups_for(rank, accurate) > 0 ? rank : 0),
      order_(view.short_side),
      length_(view.long_side),
      group_(accurate ? kGroup : kLargeGroup),
      groups_(groups_for(rank, accurate)),
      products_(arena.take<double>(rank_ * rank_)),
      of_short_(arena.take<double>(groups_ * order_)),
      of_long_(arena.take<double>(groups_ * length_)),
      expected_(arena.take<double>(groups_ * order_)),
      back_(arena.take<double>(groups_ * order_)),
      signs_(arena.take<float>(rank_ + random::kBlock)),
      gram_(arena, groups_, groups_ > 0 ? order_ : 0) {}

Certificate ProbedCertificate::run(const View& view, SimdLevel level, const float* below, const double* diagonal,
                                   double tolerance, const Vectors<float>& vectors) {
  double of_short = row_products(vectors.x, order_, vectors);
  if (of_short > tolerance / 2) {
    correct(vectors);
    of_short = row_products(vectors.x, order_, vectors);
  }
  multiply_to_long_side(view, rank_, vectors);
  for (int64_t i = 0; i < rank_; ++i) {
    vectors.sigma[i] = norm(vectors.y + i * length_, length_);
    if (!(vectors.sigma[i] > 0)) {
      return {1, 1};
    }
    divide(vectors.y + i * length_, length_, vectors.sigma[i]);
  }
  sort_descending(view, rank_, vectors);
  const double orthogonality = std::max(of_short, row_products(vectors.y, length_, vectors));
  const double measured = measure(below, diagonal, vectors);
  combine(level, vectors);
  return {probe(view, level, measured, vectors), orthogonality};
}

Certificate ProbedCertificate::complete(const View& view, SimdLevel level, const Vectors<float>& vectors) {
  for (int64_t i = 0; i < rank_; ++i) {
    const double size = norm(vectors.y + i * length_, length_);
    if (!(size > 0)) {
      return {1, 1};
    }
    divide(vectors.y + i * length_, length_, size);
    divide(vectors.z + i * order_, order_, size);
    vectors.sigma[i] *= size;
  }
  sort_descending(view, rank_, vectors);
  const double of_short = row_products(vectors.x, order_, vectors);
  const double orthogonality = std::max(of_short, row_products(vectors.y, length_, vectors));
  const double measured = largest_residual(view, rank_, vectors) * vectors.sigma[0];
  combine(level, vectors);
  return {probe(view, level, measured, vectors), orthogonality};
}

// Computes the products of all pairs of rows, and returns their largest deviation from orthonormality.
double ProbedCertificate::row_products(const float* rows, int64_t length, const Vectors<float>& vectors) {
  std::fill_n(products_, rank_ * rank_, 0.0);
  for (int64_t begin = 0; begin < length; begin += kPart) {
    const int64_t count = std::min(kPart, length - begin);
    blas().single.syrk(CblasRowMajor, CblasLower, CblasNoTrans, blas_size(rank_), blas_size(count), 1.0F, rows + begin,
                       blas_size(length), 0.0F, vectors.overlap, blas_size(rank_));
    for (int64_t i = 0; i < rank_; ++i) {
      add(vectors.overlap + i * rank_, i, 1, products_ + i * rank_);
    }
  }
  double largest = 0;
  for (int64_t i = 0; i < rank_; ++i) {
    const double size = norm(rows + i * length, length);
    products_[i * rank_ + i] = size * size;
    for (int64_t j = 0; j <= i; ++j) {
      largest = std::max(largest, std::abs(products_[i * rank_ + j] - (i == j ? 1 : 0)));
    }
  }
  return largest + kRounding;
}

// X - (X X^T - 1) X / 2 deviates from orthonormality by about the square of what X does.
void ProbedCertificate::correct(const Vectors<float>& vectors) {
  for (int64_t i = 0; i < rank_; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      const auto half = static_cast<float>((products_[i * rank_ + j] - (i == j ? 1 : 0)) / 2);
      vectors.overlap[i * rank_ + j] = half;
      vectors.overlap[j * rank_ + i] = half;
    }
  }
  std::copy_n(vectors.x, rank_ * order_, vectors.z);
  blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rank_), blas_size(order_), blas_size(rank_), -1.0F,
                     vectors.overlap, blas_size(rank_), vectors.z, blas_size(order_), 1.0F, vectors.x, blas_size(order_));
}

// Computes the residuals according to the Gram matrix, and returns the longest one.
double ProbedCertificate::measure(const float* below, const double* diagonal, const Vectors<float>& vectors) {
  const lapack_int rank = blas_size(rank_);
  const lapack_int order = blas_size(order_);
  double largest = 0;
  blas().single.symm(CblasRowMajor, CblasRight, CblasLower, rank, order, 1.0F, below, order, vectors.x, order, 0.0F, vectors.z,
                     order);
  for (int64_t i = 0; i < rank_; ++i) {
    largest = std::max(largest, to_residual(vectors.x + i * order_, order_, vectors.sigma[i], diagonal, vectors.z + i * order_));
  }
  return largest;
}

// Adds the triplets of each group with random signs.
void ProbedCertificate::combine(SimdLevel level, const Vectors<float>& vectors) {
  random::normal_row(level, {0, 1, random::Purpose::kProbe}, 0, rank_, signs_);
  std::fill_n(of_short_, groups_ * order_, 0.0);
  std::fill_n(of_long_, groups_ * length_, 0.0);
  std::fill_n(expected_, groups_ * order_, 0.0);
  for (int64_t i = 0; i < rank_; ++i) {
    const int64_t group = i / group_;
    const double sign = signs_[i] < 0 ? -1 : 1;
    const float* x = vectors.x + i * order_;
    add(x, order_, sign / vectors.sigma[i], of_short_ + group * order_);
    add(vectors.y + i * length_, length_, sign, of_long_ + group * length_);
    add(x, order_, sign * vectors.sigma[i], expected_ + group * order_);
    add(vectors.z + i * order_, order_, sign, expected_ + group * order_);
  }
}

// Multiplies the sums with the matrix in float64, and returns the residuals with their rounding errors.
double ProbedCertificate::probe(const View& view, SimdLevel level, double measured, const Vectors<float>& vectors) {
  gram_.run(
      level, view, groups_, of_short_,
      [&](int64_t begin, int64_t count, int64_t stride, double* products) {
        for (int64_t group = 0; group < groups_; ++group) {
          double* of_long = of_long_ + group * length_ + begin;
          for (int64_t i = 0; i < count; ++i) {
            const double image = products[i * stride + group];
            products[i * stride + group] = of_long[i];
            of_long[i] -= image;
          }
        }
      },
      back_);
  double of_long = 0;   // the largest |A x - sigma y|
  double of_short = 0;  // the largest error of what was measured
  for (int64_t group = 0; group < groups_; ++group) {
    of_long = std::max(of_long, vectors.sigma[group * group_] * norm(of_long_ + group * length_, length_));
    add(expected_ + group * order_, order_, -1, back_ + group * order_);
    of_short = std::max(of_short, norm(back_ + group * order_, order_));
  }
  return std::max(of_long, measured + of_short) / vectors.sigma[0];
}

}  // namespace threegate::svd
