#include "dense_svd.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cuda/support/libraries.h"
#include "cuda/support/staging.h"
#include "source.h"
#include "svd_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int64_t kSmall = 64;  // short side up to which the CPU is as fast

// The arrays of one matrix. Without memory they are only counted. They are column-major, and vectors are columns.
struct Arrays {
  Arrays(const CudaSvdBatch& batch, int64_t i, uint8_t* memory) {
    const tg_matrix& values = batch.matrices[i].values;
    short_side = std::min(values.rows, values.columns);
    long_side = std::max(values.rows, values.columns);
    rank = batch.options[i].vectors != 0 ? batch.options[i].rank : 0;
    Layout layout(memory);
    staging = layout.take<uint8_t>(source_bytes(batch, i));
    largest = layout.take<uint64_t>(1);
    a = layout.take<double>(short_side * long_side);
    gram = layout.take<double>(short_side * short_side);
    values_out = layout.take<double>(short_side);
    y = layout.take<double>(rank * long_side);
    z = layout.take<double>(rank * short_side);
    overlap = layout.take<double>(rank * rank);
    norms = layout.take<double>(rank);
    residuals = layout.take<double>(rank);
    info = layout.take<int>(1);
    bytes = layout.used();
  }
  int64_t short_side;
  int64_t long_side;
  int64_t rank;
  uint8_t* staging;
  uint64_t* largest;
  double* a;
  double* gram;
  double* values_out;
  double* y;
  double* z;
  double* overlap;
  double* norms;
  double* residuals;
  int* info;
  int64_t bytes;
};

// The error of the spectrum relative to the first value. It is that of a Gram matrix in float64, see cpu/svd/gram_solver.cpp.
double spectrum_error(const std::vector<double>& sigma) {
  const double rounding = std::numeric_limits<double>::epsilon() * static_cast<double>(sigma.size());
  const double smallest = sigma.back() / sigma.front();
  return smallest * smallest > rounding ? rounding / smallest : std::sqrt(rounding);
}

const DenseAlgebra& algebra_of(CudaSession& session) {
  if (session.dense == nullptr) {
    session.dense = std::make_unique<DenseAlgebra>(session.stream());
  }
  return *session.dense;
}

class Dense {
 public:
  Dense(CudaSession& session, const CudaSvdBatch& batch, int64_t i, tg_control* control)
      : session_(session),
        batch_(batch),
        index_(i),
        control_(control),
        algebra_(algebra_of(session)),
        options_(batch.options[i]),
        result_(batch.results[i]),
        tall_(batch.matrices[i].values.rows > batch.matrices[i].values.columns),
        arrays_(reserve(session, batch, i)) {}

  void run() {
    Uploads uploads(session_, source_bytes(batch_, index_), control_);
    Source source = stage_source(session_, uploads, batch_, index_, arrays_.staging, arrays_.largest);
    check(launch_range(source, arrays_.largest, session_.stream()), "the range of a matrix");
    uint64_t largest = 0;
    fetch(arrays_.largest, &largest, 1);
    if (!find_scale(batch_, index_, bit_cast<double>(largest), source.scale)) {
      return;
    }
    const double scale = source.scale;
    check(launch_widen_matrix(source, arrays_.a, session_.stream()), "a matrix in float64");
    const int64_t s = arrays_.short_side;
    const int64_t l = arrays_.long_side;
    // Row-major A is column-major A^T: s x l for a tall matrix and l x s for a wide one.
    algebra_.multiply_by_transpose(tall_ ? kNotTransposed : kTransposed, s, l, arrays_.a, tall_ ? s : l, arrays_.gram);
    check_cancelled(control_);
    if (!solve()) {
      return;
    }
    std::vector<double> sigma(static_cast<size_t>(s));
    fetch(arrays_.values_out, sigma.data(), s);
    std::reverse(sigma.begin(), sigma.end());
    for (double& value : sigma) {
      value = std::sqrt(std::max(value, 0.0));
    }
    double error = 0;
    if (result_.spectrum != nullptr) {
      error = spectrum_error(sigma);
      if (!(error <= options_.tolerance)) {
        return;
      }
    }
    if (options_.vectors != 0 && !vectors(scale)) {
      return;
    }
    result_.spectrum_error = error;
    if (result_.spectrum != nullptr) {
      std::transform(sigma.begin(), sigma.end(), result_.spectrum, [&](double value) { return value / scale; });
    }
    if (options_.vectors == 0) {
      result_.residual = 0;
      result_.orthogonality = 0;
      std::copy_n(result_.spectrum, options_.rank, result_.values);
    }
    result_.method = TG_SVD_GRAM_DOUBLE;
    result_.status = TG_OK;
    add_done(control_, 1);
  }

 private:
  static Arrays reserve(CudaSession& session, const CudaSvdBatch& batch, int64_t i) {
    session.memory.reserve(Arrays(batch, i, nullptr).bytes);
    return {batch, i, session.memory.get()};
  }

