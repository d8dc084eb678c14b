#include "xxh3_lanes.h"

namespace threegate::digest {

void xxh3_update_neon(const tg_xxh3_part& part) { xxh3_update(part); }

}  // namespace threegate::digest
