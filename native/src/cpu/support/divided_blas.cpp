#include "divided_blas.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "cpu/support/crew.h"

namespace threegate {
namespace {

// Smaller products are not divided, because waking threads takes about as long.
constexpr double kLeastProducts = 1 << 22;

const Blas* undivided = nullptr;

template <typename T>
const BlasFunctions<T>& whole() {
  return undivided->functions<T>();
}

// Rows or columns of a block.
struct Part {
  int64_t begin;
  int64_t count;
};

int64_t parts_of(int64_t size) { return (size + part_length(size) - 1) / part_length(size); }

Part part_of(int64_t size, int64_t index) {
  const int64_t begin = index * part_length(size);
  return {begin, std::min(part_length(size), size - begin)};
}

// The address of an entry of a matrix, or of its transpose.
template <typename T>
const T* entry(CBLAS_ORDER order, bool transposed, const T* matrix, int64_t stride, int64_t row, int64_t column) {
  return (order == CblasRowMajor) != transposed ? matrix + row * stride + column : matrix + column * stride + row;
}

template <typename T>
void gemm(const CBLAS_ORDER order, const CBLAS_TRANSPOSE trans_a, const CBLAS_TRANSPOSE trans_b, const blasint m, const blasint n,
          const blasint k, const T alpha, const T* a, const blasint lda, const T* b, const blasint ldb, const T beta, T* c,
          const blasint ldc) {
  if (static_cast<double>(m) * n * k < kLeastProducts) {
    whole<T>().gemm(order, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    return;
  }
  const int64_t row_parts = parts_of(m);
  in_parts(row_parts * parts_of(n), [&](int64_t i) {
    const Part rows = part_of(m, i % row_parts);
    const Part columns = part_of(n, i / row_parts);
    whole<T>().gemm(order, trans_a, trans_b, blas_size(rows.count), blas_size(columns.count), k, alpha,
                    entry(order, trans_a != CblasNoTrans, a, lda, rows.begin, 0), lda,
                    entry(order, trans_b != CblasNoTrans, b, ldb, 0, columns.begin), ldb, beta,
                    const_cast<T*>(entry<T>(order, false, c, ldc, rows.begin, columns.begin)), ldc);
  });
}

// Calls block(first, second) for the blocks of a triangle, where first >= second if it is the lower one.
template <typename Block>
void for_triangle(CBLAS_UPLO triangle, int64_t size, Block block) {
  const int64_t parts = parts_of(size);
  in_parts(parts * (parts + 1) / 2, [&](int64_t i) {
    int64_t longer = 0;
    for (; i > longer; ++longer) {
      i -= longer + 1;
    }
    triangle == CblasLower ? block(longer, i) : block(i, longer);
  });
}

// Diagonal blocks are products of a part with itself, and others are products of two parts.
template <typename T>
void syrk(const CBLAS_ORDER order, const CBLAS_UPLO triangle, const CBLAS_TRANSPOSE trans, const blasint n, const blasint k,
          const T alpha, const T* a, const blasint lda, const T beta, T* c, const blasint ldc) {
  if (static_cast<double>(n) * n * k < kLeastProducts) {
    whole<T>().syrk(order, triangle, trans, n, k, alpha, a, lda, beta, c, ldc);
    return;
  }
  for_triangle(triangle, n, [&](int64_t first, int64_t second) {
    const Part rows = part_of(n, first);
    const Part columns = part_of(n, second);
    const T* left = entry(order, trans != CblasNoTrans, a, lda, rows.begin, 0);
    T* out = const_cast<T*>(entry<T>(order, false, c, ldc, rows.begin, columns.begin));
    if (first == second) {
      whole<T>().syrk(order, triangle, trans, blas_size(rows.count), k, alpha, left, lda, beta, out, ldc);
      return;
    }
    const T* right = entry(order, trans != CblasNoTrans, a, lda, columns.begin, 0);
    whole<T>().gemm(order, trans, trans == CblasNoTrans ? CblasTrans : CblasNoTrans, blas_size(rows.count),
                    blas_size(columns.count), k, alpha, left, lda, right, lda, beta, out, ldc);
  });
}

// As syrk(), where other blocks are the sum of two products.
template <typename T>
void syr2k(const CBLAS_ORDER order, const CBLAS_UPLO triangle, const CBLAS_TRANSPOSE trans, const blasint n, const blasint k,
           const T alpha, const T* a, const blasint lda, const T* b, const blasint ldb, const T beta, T* c, const blasint ldc) {
  if (static_cast<double>(n) * n * k < kLeastProducts) {
    whole<T>().syr2k(order, triangle, trans, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    return;
  }
  for_triangle(triangle, n, [&](int64_t first, int64_t second) {
    const Part rows = part_of(n, first);
    const Part columns = part_of(n, second);
    const bool transposed = trans != CblasNoTrans;
    const T* left_a = entry(order, transposed, a, lda, rows.begin, 0);
    const T* left_b = entry(order, transposed, b, ldb, rows.begin, 0);
    T* out = const_cast<T*>(entry<T>(order, false, c, ldc, rows.begin, columns.begin));
    if (first == second) {
      whole<T>().syr2k(order, triangle, trans, blas_size(rows.count), k, alpha, left_a, lda, left_b, ldb, beta, out, ldc);
      return;
    }
    const CBLAS_TRANSPOSE other = transposed ? CblasNoTrans : CblasTrans;
    whole<T>().gemm(order, trans, other, blas_size(rows.count), blas_size(columns.count), k, alpha, left_a, lda,
                    entry(order, transposed, b, ldb, columns.begin, 0), ldb, beta, out, ldc);
    whole<T>().gemm(order, trans, other, blas_size(rows.count), blas_size(columns.count), k, alpha, left_b, ldb,
                    entry(order, transposed, a, lda, columns.begin, 0), lda, T{1}, out, ldc);
  });
}

// A symmetric matrix on the right leaves the rows independent of each other, and one on the left the columns.
template <typename T>
void symm(const CBLAS_ORDER order, const CBLAS_SIDE side, const CBLAS_UPLO triangle, const blasint m, const blasint n,
          const T alpha, const T* a, const blasint lda, const T* b, const blasint ldb, const T beta, T* c, const blasint ldc) {
  const bool left = side == CblasLeft;
  const int64_t lines = left ? n : m;
  if (static_cast<double>(m) * n * (left ? m : n) < kLeastProducts) {
    whole<T>().symm(order, side, triangle, m, n, alpha, a, lda, b, ldb, beta, c, ldc);
    return;
  }
  // Each part copies the symmetric matrix, so that short ones would not pay.
  in_parts(parts_of(lines), [&](int64_t i) {
    const Part own = part_of(lines, i);
    const int64_t row = left ? 0 : own.begin;
    const int64_t column = left ? own.begin : 0;
    whole<T>().symm(order, side, triangle, left ? m : blas_size(own.count), left ? blas_size(own.count) : n, alpha, a, lda,
                    entry(order, false, b, ldb, row, column), ldb, beta,
                    const_cast<T*>(entry<T>(order, false, c, ldc, row, column)), ldc);
  });
}

// Right-hand sides are independent of each other. Those of a matrix on the right are its rows.
template <typename T>
void trsm(const CBLAS_ORDER order, const CBLAS_SIDE side, const CBLAS_UPLO triangle, const CBLAS_TRANSPOSE trans,
          const CBLAS_DIAG diagonal, const blasint m, const blasint n, const T alpha, const T* a, const blasint lda, T* b,
          const blasint ldb) {
  const bool left = side == CblasLeft;
  const int64_t sides = left ? n : m;
  if (static_cast<double>(m) * n * (left ? m : n) < kLeastProducts) {
    whole<T>().trsm(order, side, triangle, trans, diagonal, m, n, alpha, a, lda, b, ldb);
    return;
  }
  in_parts(parts_of(sides), [&](int64_t i) {
    const Part own = part_of(sides, i);
    T* at = const_cast<T*>(entry<T>(order, false, b, ldb, left ? 0 : own.begin, left ? own.begin : 0));
    whole<T>().trsm(order, side, triangle, trans, diagonal, left ? m : blas_size(own.count), left ? blas_size(own.count) : n,
                    alpha, a, lda, at, ldb);
  });
}

// Columns that reflectors are applied to from the left are independent of each other.
template <typename T>
lapack_int ormtr(int layout, char side, char triangle, char trans, lapack_int m, lapack_int n, const T* a, lapack_int lda,
                 const T* tau, T* c, lapack_int ldc, T* work, lapack_int work_size) {
  constexpr int64_t kColumns = 64;
  const int64_t parts = (n + kColumns - 1) / kColumns;
  if (layout != LAPACK_COL_MAJOR || side != 'L' || work_size < 0 || parts <= 1) {
    return whole<T>().ormtr(layout, side, triangle, trans, m, n, a, lda, tau, c, ldc, work, work_size);
  }
  std::atomic<lapack_int> failure{0};
  in_parts(parts, [&](int64_t i) {
    const int64_t begin = i * kColumns;
    std::vector<T> own(static_cast<size_t>(work_size));
    const lapack_int result =
        whole<T>().ormtr(layout, side, triangle, trans, m, blas_size(std::min<int64_t>(kColumns, n - begin)), a, lda, tau,
                         c + begin * ldc, ldc, own.data(), work_size);
    if (result != 0) {
      failure = result;
    }
  });
  return failure;
}

}  // namespace

void divide_blas(const Blas& whole, Blas& divided) {
  undivided = &whole;
  divided.single.gemm = gemm<float>;
  divided.single.syrk = syrk<float>;
  divided.single.syr2k = syr2k<float>;
  divided.single.symm = symm<float>;
  divided.single.trsm = trsm<float>;
  divided.single.ormtr = ormtr<float>;
  divided.wide.gemm = gemm<double>;
  divided.wide.syrk = syrk<double>;
  divided.wide.syr2k = syr2k<double>;
  divided.wide.trsm = trsm<double>;
  divided.wide.ormtr = ormtr<double>;
}

}  // namespace threegate
