// Changed elements are found in one pass. A block takes a tile of both sides, 32 KB of two-byte elements, and finds the changed
// ones. It lists them in shared memory in their order, learns from the blocks before how many there are before its own
// (look_back.h), and writes entries that follow each other. Values are read again, because they are in a cache still.
//
// Bytes: both sides once, a word for each tile, and 4 + width for each entry. The ceiling is to be the bandwidth. A warp takes
// 192 instructions for 4 KB of two-byte elements without changes, and about 300 where 1 % changed, counted in the code for
// compute capability 9.0. An H200 issues 880 in the time of 4 KB. Five blocks have 160 KB on the way. The wait for the blocks
// before takes one or two trips to the second-level cache, which are hidden while the other blocks of a multiprocessor load.
//
// Elements that are not aligned to 16 bytes have a kernel of their own. Both sides may lie differently. A warp loads the 16-byte
// words that hold its elements, each once. Lanes then exchange neighbouring words and shift them. That makes 420 instructions for
// 4 KB, of 880, and registers for four blocks, which have 128 KB on the way. The last tile is compared one by one.
//
// Tried before: one pass to count, sums of tiles on the host, and one pass to write. Both read the pair, two bytes at a time, and
// both waited for the host. Misaligned elements were compared one by one: 32 loads of two bytes for what four loads bring.
#include "cuda/support/changes.h"
#include "cuda/support/instructions.h"
#include "cuda/support/runtime.h"
#include "cuda/support/warp.h"
#include "look_back.h"
#include "patch_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
// Blocks of a multiprocessor for which the compiler leaves registers.
constexpr int kAlignedBlocks = 5;
constexpr int kMisalignedBlocks = 4;
constexpr int kEach = 16;  // entries of a thread in a block of entries
constexpr int64_t kBlockEntries = kThreads * kEach;

// The entry of a thread in a round. Neighbouring threads have neighbouring entries.
__device__ int64_t entry_at(int round) {
  return static_cast<int64_t>(blockIdx.x) * kBlockEntries + static_cast<int64_t>(round) * kThreads + threadIdx.x;
}

// The chunks of a thread in a tile of elements to compare. A thread has a bit for each of its elements.
template <typename Element>
constexpr unsigned kTileChunks = sizeof(Element) == 1 ? 2 : 4;
template <typename Element>
constexpr unsigned kTileElements = kThreads* kTileChunks<Element>* kChunkElements<Element>;

// The chunks of a thread that are aligned. They are a warp apart.
template <unsigned kChunks>
class AlignedChunks {
 public:
  __device__ explicit AlignedChunks(const void* from) {
#pragma unroll
    for (unsigned chunk = 0; chunk < kChunks; ++chunk) {
      chunks_[chunk] = static_cast<const uint4*>(from)[chunk * kWarp];
    }
  }
  __device__ const uint4 (&get())[kChunks] { return chunks_; }

 private:
  uint4 chunks_[kChunks];
};

// The 16 bytes that begin `offset` bytes after `low` begins. `high` follows `low`.
__device__ uint4 bytes_from(const uint4& low, const uint4& high, unsigned offset) {
  uint32_t words[2 * kChunkWords];
  // Constant indices keep the words in registers.
#pragma unroll
  for (int i = 0; i < kChunkWords; ++i) {
    words[i] = word_of(low, i);
    words[kChunkWords + i] = word_of(high, i);
  }
#pragma unroll
  for (unsigned distance = 1; distance < kChunkWords; distance *= 2) {
#pragma unroll
    for (unsigned i = 0; i + distance < 2 * kChunkWords; ++i) {
      words[i] = (offset / 4 & distance) != 0 ? words[i + distance] : words[i];
    }
  }
  const unsigned bits = offset % 4 * 8;
  return {__funnelshift_r(words[0], words[1], bits), __funnelshift_r(words[1], words[2], bits),
          __funnelshift_r(words[2], words[3], bits), __funnelshift_r(words[3], words[4], bits)};
}

