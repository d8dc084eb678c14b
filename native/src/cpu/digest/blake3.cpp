#include "blake3.h"

#include <algorithm>
#include <cstring>

#include "blake3_lanes.h"
#include "common/control.h"

namespace threegate::digest {
namespace {

constexpr size_t kSubtreeChunks = 1024;  // of 1 MiB
constexpr int64_t kSubtreeBytes = kSubtreeChunks * kChunkBytes;
constexpr int64_t kDigestBytes = 32;

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are stored as they are");

// Computes a block of `bytes` bytes. Those after them are 0.
void compress_block(Value& value, const uint8_t* block, uint32_t bytes, uint64_t counter, uint32_t flags) {
  uint32_t message[16];
  std::memcpy(message, block, sizeof(message));
  uint32_t v[16];
  std::copy_n(value.data(), 8, v);
  std::copy_n(kInitialState, 4, v + 8);
  v[12] = static_cast<uint32_t>(counter);
  v[13] = static_cast<uint32_t>(counter >> 32);
  v[14] = bytes;
  v[15] = flags;
  compress(value.data(), v, message);
}

Value initial_value() {
  Value value{};
  std::copy_n(kInitialState, 8, value.data());
  return value;
}

// Returns the value of a chunk of any length. `last` are flags of its last block.
Value chunk(const uint8_t* data, int64_t bytes, int64_t number, uint32_t last) {
  Value value = initial_value();
  uint32_t flags = kChunkStart;
  for (; bytes > kNodeBlockBytes; bytes -= kNodeBlockBytes, data += kNodeBlockBytes) {
    compress_block(value, data, kNodeBlockBytes, static_cast<uint64_t>(number), flags);
    flags = 0;
  }
  uint8_t block[kNodeBlockBytes] = {};
  if (bytes > 0) {
    std::memcpy(block, data, static_cast<size_t>(bytes));
  }
  compress_block(value, block, static_cast<uint32_t>(bytes), static_cast<uint64_t>(number), flags | kChunkEnd | last);
  return value;
}

void nodes_one_by_one(const uint8_t* data, size_t count, size_t blocks, int64_t first, Value* values) {
  for (size_t i = 0; i < count; ++i, data += blocks * kNodeBlockBytes) {
    if (first < 0) {
      values[i] = initial_value();
      compress_block(values[i], data, kNodeBlockBytes, 0, kParent);
    } else {
      values[i] = chunk(data, static_cast<int64_t>(blocks) * kNodeBlockBytes, first + static_cast<int64_t>(i), 0);
    }
  }
}

const uint8_t* bytes_of(const Value* values) { return reinterpret_cast<const uint8_t*>(values); }

// Joins neighbours until one value is left. A value without a neighbour stays for the next level, which gives the tree of BLAKE3:
// each left subtree has the largest possible power of two of chunks. `last` are flags of the last parent.
Value join(NodesFunction nodes, std::vector<Value>& values, size_t count, uint32_t last) {
  while (count > 2) {
    const size_t pairs = count / 2;
    // Parents are written where their children have been read.
    constexpr size_t kStep = 64;
    Value parents[kStep];
    for (size_t i = 0; i < pairs; i += kStep) {
      const size_t now = std::min(kStep, pairs - i);
      nodes(bytes_of(values.data() + 2 * i), now, 1, -1, parents);
      std::copy_n(parents, now, values.data() + i);
    }
    if (count % 2 != 0) {
      values[pairs] = values[count - 1];
    }
    count = pairs + count % 2;
  }
  if (count == 2) {
    Value value = initial_value();
    compress_block(value, bytes_of(values.data()), kNodeBlockBytes, 0, kParent | last);
    return value;
  }
  return values[0];
}

// Returns the value of a subtree of at most kSubtreeChunks chunks, the first of which has a number. `last` are flags of its root.
Value subtree(NodesFunction nodes, const uint8_t* data, int64_t bytes, int64_t first, uint32_t last, std::vector<Value>& values) {
  if (bytes <= kChunkBytes) {
    return chunk(data, bytes, first, last);
  }
  const int64_t whole = bytes / kChunkBytes;
  nodes(data, static_cast<size_t>(whole), kChunkBytes / kNodeBlockBytes, first, values.data());
  auto count = static_cast<size_t>(whole);
  const int64_t rest = bytes % kChunkBytes;
  if (rest > 0) {
    values[count++] = chunk(data + whole * kChunkBytes, rest, first + whole, 0);
  }
  return join(nodes, values, count, last);
}

}  // namespace

void nodes_scalar(const uint8_t* data, size_t count, size_t blocks, int64_t first, Value* values) {
  nodes<4, nodes_one_by_one>(data, count, blocks, first, values);
}

NodesFunction choose_nodes([[maybe_unused]] SimdLevel level) noexcept { return TG_LANES_AT_LEVEL(level, nodes); }

Blake3::Blake3(NodesFunction nodes, const tg_span* spans, int64_t count, uint8_t* digests)
    : nodes_(nodes), spans_(spans), digests_(digests), first_(static_cast<size_t>(count) + 1) {
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    first_[at + 1] = first_[at] + std::max<int64_t>(1, (spans[i].bytes + kSubtreeBytes - 1) / kSubtreeBytes);
  }
  values_.resize(static_cast<size_t>(first_.back()));
}

bool Blake3::run(std::atomic<int64_t>& next, tg_control* control) {
  std::vector<Value> values(kSubtreeChunks);
  for (int64_t i = next++; i < subtrees(); i = next++) {
    if (is_cancelled(control)) {
      return false;
    }
    const auto range = std::upper_bound(first_.begin(), first_.end(), i) - first_.begin() - 1;
    const tg_span& span = spans_[range];
    const int64_t number = i - first_[static_cast<size_t>(range)];
    const bool alone = first_[static_cast<size_t>(range) + 1] - first_[static_cast<size_t>(range)] == 1;
    const int64_t begin = number * kSubtreeBytes;
    const int64_t bytes = std::min(kSubtreeBytes, span.bytes - begin);
    const uint8_t* const data = bytes == 0 ? nullptr : static_cast<const uint8_t*>(span.data) + begin;
    values_[static_cast<size_t>(i)] =
        subtree(nodes_, data, bytes, number * static_cast<int64_t>(kSubtreeChunks), alone ? kRoot : 0, values);
    add_done(control, bytes);
  }
  return true;
}

void Blake3::finish() {
  for (size_t range = 0; range + 1 < first_.size(); ++range) {
    const auto begin = values_.begin() + first_[range];
    std::vector<Value> values(begin, values_.begin() + first_[range + 1]);
    const Value digest = join(nodes_, values, values.size(), kRoot);
    std::memcpy(digests_ + static_cast<std::ptrdiff_t>(range) * kDigestBytes, digest.data(), kDigestBytes);
  }
}

}  // namespace threegate::digest
