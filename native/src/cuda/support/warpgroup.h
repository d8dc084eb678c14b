// Instructions of compute capability 9.0 without functions in CUDA C++: copies of boxes of a matrix, barriers that count their
// bytes, and matrix products of a warpgroup, which is four neighbouring warps. See the PTX ISA 8.5, sections on mbarrier,
// cp.async.bulk.tensor, barrier.cluster, mapa and wgmma. The emulation implements them with their documented layouts.
//
// Blocks of a cluster run at the same time, and copies may have targets in several of them. A launch says how many there are.
//
// Products run while the warpgroup goes on. Their sums are valid after a wait, and what they read may be overwritten after it.
#ifndef THREEGATE_CUDA_SUPPORT_WARPGROUP_H
#define THREEGATE_CUDA_SUPPORT_WARPGROUP_H

#include <cuda.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "warp.h"

namespace threegate::cuda {

constexpr int kWarpgroup = 128;
constexpr int kWarpgroupRows = 64;   // rows of a product
constexpr int kWarpgroupDepth = 16;  // terms of its sums
constexpr int kSwizzledRow = 128;    // bytes of a row of a matrix in shared memory
constexpr int kSwizzledGroup = 8 * kSwizzledRow;
// Such matrices begin at multiples of this, as the permutation of their chunks is one of addresses.
constexpr int kSwizzleAlignment = 1024;

// The description of a matrix that begins `chunks` times 16 bytes later.
__device__ constexpr uint64_t moved(uint64_t description, int chunks) { return description + static_cast<uint64_t>(chunks); }

}  // namespace threegate::cuda

#if defined(THREEGATE_HOST_EMULATION)
#include "emulated_warpgroup.h"
#elif defined(__CUDACC__)

namespace threegate::cuda {
namespace {

__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// The shared memory of the block, from where matrices may begin on. A launch asks for kSwizzleAlignment bytes more than that.
template <typename T>
__device__ inline T* aligned_shared() {
  auto* const bytes = dynamic_shared<unsigned char>();
  return reinterpret_cast<T*>(bytes + (-shared_address(bytes) & (kSwizzleAlignment - 1U)));
}

// A phase of a barrier ends when as many threads have arrived as it was initialised with, and all announced bytes are there.
__device__ inline void initialise_barrier(uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
// Makes initialised barriers known to the copy unit. Other threads need __syncthreads besides.
__device__ inline void publish_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
__device__ inline void arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
__device__ inline void arrive_and_announce(uint64_t* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}
// Waits for the end of the current phase if its number is even and `parity` is 0, or it is odd and `parity` is 1. Otherwise the
// phase before it has this parity, and has ended.
__device__ inline void wait_for_phase(uint64_t* barrier, unsigned parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra finished;\n"
      "bra again;\n"
      "finished:\n"
      "}" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

// The blocks of the cluster, and which of them this one is. A launch without clusters has clusters of one block.
__device__ inline int cluster_blocks() {
  int blocks = 0;
  asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(blocks));
  return blocks;
}
__device__ inline int block_of_cluster() {
  int block = 0;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(block));
  return block;
}
// The barrier of all threads of the cluster, in two halves. What a thread did before it arrives comes before what others do after
// they have waited. A block must not use another one before the first such barrier, or after the other one may have ended.
__device__ inline void arrive_at_cluster() { asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory"); }
__device__ inline void wait_for_cluster() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
// Lane i of a warp arrives at the barrier that block i of the cluster has at this place, for i < `blocks`. There is no branch,
// after which the compiler would keep descriptions of matrices in registers of lanes. What threads wrote to memory is not
// ordered, as that takes a fence. Products that are complete and copies that follow are.
__device__ inline void arrive_in_blocks(uint64_t* barrier, int blocks) {
  asm volatile(
      "{\n"
      ".reg .pred arrives;\n"
      ".reg .b32 there;\n"
      "setp.lt.s32 arrives, %1, %2;\n"
      "@arrives mapa.shared::cluster.u32 there, %0, %1;\n"
      "@arrives mbarrier.arrive.shared::cluster.b64 _, [there];\n"
      "}" ::"r"(shared_address(barrier)),
      "r"(threadIdx.x % kWarp), "r"(blocks)
      : "memory");
}

// Must come before the first copy of a block with a map that the host wrote to global memory.
__device__ inline void acquire_map(const CUtensorMap* map) {
  asm volatile("fence.proxy.tensormap::generic.acquire.sys [%0], 128;" ::"l"(map) : "memory");
}
// Copies a box to shared memory. Its bytes count for the current phase of the barrier.
__device__ inline void copy_box(void* to, const CUtensorMap* map, int column, int row, uint64_t* barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
                   shared_address(to)),
               "l"(map), "r"(column), "r"(row), "r"(shared_address(barrier))
               : "memory");
}

// The same for several blocks of the cluster, whose numbers are those of the bits of `blocks`. The box goes to this place in each
// of them, and its bytes count for the barrier at this place there.
__device__ inline void copy_box_to_blocks(void* to, const CUtensorMap* map, int column, int row, uint64_t* barrier,
                                          unsigned blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3}], "
      "[%4], "
      "%5;" ::"r"(shared_address(to)),
      "l"(map), "r"(column), "r"(row), "r"(shared_address(barrier)), "h"(static_cast<uint16_t>(blocks))
      : "memory");
}

