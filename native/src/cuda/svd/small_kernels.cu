// Factorisations of small matrices, whose order is the number of vectors of a block. Each is computed by one block of threads in
// float64, in shared memory if it fits.
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "svd_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / kWarp;
constexpr int kMostSweeps = 30;
// Columns with a smaller cosine are orthogonal within the accuracy of a float64 Gram matrix.
constexpr double kOrthogonal = 1e-14;
// A pivot below this share of its diagonal entry is rounding. The vector is then in the span of those before it.
constexpr double kDependent = 1e-13;

// Replaces the lower triangle of l by its Cholesky factor, column by column. Columns of dependent vectors become zero.
__device__ void factorise(int order, double* l, int stride) {
  const auto thread = static_cast<int>(threadIdx.x);
  for (int k = 0; k < order; ++k) {
    __syncthreads();
    const double pivot = l[k * stride + k];
    // The original diagonal entry is stored after row k.
    const double limit = kDependent * l[k * stride + order];
    const double root = pivot > limit ? sqrt(pivot) : 0;
    __syncthreads();
    for (int i = k + thread; i < order; i += kThreads) {
      l[i * stride + k] = root > 0 ? (i == k ? root : l[i * stride + k] / root) : 0;
    }
    __syncthreads();
    // The remaining rows are computed by one warp each.
    for (int i = k + 1 + thread / kWarp; i < order; i += kWarps) {
      const double factor = l[i * stride + k];
      for (int j = k + 1 + thread % kWarp; j <= i; j += kWarp) {
        l[i * stride + j] -= factor * l[j * stride + k];
      }
    }
  }
  __syncthreads();
}

// Copies the Gram matrix to rows that are one entry longer. The original diagonal entry is stored after each row.
__device__ void copy_gram(const Problem& problem, double* l, int stride) {
  const int order = problem.vectors;
  for (int at = static_cast<int>(threadIdx.x); at < order * order; at += kThreads) {
    l[at / order * stride + at % order] = problem.gram[at];
  }
  for (int i = static_cast<int>(threadIdx.x); i < order; i += kThreads) {
    l[i * stride + order] = problem.gram[i * order + i];
  }
  __syncthreads();
}

// The Cholesky factor of the Gram matrix of a problem.
__device__ double* factorised(const Problem& problem, bool in_shared, int stride) {
  double* l = in_shared ? dynamic_shared<double>() : problem.work;
  copy_gram(problem, l, stride);
  factorise(problem.vectors, l, stride);
  return l;
}

__global__ void __launch_bounds__(kThreads, 1) cholesky_kernel(const Problem* problems, const Task* tasks, int32_t in_shared) {
  const Task task = tasks[blockIdx.x];
  if (task.active == 0) {
    return;
  }
  const Problem& problem = problems[task.problem];
  const int order = problem.vectors;
  const int stride = order + 1;
  double* l = factorised(problem, in_shared != 0, stride);
  // Each warp computes a column c of the inverse by forward substitution.
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  for (int c = static_cast<int>(threadIdx.x / kWarp); c < order; c += kWarps) {
    float* column = problem.mixing + c;
    for (int i = lane; i < c; i += kWarp) {
      column[i * order] = 0;
    }
    double* solved = problem.gram + static_cast<int64_t>(c) * order;  // no longer needed, so that each warp can use its own row
    for (int i = c; i < order; ++i) {
      double sum = 0;
      for (int j = c + lane; j < i; j += kWarp) {
        sum += l[i * stride + j] * solved[j];
      }
      sum = sum_over_warp(sum);
      const double pivot = l[i * stride + i];
      const double value = pivot > 0 ? ((i == c ? 1 : 0) - sum) / pivot : 0;
      if (lane == 0) {
        solved[i] = value;
        column[i * order] = static_cast<float>(value);
      }
      __syncwarp();
    }
  }
}

// The pair of columns of warp `index` in a step of a round robin with `count` players, an even number.
__device__ inline void pair_of(int index, int step, int count, int& first, int& second) {
  const int others = count - 1;
  first = index == 0 ? others : (step + index) % others;
  second = (step - index + others) % others;
}

struct Order {
  double norms[kMostVectors];
  int places[kMostVectors];
  uint32_t rotated;
};

