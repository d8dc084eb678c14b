// Uniform random numbers in sequence, and what is derived from them.
#ifndef THREEGATE_CPU_RANDOM_WORDS_H
#define THREEGATE_CPU_RANDOM_WORDS_H

#include <utility>

#include "common/philox.h"

namespace threegate::random {

// The random words of a stream in sequence.
class Words {
 public:
  Words(const Stream& stream, int64_t first_block) : stream_(stream), block_(first_block) {}

  // A uniform number in 0 .. bound - 1. The deviation from uniformity is at most bound / 2^32.
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>((uint64_t{next()} * bound) >> 32); }

 private:
  uint32_t next() {
    if (used_ == kBlock) {
      random_block(stream_, block_++, words_);
      used_ = 0;
    }
    const int64_t word = used_++;
    return words_[word / kLanes][word % kLanes];
  }

  Stream stream_;
  int64_t block_;
  int64_t used_ = kBlock;
  uint32_t words_[4][kLanes] = {};
};

// Shuffles so that every order is equally likely (Fisher and Yates).
template <typename T>
void shuffle(Words& words, T* values, int64_t count) {
  for (int64_t i = count - 1; i > 0; --i) {
    std::swap(values[i], values[words.below(static_cast<uint32_t>(i + 1))]);
  }
}

}  // namespace threegate::random

#endif  // THREEGATE_CPU_RANDOM_WORDS_H
