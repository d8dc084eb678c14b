// What the CPU's and the device's set algebra of masks have in common.
#ifndef THREEGATE_COMMON_SETS_H
#define THREEGATE_COMMON_SETS_H

#include <cstdint>

#include "threegate/threegate.h"

#if defined(__CUDACC__)
#define TG_ANYWHERE __host__ __device__
#else
#define TG_ANYWHERE
#endif

namespace threegate {

constexpr unsigned kMostPlanes = 8;
static_assert(TG_MASK_MOST_SETS < (1 << kMostPlanes), "a count of memberships needs that many bits");

inline int64_t words_across(const tg_mask_sets& sets) { return (sets.columns + 63) / 64; }
inline int64_t words_of(const tg_mask_sets& sets) { return sets.rows * words_across(sets); }

// What the last word of a row may have.
inline uint64_t bits_of_last_word(const tg_mask_sets& sets) {
  return sets.columns % 64 == 0 ? ~uint64_t{0} : (uint64_t{1} << (sets.columns % 64)) - 1;
}

// The sets so far and one more; for TG_MASK_COMPLEMENT what is in any of them.
TG_ANYWHERE inline uint64_t combine_words(int32_t operation, uint64_t so_far, uint64_t next) {
  switch (operation) {
    case TG_MASK_INTERSECTION:
      return so_far & next;
    case TG_MASK_DIFFERENCE:
      return so_far & ~next;
    case TG_MASK_SYMMETRIC_DIFFERENCE:
      return so_far ^ next;
    default:
      return so_far | next;
  }
}

// Counts of memberships, bit i of each in plane i, an entry a lane.
template <unsigned kPlanes>
struct MembershipPlanes {
  TG_ANYWHERE void add(uint64_t carry) {
    for (uint64_t& plane : planes) {
      const uint64_t sum = plane ^ carry;
      carry &= plane;
      plane = sum;
    }
  }
  [[nodiscard]] TG_ANYWHERE uint64_t in_exactly(unsigned memberships) const {
    uint64_t lanes = ~uint64_t{0};
    for (unsigned i = 0; i < kPlanes; ++i) {
      lanes &= (memberships >> i & 1U) != 0 ? planes[i] : ~planes[i];
    }
    return lanes;
  }
  uint64_t planes[kPlanes] = {};
};

// Outputs of tg_mask_overlaps from counts of pairs (i, j) with i <= j and of memberships other than 0.
template <typename Common, typename Exactly>
void fill_overlaps(const tg_mask_sets& sets, int64_t* common, int64_t* memberships, Common common_at, Exactly in_exactly) {
  for (int64_t i = 0; i < sets.count; ++i) {
    for (int64_t j = i; j < sets.count; ++j) {
      common[i * sets.count + j] = common[j * sets.count + i] = common_at(i * sets.count + j);
    }
  }
  if (memberships != nullptr) {
    memberships[0] = sets.rows * sets.columns;
    for (int64_t i = 1; i <= sets.count; ++i) {
      memberships[i] = in_exactly(i);
      memberships[0] -= memberships[i];
    }
  }
}

}  // namespace threegate

#undef TG_ANYWHERE

#endif  // THREEGATE_COMMON_SETS_H