  template <typename T>
  void fetch(const T* from, T* to, int64_t count) {
    copy_to_host(session_, from, count * static_cast<int64_t>(sizeof(T)), to);
  }

  bool solve() {
    const bool wanted = options_.vectors != 0;
    const DenseAlgebra::Workspace sizes = algebra_.eigen_workspace(wanted, arrays_.short_side, arrays_.gram, arrays_.values_out);
    DeviceMemory device;
    device.reserve(static_cast<int64_t>(sizes.device_bytes) + 1);
    std::vector<uint8_t> host(sizes.host_bytes + 1);
    algebra_.eigen(wanted, arrays_.short_side, arrays_.gram, arrays_.values_out, sizes, device.get(), host.data(), arrays_.info);
    int info = 1;
    fetch(arrays_.info, &info, 1);
    return info == 0;
  }

  // Computes the leading vectors of both sides with their certificate. Returns false if it is not within the tolerance.
  bool vectors(double scale) {
    const int64_t s = arrays_.short_side;
    const int64_t l = arrays_.long_side;
    const int64_t k = arrays_.rank;
    const double* x = arrays_.gram + (s - k) * s;  // ascending
    algebra_.multiply(tall_ ? kTransposed : kNotTransposed, kNotTransposed, l, k, s, arrays_.a, tall_ ? s : l, x, s, arrays_.y,
                      l);
    check(launch_normalise(arrays_.y, l, k, arrays_.norms, session_.stream()), "singular vectors");
    algebra_.multiply(tall_ ? kNotTransposed : kTransposed, kNotTransposed, s, k, l, arrays_.a, tall_ ? s : l, arrays_.y, l,
                      arrays_.z, s);
    check(launch_distance(arrays_.z, x, arrays_.norms, s, k, arrays_.residuals, session_.stream()), "residuals");
    std::vector<double> sigma(static_cast<size_t>(k));
    std::vector<double> residuals(static_cast<size_t>(k));
    fetch(arrays_.norms, sigma.data(), k);
    fetch(arrays_.residuals, residuals.data(), k);
    const double largest = *std::max_element(residuals.begin(), residuals.end());
    const double residual = sigma.back() > 0 ? largest / sigma.back() : 1;
    const double orthogonality = std::max(deviation(x, s), deviation(arrays_.y, l));
    // Values must descend. If rounding exchanged neighbours, the CPU solves the matrix and sorts them.
    if (!(residual <= options_.tolerance && orthogonality <= options_.tolerance) || !std::is_sorted(sigma.begin(), sigma.end())) {
      return false;
    }
    copy_vectors(x, s, tall_ ? result_.right : result_.left);
    copy_vectors(arrays_.y, l, tall_ ? result_.left : result_.right);
    for (int64_t i = 0; i < k; ++i) {
      result_.values[i] = sigma[static_cast<size_t>(k - 1 - i)] / scale;
    }
    result_.residual = residual;
    result_.orthogonality = orthogonality;
    return true;
  }

  double deviation(const double* vectors, int64_t length) {
    const int64_t k = arrays_.rank;
    algebra_.multiply_by_transpose(kTransposed, k, length, vectors, length, arrays_.overlap);
    std::vector<double> overlap(static_cast<size_t>(k * k));
    fetch(arrays_.overlap, overlap.data(), k * k);
    double largest = 0;
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = i; j < k; ++j) {
        largest = std::max(largest, std::abs(overlap[static_cast<size_t>(i * k + j)] - (i == j ? 1 : 0)));
      }
    }
    return largest;
  }

  // Copies the columns in reverse order.
  void copy_vectors(const double* from, int64_t length, double* to) {
    copy_to_host(session_, from, arrays_.rank * length * static_cast<int64_t>(sizeof(double)), to);
    for (int64_t i = 0; i < arrays_.rank / 2; ++i) {
      std::swap_ranges(to + i * length, to + (i + 1) * length, to + (arrays_.rank - 1 - i) * length);
    }
  }

  CudaSession& session_;
  const CudaSvdBatch& batch_;
  int64_t index_;
  tg_control* control_;
  const DenseAlgebra& algebra_;
  const tg_svd_options& options_;
  tg_svd_result& result_;
  bool tall_;
  Arrays arrays_;
};

}  // namespace

bool dense_svd_suits(const CudaSvdBatch& batch, int64_t i) {
  const tg_matrix& values = batch.matrices[i].values;
  return batch.starts == nullptr && std::min(values.rows, values.columns) > kSmall && dense_functions().reason.empty();
}

void dense_svd(CudaSession& session, const CudaSvdBatch& batch, int64_t i, tg_control* control) {
  check_cancelled(control);
  batch.results[i].status = TG_NOT_CONVERGED;
  try {
    Dense(session, batch, i, control).run();
  } catch (const Error& error) {
    if (error.status() != TG_OUT_OF_MEMORY) {
      throw;
    }
  }
}

}  // namespace threegate::cuda
