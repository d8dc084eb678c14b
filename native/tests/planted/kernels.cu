// Kernels with one fault each for check_planted_kernels, and one without. They are compiled and never run.
#include <cstdint>

__global__ void __launch_bounds__(256) clean_kernel(const float4* in, float* out, int count) {
  float sum = 0;
  for (int i = threadIdx.x; i < count; i += 256) {
    sum += in[i].x * in[i].y + in[i].z * in[i].w;
  }
  out[threadIdx.x] = sum;
}

// Entries of one value need much arithmetic, which is not on the common path.
__global__ void __launch_bounds__(256) rare_kernel(const float4* in, float* out, int count) {
  float sum = 0;
#pragma unroll 1
  for (int i = threadIdx.x; i < count; i += 256) {
    const float4 value = in[i];
    if (value.x == 3.0F) {
#pragma unroll
      for (int k = 0; k < 200; ++k) {
        sum = fmaf(sum, value.y, static_cast<float>(k) * 0.37F);
      }
    }
    sum += value.z;
  }
  out[threadIdx.x] = sum;
}

__global__ void __launch_bounds__(256) local_memory_kernel(const float* in, float* out, int count) {
  float values[64] = {};
  for (int i = threadIdx.x; i < count; i += 256) {
    values[static_cast<int>(in[i]) & 63] += in[i];
  }
  float sum = 0;
  for (int i = 0; i < 64; ++i) {
    sum += values[(i + count) & 63];
  }
  out[threadIdx.x] = sum;
}

__global__ void __launch_bounds__(256) division_kernel(const int64_t* in, int64_t* out, int64_t count, int64_t divisor) {
  for (int64_t i = threadIdx.x; i < count; i += 256) {
    out[i] = in[i] / divisor;
  }
}

// A loop of more than 32 KB.
__global__ void __launch_bounds__(256) large_kernel(const float* in, float* out, int count) {
  float sum = 0;
#pragma unroll 1
  for (int i = threadIdx.x; i < count; i += 256) {
    const float value = in[i];
#pragma unroll
    for (int k = 0; k < 3000; ++k) {
      sum = fmaf(sum, value, static_cast<float>(k) * 0.37F);
    }
  }
  out[threadIdx.x] = sum;
}

__device__ void sum_in_shared_memory(const float* in, float* out, int count) {
  extern __shared__ float shared[];
  for (int i = threadIdx.x; i < count; i += 256) {
    shared[i % 512] += in[i];
  }
  out[threadIdx.x] = shared[threadIdx.x];
}

// Shared memory leaves room for one block, where the table states two.
__global__ void __launch_bounds__(256) crowded_kernel(const float* in, float* out, int count) {
  sum_in_shared_memory(in, out, count);
}

// The table states no shared memory.
__global__ void __launch_bounds__(256) unstated_kernel(const float* in, float* out, int count) {
  sum_in_shared_memory(in, out, count);
}

__global__ void __launch_bounds__(256) unlisted_kernel(const float* in, float* out) { out[threadIdx.x] = in[threadIdx.x]; }

// The table states products of matrices.
__global__ void __launch_bounds__(256) misread_kernel(const float* in, float* out) { out[threadIdx.x] = in[threadIdx.x]; }
