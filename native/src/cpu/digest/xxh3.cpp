// The scalar variant. xxHash would take NEON on AArch64, which is a level of its own.
#if defined(__aarch64__)
#define XXH_VECTOR XXH_SCALAR
#endif

#include "xxh3.h"

#include <cstring>

#include "xxh3_lanes.h"

namespace threegate::digest {

void xxh3_update_scalar(const tg_xxh3_part& part) { xxh3_update(part); }

Xxh3Function choose_xxh3(SimdLevel level) noexcept { return TG_AT_LEVEL(level, xxh3_update); }

void xxh3_digest(const void* state, uint8_t* digest) {
  const Xxh3State own = state_of(const_cast<void*>(state));  // NOLINT(cppcoreguidelines-pro-type-const-cast): only read
  const XXH128_hash_t hash = *own.begun == 0 ? XXH3_128bits(nullptr, 0) : XXH3_128bits_digest(own.state);
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  std::memcpy(digest, canonical.digest, sizeof(canonical.digest));
}

}  // namespace threegate::digest