// Chunks of any alignment. A chunk lies in two 16-byte words. The second one is the first one of the next lane, and the last lane
// finds it where the first lane has the next chunk. Only after the last chunk a word is missing, which the first lane loads. No
// word is loaded that has none of the bytes of the warp. Lanes of a warp call both functions together.
template <unsigned kChunks>
class MisalignedChunks {
 public:
  __device__ explicit MisalignedChunks(const void* from) : offset_(reinterpret_cast<uintptr_t>(from) % kChunkBytes) {
    const auto* const words = reinterpret_cast<const uint4*>(static_cast<const uint8_t*>(from) - offset_);
#pragma unroll
    for (unsigned chunk = 0; chunk < kChunks; ++chunk) {
      chunks_[chunk] = words[chunk * kWarp];
    }
    if (offset_ != 0 && threadIdx.x % kWarp == 0) {
#pragma unroll
      for (int i = 0; i < kChunkWords; ++i) {
        last_[i] = reinterpret_cast<const uint32_t*>(words + kChunks * kWarp)[i];
      }
    }
  }
  __device__ const uint4 (&get())[kChunks] {
    const unsigned lane = threadIdx.x % kWarp;
#pragma unroll
    for (unsigned chunk = 0; chunk < kChunks; ++chunk) {
      const auto next = [&](int i) {
        const uint32_t after = chunk + 1 < kChunks ? word_of(chunks_[(chunk + 1) % kChunks], i) : last_[i];
        const uint32_t given = lane == 0 ? after : word_of(chunks_[chunk], i);
        return __shfl_sync(kWholeWarp, given, static_cast<int>((lane + 1) % kWarp));
      };
      const uint4 high{next(0), next(1), next(2), next(3)};
      chunks_[chunk] = bytes_from(chunks_[chunk], high, offset_);
    }
    return chunks_;
  }

 private:
  unsigned offset_;  // the same in all lanes
  uint4 chunks_[kChunks];
  uint32_t last_[kChunkWords] = {};
};

// The elements of a thread in a tile that differ, as bits. `first` is the first element of its first chunk. Chunks of the thread
// are a warp apart.
template <typename Element, bool kAligned>
__device__ uint32_t differing_in_tile(const tg_patch_pair& pair, int64_t first, bool in_chunks) {
  constexpr unsigned kChunks = kTileChunks<Element>;
  constexpr unsigned kElements = kChunkElements<Element>;
  const auto* const before = static_cast<const Element*>(pair.before) + first;
  const auto* const after = static_cast<const Element*>(pair.after) + first;
  if (in_chunks) {
    using Chunks = std::conditional_t<kAligned, AlignedChunks<kChunks>, MisalignedChunks<kChunks>>;
    Chunks a(before);
    Chunks b(after);
    return differing<Element>(a.get(), b.get());
  }
  uint32_t bits = 0;
#pragma unroll 4
  for (unsigned i = 0; i < kChunks * kElements; ++i) {
    const int64_t own = i / kElements * (kWarp * kElements) + i % kElements;
    bits |= (first + own < pair.count && before[own] != after[own] ? 1U : 0U) << i;
  }
  return bits;
}

// Counts of the chunks of a thread or a warp, 16 bits each.
constexpr int kCountBits = 16;
constexpr uint32_t kCountMask = 0xffffU;

template <typename Element>
__device__ uint64_t counts_of_chunks(uint32_t bits) {
  constexpr unsigned kElements = kChunkElements<Element>;
  uint64_t counts = 0;
#pragma unroll
  for (unsigned chunk = 0; chunk < kTileChunks<Element>; ++chunk) {
    const uint32_t own = bits >> (chunk * kElements) & ((1U << kElements) - 1);
    counts |= static_cast<uint64_t>(__popc(own)) << (chunk * kCountBits);
  }
  return counts;
}

