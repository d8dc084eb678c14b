// The set algebra of masks that the CPU and the device share.
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

// The bits of the last word of a row that belong to columns.
inline uint64_t bits_of_last_word(const tg_mask_sets& sets) {
  return sets.columns % 64 == 0 ? ~uint64_t{0} : (uint64_t{1} << (sets.columns % 64)) - 1;
}

// Combines the result of the masks so far with one more mask. For TG_MASK_COMPLEMENT it collects the entries that any mask has.
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

// Membership counts of 64 entries. Bit i of each count is in plane i, and each lane belongs to one entry.
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

// Fills the outputs of tg_mask_overlaps from the counts of pairs (i, j) with i <= j and from the counts of memberships other than
// 0.
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
