// The CUDA runtime on the CPU. Device memory is memory of the host, and filled with a poison value. Tasks of a stream run as late
// as the synchronisation of the host allows. A buffer that is reused too early, or a result that is read too early, is therefore
// wrong here too.
//
// These variables of the environment serve tests of failures:
//   THREEGATE_EMULATED_DRIVER=none | old   there is no device, or the driver is too old
//   THREEGATE_EMULATED_CAPABILITY=8.6      the compute capability, which bounds the shared memory of a block
//   THREEGATE_EMULATED_DEVICES=N           the number of devices
//   THREEGATE_EMULATED_MEMORY=BYTES        the memory of each device
//   THREEGATE_EMULATED_LAST_BLOCKS=N       launches run no more than their last N blocks, for indices of large arrays
//   THREEGATE_EMULATED_FAULT=sticky        launches end with an illegal address
//   THREEGATE_EMULATED_FAULT=argument      launches are refused
#include <sys/mman.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "cuda.h"
#include "cuda_runtime.h"
#include "executor.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace emulation {

struct Event {
  std::shared_ptr<Stream> stream;
  uint64_t until = 0;  // number of tasks of the stream that come before it
};

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(bool blocking, int device) : blocking_(blocking), device_(device) {}
  [[nodiscard]] int device() const { return device_; }
  // Whether its work and that of the default stream wait for each other.
  [[nodiscard]] bool blocking() const { return blocking_; }
  void add(Task task) { tasks_.push_back(std::move(task)); }
  [[nodiscard]] uint64_t asked() const { return done_ + tasks_.size(); }
  [[nodiscard]] bool has_work(uint64_t until) const { return done_ < until && !tasks_.empty(); }
  void run_until(uint64_t count) {
    while (done_ < count && !tasks_.empty()) {
      const Task task = std::move(tasks_.front());
      tasks_.pop_front();
      ++done_;
      task();
    }
  }
  void run_all() { run_until(asked()); }

 private:
  bool blocking_;
  int device_;
  std::deque<Task> tasks_;
  uint64_t done_ = 0;
};

