// threegate_fragments: checks the layouts of mma, ldmatrix and cp.async of this device against a plain product of small integers,
// which is exact. On compute capability 9.0 it checks those of wgmma, its descriptions of matrices, and copies of boxes, too. It
// also checks conversions of all codes of narrow formats, and of float32 numbers about the limits of rounding to bf16.
// `threegate_fragments clusters` checks what blocks of a cluster share: copies to all of them, arrivals, and their barrier. It
// needs no other part of the library, so that it tells a wrong instruction from any other fault. Exits with 0 if all is right.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <random>
#include <vector>

#include "common/dtype.h"
#include "cuda/support/entries.h"
#include "cuda/support/instructions.h"
#include "cuda/support/runtime.h"
#include "cuda/support/tensor_map.h"
#include "cuda/support/warp.h"
#include "cuda/support/warpgroup.h"

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

constexpr int kStageSide = kBoxColumns;
constexpr int kStageEntries = kStageSide * kStageSide;

// c = a b as in multiply_kernel, where a is 64 x 64 and b has kColumns rows of 64 terms. Both are copied by the copy unit, which
// finds one map in global memory and the other one among the arguments.
template <bool kTransposed, int kColumns>
__global__ void __launch_bounds__(kWarpgroup)
    multiply_shared_kernel(const CUtensorMap* a, const __grid_constant__ CUtensorMap b, float* c) {
#if defined(THREEGATE_HOST_EMULATION) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
  struct Shared {
    uint16_t a[kStageEntries];
    uint16_t b[size_t{kColumns * kStageSide}];
    uint64_t full;
  };
  auto& shared = *aligned_shared<Shared>();
  if (threadIdx.x == 0) {
    initialise_barrier(&shared.full, 1);
    publish_barriers();
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    acquire_map(a);
    arrive_and_announce(&shared.full, static_cast<int>(sizeof(shared.a) + sizeof(shared.b)));
    copy_box(shared.a, a, 0, 0, &shared.full);
    copy_box(shared.b, &b, 0, 0, &shared.full);
  }
  wait_for_phase(&shared.full, 0);
  constexpr int kNextOfA = kWarpgroupDepth * (kTransposed ? kSwizzledRow : 2) / 16;
  constexpr int kNextOfB = kWarpgroupDepth * 2 / 16;
  const uint64_t left = describe_shared(shared.a);
  const uint64_t right = describe_shared(shared.b);
  float sums[size_t{kColumns / 2}];
  begin_products();
#pragma unroll
  for (int step = 0; step < kStageSide / kWarpgroupDepth; ++step) {
    multiply_add_shared<kTransposed>(sums, moved(left, step * kNextOfA), moved(right, step * kNextOfB), step);
  }
  commit_products();
  wait_for_products<0>();
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const int row = static_cast<int>(threadIdx.x / kWarp) * kSide + lane / 4;
#pragma unroll
  for (int i = 0; i < kColumns / 2; ++i) {
    c[(row + i % 4 / 2 * 8) * kColumns + i / 4 * 8 + lane % 4 * 2 + i % 2] = sums[i];
  }
#endif
}

constexpr int kClusterStages = 3;

