// The instructions of cuda/support/instructions.h for the CPU.
#ifndef THREEGATE_HOST_EMULATION_EMULATED_INSTRUCTIONS_H
#define THREEGATE_HOST_EMULATION_EMULATED_INSTRUCTIONS_H

#include <cuda_runtime.h>

namespace threegate::cuda {

void multiply_add_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
inline void multiply_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  for (float& number : c) {
    number = 0;
  }
  multiply_add_bf16(c, a, b);
}
void load_matrices(uint32_t (&out)[4], const void* row);
void load_matrices_transposed(uint32_t (&out)[4], const void* row);

inline void copy_16_asynchronously(void* to, const void* from) { emulation::copy_asynchronously(to, from, 16); }
inline void copy_16_or_zeros_asynchronously(void* to, const void* from, bool copies) {
  alignas(16) static const unsigned char zeros[16] = {};
  emulation::copy_asynchronously(to, copies ? from : zeros, 16);
}
inline void store_vector(void* to, const uint4& value) { *static_cast<uint4*>(to) = value; }
inline void store_vector(void* to, const uint2& value) { *static_cast<uint2*>(to) = value; }
inline void commit_copies() { emulation::commit_copies(); }
template <int kLeft>
void wait_for_copies() {
  emulation::wait_for_copies(kLeft);
}

// Blocks run one after the other, and fibers change at collective operations only.
THREEGATE_ATOMIC inline uint64_t load_shared_state(const uint64_t* from) {
  emulation::note_access(from, sizeof(*from), emulation::Access::kAtomic);
  return *from;
}
THREEGATE_ATOMIC inline void store_shared_state(uint64_t* to, uint64_t state) {
  emulation::note_access(to, sizeof(*to), emulation::Access::kAtomic);
  *to = state;
}

}  // namespace threegate::cuda

#endif  // THREEGATE_HOST_EMULATION_EMULATED_INSTRUCTIONS_H
