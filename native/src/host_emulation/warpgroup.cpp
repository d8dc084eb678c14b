// Barriers with phases and byte counts, copies of boxes, blocks of a cluster, and matrix products of warpgroups, as the PTX ISA
// describes them in its sections on mbarrier, cp.async.bulk.tensor, barrier.cluster, mapa and wgmma.
//
// Copies arrive as late as possible, and their targets are not valid before. A copy to several blocks arrives in each at another
// time. Arrivals at the barriers of other blocks are late, too, unless the barrier of the cluster orders them. Products are
// computed when they are waited for and no other thread can go on, from what shared memory has then. Their sums are not valid
// before. So a missing wait, or a stage that is overwritten too early, gives wrong results in any order of threads.
#include "cuda/support/warpgroup.h"
#include "emulated_instructions.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include "asynchronous.h"
#include "executor.h"
#include "matrix_unit.h"

namespace emulation {
namespace {

constexpr int kWarp = 32;
constexpr uint64_t kBarrierMark = 0x6d62617272696572;
constexpr uint64_t kMapMark = 0x74656e736f726d61;

struct Barrier {
  int arrivals;
  int missing;
  int64_t bytes = 0;  // that were announced and are not there
  uint64_t phase = 0;
  int initialised_by;
  uint64_t initialised_at;  // barriers of the block, and of the cluster, that were passed before
  uint64_t initialised_in;
  bool published = false;
};

// What the opaque words of a map hold here.
struct Map {
  uint64_t mark;
  const unsigned char* matrix;
  uint64_t columns;
  uint64_t rows;
  uint64_t stride;
  uint32_t box_columns;
  uint32_t box_rows;
  uint32_t swizzle;
};

size_t bytes_of(const Map& map) { return size_t{map.box_rows} * map.box_columns * 2; }

struct BoxCopy {
  unsigned char* to;
  Map map;
  int column;
  int row;
  uint64_t* barrier;
  int block;  // that has the target and the barrier
};

struct Arrival {
  uint64_t* barrier;
  int block;
  bool ordered;  // by the next barrier of the cluster
};

struct Product {
  WarpgroupProduct what;
  float* sums;  // of the first lane, which names those of all
  int group;
};

// The sums of a warp while products with them are not complete.
struct Pending {
  std::array<float*, kWarp> of;
  std::vector<float> values;
  int products;
};

struct WarpState {
  std::deque<Product> products;
  std::map<float*, Pending> sums;
  int group = 0;
  size_t asked = 0;
  bool begun = false;  // no register was touched since begin_products
};

struct Asked {
  uint64_t a;
  uint64_t b;
  int columns;
  bool transposed;
  bool adds;
};

struct BlockState {
  std::map<uint64_t*, Barrier> barriers;
  std::set<const CUtensorMap*> maps;
  std::vector<WarpState> warps;
  std::vector<std::vector<Asked>> asked;  // by each warpgroup, whose warps must all ask for the same
};
struct State {
  std::vector<BlockState> blocks;  // of the cluster
  std::vector<BoxCopy> copies;
  std::vector<Arrival> arrivals;
};
State& state() {
  static State instance;
  return instance;
}

BlockState& state_of(int block) { return state().blocks[static_cast<size_t>(block)]; }
BlockState& own_state() { return state_of(current_block()); }
WarpState& own_warp() { return own_state().warps[static_cast<size_t>(current_thread() / kWarp)]; }

// Chunks of 16 bytes are permuted by three, two or one bits of the address, from bit 7 on.
uint32_t swizzled(uint32_t address, int bits) { return address ^ (address >> 7 & ((1U << bits) - 1U)) << 4; }

// The same place in the shared memory of a block of the cluster, which must be there.
unsigned char* in_block(const void* pointer, int block) {
  const uint32_t address = shared_address(pointer);
  if (block < 0 || block >= cluster_blocks()) {
    fail("the cluster has no such block");
  }
  if (block != current_block() && passed_cluster_barriers() == 0) {
    fail("another block is used before it is known to run");
  }
  if (has_ended(block)) {
    fail("another block is used after it has ended");
  }
  return shared_window(block).base + address;
}

Barrier& barrier_at(uint64_t* address, int block) {
  auto& barriers = state_of(block).barriers;
  const auto found = barriers.find(address);
  if (found == barriers.end() || *address != kBarrierMark) {
    fail("a barrier was not initialised, or was overwritten");
  }
  Barrier& barrier = found->second;
  if (block == current_block() ? barrier.initialised_by != current_thread() && barrier.initialised_at == passed_barriers()
                               : barrier.initialised_in == passed_cluster_barriers()) {
    fail("a barrier is used before all threads know that it is initialised");
  }
  return barrier;
}

void end_phase_if_complete(Barrier& barrier) {
  if (barrier.missing == 0 && barrier.bytes == 0) {
    ++barrier.phase;
    barrier.missing = barrier.arrivals;
    wake_all();
  }
}

void arrive_at(Barrier& barrier, int bytes) {
  if (barrier.missing == 0) {
    fail("more threads arrive at a barrier than it waits for");
  }
  barrier.bytes += bytes;
  --barrier.missing;
  end_phase_if_complete(barrier);
}

void run_copy(const BoxCopy& copy) {
  const Map& map = copy.map;
  const int bits = map.swizzle == 0 ? 0 : static_cast<int>(map.swizzle);
  const SharedWindow window = shared_window(copy.block);
  const auto begin = static_cast<uint32_t>(copy.to - window.base);
  const uint32_t row_bytes = map.box_columns * 2;
  for (uint32_t i = 0; i < map.box_rows; ++i) {
    for (uint32_t j = 0; j < map.box_columns; ++j) {
      const int64_t row = int64_t{copy.row} + i;
      const int64_t column = int64_t{copy.column} + j;
      uint16_t value = 0;
      if (row >= 0 && column >= 0 && row < static_cast<int64_t>(map.rows) && column < static_cast<int64_t>(map.columns)) {
        std::memcpy(&value, map.matrix + static_cast<uint64_t>(row) * map.stride + static_cast<uint64_t>(column) * 2, 2);
      }
      const uint32_t at = begin + i * row_bytes + j * 2;
      std::memcpy(window.base + swizzled(at, bits), &value, 2);
    }
  }
  Barrier& barrier = state_of(copy.block).barriers.at(copy.barrier);
  barrier.bytes -= int64_t{map.box_rows} * row_bytes;
  end_phase_if_complete(barrier);
}

// The numbers of a matrix with 16 terms, [row or column][term].
using Operand = std::vector<std::array<double, 16>>;

Operand read_operand(uint64_t descriptor, int first, int count, bool transposed) {
  constexpr uint64_t kField = 0x3fff;
  const auto start = static_cast<uint32_t>((descriptor & kField) << 4);
  const auto leading = static_cast<uint32_t>((descriptor >> 16 & kField) << 4);
  const auto stride = static_cast<uint32_t>((descriptor >> 32 & kField) << 4);
  const auto mode = static_cast<uint32_t>(descriptor >> 62);  // 0 none, 1 of 128 bytes, 2 of 64, 3 of 32
  const int bits = mode == 0 ? 0 : 4 - static_cast<int>(mode);
  const uint32_t width = 16U << bits;  // bytes of a row of a swizzled group
  if ((descriptor >> 49 & 7U) != 0) {
    fail("matrices that begin within a pattern are not emulated");
  }
  if (bits > 0 && (start >> 7 & ((1U << bits) - 1U)) != 0) {
    fail("a matrix does not begin where the pattern of its chunks does");
  }
  const SharedWindow window = shared_window(current_block());
  Operand operand(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const auto row = static_cast<uint32_t>(first + i);
    for (uint32_t k = 0; k < 16; ++k) {
      uint32_t at = start;
      if (transposed) {
        const uint32_t wide = width / 2;
        at += bits == 0 ? row % 8 * 2 + row / 8 * stride + k % 8 * 16 + k / 8 * leading
                        : row % wide * 2 + row / wide * leading + k % 8 * width + k / 8 * stride;
      } else {
        at += bits == 0 ? row % 8 * 16 + row / 8 * stride + k % 8 * 2 + k / 8 * leading
                        : row % 8 * width + row / 8 * stride + k * 2;
      }
      const unsigned char* const from = window.base + swizzled(at, bits);
      if (from < window.begin || from + 2 > window.end) {
        fail("a product reads beyond shared memory");
      }
      uint16_t code;
      std::memcpy(&code, from, sizeof(code));
      operand[static_cast<size_t>(i)][k] = static_cast<double>(from_bf16(code));
    }
  }
  return operand;
}

// Computes the 16 rows of a warp.
void run_product(const Product& product, int warp, Pending& pending) {
  const int columns = product.what.columns;
  const auto each = static_cast<size_t>(columns) / 2;
  const Operand a = read_operand(product.what.a, warp % 4 * 16, 16, product.what.transposed);
  const Operand b = read_operand(product.what.b, 0, columns, false);
  std::vector<double> terms(static_cast<size_t>(columns) * 16);
  for (size_t j = 0; j < b.size(); ++j) {
    for (size_t k = 0; k < 16; ++k) {
      terms[k * b.size() + j] = b[j][k];
    }
  }
  std::vector<double> sums(b.size());
  for (size_t i = 0; i < 16; ++i) {
    std::fill(sums.begin(), sums.end(), 0);
    for (size_t k = 0; k < 16; ++k) {
      for (size_t j = 0; j < b.size(); ++j) {
        sums[j] += a[i][k] * terms[k * b.size() + j];
      }
    }
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t lane = i % 8 * 4 + j % 8 / 2;
      float& value = pending.values[lane * each + j / 8 * 4 + i / 8 * 2 + j % 2];
      value = towards_zero((product.what.adds ? static_cast<double>(value) : 0.0) + sums[j]);
    }
  }
}

void ask_of_warp(void* const lanes[kWarp]) {
  const auto& first = *static_cast<const WarpgroupProduct*>(lanes[0]);
  WarpState& warp = own_warp();
  if (!warp.begun) {
    fail("products begin without wgmma.fence");
  }
  for (int lane = 0; lane < kWarp; ++lane) {
    const auto& own = *static_cast<const WarpgroupProduct*>(lanes[lane]);
    if (own.a != first.a || own.b != first.b || own.adds != first.adds) {
      fail("lanes ask for different products");
    }
  }
  // The warps of a warpgroup need not be at the same place, but must ask for the same products.
  auto& asked = own_state().asked[static_cast<size_t>(current_thread() / (4 * kWarp))];
  if (warp.asked == asked.size()) {
    asked.push_back({first.a, first.b, first.columns, first.transposed, first.adds});
  }
  const Asked& same = asked[warp.asked++];
  if (same.a != first.a || same.b != first.b || same.columns != first.columns || same.transposed != first.transposed ||
      same.adds != first.adds) {
    fail("warps of a warpgroup ask for different products");
  }
  const auto each = static_cast<size_t>(first.columns) / 2;
  auto found = warp.sums.find(first.sums);
  if (found == warp.sums.end()) {
    found = warp.sums.emplace(first.sums, Pending{}).first;
    Pending& pending = found->second;
    for (size_t lane = 0; lane < kWarp; ++lane) {
      float* const own = static_cast<const WarpgroupProduct*>(lanes[lane])->sums;
      pending.of[lane] = own;
      pending.values.insert(pending.values.end(), own, own + each);
      std::memset(own, kPoison, each * sizeof(float));
    }
  }
  ++found->second.products;
  warp.products.push_back({first, first.sums, warp.group});
}

void wait_of_warp(void* const lanes[kWarp]) {
  const int left = *static_cast<const int*>(lanes[0]);
  WarpState& warp = own_warp();
  while (!warp.products.empty() && warp.products.front().group < warp.group - left) {
    const Product& product = warp.products.front();
    Pending& pending = warp.sums.at(product.sums);
    run_product(product, current_thread() / kWarp, pending);
    if (--pending.products == 0) {
      const size_t each = pending.values.size() / kWarp;
      for (size_t lane = 0; lane < kWarp; ++lane) {
        std::memcpy(pending.of[lane], pending.values.data() + lane * each, each * sizeof(float));
      }
      warp.sums.erase(product.sums);
    }
    warp.products.pop_front();
  }
  warp.begun = false;
}

}  // namespace