template <typename Element, bool kAligned>
__global__ void __launch_bounds__(kThreads, kAligned ? kAlignedBlocks : kMisalignedBlocks)
    extract_kernel(const __grid_constant__ tg_patch_pair pair, const __grid_constant__ tg_patch_entries entries,
                   unsigned long long* ticket, uint64_t* states, int64_t tiles) {
  constexpr unsigned kElements = kChunkElements<Element>;
  constexpr unsigned kChunks = kTileChunks<Element>;
  __shared__ uint16_t found[kTileElements<Element>];  // the changed elements of the tile, ascending
  __shared__ uint32_t of_warps[kWarps];
  __shared__ int64_t first_tile;
  __shared__ int64_t next_tile;
  __shared__ int64_t first_entry;
  const unsigned warp = threadIdx.x / kWarp;
  const unsigned lane = threadIdx.x % kWarp;
  const unsigned first_of_thread = (warp * kChunks * kWarp + lane) * kElements;
  // What the last words of a tile have beyond it must be elements, too.
  constexpr int64_t kNeeded = kTileElements<Element> + (kAligned ? 0 : kElements);
  if (threadIdx.x == 0) {
    first_tile = static_cast<int64_t>(atomicAdd(ticket, 1ULL));
  }
  __syncthreads();
  for (int64_t tile = first_tile; tile < tiles;) {
    const int64_t first = tile * kTileElements<Element>;
    // Asked for early, because the answer takes as long as the elements.
    unsigned long long claimed = 0;
    if (threadIdx.x == 0) {
      claimed = atomicAdd(ticket, 1ULL);
    }
    const uint32_t bits = differing_in_tile<Element, kAligned>(pair, first + first_of_thread, first + kNeeded <= pair.count);
    // Each lane's counts of its chunks, and then those of the lanes up to it.
    const uint64_t own = counts_of_chunks<Element>(bits);
    uint64_t places = own;
    for (unsigned distance = 1; distance < kWarp; distance *= 2) {
      const uint64_t below = __shfl_up_sync(kWholeWarp, static_cast<unsigned long long>(places), distance);
      places += lane >= distance ? below : 0;
    }
    const uint64_t of_chunks = __shfl_sync(kWholeWarp, static_cast<unsigned long long>(places), kWarp - 1);
    places -= own;
    // Adds to each chunk those before it.
    uint32_t of_warp = 0;
#pragma unroll
    for (unsigned chunk = 0; chunk < kChunks; ++chunk) {
      places += static_cast<uint64_t>(of_warp) << (chunk * kCountBits);
      of_warp += static_cast<uint32_t>(of_chunks >> (chunk * kCountBits)) & kCountMask;
    }
    // All threads have passed the barriers of the turn before, and read what these replace.
    if (lane == 0) {
      of_warps[warp] = of_warp;
    }
    if (threadIdx.x == 0) {
      next_tile = static_cast<int64_t>(claimed);
    }
    __syncthreads();
    uint32_t of_warps_before = 0;
    uint32_t of_tile = 0;
#pragma unroll
    for (unsigned i = 0; i < kWarps; ++i) {
      of_warps_before += i < warp ? of_warps[i] : 0;
      of_tile += of_warps[i];
    }
    const int64_t following = next_tile;
    if (threadIdx.x == 0) {
      store_shared_state(states + tile, (tile == 0 ? kSumSoFar : kSumOfTile) | of_tile);
    }
    for (uint32_t rest = bits; rest != 0; rest &= rest - 1) {
      const auto i = static_cast<uint32_t>(__ffs(static_cast<int>(rest)) - 1);
      const uint32_t shift = i / kElements * kCountBits;
      found[of_warps_before + (static_cast<uint32_t>(places >> shift) & kCountMask)] =
          static_cast<uint16_t>(first_of_thread + i / kElements * (kWarp * kElements) + i % kElements);
      places += uint64_t{1} << shift;
    }
    if (warp == 0) {
      const uint64_t sum = sum_before(states, tile, static_cast<int>(lane));
      if (lane == 0) {
        first_entry = static_cast<int64_t>(sum);
        store_shared_state(states + tile, kSumSoFar | (sum + of_tile));
      }
    }
    __syncthreads();
    const int64_t room = entries.count - first_entry;
    for (unsigned i = threadIdx.x; i < of_tile && static_cast<int64_t>(i) < room; i += kThreads) {
      const int64_t element = first + found[i];
      auto value = static_cast<const Element*>(pair.after)[element];
      if (pair.form == TG_PATCH_XOR) {
        value = static_cast<Element>(value ^ static_cast<const Element*>(pair.before)[element]);
      }
      entries.positions[first_entry + i] = static_cast<uint32_t>(pair.first + element);
      static_cast<Element*>(entries.values)[first_entry + i] = value;
    }
    tile = following;
  }
}

