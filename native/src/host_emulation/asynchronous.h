// What the units of a multiprocessor do beside its threads: copies of boxes to shared memory, and products of warpgroups.
#ifndef THREEGATE_HOST_EMULATION_ASYNCHRONOUS_H
#define THREEGATE_HOST_EMULATION_ASYNCHRONOUS_H

#include "thread_order.h"

namespace emulation::asynchronous {

void begin_block(int threads);
// Completes one of the copies. Returns false if there is none. The executor asks for it only if no thread can run, so that copies
// are complete as late as possible.
bool complete_copy(ThreadOrder& order);
// Fails if products of the warp of a thread are not complete.
void end_thread(int thread);
// Fails if copies or announced bytes are left.
void end_block();

}  // namespace emulation::asynchronous

#endif  // THREEGATE_HOST_EMULATION_ASYNCHRONOUS_H