// c = the sum over stages of a b, both 64 x 64, for the blocks of a cluster with their own stages of a. They share b, and each of
// them copies a part of its rows to all. There is room for one stage, so that a block must know when the others have read it.
__global__ void __launch_bounds__(kWarpgroup) multiply_in_cluster_kernel(const CUtensorMap* a, const CUtensorMap* b, float* c) {
#if defined(THREEGATE_HOST_EMULATION) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
  struct Shared {
    uint16_t a[kStageEntries];
    uint16_t b[kStageEntries];
    uint64_t full;
    uint64_t empty;
  };
  auto& shared = *aligned_shared<Shared>();
  const int block = block_of_cluster();
  const int blocks = cluster_blocks();
  const int share = kStageSide / blocks;
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  if (threadIdx.x == 0) {
    initialise_barrier(&shared.full, 1);
    initialise_barrier(&shared.empty, blocks * kWarpgroup / kWarp);
    publish_barriers();
    acquire_map(a);
    acquire_map(b);
  }
  __syncthreads();
  if (blocks > 1) {
    arrive_at_cluster();
    wait_for_cluster();
  }
  const uint64_t left = describe_shared(shared.a);
  const uint64_t right = describe_shared(shared.b);
  float sums[size_t{kStageSide / 2}] = {};
#pragma unroll 1
  for (int stage = 0; stage < kClusterStages; ++stage) {
    const auto parity = static_cast<unsigned>(stage) & 1U;
    if (threadIdx.x == 0) {
      wait_for_phase(&shared.empty, parity ^ 1U);
      arrive_and_announce(&shared.full, static_cast<int>(sizeof(shared.a) + sizeof(shared.b)));
      copy_box(shared.a, a, 0, (kClusterStages * block + stage) * kStageSide, &shared.full);
      if (blocks == 1) {
        copy_box(shared.b, b, 0, stage * kStageSide, &shared.full);
      } else {
        copy_box_to_blocks(shared.b + block * share * kStageSide, b, 0, stage * kStageSide + block * share, &shared.full,
                           (1U << blocks) - 1);
      }
    }
    __syncwarp();
    wait_for_phase(&shared.full, parity);
    begin_products();
#pragma unroll
    for (int step = 0; step < kStageSide / kWarpgroupDepth; ++step) {
      const int next = step * kWarpgroupDepth * 2 / 16;
      multiply_add_shared<false>(sums, moved(left, next), moved(right, next), 1);
    }
    commit_products();
    wait_for_products<0>();
    arrive_in_blocks(&shared.empty, blocks);
  }
  const int row = static_cast<int>(threadIdx.x / kWarp) * kSide + lane / 4 + block * kStageSide;
#pragma unroll
  for (int i = 0; i < kStageSide / 2; ++i) {
    c[(row + i % 4 / 2 * 8) * kStageSide + i / 4 * 8 + lane % 4 * 2 + i % 2] = sums[i];
  }
  if (blocks > 1) {
    arrive_at_cluster();
    wait_for_cluster();
  }
#endif
}

template <int kBlocks>
int wrong_cluster_entries() {
  constexpr int kCodes = (kBlocks + 1) * kClusterStages * kStageEntries;
  std::mt19937 random(13);
  std::uniform_int_distribution<int> integers(-9, 9);
  std::vector<int> numbers(kCodes);
  std::vector<uint16_t> codes(kCodes);
  for (size_t i = 0; i < kCodes; ++i) {
    numbers[i] = integers(random);
    codes[i] = bf16(numbers[i]);
  }
  const StreamOwner stream = make_stream();
  DeviceMemory in;
  DeviceMemory maps;
  DeviceMemory out;
  std::vector<float> c(size_t{kBlocks} * kStageEntries);
  const auto bytes = [](const auto& values) { return static_cast<int64_t>(values.size() * sizeof(values[0])); };
  in.reserve(bytes(codes));
  out.reserve(bytes(c));
  const auto* const matrices = reinterpret_cast<const uint16_t*>(in.get());
  constexpr int kRows = kClusterStages * kStageSide;
  const std::array<CUtensorMap, 2> described{
      describe_matrix(matrices, kBlocks * kRows, kStageSide, kStageSide),
      describe_matrix(matrices + kBlocks * kRows * kStageSide, kRows, kStageSide, kStageSide / kBlocks)};
  maps.reserve(bytes(described));
  check(cudaMemcpyAsync(in.get(), codes.data(), codes.size() * sizeof(codes[0]), cudaMemcpyHostToDevice, stream.get()),
        "copying");
  check(cudaMemcpyAsync(maps.get(), described.data(), sizeof(described), cudaMemcpyHostToDevice, stream.get()), "copying");
  const auto* const own = reinterpret_cast<const CUtensorMap*>(maps.get());
  constexpr int64_t kShared = 2 * (kStageEntries + 4) * int64_t{sizeof(uint16_t)} + kSwizzleAlignment;
  check(launch(Shape{kBlocks, kWarpgroup, kShared, kBlocks}, stream.get(), multiply_in_cluster_kernel, own, own + 1,
               reinterpret_cast<float*>(out.get())),
        "a product of a cluster");
  check(cudaMemcpyAsync(c.data(), out.get(), c.size() * sizeof(float), cudaMemcpyDeviceToHost, stream.get()), "copying");
  check(cudaStreamSynchronize(stream.get()), "a product of a cluster");
  int wrong = 0;
  for (int i = 0; i < kBlocks * kStageSide; ++i) {
    for (int j = 0; j < kStageSide; ++j) {
      int sum = 0;
      for (int k = 0; k < kRows; ++k) {  // entry k % kStageSide of a row of stage k / kStageSide
        const int left = (i / kStageSide * kRows + k / kStageSide * kStageSide + i % kStageSide) * kStageSide + k % kStageSide;
        const int right = (kBlocks * kRows + k / kStageSide * kStageSide + j) * kStageSide + k % kStageSide;
        sum += numbers[static_cast<size_t>(left)] * numbers[static_cast<size_t>(right)];
      }
      wrong += c[static_cast<size_t>(i * kStageSide + j)] == static_cast<float>(sum) ? 0 : 1;
    }
  }
  std::printf("product in stages with a cluster of %d, %d of %d entries wrong\n", kBlocks, wrong, kBlocks * kStageEntries);
  return wrong;
}