__global__ void __launch_bounds__(kThreads, 1) eigen_kernel(const Problem* problems, const Task* tasks, int32_t in_shared) {
  __shared__ Order shared;
  uint32_t& rotated = shared.rotated;
  double* const norms = shared.norms;
  const Task task = tasks[blockIdx.x];
  if (task.active == 0) {
    return;
  }
  const Problem& problem = problems[task.problem];
  const int order = problem.vectors;
  const int stride = order + 1;
  double* l = factorised(problem, in_shared != 0, stride);
  const auto thread = static_cast<int>(threadIdx.x);
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  for (int at = thread; at < order * order; at += kThreads) {
    if (at % order > at / order) {
      l[at / order * stride + at % order] = 0;
    }
  }
  // L J = V diag(sigma): columns of L are made orthogonal. They are then eigenvectors of L L^T times the square roots of their
  // values (Veselic and Hari, 1989).
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    __syncthreads();
    if (thread == 0) {
      rotated = 0;
    }
    for (int step = 0; step < order - 1; ++step) {
      __syncthreads();
      for (int index = thread / kWarp; index < order / 2; index += kWarps) {
        int p = 0;
        int q = 0;
        pair_of(index, step, order, p, q);
        double pp = 0;
        double qq = 0;
        double pq = 0;
        for (int i = lane; i < order; i += kWarp) {
          const double a = l[i * stride + p];
          const double b = l[i * stride + q];
          pp += a * a;
          qq += b * b;
          pq += a * b;
        }
        pp = sum_over_warp(pp);
        qq = sum_over_warp(qq);
        pq = sum_over_warp(pq);
        if (!(fabs(pq) > kOrthogonal * sqrt(pp) * sqrt(qq))) {
          continue;
        }
        const double zeta = (qq - pp) / (2 * pq);
        const double tangent = (zeta < 0 ? -1 : 1) / (fabs(zeta) + sqrt(1 + zeta * zeta));
        const double cosine = 1 / sqrt(1 + tangent * tangent);
        const double sine = cosine * tangent;
        for (int i = lane; i < order; i += kWarp) {
          const double a = l[i * stride + p];
          const double b = l[i * stride + q];
          l[i * stride + p] = cosine * a - sine * b;
          l[i * stride + q] = sine * a + cosine * b;
        }
        if (lane == 0) {
          atomicOr(&rotated, 1U);
        }
      }
    }
    __syncthreads();
    if (rotated == 0) {
      break;
    }
  }
  for (int j = thread / kWarp; j < order; j += kWarps) {
    double square = 0;
    for (int i = lane; i < order; i += kWarp) {
      square += l[i * stride + j] * l[i * stride + j];
    }
    square = sum_over_warp(square);
    if (lane == 0) {
      norms[j] = square;
    }
  }
  __syncthreads();
  // The position of a value is the number of larger ones. Equal values keep their order.
  for (int j = thread; j < order; j += kThreads) {
    int place = 0;
    for (int i = 0; i < order; ++i) {
      place += static_cast<int>(norms[i] > norms[j] || (norms[i] == norms[j] && i < j));
    }
    shared.places[j] = place;
    problem.values[place] = norms[j];
  }
  __syncthreads();
  for (int at = thread; at < order * order; at += kThreads) {
    const int i = at / order;
    const int j = at % order;
    const double norm = norms[j];
    problem.mixing[shared.places[j] * order + i] = norm > 0 ? static_cast<float>(l[i * stride + j] / sqrt(norm)) : 0.0F;
  }
}

// `fixed` is what the kernel itself declares.
template <typename Kernel>
cudaError_t launch_small(Kernel kernel, int64_t fixed, const Problem* problems, const Task* tasks, int64_t count,
                         int32_t most_vectors, int64_t shared_bytes_per_block, cudaStream_t stream) {
  const int64_t bytes = (most_vectors + 1) * int64_t{most_vectors} * static_cast<int64_t>(sizeof(double));
  const bool fits = fixed + bytes <= shared_bytes_per_block;
  return launch({count, kThreads, fits ? bytes : 0}, stream, kernel, problems, tasks, fits ? 1 : 0);
}

}  // namespace

cudaError_t launch_cholesky(const Problem* problems, const Task* tasks, int64_t count, int32_t most_vectors,
                            int64_t shared_bytes_per_block, cudaStream_t stream) {
  return launch_small(cholesky_kernel, 0, problems, tasks, count, most_vectors, shared_bytes_per_block, stream);
}

cudaError_t launch_eigen(const Problem* problems, const Task* tasks, int64_t count, int32_t most_vectors,
                         int64_t shared_bytes_per_block, cudaStream_t stream) {
  return launch_small(eigen_kernel, sizeof(Order), problems, tasks, count, most_vectors, shared_bytes_per_block, stream);
}

}  // namespace threegate::cuda
