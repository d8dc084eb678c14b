// threegate_fragments: checks the layouts of mma, ldmatrix and cp.async of this device against a plain product of small integers,
// which is exact. It needs no other part of the library, so that it tells a wrong layout from any other fault. Exits with 0 if
// all is right.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <random>

#include "cuda/support/instructions.h"
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"

namespace threegate::cuda {
namespace {

constexpr int kSide = 16;
constexpr int kEntries = kSide * kSide;
constexpr int kChunk = 8;  // numbers in 16 bytes

// c = a b, where a has rows of terms, or columns of terms if it is transposed, and b has a row of terms for each column of c.
__global__ void __launch_bounds__(kWarp) multiply_kernel(const uint16_t* a, const uint16_t* b, int transposed, float* c) {
  auto* const own_a = dynamic_shared<uint16_t>();
  auto* const own_b = own_a + kEntries;
  const auto lane = static_cast<int>(threadIdx.x);
  for (int i = lane * kChunk; i < kEntries; i += kWarp * kChunk) {
    copy_16_asynchronously(own_a + i, a + i);
    copy_16_asynchronously(own_b + i, b + i);
  }
  commit_copies();
  wait_for_copies<0>();
  __syncwarp();
  uint32_t left[4];
  if (transposed != 0) {
    load_matrices_transposed(left, own_a + (lane % 8 + lane / 16 * 8) * kSide + lane / 8 % 2 * kChunk);
  } else {
    load_matrices(left, own_a + lane % 16 * kSide + lane / 16 * kChunk);
  }
  uint32_t right[4];
  load_matrices(right, own_b + (lane % 8 + lane / 16 * 8) * kSide + lane / 8 % 2 * kChunk);
  for (int half = 0; half < 2; ++half) {
    const uint32_t columns[2] = {right[2 * half], right[2 * half + 1]};
    float sums[4] = {};
    multiply_add_bf16(sums, left, columns);
    for (int i = 0; i < 4; ++i) {
      c[(lane / 4 + i / 2 * 8) * kSide + 8 * half + lane % 4 * 2 + i % 2] = sums[i];
    }
  }
}

uint16_t bf16(int value) {
  const auto wide = static_cast<float>(value);
  uint32_t bits = 0;
  std::memcpy(&bits, &wide, sizeof(bits));
  return static_cast<uint16_t>(bits >> 16);
}

// Returns the number of wrong entries.
int wrong_entries(bool transposed) {
  std::mt19937 random(7);
  std::uniform_int_distribution<int> integers(-9, 9);
  int a[kEntries];
  int b[kEntries];
  uint16_t codes[2 * kEntries];
  for (int i = 0; i < kEntries; ++i) {
    a[i] = integers(random);
    b[i] = integers(random);
    codes[i] = bf16(a[i]);
    codes[kEntries + i] = bf16(b[i]);
  }
  const StreamOwner stream = make_stream();
  DeviceMemory in;
  DeviceMemory out;
  float c[kEntries];
  in.reserve(sizeof(codes));
  out.reserve(sizeof(c));
  const auto* const matrices = reinterpret_cast<const uint16_t*>(in.get());
  check(cudaMemcpyAsync(in.get(), codes, sizeof(codes), cudaMemcpyHostToDevice, stream.get()), "copying");
  check(launch(Shape{1, kWarp, sizeof(codes)}, stream.get(), multiply_kernel, matrices, matrices + kEntries,
               static_cast<int>(transposed), reinterpret_cast<float*>(out.get())),
        "a product");
  check(cudaMemcpyAsync(c, out.get(), sizeof(c), cudaMemcpyDeviceToHost, stream.get()), "copying");
  check(cudaStreamSynchronize(stream.get()), "a product");
  int wrong = 0;
  for (int i = 0; i < kSide; ++i) {
    for (int j = 0; j < kSide; ++j) {
      int sum = 0;
      for (int k = 0; k < kSide; ++k) {
        sum += (transposed ? a[k * kSide + i] : a[i * kSide + k]) * b[j * kSide + k];
      }
      wrong += c[i * kSide + j] == static_cast<float>(sum) ? 0 : 1;
    }
  }
  return wrong;
}

int run() {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "the device's properties");
  int wrong = 0;
  for (const bool transposed : {false, true}) {
    const int own = wrong_entries(transposed);
    std::printf("%s: %s product, %d of %d entries wrong\n", properties.name, transposed ? "transposed" : "straight", own,
                kEntries);
    wrong += own;
  }
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace threegate::cuda

int main() {
  try {
    return threegate::cuda::run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
