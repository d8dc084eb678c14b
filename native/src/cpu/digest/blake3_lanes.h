// BLAKE3 of several nodes at a time, one in each lane of a vector.
#ifndef THREEGATE_CPU_DIGEST_BLAKE3_LANES_H
#define THREEGATE_CPU_DIGEST_BLAKE3_LANES_H

#include <cstring>
#include <utility>

#include "blake3_compress.h"

namespace threegate::digest {
namespace {

template <size_t kLanes>
struct VectorOf {
  using Type [[gnu::vector_size(kLanes * sizeof(uint32_t))]] = uint32_t;
};

// Exchanges blocks of kDistance lanes between two vectors: `upper` gets those of even number of both, `lower` those of odd
// number.
template <size_t kLanes, size_t kDistance, typename Vector, size_t... kLane>
[[gnu::always_inline]] inline void exchange(Vector& upper, Vector& lower, std::index_sequence<kLane...> /*lanes*/) {
  const Vector even =
      __builtin_shufflevector(upper, lower, ((kLane / kDistance) % 2 == 0 ? kLane : kLanes + kLane - kDistance)...);
  lower = __builtin_shufflevector(upper, lower, ((kLane / kDistance) % 2 == 0 ? kLane + kDistance : kLanes + kLane)...);
  upper = even;
}

// Transposes a square matrix of kLanes rows.
template <size_t kLanes, size_t kDistance, typename Vector>
[[gnu::always_inline]] inline void transpose(Vector* rows) {
  if constexpr (kDistance > 0) {
#pragma GCC unroll 16
    for (size_t i = 0; i < kLanes; ++i) {
      if ((i / kDistance) % 2 == 0) {
        exchange<kLanes, kDistance>(rows[i], rows[i + kDistance], std::make_index_sequence<kLanes>());
      }
    }
    transpose<kLanes, kDistance / 2>(rows);
  }
}

// Computes kLanes nodes. `stride` is the distance of their data.
template <size_t kLanes>
[[gnu::always_inline]] inline void full_nodes(const uint8_t* data, size_t stride, size_t blocks, int64_t first, Value* values) {
  using Vector = typename VectorOf<kLanes>::Type;
  const bool is_parent = first < 0;
  Vector value[16];
  for (size_t i = 0; i < 8; ++i) {
    value[i] = Vector{} + kInitialState[i];
  }
  Vector low{};
  Vector high{};
  if (!is_parent) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const uint64_t number = static_cast<uint64_t>(first) + lane;
      low[lane] = static_cast<uint32_t>(number);
      high[lane] = static_cast<uint32_t>(number >> 32);
    }
  }
  for (size_t block = 0; block < blocks; ++block) {
    // The data of the next nodes. The processor does not foresee the order of these reads.
#pragma GCC unroll 16
    for (size_t line = 0; line < kLanes; ++line) {
      __builtin_prefetch(data + kLanes * stride + (block * kLanes + line) * kNodeBlockBytes);
    }
    Vector message[16];
#pragma GCC unroll 4
    for (size_t part = 0; part < 16 / kLanes; ++part) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        std::memcpy(&message[part * kLanes + lane],
                    data + lane * stride + block * kNodeBlockBytes + part * kLanes * sizeof(uint32_t), sizeof(Vector));
      }
      transpose<kLanes, kLanes / 2>(message + part * kLanes);
    }
    const uint32_t flags = is_parent ? kParent : (block == 0 ? kChunkStart : 0) | (block + 1 == blocks ? kChunkEnd : 0);
    Vector v[16];
    for (size_t i = 0; i < 8; ++i) {
      v[i] = value[i];
    }
    for (size_t i = 0; i < 4; ++i) {
      v[8 + i] = Vector{} + kInitialState[i];
    }
    v[12] = low;
    v[13] = high;
    v[14] = Vector{} + static_cast<uint32_t>(kNodeBlockBytes);
    v[15] = Vector{} + flags;
    compress(value, v, message);
  }
  // Rows of the transposed values are those of nodes. The upper half of 16 lanes is not used.
  for (size_t i = 8; i < 16; ++i) {
    value[i] = Vector{};
  }
#pragma GCC unroll 2
  for (size_t part = 0; part < (8 + kLanes - 1) / kLanes; ++part) {
    transpose<kLanes, kLanes / 2>(value + part * kLanes);
    constexpr size_t kBytes = (kLanes < 8 ? kLanes : 8) * sizeof(uint32_t);
    for (size_t lane = 0; lane < kLanes; ++lane) {
      std::memcpy(values[lane].data() + part * kLanes, &value[part * kLanes + lane], kBytes);
    }
  }
}

// Computes any number of nodes. kRest computes those that do not fill a vector.
template <size_t kLanes, NodesFunction kRest>
[[gnu::always_inline]] inline void nodes(const uint8_t* data, size_t count, size_t blocks, int64_t first, Value* values) {
  const size_t stride = blocks * kNodeBlockBytes;
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    full_nodes<kLanes>(data + i * stride, stride, blocks, first < 0 ? first : first + static_cast<int64_t>(i), values + i);
  }
  if (i < count) {
    kRest(data + i * stride, count - i, blocks, first < 0 ? first : first + static_cast<int64_t>(i), values + i);
  }
}

}  // namespace
}  // namespace threegate::digest

#endif  // THREEGATE_CPU_DIGEST_BLAKE3_LANES_H