// Describes a matrix in shared memory to the matrix units: rows of 128 bytes with permuted chunks, groups of eight rows one after
// the other. Rows are rows of a product or, if it is transposed, terms of its sums.
__device__ inline uint64_t describe_shared(const void* matrix) {
  constexpr uint64_t kSwizzled = uint64_t{1} << 62 | uint64_t{kSwizzledGroup / 16} << 32 | uint64_t{1} << 16;
  return kSwizzled | (shared_address(matrix) & 0x3ffffU) >> 4;
}

// Comes before products whose sums this thread has written or read since the products before them.
__device__ inline void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Waits until at most kLeft of the committed groups are not complete.
template <int kLeft>
__device__ inline void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLeft) : "memory");
}

// Moves registers of threads between warpgroups. All warps of a warpgroup do it. A warpgroup that takes some waits until others
// have given them.
template <int kRegisters>
__device__ inline void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ inline void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// Asks for sums = a b, or sums += a b if `adds` is not 0. The matrix a is 64 x 16, or 16 x 64 if it is transposed, and b has 16
// numbers for each of kColumns columns. Each lane has the sums of rows lane / 4 + 8 (i / 2) of the 16 rows of its warp, and
// columns 8 j + lane % 4 * 2 + i % 2, at 4 j + i.
template <bool kTransposed>
__device__ inline void multiply_add_shared(float (&sums)[16], uint64_t a, uint64_t b, int adds) {
  asm volatile(
      "{\n"
      ".reg .pred adds;\n"
      "setp.ne.b32 adds, %18, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, "
      "%16, %17, adds, 1, 1, %19, 0;\n"
      "}"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3]), "+f"(sums[4]), "+f"(sums[5]), "+f"(sums[6]), "+f"(sums[7]),
        "+f"(sums[8]), "+f"(sums[9]), "+f"(sums[10]), "+f"(sums[11]), "+f"(sums[12]), "+f"(sums[13]), "+f"(sums[14]),
        "+f"(sums[15])
      : "l"(a), "l"(b), "r"(adds), "n"(kTransposed ? 1 : 0));
}
template <bool kTransposed>
__device__ inline void multiply_add_shared(float (&sums)[32], uint64_t a, uint64_t b, int adds) {
  asm volatile(
      "{\n"
      ".reg .pred adds;\n"
      "setp.ne.b32 adds, %34, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
      "%32, %33, adds, 1, 1, %35, 0;\n"
      "}"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3]), "+f"(sums[4]), "+f"(sums[5]), "+f"(sums[6]), "+f"(sums[7]),
        "+f"(sums[8]), "+f"(sums[9]), "+f"(sums[10]), "+f"(sums[11]), "+f"(sums[12]), "+f"(sums[13]), "+f"(sums[14]),
        "+f"(sums[15]), "+f"(sums[16]), "+f"(sums[17]), "+f"(sums[18]), "+f"(sums[19]), "+f"(sums[20]), "+f"(sums[21]),
        "+f"(sums[22]), "+f"(sums[23]), "+f"(sums[24]), "+f"(sums[25]), "+f"(sums[26]), "+f"(sums[27]), "+f"(sums[28]),
        "+f"(sums[29]), "+f"(sums[30]), "+f"(sums[31])
      : "l"(a), "l"(b), "r"(adds), "n"(kTransposed ? 1 : 0));
}
template <bool kTransposed>
__device__ inline void multiply_add_shared(float (&sums)[40], uint64_t a, uint64_t b, int adds) {
  asm volatile(
      "{\n"
      ".reg .pred adds;\n"
      "setp.ne.b32 adds, %42, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n80k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
      "%32,%33,%34,%35,%36,%37,%38,%39}, "
      "%40, %41, adds, 1, 1, %43, 0;\n"
      "}"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3]), "+f"(sums[4]), "+f"(sums[5]), "+f"(sums[6]), "+f"(sums[7]),
        "+f"(sums[8]), "+f"(sums[9]), "+f"(sums[10]), "+f"(sums[11]), "+f"(sums[12]), "+f"(sums[13]), "+f"(sums[14]),
        "+f"(sums[15]), "+f"(sums[16]), "+f"(sums[17]), "+f"(sums[18]), "+f"(sums[19]), "+f"(sums[20]), "+f"(sums[21]),
        "+f"(sums[22]), "+f"(sums[23]), "+f"(sums[24]), "+f"(sums[25]), "+f"(sums[26]), "+f"(sums[27]), "+f"(sums[28]),
        "+f"(sums[29]), "+f"(sums[30]), "+f"(sums[31]), "+f"(sums[32]), "+f"(sums[33]), "+f"(sums[34]), "+f"(sums[35]),
        "+f"(sums[36]), "+f"(sums[37]), "+f"(sums[38]), "+f"(sums[39])
      : "l"(a), "l"(b), "r"(adds), "n"(kTransposed ? 1 : 0));
}
template <bool kTransposed>
__device__ inline void multiply_add_shared(float (&sums)[48], uint64_t a, uint64_t b, int adds) {
  asm volatile(
      "{\n"
      ".reg .pred adds;\n"
      "setp.ne.b32 adds, %50, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n96k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
      "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47}, "
      "%48, %49, adds, 1, 1, %51, 0;\n"
      "}"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3]), "+f"(sums[4]), "+f"(sums[5]), "+f"(sums[6]), "+f"(sums[7]),
        "+f"(sums[8]), "+f"(sums[9]), "+f"(sums[10]), "+f"(sums[11]), "+f"(sums[12]), "+f"(sums[13]), "+f"(sums[14]),
        "+f"(sums[15]), "+f"(sums[16]), "+f"(sums[17]), "+f"(sums[18]), "+f"(sums[19]), "+f"(sums[20]), "+f"(sums[21]),
        "+f"(sums[22]), "+f"(sums[23]), "+f"(sums[24]), "+f"(sums[25]), "+f"(sums[26]), "+f"(sums[27]), "+f"(sums[28]),
        "+f"(sums[29]), "+f"(sums[30]), "+f"(sums[31]), "+f"(sums[32]), "+f"(sums[33]), "+f"(sums[34]), "+f"(sums[35]),
        "+f"(sums[36]), "+f"(sums[37]), "+f"(sums[38]), "+f"(sums[39]), "+f"(sums[40]), "+f"(sums[41]), "+f"(sums[42]),
        "+f"(sums[43]), "+f"(sums[44]), "+f"(sums[45]), "+f"(sums[46]), "+f"(sums[47])
      : "l"(a), "l"(b), "r"(adds), "n"(kTransposed ? 1 : 0));
}

}  // namespace
}  // namespace threegate::cuda

#endif

#endif  // THREEGATE_CUDA_SUPPORT_WARPGROUP_H