__global__ void __launch_bounds__(kThreads)
    misplaced_kernel(const __grid_constant__ tg_patch_entries entries, int64_t count, int64_t* first) {
  __shared__ int64_t of_warps[kWarps];
  int64_t own = entries.count;
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kBlockEntries;
  for (int round = kEach - 1; round >= 0; --round) {
    const int64_t entry = begin + static_cast<int64_t>(round) * kThreads + threadIdx.x;
    if (entry < entries.count) {
      const uint32_t position = entries.positions[entry];
      const bool ascends = entry == 0 || entries.positions[entry - 1] < position;
      own = ascends && static_cast<int64_t>(position) < count ? own : entry;
    }
  }
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    own = smaller(own, __shfl_xor_sync(kWholeWarp, own, distance));
  }
  if (threadIdx.x % kWarp == 0) {
    of_warps[threadIdx.x / kWarp] = own;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (const int64_t of_warp : of_warps) {
      own = smaller(own, of_warp);
    }
    first[blockIdx.x] = own;
  }
}

// Entries of a thread. Each of them touches a sector of 32 bytes somewhere, so that the latency counts unless several are on the
// way. Positions ascend, so that no two entries have the same one.
constexpr int kApplyEach = 4;

template <typename Element>
__global__ void __launch_bounds__(kThreads) apply_kernel(const __grid_constant__ tg_patch_entries entries, Element* target) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kThreads * kApplyEach + threadIdx.x;
  const bool flips = entries.form == TG_PATCH_XOR;
  uint32_t positions[size_t{kApplyEach}];
  Element values[size_t{kApplyEach}];
#pragma unroll
  for (int i = 0; i < kApplyEach; ++i) {
    const int64_t entry = first + int64_t{i} * kThreads;
    const bool is_there = entry < entries.count;
    positions[i] = is_there ? entries.positions[entry] : 0;
    values[i] = is_there ? static_cast<const Element*>(entries.values)[entry] : 0;
  }
#pragma unroll
  for (int i = 0; i < kApplyEach; ++i) {
    if (flips && first + int64_t{i} * kThreads < entries.count) {
      values[i] = static_cast<Element>(values[i] ^ target[positions[i]]);
    }
  }
#pragma unroll
  for (int i = 0; i < kApplyEach; ++i) {
    if (first + int64_t{i} * kThreads < entries.count) {
      target[positions[i]] = values[i];
    }
  }
}

// The sum over a block, in its first thread. `of_warps` has room for one number per warp.
template <typename Number>
__device__ Number sum_over_block(Number own, Number* of_warps) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    own += __shfl_xor_sync(kWholeWarp, own, distance);
  }
  if (threadIdx.x % kWarp == 0) {
    of_warps[threadIdx.x / kWarp] = own;
  }
  __syncthreads();
  Number sum = 0;
  for (int i = 0; i < kWarps && threadIdx.x == 0; ++i) {
    sum += of_warps[i];
  }
  return sum;
}

