// Replaces the header of the CUDA toolkit where kernels are compiled for the CPU. It has the part of the language and of the
// runtime that src/cuda uses, with the meaning that the CUDA C++ Programming Guide defines. Kernels run one cluster at a time,
// with one fiber for each thread. See thread_order.h for the order of threads and runtime.cpp for streams.
#ifndef THREEGATE_HOST_EMULATION_CUDA_RUNTIME_H
#define THREEGATE_HOST_EMULATION_CUDA_RUNTIME_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>

#include "race_detector.h"

#define THREEGATE_HOST_EMULATION 1
#define __global__
#define __device__
#define __host__
#define __constant__ static
// Blocks run one after the other, so that shared memory may be static. AddressSanitizer guards its ends. Kernels for clusters of
// several blocks must have all of it from dynamic_shared_memory.
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

namespace emulation {
// Ends the process if the address is not a multiple of `bytes`, as a device does for vectors.
void require_aligned(const void* address, size_t bytes, const char* what);

// A part of a vector that takes no room and checks the addresses of loads and stores. It lies at the beginning.
template <size_t kBytes>
struct Aligned {
  Aligned() = default;
  Aligned(const Aligned& other) { require_aligned(&other, kBytes, "a vector"); }
  Aligned& operator=(const Aligned& other) {
    require_aligned(&other, kBytes, "a vector");
    require_aligned(this, kBytes, "a vector");
    return *this;
  }
};
}  // namespace emulation

struct alignas(8) uint2 {
  unsigned x, y;
  [[no_unique_address]] emulation::Aligned<8> alignment{};
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
  [[no_unique_address]] emulation::Aligned<16> alignment{};
};
struct alignas(16) float4 {
  float x, y, z, w;
  [[no_unique_address]] emulation::Aligned<16> alignment{};
};
struct alignas(16) double2 {
  double x, y;
  [[no_unique_address]] emulation::Aligned<16> alignment{};
};
static_assert(sizeof(uint2) == 8 && sizeof(uint4) == 16 && sizeof(float4) == 16 && sizeof(double2) == 16);

extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;

// ---------------------------------------------------------------- runtime

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchFailure = 719,
  cudaErrorInvalidClusterSize = 912
};
enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault
};
enum cudaMemoryType { cudaMemoryTypeUnregistered, cudaMemoryTypeHost, cudaMemoryTypeDevice, cudaMemoryTypeManaged };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaDeviceAttr { cudaDevAttrMaxSharedMemoryPerBlockOptin = 97 };
enum cudaDriverEntryPointQueryResult { cudaDriverEntryPointSuccess = 0, cudaDriverEntryPointSymbolNotFound = 1 };
constexpr unsigned cudaEnableDefault = 0;
constexpr unsigned cudaStreamDefault = 0;
constexpr unsigned cudaStreamNonBlocking = 1;
constexpr unsigned cudaEventDisableTiming = 2;

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  int major;
  int minor;
  int multiProcessorCount;
};
struct cudaFuncAttributes {
  size_t sharedSizeBytes;
};
struct cudaPointerAttributes {
  cudaMemoryType type;
  int device;
};

namespace emulation {
class Stream;
struct Event;
using Task = std::function<void()>;

struct Launch {
  const void* kernel;
  dim3 grid;
  dim3 block;
  size_t shared_bytes;
  Stream* stream;
  unsigned cluster;  // blocks, neighbours in x
};
cudaError_t launch(const Launch& launch, const Task& thread);

void* dynamic_shared_memory();
void block_barrier();
// The last of 32 lanes to arrive runs `complete` on the arguments of all lanes.
void warp_collective(const char* name, unsigned mask, void* argument, void (*complete)(void* const arguments[32]));
int lane();
void sync_warp(unsigned mask);
void fence();

void copy_asynchronously(void* to, const void* from, size_t bytes);
void commit_copies();
void wait_for_copies(int groups_left);
}  // namespace emulation

using cudaStream_t = emulation::Stream*;
using cudaEvent_t = emulation::Event*;
inline const cudaStream_t cudaStreamLegacy = reinterpret_cast<cudaStream_t>(1);
inline const cudaStream_t cudaStreamPerThread = reinterpret_cast<cudaStream_t>(2);

enum cudaLaunchAttributeID { cudaLaunchAttributeClusterDimension = 4 };
struct cudaLaunchAttribute {
  cudaLaunchAttributeID id;
  struct {
    uint3 clusterDim;
  } val;
};
struct cudaLaunchConfig_t {
  dim3 gridDim;
  dim3 blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
  cudaLaunchAttribute* attrs;
  unsigned numAttrs;
};

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned version, unsigned long long flags,
                                             cudaDriverEntryPointQueryResult* result);
