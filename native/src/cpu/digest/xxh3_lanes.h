// The code that xxh3*.cpp share. All of xxHash has internal linkage, so that each instruction set has its own copy.
#ifndef THREEGATE_CPU_DIGEST_XXH3_LANES_H
#define THREEGATE_CPU_DIGEST_XXH3_LANES_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "xxh3.h"

namespace threegate::digest {
namespace {

// The caller's memory has any alignment, but xxHash's state needs one. The state begins at the first aligned address after a word
// that tells whether the state was initialised.
struct Xxh3State {
  uint64_t* begun;
  XXH3_state_t* state;
};

constexpr uintptr_t kStateAlignment = 64;
static_assert(sizeof(uint64_t) + kStateAlignment + sizeof(XXH3_state_t) <= TG_XXH3_STATE_BYTES, "no room for a state");

uintptr_t aligned(uintptr_t address, uintptr_t alignment) { return (address + alignment - 1) / alignment * alignment; }

Xxh3State state_of(void* memory) {
  const uintptr_t begun = aligned(reinterpret_cast<uintptr_t>(memory), alignof(uint64_t));
  const uintptr_t state = aligned(begun + sizeof(uint64_t), kStateAlignment);
  return {reinterpret_cast<uint64_t*>(begun), reinterpret_cast<XXH3_state_t*>(state)};  // NOLINT(performance-no-int-to-ptr)
}

void xxh3_update(const tg_xxh3_part& part) {
  const Xxh3State own = state_of(part.state);
  if (*own.begun == 0) {
    XXH3_128bits_reset(own.state);
    *own.begun = 1;
  }
  if (part.bytes > 0) {
    XXH3_128bits_update(own.state, part.data, static_cast<size_t>(part.bytes));
  }
}

}  // namespace
}  // namespace threegate::digest

#endif  // THREEGATE_CPU_DIGEST_XXH3_LANES_H