template <typename Element>
__global__ void __launch_bounds__(kThreads)
    verify_kernel(const __grid_constant__ tg_patch_entries entries, const Element* target, uint32_t* differing) {
  __shared__ uint32_t of_warps[kWarps];
  uint32_t own = 0;
  for (int round = 0; round < kEach; ++round) {
    const int64_t entry = entry_at(round);
    if (entry < entries.count) {
      own += target[entries.positions[entry]] != static_cast<const Element*>(entries.values)[entry] ? 1 : 0;
    }
  }
  const uint32_t sum = sum_over_block(own, of_warps);
  if (threadIdx.x == 0) {
    differing[blockIdx.x] = sum;
  }
}

__global__ void __launch_bounds__(kThreads)
    gaps_kernel(const uint32_t* positions, int64_t count, int64_t previous, uint32_t* gaps) {
  const int64_t entry = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (entry < count) {
    const int64_t before = entry == 0 ? previous : static_cast<int64_t>(positions[entry - 1]);
    gaps[entry] = static_cast<uint32_t>(static_cast<int64_t>(positions[entry]) - before - 1);
  }
}

__global__ void __launch_bounds__(kThreads) sum_gaps_kernel(const uint32_t* gaps, int64_t count, uint64_t* sums) {
  __shared__ unsigned long long of_warps[kWarps];
  unsigned long long own = 0;
  for (int round = 0; round < kEach; ++round) {
    const int64_t entry = entry_at(round);
    own += entry < count ? gaps[entry] + 1ULL : 0ULL;
  }
  const unsigned long long sum = sum_over_block(own, of_warps);
  if (threadIdx.x == 0) {
    sums[blockIdx.x] = sum;
  }
}

// Sums are below 2^32 + 1. Positions are one less and fit 32 bits. A thread has four neighbouring gaps, so that a block scans and
// waits once for 1024 of them. One gap of a thread was tried: 62 instructions a gap, and 70 % of the bandwidth.
constexpr int kGapsEach = 4;
static_assert(kEach % kGapsEach == 0);

__global__ void __launch_bounds__(kThreads) positions_kernel(uint32_t* gaps, int64_t count, const uint64_t* begins) {
  __shared__ uint32_t of_warps[kWarps];
  const unsigned warp = threadIdx.x / kWarp;
  const unsigned lane = threadIdx.x % kWarp;
  const bool aligned = reinterpret_cast<uintptr_t>(gaps) % sizeof(uint4) == 0;
  auto begin = static_cast<uint32_t>(begins[blockIdx.x]);
  for (int round = 0; round < kEach; round += kGapsEach) {
    const int64_t first = static_cast<int64_t>(blockIdx.x) * kBlockEntries +
                          (static_cast<int64_t>(round) * kThreads + static_cast<int64_t>(threadIdx.x) * kGapsEach);
    const bool is_whole = aligned && first + kGapsEach <= count;
    uint32_t sums[kGapsEach];
    if (is_whole) {
      const uint4 chunk = *reinterpret_cast<const uint4*>(gaps + first);
#pragma unroll
      for (int i = 0; i < kGapsEach; ++i) {
        sums[i] = word_of(chunk, i) + 1;
      }
    } else {
#pragma unroll
      for (int i = 0; i < kGapsEach; ++i) {
        sums[i] = first + i < count ? gaps[first + i] + 1 : 0;
      }
    }
#pragma unroll
    for (int i = 1; i < kGapsEach; ++i) {
      sums[i] += sums[i - 1];
    }
    const uint32_t own = sums[kGapsEach - 1];
    uint32_t until = own;
    for (unsigned distance = 1; distance < kWarp; distance *= 2) {
      const uint32_t below = __shfl_up_sync(kWholeWarp, until, distance);
      until += lane >= distance ? below : 0;
    }
    if (lane == kWarp - 1) {
      of_warps[warp] = until;
    }
    __syncthreads();
    uint32_t before = begin + until - own;
#pragma unroll
    for (unsigned i = 0; i < kWarps; ++i) {
      before += i < warp ? of_warps[i] : 0;
      begin += of_warps[i];
    }
    before -= 1;
    if (is_whole) {
      store_vector(gaps + first, uint4{before + sums[0], before + sums[1], before + sums[2], before + sums[3]});
    } else {
#pragma unroll
      for (int i = 0; i < kGapsEach; ++i) {
        if (first + i < count) {
          gaps[first + i] = before + sums[i];
        }
      }
    }
    // The sums of the next round overwrite these.
    __syncthreads();
  }
}

