// The search for the key of the last selected entry, digit by digit, with the counts of a digit's values. It runs on the device,
// so that no pass waits for the host.
#ifndef THREEGATE_CUDA_MASK_DIGITS_H
#define THREEGATE_CUDA_MASK_DIGITS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/support/warp.h"

namespace threegate::cuda {

constexpr int kDigitBits = 13;  // the counters of a digit fit the shared memory that every launch may use
constexpr int kDigits = 1 << kDigitBits;

#if defined(__CUDACC__) || defined(THREEGATE_HOST_EMULATION)
namespace {

constexpr int kSearchThreads = 1024;
constexpr int kDigitsEach = kDigits / kSearchThreads;
static_assert(kDigitsEach * kSearchThreads == kDigits);

// The digit of the last selected entry, and the number of selected entries among the `sharing` ones that have it.
struct FoundDigit {
  uint64_t digit;
  uint64_t left;
  uint64_t sharing;
};

// The result is that of the block, whose threads all take part. `found` and `sums` are in shared memory.
struct DigitSearch {
  FoundDigit found;
  uint64_t sums[kSearchThreads / kWarp];
};

// count_of(digit) is the number of entries with that digit. `left` of them are selected, from the largest digit on or from the
// smallest one.
template <typename CountOf>
__device__ FoundDigit find_digit(DigitSearch& search, uint64_t left, bool smallest, CountOf count_of) {
  const auto thread = static_cast<int>(threadIdx.x);
  const auto digit_at = [&](int i) {
    const int at = thread * kDigitsEach + i;
    return smallest ? at : kDigits - 1 - at;
  };
  uint64_t counts[kDigitsEach];
  uint64_t own = 0;
#pragma unroll
  for (int i = 0; i < kDigitsEach; ++i) {
    counts[i] = count_of(digit_at(i));
    own += counts[i];
  }
  uint64_t until = own;  // entries of this thread's digits and of those before them
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const uint64_t other = __shfl_up_sync(kWholeWarp, until, static_cast<unsigned>(distance));
    until += thread % kWarp >= distance ? other : 0;
  }
  if (thread % kWarp == kWarp - 1) {
    search.sums[thread / kWarp] = until;
  }
  __syncthreads();
  for (int i = 0; i < thread / kWarp; ++i) {
    until += search.sums[i];
  }
  uint64_t before = until - own;
  if (before < left && left <= until) {
#pragma unroll
    for (int i = 0; i < kDigitsEach; ++i) {
      if (before < left && left <= before + counts[i]) {
        search.found = {static_cast<uint64_t>(digit_at(i)), left - before, counts[i]};
      }
      before += counts[i];
    }
  }
  __syncthreads();
  const FoundDigit found = search.found;
  __syncthreads();
  return found;
}

}  // namespace
#endif

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_DIGITS_H
