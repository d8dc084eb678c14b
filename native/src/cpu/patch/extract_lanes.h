// The code that extract_*.cpp share. Everything has internal linkage, so that each instruction set has its own copy.
#ifndef THREEGATE_CPU_PATCH_EXTRACT_LANES_H
#define THREEGATE_CPU_PATCH_EXTRACT_LANES_H

#include <algorithm>
#include <cstring>

#include "patch.h"

namespace threegate::patch {
namespace {

constexpr int64_t kGroup = 64;  // elements whose comparison gives one word of bits

template <typename Element>
Element load(const uint8_t* from, int64_t index) {
  Element element;
  std::memcpy(&element, from + index * static_cast<int64_t>(sizeof(Element)), sizeof(Element));
  return element;
}

// Sets bit i if the elements `at` + i differ.
template <typename Element>
uint64_t compare_some(const uint8_t* before, const uint8_t* after, int64_t at, int64_t count) {
  uint64_t bits = 0;
  for (int64_t i = 0; i < count; ++i) {
    bits |= static_cast<uint64_t>(load<Element>(before, at + i) != load<Element>(after, at + i)) << i;
  }
  return bits;
}

// The elements of a pair, and the places for what is found.
struct Run {
  const uint8_t* before;
  const uint8_t* after;
  bool is_xor;
  int64_t first;
  Places to;
};

// Writes the element `element` as entry `found`. The arrays may be misaligned.
template <typename Element>
[[gnu::always_inline]] inline void put_entry(const Run& run, int64_t element, int64_t found) {
  Element value = load<Element>(run.after, element);
  if (run.is_xor) {
    value = static_cast<Element>(value ^ load<Element>(run.before, element));
  }
  const auto position = static_cast<uint32_t>(run.first + element);
  std::memcpy(run.to.positions + 4 * found, &position, sizeof(position));
  std::memcpy(run.to.values + found * static_cast<int64_t>(sizeof(Element)), &value, sizeof(Element));
}

// Appends the elements `at` + i for each bit i to the `found` entries. Returns the new number of entries.
template <typename Element>
int64_t take_bits(const Run& run, int64_t at, uint64_t bits, int64_t found) {
  for (; bits != 0; bits &= bits - 1) {
    put_entry<Element>(run, at + __builtin_ctzll(bits), found++);
  }
  return found;
}

// Does the same for a whole group. How many bits there are cannot be predicted, except that there are seldom more than two. Two
// entries are therefore written at a time. What is written beyond the last one lies in the places of elements of this group.
template <typename Element>
int64_t take_few_bits(const Run& run, int64_t at, uint64_t bits, int64_t found) {
  int64_t place = found;
  found += __builtin_popcountll(bits);
  do {
    for (int64_t i = 0; i < 2; ++i, bits &= bits - 1) {
      put_entry<Element>(run, at + __builtin_ctzll(bits | uint64_t{1} << (kGroup - 1)), place++);
    }
  } while (bits != 0);
  return found;
}

// Group<Element>::compare gives the bits of a group, and Group<Element>::take appends the elements of a group where many differ.
template <template <typename> class Group, typename Element>
int64_t extract_range(const Run& run, int64_t begin, int64_t end) {
  constexpr int64_t kGroups = 32;  // that are compared before the first entry is written, to tell few changes from many
  constexpr int64_t kFew = kGroups * kGroup / 14;
  int64_t found = 0;
  int64_t at = begin;
  while (end - at >= kGroup) {
    const int64_t groups = std::min((end - at) / kGroup, kGroups);
    uint64_t bits[kGroups];
    int64_t changed = 0;
    for (int64_t i = 0; i < groups; ++i) {
      bits[i] = Group<Element>::compare(run.before, run.after, at + i * kGroup);
      changed += __builtin_popcountll(bits[i]);
    }
    if (changed > kFew) {
      for (int64_t i = 0; i < groups; ++i) {
        found = Group<Element>::take(run, at + i * kGroup, bits[i], found);
      }
    } else if (changed > 0) {
      for (int64_t i = 0; i < groups; ++i) {
        found = take_few_bits<Element>(run, at + i * kGroup, bits[i], found);
      }
    }
    at += groups * kGroup;
  }
  return take_bits<Element>(run, at, compare_some<Element>(run.before, run.after, at, end - at), found);
}

// Extracts elements of the width of the pair.
template <template <typename> class Group>
int64_t extract_with(const tg_patch_pair& pair, int64_t begin, int64_t end, Places to) {
  const Run run{static_cast<const uint8_t*>(pair.before), static_cast<const uint8_t*>(pair.after), pair.form == TG_PATCH_XOR,
                pair.first, to};
  switch (pair.width) {
    case 1:
      return extract_range<Group, uint8_t>(run, begin, end);
    case 2:
      return extract_range<Group, uint16_t>(run, begin, end);
    case 4:
      return extract_range<Group, uint32_t>(run, begin, end);
    default:
      return extract_range<Group, uint64_t>(run, begin, end);
  }
}

}  // namespace
}  // namespace threegate::patch

#endif  // THREEGATE_CPU_PATCH_EXTRACT_LANES_H