// Elements of a thread in the kernels of planes. Loads of one byte or two are too few to hide the latency unless several are on
// the way: an H200 needs 25 KB on a multiprocessor, and 2048 threads with one element have 2 KB of a plane.
template <typename Element>
constexpr int kPlaneEach = 16 / sizeof(Element);
template <typename Element>
constexpr int64_t kBlockElements = int64_t{kThreads} * kPlaneEach<Element>;

template <typename Element>
__device__ int64_t element_at(int round) {
  return static_cast<int64_t>(blockIdx.x) * kBlockElements<Element> + static_cast<int64_t>(round) * kThreads + threadIdx.x;
}

template <typename Element>
__global__ void __launch_bounds__(kThreads) planes_kernel(const Element* from, int64_t count, uint8_t* to) {
  Element own[size_t{kPlaneEach<Element>}];
#pragma unroll
  for (int i = 0; i < kPlaneEach<Element>; ++i) {
    own[i] = element_at<Element>(i) < count ? from[element_at<Element>(i)] : 0;
  }
#pragma unroll
  for (int i = 0; i < kPlaneEach<Element>; ++i) {
    if (element_at<Element>(i) < count) {
#pragma unroll
      for (int plane = 0; plane < static_cast<int>(sizeof(Element)); ++plane) {
        to[plane * count + element_at<Element>(i)] = static_cast<uint8_t>(own[i] >> (8 * plane));
      }
    }
  }
}

template <typename Element>
__global__ void __launch_bounds__(kThreads) elements_kernel(const uint8_t* from, int64_t count, Element* to) {
  Element own[size_t{kPlaneEach<Element>}];
#pragma unroll
  for (int i = 0; i < kPlaneEach<Element>; ++i) {
    uint64_t bytes = 0;
    if (element_at<Element>(i) < count) {
#pragma unroll
      for (int plane = 0; plane < static_cast<int>(sizeof(Element)); ++plane) {
        bytes |= static_cast<uint64_t>(from[plane * count + element_at<Element>(i)]) << (8 * plane);
      }
    }
    own[i] = static_cast<Element>(bytes);
  }
#pragma unroll
  for (int i = 0; i < kPlaneEach<Element>; ++i) {
    if (element_at<Element>(i) < count) {
      to[element_at<Element>(i)] = own[i];
    }
  }
}

// Calls body(element) with a number of the width.
template <typename Body>
cudaError_t with_width(int32_t width, Body body) {
  switch (width) {
    case 1:
      return body(uint8_t{});
    case 2:
      return body(uint16_t{});
    case 4:
      return body(uint32_t{});
    default:
      return body(uint64_t{});
  }
}

}  // namespace

int64_t patch_tiles(const tg_patch_pair& pair) {
  int64_t elements = 1;
  with_width(pair.width, [&](auto element) {
    elements = int64_t{kTileElements<decltype(element)>};
    return cudaSuccess;
  });
  return (pair.count + elements - 1) / elements;
}

