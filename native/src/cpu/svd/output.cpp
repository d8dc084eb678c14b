#include "output.h"

#include <algorithm>

namespace threegate::svd {

template <typename T>
void write_triplets(const View& view, const tg_svd_options& options, const Vectors<T>& vectors, const Certificate& certificate,
                    tg_svd_result& result) {
  double* x = view.tall ? result.right : result.left;
  double* y = view.tall ? result.left : result.right;
  std::copy_n(vectors.x, options.rank * view.short_side, x);
  std::copy_n(vectors.y, options.rank * view.long_side, y);
  for (int64_t i = 0; i < options.rank; ++i) {
    result.values[i] = vectors.sigma[i] / view.scale;
  }
  result.residual = certificate.residual;
  result.orthogonality = certificate.orthogonality;
  result.status = certificate.within(options.tolerance) ? TG_OK : TG_NOT_CONVERGED;
}

void write_spectrum(const View& view, const tg_svd_options& options, tg_svd_result& result) {
  for (int64_t i = 0; i < view.short_side; ++i) {
    result.spectrum[i] /= view.scale;
  }
  if (options.vectors == 0) {
    std::copy_n(result.spectrum, options.rank, result.values);
  }
}

void write_zero(const View& view, const tg_svd_options& options, tg_svd_result& result) {
  std::fill_n(result.values, options.rank, 0.0);
  if (result.spectrum != nullptr) {
    std::fill_n(result.spectrum, view.short_side, 0.0);
  }
  if (options.vectors != 0) {
    const int64_t rows = view.operand->values.rows;
    const int64_t columns = view.operand->values.columns;
    std::fill_n(result.left, options.rank * rows, 0.0);
    std::fill_n(result.right, options.rank * columns, 0.0);
    for (int64_t i = 0; i < options.rank; ++i) {
      result.left[i * rows + i] = 1;
      result.right[i * columns + i] = 1;
    }
  }
  result.method = TG_SVD_TRIANGLE;
}

template void write_triplets(const View&, const tg_svd_options&, const Vectors<float>&, const Certificate&, tg_svd_result&);
template void write_triplets(const View&, const tg_svd_options&, const Vectors<double>&, const Certificate&, tg_svd_result&);

}  // namespace threegate::svd