cudaError_t cudaMemGetInfo(size_t* available, size_t* total);
cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaMallocManaged(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMallocHost(void** memory, size_t bytes);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamGetDevice(cudaStream_t stream, int* device);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaGetLastError();
const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value);
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel);
template <typename Function>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Function*, int, size_t) {
  *blocks = 2;
  return cudaSuccess;
}

// Arguments are copied when the kernel is launched, as by the real runtime.
template <typename... Expected, typename... Actual>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Expected...), Actual&&... arguments) {
  const std::tuple<std::remove_const_t<Expected>...> copies(arguments...);
  return emulation::launch({reinterpret_cast<const void*>(kernel), config->gridDim, config->blockDim, config->dynamicSmemBytes,
                            config->stream, config->numAttrs == 0 ? 1 : config->attrs[0].val.clusterDim.x},
                           [kernel, copies] { std::apply(kernel, copies); });
}

// ---------------------------------------------------------------- language

using std::fabs;
using std::fma;
using std::fmax;
using std::isfinite;
using std::isnan;

inline void __syncthreads() { emulation::block_barrier(); }
inline void __threadfence() { emulation::fence(); }

namespace emulation {
template <typename T>
struct Exchange {
  T value;
  int source;
  T result;
};
template <typename T>
T exchange(const char* name, unsigned mask, T value, int source) {
  Exchange<T> own{value, source, value};
  warp_collective(name, mask, &own, [](void* const all[32]) {
    for (int i = 0; i < 32; ++i) {
      auto* mine = static_cast<Exchange<T>*>(all[i]);
      mine->result = static_cast<Exchange<T>*>(all[mine->source])->value;
    }
  });
  return own.result;
}
}  // namespace emulation

template <typename T>
T __shfl_sync(unsigned mask, T value, int source) {
  return emulation::exchange("__shfl_sync", mask, value, source & 31);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int other) {
  return emulation::exchange("__shfl_xor_sync", mask, value, emulation::lane() ^ other);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance) {
  const int lane = emulation::lane();
  return emulation::exchange("__shfl_up_sync", mask, value,
                             lane < static_cast<int>(distance) ? lane : lane - static_cast<int>(distance));
}
unsigned __ballot_sync(unsigned mask, int predicate);
unsigned __reduce_add_sync(unsigned mask, unsigned value);
unsigned __reduce_max_sync(unsigned mask, unsigned value);
void __syncwarp(unsigned mask = 0xffffffffU);
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == 0xffffffffU; }

// The compiler does not instrument atomics as plain accesses.
#define THREEGATE_ATOMIC __attribute__((no_sanitize("thread")))

template <typename T, typename U>
THREEGATE_ATOMIC T atomicAdd(T* address, U value) {
  emulation::note_access(address, sizeof(T), emulation::Access::kAtomic);
  const T old = *address;
  *address = static_cast<T>(old + static_cast<T>(value));
  return old;
}
template <typename T, typename U>
THREEGATE_ATOMIC T atomicOr(T* address, U value) {
  emulation::note_access(address, sizeof(T), emulation::Access::kAtomic);
  const T old = *address;
  *address = old | static_cast<T>(value);
  return old;
}
template <typename T, typename U>
THREEGATE_ATOMIC T atomicMax(T* address, U value) {
  emulation::note_access(address, sizeof(T), emulation::Access::kAtomic);
  const T old = *address;
  *address = old < static_cast<T>(value) ? static_cast<T>(value) : old;
  return old;
}

inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline int __popcll(unsigned long long value) { return __builtin_popcountll(value); }
inline unsigned __vminu2(unsigned a, unsigned b) {
  const unsigned low = (a & 0xffffU) < (b & 0xffffU) ? a & 0xffffU : b & 0xffffU;
  const unsigned high = a >> 16 < b >> 16 ? a >> 16 : b >> 16;
  return high << 16 | low;
}
inline int __ffs(int value) { return __builtin_ffs(value); }
// The low word of both after a shift by less than 32 bits.
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned bits) {
  const unsigned long long both = static_cast<unsigned long long>(high) << 32 | low;
  return static_cast<unsigned>(both >> (bits & 31U));
}
inline unsigned __float_as_uint(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}
inline float __uint_as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }

#endif  // THREEGATE_HOST_EMULATION_CUDA_RUNTIME_H
