#include "sha256.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <utility>

#include "common/control.h"
#include "cpu/digest/sha256_constants.h"
#include "cpu/support/processor.h"

namespace threegate::digest {
namespace {

constexpr int64_t kChunkBlocks = 1 << 14;  // 1 MiB between two checks of the control

uint32_t rotate(uint32_t x, int n) { return (x >> n) | (x << (32 - n)); }

uint32_t load_big_endian(const uint8_t* bytes) {
  uint32_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return __builtin_bswap32(word);
}

void compress_one(uint32_t* state, const uint8_t* data, int64_t blocks) {
  for (int64_t block = 0; block < blocks; ++block, data += kBlockBytes) {
    uint32_t w[64];
    for (int i = 0; i < 16; ++i) {
      w[i] = load_big_endian(data + static_cast<std::ptrdiff_t>(4) * i);
    }
    for (int i = 16; i < 64; ++i) {
      const uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t v[8];
    std::copy_n(state, 8, v);
    for (int i = 0; i < 64; ++i) {
      const uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
      const uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
      const uint32_t t1 = v[7] + s1 + choice + kRoundConstants[i] + w[i];
      const uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
      const uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
      std::copy_backward(v, v + 7, v + 8);
      v[4] += t1;
      v[0] = t1 + s0 + majority;
    }
    for (int i = 0; i < 8; ++i) {
      state[i] += v[i];
    }
  }
}

// The state of one range.
class Stream {
 public:
  Stream() = default;
  Stream(const tg_span& span, uint8_t* digest)
      : data_(static_cast<const uint8_t*>(span.data)), blocks_(span.bytes / kBlockBytes), bytes_(span.bytes), digest_(digest) {
    std::copy_n(kInitialState, 8, state_);
  }

  [[nodiscard]] int64_t blocks_left() const { return blocks_ - at_; }
  uint32_t* state() { return state_; }
  [[nodiscard]] const uint8_t* next() const { return data_ + at_ * kBlockBytes; }
  void advance(int64_t blocks) { at_ += blocks; }

  // Processes the last, padded blocks. Returns the number of bytes of the range in them.
  int64_t finish(CompressFunction compress) {
    uint8_t tail[2 * kBlockBytes] = {};
    const int64_t rest = bytes_ % kBlockBytes;
    if (rest > 0) {
      std::memcpy(tail, next(), static_cast<size_t>(rest));
    }
    tail[rest] = 0x80;
    const int64_t tail_blocks = rest + 9 <= kBlockBytes ? 1 : 2;
    const uint64_t bits = __builtin_bswap64(static_cast<uint64_t>(bytes_) * 8);
    std::memcpy(tail + tail_blocks * kBlockBytes - sizeof(bits), &bits, sizeof(bits));
    uint32_t* const state = state_;
    const uint8_t* const data = tail;
    compress(&state, &data, 1, tail_blocks);
    for (int i = 0; i < 8; ++i) {
      const uint32_t word = __builtin_bswap32(state_[i]);
      std::memcpy(digest_ + static_cast<std::ptrdiff_t>(4) * i, &word, sizeof(word));
    }
    return rest;
  }

 private:
  const uint8_t* data_ = nullptr;
  int64_t blocks_ = 0;
  int64_t bytes_ = 0;
  uint8_t* digest_ = nullptr;
  int64_t at_ = 0;
  uint32_t state_[8] = {};
};

}  // namespace

void compress_scalar(uint32_t* const* states, const uint8_t* const* data, size_t streams, int64_t blocks) {
  for (size_t i = 0; i < streams; ++i) {
    compress_one(states[i], data[i], blocks);
  }
}

CompressFunction choose_compress([[maybe_unused]] SimdLevel level) noexcept {
  if constexpr (std::size(kSimdLevels) > 1) {
    if (has_sha256_instructions() && level != SimdLevel::kScalar) {
      return compress_sha_extensions;
    }
  }
  return compress_scalar;
}

bool sha256(CompressFunction compress, const tg_span* spans, int64_t count, std::atomic<int64_t>& next, size_t most_streams,
            tg_control* control, uint8_t* digests) {
  std::array<Stream, kMostStreams> streams;
  size_t active = 0;
  while (true) {
    while (active < most_streams) {
      const int64_t index = next++;
      if (index >= count) {
        break;
      }
      streams[active++] = Stream(spans[index], digests + index * kDigestBytes);
    }
    if (active == 0) {
      return true;
    }
    if (is_cancelled(control)) {
      return false;
    }
    std::array<uint32_t*, kMostStreams> states{};
    std::array<const uint8_t*, kMostStreams> data{};
    int64_t blocks = kChunkBlocks;
    for (size_t i = 0; i < active; ++i) {
      states[i] = streams[i].state();
      data[i] = streams[i].next();
      blocks = std::min(blocks, streams[i].blocks_left());
    }
    if (blocks > 0) {
      compress(states.data(), data.data(), active, blocks);
      add_done(control, static_cast<int64_t>(active) * blocks * kBlockBytes);
    }
    for (size_t i = active; i-- > 0;) {
      streams[i].advance(blocks);
      if (streams[i].blocks_left() == 0) {
        add_done(control, streams[i].finish(compress));
        std::swap(streams[i], streams[--active]);
      }
    }
  }
}

}  // namespace threegate::digest
