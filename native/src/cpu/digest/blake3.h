// BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020; https://github.com/BLAKE3-team/BLAKE3-specs) of byte ranges. A range
// is a binary tree over chunks of 1 KiB. Threads process subtrees, and lanes of vectors process chunks.
#ifndef THREEGATE_CPU_DIGEST_BLAKE3_H
#define THREEGATE_CPU_DIGEST_BLAKE3_H

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/support/simd_level.h"
#include "threegate/threegate.h"

namespace threegate::digest {

constexpr int64_t kChunkBytes = 1024;
constexpr int64_t kNodeBlockBytes = 64;

// The value of a node of the tree.
using Value = std::array<uint32_t, 8>;

// Computes the values of `count` consecutive nodes whose data are `blocks` whole blocks each: chunks, or pairs of values, whose
// parent is one block. The nodes are chunks with the numbers first, first + 1, ..., or parents if `first` is negative.
using NodesFunction = void (*)(const uint8_t* data, size_t count, size_t blocks, int64_t first, Value* values);

void nodes_scalar(const uint8_t* data, size_t count, size_t blocks, int64_t first, Value* values);
void nodes_avx2(const uint8_t* data, size_t count, size_t blocks, int64_t first, Value* values);
void nodes_avx512(const uint8_t* data, size_t count, size_t blocks, int64_t first, Value* values);

NodesFunction choose_nodes(SimdLevel level) noexcept;

// The digests of several ranges. The work is divided into subtrees of 1 MiB, which threads take in turn.
class Blake3 {
 public:
  // `digests` gets 32 bytes for each range.
  Blake3(NodesFunction nodes, const tg_span* spans, int64_t count, uint8_t* digests);

  [[nodiscard]] int64_t subtrees() const { return first_.back(); }

  // The work of one thread. Returns false if the call was cancelled.
  bool run(std::atomic<int64_t>& next, tg_control* control);

  // Joins the subtrees of each range. All threads have to be done.
  void finish();

 private:
  const NodesFunction nodes_;
  const tg_span* const spans_;
  uint8_t* const digests_;
  std::vector<int64_t> first_;  // number of the first subtree of each range, then that of all of them
  std::vector<Value> values_;   // of all subtrees
};

}  // namespace threegate::digest

#endif  // THREEGATE_CPU_DIGEST_BLAKE3_H