uint32_t shared_address(const void* pointer) {
  const SharedWindow window = shared_window(current_block());
  const auto* const at = static_cast<const unsigned char*>(pointer);
  if (at < window.begin || at >= window.end) {
    fail("an address is not one of shared memory that the launch asked for");
  }
  return static_cast<uint32_t>(at - window.base);
}

void ask_for_product(WarpgroupProduct& product) { warp_collective("wgmma", 0xffffffffU, &product, ask_of_warp); }
void wait_for_products(int groups_left) {
  let_others_run();
  warp_collective("wgmma.wait_group", 0xffffffffU, &groups_left, wait_of_warp);
}

namespace asynchronous {

void begin_cluster(int threads, int blocks) {
  state() = {};
  state().blocks.resize(static_cast<size_t>(blocks));
  for (BlockState& block : state().blocks) {
    block.warps.resize(static_cast<size_t>(threads / kWarp));
    block.asked.resize(static_cast<size_t>(threads / (4 * kWarp)) + 1);
  }
}

bool complete_one(ThreadOrder& order) {
  auto& [blocks, copies, arrivals] = state();
  if (copies.empty() && arrivals.empty()) {
    return false;
  }
  const size_t at = order.pick(copies.size() + arrivals.size());
  if (at < copies.size()) {
    const BoxCopy copy = copies[at];
    copies.erase(copies.begin() + static_cast<int64_t>(at));
    run_copy(copy);
  } else {
    const auto arrival = arrivals.begin() + static_cast<int64_t>(at - copies.size());
    arrive_at(blocks[static_cast<size_t>(arrival->block)].barriers.at(arrival->barrier), 0);
    arrivals.erase(arrival);
  }
  return true;
}

void pass_cluster_barrier() {
  std::vector<Arrival> left;
  for (Arrival& arrival : state().arrivals) {
    if (arrival.ordered) {
      arrive_at(state_of(arrival.block).barriers.at(arrival.barrier), 0);
    } else {
      arrival.ordered = true;
      left.push_back(arrival);
    }
  }
  state().arrivals = std::move(left);
}

void end_thread() {
  if (!own_warp().products.empty()) {
    fail("a warp ended before its products were complete");
  }
}

void end_block() {
  const auto is_own = [](const auto& late) { return late.block == current_block(); };
  const State& all = state();
  if (std::any_of(all.copies.begin(), all.copies.end(), is_own)) {
    fail("a block ended before its copies were complete");
  }
  if (std::any_of(all.arrivals.begin(), all.arrivals.end(), is_own)) {
    fail("a block ended before arrivals of another one were complete");
  }
  for (const auto& [address, barrier] : own_state().barriers) {
    if (barrier.bytes != 0) {
      fail("a block ended with other bytes than were announced");
    }
  }
}

}  // namespace asynchronous
}  // namespace emulation

CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* address,
                                const cuuint64_t* sizes, const cuuint64_t* strides, const cuuint32_t* box,
                                const cuuint32_t* steps, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  constexpr cuuint32_t kMostRows = 256;
  const cuuint32_t widest = swizzle == CU_TENSOR_MAP_SWIZZLE_NONE ? kMostRows * 2 : 16U << swizzle;
  if (type != CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 || rank != 2 || interleave != CU_TENSOR_MAP_INTERLEAVE_NONE || steps[0] != 1 ||
      steps[1] != 1 || reinterpret_cast<uintptr_t>(address) % 16 != 0 || reinterpret_cast<uintptr_t>(map) % 64 != 0 ||
      strides[0] % 16 != 0 || strides[0] < 2 * sizes[0] || sizes[0] == 0 || sizes[1] == 0 || box[0] * 2 % 16 != 0 ||
      box[0] * 2 > widest || box[1] == 0 || box[1] > kMostRows) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const emulation::Map own{
      emulation::kMapMark,           static_cast<const unsigned char*>(address), sizes[0], sizes[1], strides[0], box[0], box[1],
      static_cast<uint32_t>(swizzle)};
  static_assert(sizeof(own) <= sizeof(*map));
  *map = {};
  std::memcpy(map, &own, sizeof(own));
  return CUDA_SUCCESS;
}

