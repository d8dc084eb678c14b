#ifndef THREEGATE_HOST_EMULATION_EXECUTOR_H
#define THREEGATE_HOST_EMULATION_EXECUTOR_H

#include <cstdint>

#include "cuda_runtime.h"

namespace emulation {

// Runs a kernel to its end. `body` is the work of one thread.
void execute(const Launch& launch, const Task& body);

[[noreturn]] void fail(const char* what, const char* name = "");

// Shared memory that is not initialised, and the targets of copies that are not complete.
constexpr int kPoison = 0xff;

bool is_device_memory(const void* address);

// For the instructions of warpgroup.cpp. Threads are those of a block, and blocks those of a cluster.
int current_thread();
int current_block();
int cluster_blocks();
bool has_ended(int block);
uint64_t passed_barriers();  // of the block, and of the cluster
uint64_t passed_cluster_barriers();
bool has_arrived_at_cluster();  // and has not waited
void arrive_at_cluster();
void wait_for_cluster();
// Lets other threads run until one of them wakes this one.
void sleep_until_woken();
void wake_all();
// Continues when no other thread can.
void let_others_run();

// Shared addresses of a block count from `base`. The memory that a launch asked for is from `begin` to `end`.
struct SharedWindow {
  unsigned char* base;
  unsigned char* begin;
  unsigned char* end;
};
SharedWindow shared_window(int block);

}  // namespace emulation

#endif  // THREEGATE_HOST_EMULATION_EXECUTOR_H
