#include "blake3_reference.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace reference {
namespace {

using Words = std::array<uint32_t, 8>;

constexpr Words kInitial{0x6a09e667U, 0xbb67ae85U, 0x3c6ef372U, 0xa54ff53aU, 0x510e527fU, 0x9b05688cU, 0x1f83d9abU, 0x5be0cd19U};
constexpr size_t kPermutation[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};

uint32_t rotate(uint32_t x, int n) { return (x >> n) | (x << (32 - n)); }

void quarter(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d, uint32_t x, uint32_t y) {
  a = a + b + x;
  d = rotate(d ^ a, 16);
  c = c + d;
  b = rotate(b ^ c, 12);
  a = a + b + y;
  d = rotate(d ^ a, 8);
  c = c + d;
  b = rotate(b ^ c, 7);
}

Words compress(const Words& value, const std::string& block, uint64_t counter, uint32_t flags) {
  std::array<uint32_t, 16> m{};
  std::memcpy(m.data(), block.data(), block.size());
  std::array<uint32_t, 16> v{};
  for (size_t i = 0; i < 8; ++i) {
    v[i] = value[i];
  }
  for (size_t i = 0; i < 4; ++i) {
    v[8 + i] = kInitial[i];
  }
  v[12] = static_cast<uint32_t>(counter);
  v[13] = static_cast<uint32_t>(counter >> 32);
  v[14] = static_cast<uint32_t>(block.size());
  v[15] = flags;
  for (int round = 0; round < 7; ++round) {
    for (size_t i = 0; i < 4; ++i) {
      quarter(v[i], v[4 + i], v[8 + i], v[12 + i], m[2 * i], m[2 * i + 1]);
    }
    for (size_t i = 0; i < 4; ++i) {
      quarter(v[i], v[4 + (i + 1) % 4], v[8 + (i + 2) % 4], v[12 + (i + 3) % 4], m[8 + 2 * i], m[8 + 2 * i + 1]);
    }
    const std::array<uint32_t, 16> before = m;
    for (size_t i = 0; i < 16; ++i) {
      m[i] = before[kPermutation[i]];
    }
  }
  Words out{};
  for (size_t i = 0; i < 8; ++i) {
    out[i] = v[i] ^ v[8 + i];
  }
  return out;
}

Words node(const std::string& bytes, uint64_t first_chunk, uint32_t root) {
  if (bytes.size() <= 1024) {
    Words value = kInitial;
    const size_t blocks = bytes.empty() ? 1 : (bytes.size() + 63) / 64;
    for (size_t i = 0; i < blocks; ++i) {
      const uint32_t end = i + 1 == blocks ? 2 | root : 0;
      value = compress(value, bytes.substr(64 * i, 64), first_chunk, (i == 0 ? 1U : 0U) | end);
    }
    return value;
  }
  const size_t chunks = (bytes.size() + 1023) / 1024;
  size_t left = 1;
  while (2 * left < chunks) {
    left *= 2;
  }
  std::string block(64, '\0');
  std::memcpy(block.data(), node(bytes.substr(0, 1024 * left), first_chunk, 0).data(), 32);
  std::memcpy(block.data() + 32, node(bytes.substr(1024 * left), first_chunk + left, 0).data(), 32);
  return compress(kInitial, block, 0, 4 | root);
}

}  // namespace

std::string blake3(const std::string& bytes) {
  const Words digest = node(bytes, 0, 8);
  std::array<uint8_t, 32> out{};
  std::memcpy(out.data(), digest.data(), 32);
  std::string text;
  for (const uint8_t byte : out) {
    char two[3];
    std::snprintf(two, sizeof(two), "%02x", byte);
    text += two;
  }
  return text;
}

}  // namespace reference
