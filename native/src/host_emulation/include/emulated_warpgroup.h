// The instructions of cuda/support/warpgroup.h for the CPU.
#ifndef THREEGATE_HOST_EMULATION_EMULATED_WARPGROUP_H
#define THREEGATE_HOST_EMULATION_EMULATED_WARPGROUP_H

#include <cuda.h>
#include <cuda_runtime.h>

namespace emulation {

// What a lane gives to a product of a warpgroup.
struct WarpgroupProduct {
  uint64_t a;
  uint64_t b;
  float* sums;
  int columns;
  bool transposed;
  bool adds;
};
void ask_for_product(WarpgroupProduct& product);
void wait_for_products(int groups_left);
// The address of shared memory of the block as in a matrix descriptor.
uint32_t shared_address(const void* pointer);

}  // namespace emulation

namespace threegate::cuda {

template <typename T>
T* aligned_shared() {
  auto* const bytes = static_cast<unsigned char*>(emulation::dynamic_shared_memory());
  return reinterpret_cast<T*>(bytes + (-emulation::shared_address(bytes) & (kSwizzleAlignment - 1U)));
}

void initialise_barrier(uint64_t* barrier, int arrivals);
void publish_barriers();
void arrive(uint64_t* barrier);
void arrive_and_announce(uint64_t* barrier, int bytes);
void wait_for_phase(uint64_t* barrier, unsigned parity);

int cluster_blocks();
int block_of_cluster();
void arrive_at_cluster();
void wait_for_cluster();
void arrive_in_blocks(uint64_t* barrier, int blocks);

void acquire_map(const CUtensorMap* map);
void copy_box(void* to, const CUtensorMap* map, int column, int row, uint64_t* barrier);
void copy_box_to_blocks(void* to, const CUtensorMap* map, int column, int row, uint64_t* barrier, unsigned blocks);

// Threads have all registers that they need here.
template <int kRegisters>
void take_registers() {
  static_assert(kRegisters >= 24 && kRegisters <= 256 && kRegisters % 8 == 0);
}
template <int kRegisters>
void give_registers() {
  take_registers<kRegisters>();
}

inline uint64_t describe_shared(const void* matrix) {
  return uint64_t{1} << 62 | uint64_t{kSwizzledGroup / 16} << 32 | uint64_t{1} << 16 |
         (emulation::shared_address(matrix) & 0x3ffffU) >> 4;
}
void begin_products();
void commit_products();
template <int kLeft>
void wait_for_products() {
  emulation::wait_for_products(kLeft);
}
template <bool kTransposed, size_t kSums>
void multiply_add_shared(float (&sums)[kSums], uint64_t a, uint64_t b, int adds) {
  static_assert(kSums == 16 || kSums == 32 || kSums == 40 || kSums == 48);
  emulation::WarpgroupProduct own{a, b, sums, static_cast<int>(2 * kSums), kTransposed, adds != 0};
  emulation::ask_for_product(own);
}

}  // namespace threegate::cuda

#endif  // THREEGATE_HOST_EMULATION_EMULATED_WARPGROUP_H
