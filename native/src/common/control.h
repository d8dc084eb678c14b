// Access to the caller's tg_control, which may be NULL. Other threads may read and write it at the same time.
#ifndef THREEGATE_COMMON_CONTROL_H
#define THREEGATE_COMMON_CONTROL_H

#include <cstdint>

#include "threegate/threegate.h"

namespace threegate {

inline void begin_work(tg_control* control, int64_t total) {
  if (control != nullptr) {
    __atomic_store_n(&control->done, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&control->total, total, __ATOMIC_RELAXED);
  }
}

inline void add_done(tg_control* control, int64_t amount) {
  if (control != nullptr) {
    __atomic_fetch_add(&control->done, amount, __ATOMIC_RELAXED);
  }
}

inline bool is_cancelled(const tg_control* control) {
  return control != nullptr && __atomic_load_n(&control->cancel, __ATOMIC_RELAXED) != 0;
}

}  // namespace threegate

#endif  // THREEGATE_COMMON_CONTROL_H