namespace {

constexpr int kCudaVersion = 13000;
constexpr int kOldDriver = 11040;
constexpr size_t kDefaultMemory = size_t{8} << 30;
constexpr size_t kAlignment = 256;

std::string setting(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

struct Block {
  size_t bytes;
  int device;
  bool managed;
};

// All devices of the process.
struct Device {
  std::recursive_mutex mutex;
  std::map<const unsigned char*, Block> blocks;
  std::map<int, size_t> used;
  std::map<std::pair<const void*, int>, int> shared_memory;  // what kernels may use, in bytes
  std::set<std::shared_ptr<Stream>> streams;
  std::map<int, std::shared_ptr<Stream>> default_streams;
  cudaError_t sticky = cudaSuccess;
  cudaError_t last = cudaSuccess;
  // What the host asked for: waits that found work, copies and their bytes, and those of them that left a device.
  uint64_t waits = 0;
  uint64_t copies = 0;
  uint64_t copied = 0;
  uint64_t copied_to_host = 0;
};
Device& device() {
  static Device instance;
  return instance;
}

thread_local int current_device = 0;

int devices() {
  const std::string text = setting("THREEGATE_EMULATED_DEVICES");
  return text.empty() ? 1 : std::stoi(text);
}

// 10 times the compute capability.
int capability() {
  const std::string text = setting("THREEGATE_EMULATED_CAPABILITY");
  return text.empty() ? 90 : static_cast<int>(std::lround(std::stod(text) * 10));
}

// The shared memory of a block that asks for it, by table 29 of the CUDA C++ Programming Guide.
int most_shared_memory() {
  switch (capability()) {
    case 80:
    case 87:
      return 163 << 10;
    case 86:
    case 89:
    case 120:
    case 121:
      return 99 << 10;
    default:
      return 227 << 10;
  }
}

size_t memory_bytes() {
  const std::string text = setting("THREEGATE_EMULATED_MEMORY");
  return text.empty() ? kDefaultMemory : std::strtoull(text.c_str(), nullptr, 10);
}

cudaError_t keep(cudaError_t error) {
  if (error != cudaSuccess) {
    device().last = error;
  }
  return error;
}

cudaError_t driver_state() {
  const std::string text = setting("THREEGATE_EMULATED_DRIVER");
  if (text == "none") {
    return cudaErrorNoDevice;
  }
  return text == "old" ? cudaErrorInsufficientDriver : device().sticky;
}

void follow(Stream& stream, const std::shared_ptr<Stream>& other) {
  stream.add([other, until = other->asked()] { other->run_until(until); });
}

std::shared_ptr<Stream>& default_stream(int index) {
  std::shared_ptr<Stream>& stream = device().default_streams[index];
  if (stream == nullptr) {
    stream = std::make_shared<Stream>(true, index);
  }
  return stream;
}

// Those of threads are the one of the device here.
bool is_default(cudaStream_t handle) { return handle == nullptr || handle == cudaStreamLegacy || handle == cudaStreamPerThread; }

// The stream of a handle, ready for new work. The default stream waits for all blocking ones, and they wait for it.
Stream& stream_of(cudaStream_t handle) {
  if (is_default(handle)) {
    const auto& legacy = default_stream(current_device);
    for (const auto& stream : device().streams) {
      if (stream->blocking() && stream->device() == current_device) {
        follow(*legacy, stream);
      }
    }
    return *legacy;
  }
  if (handle->blocking()) {
    follow(*handle, default_stream(handle->device()));
  }
  return *handle;
}

// Whether the kernel may have that much shared memory. More than 48 KiB must be asked for.
bool has_shared_memory(const Launch& launch) {
  constexpr size_t kWithoutAsking = 48 << 10;
  const auto asked = device().shared_memory.find({launch.kernel, current_device});
  const size_t most = asked == device().shared_memory.end() ? kWithoutAsking : static_cast<size_t>(asked->second);
  return launch.shared_bytes <= most;
}

}  // namespace

bool is_device_memory(const void* address) {
  const auto next = device().blocks.upper_bound(static_cast<const unsigned char*>(address));
  if (next == device().blocks.begin()) {
    return false;
  }
  const auto block = std::prev(next);
  return static_cast<const unsigned char*>(address) < block->first + block->second.bytes;
}

cudaError_t launch(const Launch& launch, const Task& thread) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  if (device().sticky != cudaSuccess) {
    return device().sticky;
  }
  if (launch.grid.x == 0 || launch.grid.y == 0 || launch.grid.z == 0 || !has_shared_memory(launch) ||
      setting("THREEGATE_EMULATED_FAULT") == "argument") {
    return keep(cudaErrorInvalidValue);
  }
  // A device of compute capability 9.0 is sure to run clusters of up to eight blocks.
  constexpr unsigned kMostBlocks = 8;
  if (launch.cluster == 0 || launch.cluster > (capability() < 90 ? 1 : kMostBlocks) || launch.grid.x % launch.cluster != 0) {
    return keep(cudaErrorInvalidClusterSize);
  }
  if (stream_of(launch.stream).device() != current_device) {
    return keep(cudaErrorInvalidResourceHandle);
  }
  if (setting("THREEGATE_EMULATED_FAULT") == "sticky") {
    stream_of(launch.stream).add([] { device().sticky = cudaErrorIllegalAddress; });
    return cudaSuccess;
  }
  stream_of(launch.stream).add([launch, thread] {
    if (device().sticky == cudaSuccess) {
      execute(launch, thread);
    }
  });
  return cudaSuccess;
}

}  // namespace emulation

using emulation::device;
using emulation::keep;
using emulation::stream_of;

