// What the units of a multiprocessor do beside its threads: copies of boxes to shared memory, arrivals at the barriers of other
// blocks, and products of warpgroups.
#ifndef THREEGATE_HOST_EMULATION_ASYNCHRONOUS_H
#define THREEGATE_HOST_EMULATION_ASYNCHRONOUS_H

#include "thread_order.h"

namespace emulation::asynchronous {

void begin_cluster(int threads, int blocks);
// Completes a copy, or an arrival of another block. Returns false if there is none. The executor asks for it only if no thread
// can run, so that they are complete as late as possible.
bool complete_one(ThreadOrder& order);
// Completes the arrivals of other blocks that the barrier of the cluster orders before what comes after it.
void pass_cluster_barrier();
// Fails if products of the warp of the current thread are not complete.
void end_thread();
// Fails if copies, arrivals or announced bytes of the current block are left.
void end_block();

}  // namespace emulation::asynchronous

#endif  // THREEGATE_HOST_EMULATION_ASYNCHRONOUS_H