cudaError_t launch_extract(const tg_patch_pair& pair, const tg_patch_entries& entries, uint64_t* progress, int multiprocessors,
                           cudaStream_t stream) {
  return with_width(pair.width, [&](auto element) {
    using Element = decltype(element);
    const bool aligned =
        ((reinterpret_cast<uintptr_t>(pair.before) | reinterpret_cast<uintptr_t>(pair.after)) % kChunkBytes) == 0;
    const auto kernel = aligned ? extract_kernel<Element, true> : extract_kernel<Element, false>;
    int resident = 1;
    const cudaError_t error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, kThreads, 0);
    if (error != cudaSuccess) {
      return error;
    }
    const int64_t tiles = patch_tiles(pair);
    const int64_t most = int64_t{multiprocessors} * resident;
    return launch(Shape{tiles < most ? tiles : most, kThreads}, stream, kernel, pair, entries,
                  reinterpret_cast<unsigned long long*>(progress + tiles), progress, tiles);
  });
}

int64_t patch_blocks(int64_t entries) { return (entries + kBlockEntries - 1) / kBlockEntries; }

cudaError_t launch_find_misplaced(const tg_patch_entries& entries, int64_t count, int64_t* first, cudaStream_t stream) {
  return launch(Shape{patch_blocks(entries.count), kThreads}, stream, misplaced_kernel, entries, count, first);
}

cudaError_t launch_apply(const tg_patch_entries& entries, void* target, cudaStream_t stream) {
  return with_width(entries.width, [&](auto element) {
    using Element = decltype(element);
    constexpr int64_t kEntries = int64_t{kThreads} * kApplyEach;
    return launch(Shape{(entries.count + kEntries - 1) / kEntries, kThreads}, stream, apply_kernel<Element>, entries,
                  static_cast<Element*>(target));
  });
}

int64_t patch_block_entries() { return kBlockEntries; }

cudaError_t launch_verify(const tg_patch_entries& entries, const void* target, uint32_t* differing, cudaStream_t stream) {
  return with_width(entries.width, [&](auto element) {
    using Element = decltype(element);
    return launch(Shape{patch_blocks(entries.count), kThreads}, stream, verify_kernel<Element>, entries,
                  static_cast<const Element*>(target), differing);
  });
}

cudaError_t launch_gaps(const uint32_t* positions, int64_t count, int64_t previous, uint32_t* gaps, cudaStream_t stream) {
  return launch(Shape{(count + kThreads - 1) / kThreads, kThreads}, stream, gaps_kernel, positions, count, previous, gaps);
}

cudaError_t launch_sum_gaps(const uint32_t* gaps, int64_t count, uint64_t* sums, cudaStream_t stream) {
  return launch(Shape{patch_blocks(count), kThreads}, stream, sum_gaps_kernel, gaps, count, sums);
}

cudaError_t launch_positions(uint32_t* gaps, int64_t count, const uint64_t* begins, cudaStream_t stream) {
  return launch(Shape{patch_blocks(count), kThreads}, stream, positions_kernel, gaps, count, begins);
}

// The only plane of elements with one byte is those elements.
cudaError_t launch_planes(const void* from, int64_t count, int32_t width, void* to, cudaStream_t stream) {
  return with_width(width, [&](auto element) {
    using Element = decltype(element);
    if constexpr (sizeof(Element) == 1) {
      return cudaMemcpyAsync(to, from, static_cast<size_t>(count), cudaMemcpyDeviceToDevice, stream);
    } else {
      return launch(Shape{(count + kBlockElements<Element> - 1) / kBlockElements<Element>, kThreads}, stream,
                    planes_kernel<Element>, static_cast<const Element*>(from), count, static_cast<uint8_t*>(to));
    }
  });
}

cudaError_t launch_elements(const void* from, int64_t count, int32_t width, void* to, cudaStream_t stream) {
  return with_width(width, [&](auto element) {
    using Element = decltype(element);
    if constexpr (sizeof(Element) == 1) {
      return cudaMemcpyAsync(to, from, static_cast<size_t>(count), cudaMemcpyDeviceToDevice, stream);
    } else {
      return launch(Shape{(count + kBlockElements<Element> - 1) / kBlockElements<Element>, kThreads}, stream,
                    elements_kernel<Element>, static_cast<const uint8_t*>(from), count, static_cast<Element*>(to));
    }
  });
}

}  // namespace threegate::cuda