template <bool kTransposed, int kColumns>
int wrong_shared_entries() {
  constexpr int kCodes = kStageEntries + kColumns * kStageSide;
  std::mt19937 random(11);
  std::uniform_int_distribution<int> integers(-9, 9);
  std::vector<int> numbers(kCodes);
  std::vector<uint16_t> codes(kCodes);
  for (size_t i = 0; i < kCodes; ++i) {
    numbers[i] = integers(random);
    codes[i] = bf16(numbers[i]);
  }
  const StreamOwner stream = make_stream();
  DeviceMemory in;
  DeviceMemory maps;
  DeviceMemory out;
  std::vector<float> c(size_t{kStageSide} * kColumns);
  const auto bytes = [](const auto& values) { return static_cast<int64_t>(values.size() * sizeof(values[0])); };
  in.reserve(bytes(codes));
  out.reserve(bytes(c));
  const auto* const matrices = reinterpret_cast<const uint16_t*>(in.get());
  const CUtensorMap a = describe_matrix(matrices, kStageSide, kStageSide, kStageSide);
  const CUtensorMap b = describe_matrix(matrices + kStageEntries, kColumns, kStageSide, kColumns);
  maps.reserve(sizeof(a));
  check(cudaMemcpyAsync(in.get(), codes.data(), codes.size() * sizeof(codes[0]), cudaMemcpyHostToDevice, stream.get()),
        "copying");
  check(cudaMemcpyAsync(maps.get(), &a, sizeof(a), cudaMemcpyHostToDevice, stream.get()), "copying");
  constexpr int64_t kShared = (kCodes + 4) * int64_t{sizeof(uint16_t)} + kSwizzleAlignment;
  check(launch(Shape{1, kWarpgroup, kShared}, stream.get(), multiply_shared_kernel<kTransposed, kColumns>,
               reinterpret_cast<const CUtensorMap*>(maps.get()), b, reinterpret_cast<float*>(out.get())),
        "a product of a warpgroup");
  check(cudaMemcpyAsync(c.data(), out.get(), c.size() * sizeof(float), cudaMemcpyDeviceToHost, stream.get()), "copying");
  check(cudaStreamSynchronize(stream.get()), "a product of a warpgroup");
  int wrong = 0;
  for (int i = 0; i < kStageSide; ++i) {
    for (int j = 0; j < kColumns; ++j) {
      int sum = 0;
      for (int k = 0; k < kStageSide; ++k) {
        const int left = kTransposed ? k * kStageSide + i : i * kStageSide + k;
        sum += numbers[static_cast<size_t>(left)] * numbers[static_cast<size_t>(kStageEntries + j * kStageSide + k)];
      }
      wrong += c[static_cast<size_t>(i * kColumns + j)] == static_cast<float>(sum) ? 0 : 1;
    }
  }
  std::printf("%s product of a warpgroup with %d columns, %d of %d entries wrong\n", kTransposed ? "transposed" : "straight",
              kColumns, wrong, kStageSide * kColumns);
  return wrong;
}

constexpr uint32_t kCodes16 = 1U << 16;
constexpr uint32_t kCodes8 = 1U << 8;
constexpr uint32_t kRounded = 9 * kCodes16;  // numbers that are rounded
constexpr int kConverting = 256;

// Numbers beside every bf16 number and beside its midpoint to the next one.
TG_HOST_DEVICE float rounded_number(uint32_t i) {
  const uint32_t low[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff, 0x4000, 0xc000, 0x1234};
  return bit_cast<float>((i % kCodes16) << 16 | low[i / kCodes16]);
}

// What instructions make of codes, in words as wide as kernels use them.
struct Converted {
  float f16[kCodes16];
  float e4m3[kCodes8];
  float e4m3_by_bits[kCodes8];
  float e5m2[kCodes8];
  uint32_t rounded[kRounded / 2];
  float larger[kCodes16];
};