cudaError_t cudaGetDeviceCount(int* count) {
  const cudaError_t error = emulation::driver_state();
  *count = error == cudaSuccess ? emulation::devices() : 0;
  return error;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::snprintf(properties->name, sizeof(properties->name), "CUDA emulated on the CPU");
  properties->totalGlobalMem = emulation::memory_bytes();
  properties->major = emulation::capability() / 10;
  properties->minor = emulation::capability() % 10;
  properties->multiProcessorCount = 3;
  return emulation::driver_state();
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = emulation::most_shared_memory();
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  if (value > emulation::most_shared_memory()) {
    return keep(cudaErrorInvalidValue);
  }
  device().shared_memory[{kernel, emulation::current_device}] = value;
  return cudaSuccess;
}
// The static shared memory of a kernel is not known here.
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  attributes->sharedSizeBytes = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int index) {
  if (index < 0 || index >= emulation::devices()) {
    return keep(cudaErrorInvalidDevice);
  }
  emulation::current_device = index;
  return emulation::driver_state();
}
cudaError_t cudaGetDevice(int* index) {
  *index = emulation::current_device;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = emulation::setting("THREEGATE_EMULATED_DRIVER") == "old" ? emulation::kOldDriver : emulation::kCudaVersion;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = emulation::kCudaVersion;
  return cudaSuccess;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult* result) {
  const bool known = std::string(symbol) == "cuTensorMapEncodeTiled";
  *function = known ? reinterpret_cast<void*>(&cuTensorMapEncodeTiled) : nullptr;
  *result = known ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  *total = emulation::memory_bytes();
  const size_t used = device().used[emulation::current_device];
  *available = *total > used ? *total - used : 0;
  return device().sticky;
}

// NOLINTBEGIN(cppcoreguidelines-owning-memory,cppcoreguidelines-no-malloc): these are the allocators
cudaError_t cudaMalloc(void** memory, size_t bytes) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  *memory = nullptr;
  if (device().sticky != cudaSuccess) {
    return device().sticky;
  }
  size_t& used = device().used[emulation::current_device];
  if (bytes > emulation::memory_bytes() || used > emulation::memory_bytes() - bytes) {
    return keep(cudaErrorMemoryAllocation);
  }
  const size_t padded = (bytes + emulation::kAlignment - 1) / emulation::kAlignment * emulation::kAlignment;
  auto* block = static_cast<unsigned char*>(std::aligned_alloc(emulation::kAlignment, padded + emulation::kAlignment));
  if (block == nullptr) {
    return keep(cudaErrorMemoryAllocation);
  }
  std::memset(block, emulation::kPoison, padded);
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(block + bytes, padded + emulation::kAlignment - bytes);
#endif
  device().blocks[block] = {bytes, emulation::current_device, false};
  used += bytes;
  *memory = block;
  return cudaSuccess;
}

// Managed memory takes physical memory where it is used, and is not bounded by that of the device.
cudaError_t cudaMallocManaged(void** memory, size_t bytes) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  void* const block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (block == MAP_FAILED) {
    return keep(cudaErrorMemoryAllocation);
  }
  device().blocks[static_cast<unsigned char*>(block)] = {bytes, emulation::current_device, true};
  *memory = block;
  return device().sticky;
}

cudaError_t cudaFree(void* memory) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  if (memory == nullptr) {
    return cudaSuccess;
  }
  const auto block = device().blocks.find(static_cast<unsigned char*>(memory));
  // The real runtime also frees memory of other devices, but then may make their contexts again.
  if (block == device().blocks.end() || block->second.device != emulation::current_device) {
    return keep(cudaErrorInvalidValue);
  }
  if (block->second.managed) {
    munmap(memory, block->second.bytes);
    device().blocks.erase(block);
    return cudaSuccess;
  }
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(memory, block->second.bytes + 2 * emulation::kAlignment);
#endif
  device().used[block->second.device] -= block->second.bytes;
  device().blocks.erase(block);
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  *memory = std::aligned_alloc(emulation::kAlignment,
                               (bytes + emulation::kAlignment - 1) / emulation::kAlignment * emulation::kAlignment);
  return *memory == nullptr ? keep(cudaErrorMemoryAllocation) : cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
  std::free(memory);
  return cudaSuccess;
}