namespace threegate::cuda {

using namespace emulation;

void initialise_barrier(uint64_t* barrier, int arrivals) {
  require_aligned(barrier, sizeof(uint64_t), "a barrier");
  shared_address(barrier);
  *barrier = kBarrierMark;
  own_state().barriers[barrier] = {arrivals, arrivals, 0, 0, current_thread(), passed_barriers(), passed_cluster_barriers(),
                                   false};
}
void publish_barriers() {
  for (auto& [address, barrier] : own_state().barriers) {
    barrier.published = barrier.published || barrier.initialised_by == current_thread();
  }
}
void arrive(uint64_t* barrier) { arrive_at(barrier_at(barrier, current_block()), 0); }
void arrive_and_announce(uint64_t* barrier, int bytes) { arrive_at(barrier_at(barrier, current_block()), bytes); }
void wait_for_phase(uint64_t* barrier, unsigned parity) {
  while ((barrier_at(barrier, current_block()).phase & 1U) == parity) {
    sleep_until_woken();
  }
}

int cluster_blocks() { return emulation::cluster_blocks(); }
int block_of_cluster() { return emulation::current_block(); }
void arrive_at_cluster() { emulation::arrive_at_cluster(); }
void wait_for_cluster() { emulation::wait_for_cluster(); }
void arrive_in_blocks(uint64_t* barrier, int blocks) {
  const int block = lane();
  if (block >= blocks) {
    return;
  }
  auto* const there = reinterpret_cast<uint64_t*>(in_block(barrier, block));
  Barrier& own = barrier_at(there, block);
  if (block == current_block()) {
    arrive_at(own, 0);
  } else {
    state().arrivals.push_back({there, block, !has_arrived_at_cluster()});
  }
}

void acquire_map(const CUtensorMap* map) { own_state().maps.insert(map); }
void copy_box(void* to, const CUtensorMap* map, int column, int row, uint64_t* barrier) {
  copy_box_to_blocks(to, map, column, row, barrier, 1U << current_block());
}
void copy_box_to_blocks(void* to, const CUtensorMap* map, int column, int row, uint64_t* barrier, unsigned blocks) {
  Map own;
  std::memcpy(&own, map, sizeof(own));
  if (own.mark != kMapMark) {
    fail("a map was not made by the driver");
  }
  // Maps among the arguments of a kernel need no fence.
  if (is_device_memory(map) && own_state().maps.count(map) == 0) {
    fail("a map of global memory is used before it is acquired");
  }
  require_aligned(to, 128, "the target of a box");
  const size_t bytes = bytes_of(own);
  shared_address(static_cast<unsigned char*>(to) + bytes - 1);
  for (int block = 0; blocks >> block != 0; ++block) {
    if ((blocks >> block & 1U) == 0) {
      continue;
    }
    unsigned char* const target = in_block(to, block);
    auto* const there = reinterpret_cast<uint64_t*>(in_block(barrier, block));
    if (!barrier_at(there, block).published) {
      fail("a copy has a barrier that the copy unit does not know");
    }
    for (const BoxCopy& other : state().copies) {
      if (target < other.to + bytes_of(other.map) && other.to < target + bytes) {
        fail("a copy goes to a place where another one is not complete");
      }
    }
    std::memset(target, kPoison, bytes);
    state().copies.push_back({target, own, column, row, there, block});
  }
}

void begin_products() {
  int nothing = 0;
  warp_collective("wgmma.fence", 0xffffffffU, &nothing, [](void* const[kWarp]) { own_warp().begun = true; });
}
void commit_products() {
  int nothing = 0;
  warp_collective("wgmma.commit_group", 0xffffffffU, &nothing, [](void* const[kWarp]) { ++own_warp().group; });
}

}  // namespace threegate::cuda