__global__ void __launch_bounds__(kConverting) convert_kernel(Converted* to) {
  const uint32_t i = blockIdx.x * kConverting + threadIdx.x;
  if (i < kCodes16 / 2) {
    Format<TG_F16>::widen_word(2 * i | (2 * i + 1) << 16, to->f16 + 2 * i);
  }
  if (i < kCodes8 / 4) {
    const uint32_t codes = 4 * i * 0x01010101U + 0x03020100U;
    Format<TG_F8_E4M3>::widen_word(codes, to->e4m3 + 4 * i);
    Format<TG_F8_E5M2>::widen_word(codes, to->e5m2 + 4 * i);
  }
  if (i < kCodes8) {
    to->e4m3_by_bits[i] = widen_e4m3_by_bits(i);
  }
  if (i < kRounded / 2) {
    to->rounded[i] = round_two_to_bf16(rounded_number(2 * i), rounded_number(2 * i + 1));
  }
  if (i < kCodes16) {
    to->larger[i] = larger_or_nan(1.5F, bf16_to_float(static_cast<uint16_t>(i)));
  }
}

// The bits of NaN are those of the device.
bool is_same(float found, float wanted) {
  return wanted != wanted ? found != found : bit_cast<uint32_t>(found) == bit_cast<uint32_t>(wanted);
}

int wrong_conversions() {
  const StreamOwner stream = make_stream();
  DeviceMemory memory;
  memory.reserve(sizeof(Converted));
  auto* const device = reinterpret_cast<Converted*>(memory.get());
  const auto found = std::make_unique<Converted>();
  check(launch(Shape{kRounded / 2 / kConverting, kConverting}, stream.get(), convert_kernel, device), "conversions");
  check(cudaMemcpyAsync(found.get(), device, sizeof(*found), cudaMemcpyDeviceToHost, stream.get()), "copying");
  check(cudaStreamSynchronize(stream.get()), "conversions");
  int wrong = 0;
  for (uint32_t code = 0; code < kCodes16; ++code) {
    const float bf16_number = bf16_to_float(static_cast<uint16_t>(code));
    wrong += is_same(found->f16[code], f16_to_float(static_cast<uint16_t>(code))) ? 0 : 1;
    wrong += is_same(found->larger[code], bf16_number <= 1.5F ? 1.5F : bf16_number) ? 0 : 1;
  }
  for (uint32_t code = 0; code < kCodes8; ++code) {
    const float e4m3 = f8_e4m3_to_float(static_cast<uint8_t>(code));
    wrong += is_same(found->e4m3[code], e4m3) && is_same(found->e4m3_by_bits[code], e4m3) ? 0 : 1;
    wrong += is_same(found->e5m2[code], f8_e5m2_to_float(static_cast<uint8_t>(code))) ? 0 : 1;
  }
  for (uint32_t i = 0; i < kRounded; ++i) {
    const float number = rounded_number(i);
    const uint32_t wanted = number != number ? 0x7fffU : uint32_t{float_to_bf16(number)};
    wrong += (found->rounded[i / 2] >> (i % 2 * 16) & 0xffffU) == wanted ? 0 : 1;
  }
  std::printf("conversions, %d of %u wrong\n", wrong, 2 * kCodes16 + 2 * kCodes8 + kRounded);
  return wrong;
}

int run(bool clusters) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "the device's properties");
  const bool has_warpgroups = properties.major == 9 && properties.minor == 0;
  int wrong = 0;
  if (clusters) {
    wrong = has_warpgroups ? wrong_cluster_entries<2>() : 0;
    if (wrong > 0) {
      std::printf("THREEGATE_CUDA_PRODUCT=wgmma does without clusters\n");
    }
    return wrong == 0 ? 0 : 1;
  }
  for (const bool transposed : {false, true}) {
    const int own = wrong_entries(transposed);
    std::printf("%s: %s product, %d of %d entries wrong\n", properties.name, transposed ? "transposed" : "straight", own,
                kEntries);
    wrong += own;
  }
  wrong += wrong_conversions();
  if (has_warpgroups) {
    wrong += wrong_shared_entries<false, 32>() + wrong_shared_entries<true, 32>();
    wrong += wrong_shared_entries<false, 64>() + wrong_shared_entries<true, 64>();
    wrong += wrong_shared_entries<false, 80>() + wrong_shared_entries<true, 80>();
    wrong += wrong_shared_entries<false, 96>() + wrong_shared_entries<true, 96>();
    wrong += wrong_cluster_entries<1>();
    if (wrong > 0) {
      std::printf("THREEGATE_CUDA_PRODUCT=mma does without products of warpgroups\n");
    }
  }
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace threegate::cuda

int main(int count, char** arguments) {
  try {
    return threegate::cuda::run(count > 1 && std::strcmp(arguments[1], "clusters") == 0);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
