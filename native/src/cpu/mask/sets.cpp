#include "sets.h"

#include <algorithm>
#include <array>
#include <vector>

#include "common/control.h"
#include "common/sets.h"

namespace threegate::mask {
namespace {

constexpr int64_t kBlock = 512;  // words of a mask that are processed together, so that several masks fit the first-level cache

// Calls body(thread, begin, end) for blocks of words, in no particular order.
template <typename Body>
void for_blocks(ThreadPool& pool, int64_t words, Body body) {
  const int64_t blocks = (words + kBlock - 1) / kBlock;
  const auto threads = static_cast<int>(std::clamp<int64_t>(blocks, 1, pool.threads()));
  pool.run(threads, [&](int thread) {
    for (int64_t block = blocks * thread / threads; block < blocks * (thread + 1) / threads; ++block) {
      require_not_cancelled();
      body(static_cast<size_t>(thread), block * kBlock, std::min(words, (block + 1) * kBlock));
    }
  });
}

int64_t bits_of(uint64_t word) { return __builtin_popcountll(word); }

// The sums of the counters of all threads. They are integers, so that the order does not matter.
class Counters {
 public:
  Counters(const ThreadPool& pool, int64_t count)
      : own_(static_cast<size_t>(pool.threads()), std::vector<int64_t>(static_cast<size_t>(count), 0)) {}
  std::vector<int64_t>& of(size_t thread) { return own_[thread]; }
  [[nodiscard]] int64_t sum(int64_t at) const {
    int64_t sum = 0;
    for (const auto& counts : own_) {
      sum += counts[static_cast<size_t>(at)];
    }
    return sum;
  }

 private:
  std::vector<std::vector<int64_t>> own_;
};

void count_common(const tg_mask_sets& sets, int64_t begin, int64_t end, std::vector<int64_t>& counts) {
  for (int64_t i = 0; i < sets.count; ++i) {
    for (int64_t j = i; j < sets.count; ++j) {
      int64_t common = 0;
      for (int64_t word = begin; word < end; ++word) {
        common += bits_of(sets.masks[i][word] & sets.masks[j][word]);
      }
      counts[static_cast<size_t>(i * sets.count + j)] += common;
    }
  }
}

void count_memberships(const tg_mask_sets& sets, int64_t begin, int64_t end, std::vector<int64_t>& counts) {
  for (int64_t word = begin; word < end; ++word) {
    MembershipPlanes<kMostPlanes> planes;
    for (int64_t i = 0; i < sets.count; ++i) {
      planes.add(sets.masks[i][word]);
    }
    for (int64_t memberships = 1; memberships <= sets.count; ++memberships) {
      counts[static_cast<size_t>(memberships)] += bits_of(planes.in_exactly(static_cast<unsigned>(memberships)));
    }
  }
}

}  // namespace

int64_t combine(ThreadPool& pool, const tg_mask_sets& sets, int32_t operation, uint64_t* result) {
  const int64_t across = words_across(sets);
  const uint64_t last = bits_of_last_word(sets);
  Counters counters(pool, 1);
  for_blocks(pool, words_of(sets), [&](size_t thread, int64_t begin, int64_t end) {
    std::array<uint64_t, kBlock> combined;
    std::copy(sets.masks[0] + begin, sets.masks[0] + end, combined.begin());
    for (int64_t i = 1; i < sets.count; ++i) {
      const uint64_t* mask = sets.masks[i];
      for (int64_t word = begin; word < end; ++word) {
        uint64_t& into = combined[static_cast<size_t>(word - begin)];
        into = combine_words(operation, into, mask[word]);
      }
    }
    int64_t entries = 0;
    for (int64_t word = begin; word < end; ++word) {
      uint64_t& of = combined[static_cast<size_t>(word - begin)];
      if (operation == TG_MASK_COMPLEMENT) {
        of = ~of & (word % across == across - 1 ? last : ~uint64_t{0});
      }
      entries += bits_of(of);
    }
    if (result != nullptr) {
      std::copy_n(combined.begin(), end - begin, result + begin);
    }
    counters.of(thread)[0] += entries;
  });
  return counters.sum(0);
}

void overlaps(ThreadPool& pool, const tg_mask_sets& sets, int64_t* common, int64_t* memberships) {
  const int64_t pairs = sets.count * sets.count;
  Counters in_common(pool, pairs);
  Counters in_exactly(pool, sets.count + 1);
  for_blocks(pool, words_of(sets), [&](size_t thread, int64_t begin, int64_t end) {
    count_common(sets, begin, end, in_common.of(thread));
    if (memberships != nullptr) {
      count_memberships(sets, begin, end, in_exactly.of(thread));
    }
  });
  fill_overlaps(
      sets, common, memberships, [&](int64_t at) { return in_common.sum(at); }, [&](int64_t at) { return in_exactly.sum(at); });
}

}  // namespace threegate::mask
