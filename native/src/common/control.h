// Access to the caller's tg_control, which may be NULL. Other threads may read and write it at the same time.
#ifndef THREEGATE_COMMON_CONTROL_H
#define THREEGATE_COMMON_CONTROL_H

#include <cstdint>

#include "common/error.h"
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

// The control of the call that this thread works for, or nullptr: that of the context, for functions that take none.
inline thread_local const tg_control* control_of_call = nullptr;

// Sets the control of the calls of this thread for a while.
class ControlOfCall {
 public:
  explicit ControlOfCall(const tg_control* control) noexcept : previous_(control_of_call) { control_of_call = control; }
  ~ControlOfCall() { control_of_call = previous_; }
  ControlOfCall(const ControlOfCall&) = delete;
  ControlOfCall& operator=(const ControlOfCall&) = delete;

 private:
  const tg_control* previous_;
};

// Throws CANCELLED if the call of this thread was cancelled.
inline void require_not_cancelled() {
  if (is_cancelled(control_of_call)) {
    throw Error(TG_CANCELLED, "cancelled");
  }
}

}  // namespace threegate

#endif  // THREEGATE_COMMON_CONTROL_H