// NOLINTEND(cppcoreguidelines-owning-memory,cppcoreguidelines-no-malloc)

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  const auto* address = static_cast<const unsigned char*>(pointer);
  const auto next = device().blocks.upper_bound(address);
  attributes->type = cudaMemoryTypeUnregistered;
  attributes->device = emulation::current_device;
  if (next != device().blocks.begin()) {
    const auto block = std::prev(next);
    if (address < block->first + block->second.bytes) {
      attributes->type = block->second.managed ? cudaMemoryTypeManaged : cudaMemoryTypeDevice;
      attributes->device = block->second.device;
    }
  }
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  if (device().sticky == cudaSuccess && bytes > 0) {
    ++device().copies;
    device().copied += bytes;
    device().copied_to_host += emulation::is_device_memory(from) && !emulation::is_device_memory(to) ? bytes : 0;
    stream_of(stream).add([=] {
      if (device().sticky == cudaSuccess) {
        std::memmove(to, from, bytes);
      }
    });
  }
  return device().sticky;
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  if (device().sticky == cudaSuccess) {
    stream_of(stream).add([=] { std::memset(memory, value, bytes); });
  }
  return device().sticky;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  const auto made = std::make_shared<emulation::Stream>((flags & cudaStreamNonBlocking) == 0, emulation::current_device);
  device().streams.insert(made);
  *stream = made.get();
  return device().sticky;
}
cudaError_t cudaStreamGetDevice(cudaStream_t stream, int* index) {
  *index = emulation::is_default(stream) ? emulation::current_device : stream->device();
  return device().sticky;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  stream->run_all();
  device().streams.erase(stream->shared_from_this());
  return device().sticky;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  emulation::Stream& own = stream_of(stream);
  device().waits += own.has_work(own.asked()) ? 1U : 0U;
  own.run_all();
  return keep(device().sticky);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  emulation::Stream& waiting = stream_of(stream);
  const emulation::Event waited = *event;
  if (waited.stream != nullptr && waited.stream.get() != &waiting) {
    waiting.add([waited] { waited.stream->run_until(waited.until); });
  }
  return device().sticky;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = std::make_unique<emulation::Event>().release();
  return device().sticky;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::unique_ptr<emulation::Event> owned(event);
  return device().sticky;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  emulation::Stream& recorded = stream_of(stream);
  *event = {recorded.shared_from_this(), recorded.asked()};
  return device().sticky;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  if (event->stream != nullptr) {
    device().waits += event->stream->has_work(event->until) ? 1U : 0U;
    event->stream->run_until(event->until);
  }
  return keep(device().sticky);
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = device().last;
  device().last = device().sticky;
  return error;
}
const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver:
      return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorInvalidResourceHandle:
      return "cudaErrorInvalidResourceHandle";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    default:
      return error == cudaSuccess ? "cudaSuccess" : "an emulated CUDA error";
  }
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    default:
      return cudaGetErrorName(error);
  }
}

// For tests, which are not linked with the emulation and find this function by name.
extern "C" __attribute__((visibility("default"))) void tg_emulated_traffic(uint64_t* numbers) {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  numbers[0] = device().waits;
  numbers[1] = device().copies;
  numbers[2] = device().copied;
}

// The bytes that copies took from a device to the host.
extern "C" __attribute__((visibility("default"))) uint64_t tg_emulated_bytes_to_host() {
  const std::lock_guard<std::recursive_mutex> lock(device().mutex);
  return device().copied_to_host;
}

// A copy that has ended when it returns.
extern "C" __attribute__((visibility("default"))) void tg_emulated_copy(void* to, const void* from, size_t bytes) {
  cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, nullptr);
  cudaStreamSynchronize(nullptr);
}
