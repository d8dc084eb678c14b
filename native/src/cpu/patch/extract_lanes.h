// The code that extract_*.cpp share. Everything has internal linkage, so that each instruction set has its own copy.
#ifndef THREEGATE_CPU_PATCH_EXTRACT_LANES_H
#define THREEGATE_CPU_PATCH_EXTRACT_LANES_H

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

// Appends the elements `at` + i for each bit i to the `found` entries. Returns the new number of entries.
template <typename Element>
int64_t take_bits(const Run& run, int64_t at, uint64_t bits, int64_t found) {
  for (; bits != 0; bits &= bits - 1) {
    const int64_t element = at + __builtin_ctzll(bits);
    Element value = load<Element>(run.after, element);
    if (run.is_xor) {
      value = static_cast<Element>(value ^ load<Element>(run.before, element));
    }
    run.to.positions[found] = static_cast<uint32_t>(run.first + element);
    std::memcpy(run.to.values + found * static_cast<int64_t>(sizeof(Element)), &value, sizeof(Element));
    ++found;
  }
  return found;
}

// `take` appends the elements of a group of kGroup that differ.
template <typename Element, typename Take>
int64_t extract_range(const Run& run, int64_t begin, int64_t end, Take take) {
  int64_t found = 0;
  int64_t at = begin;
  for (; end - at >= kGroup; at += kGroup) {
    found = take(run, at, found);
  }
  return take_bits<Element>(run, at, compare_some<Element>(run.before, run.after, at, end - at), found);
}

// Returns Group<Element>::take for the width of the pair.
template <template <typename> class Group>
int64_t extract_with(const tg_patch_pair& pair, int64_t begin, int64_t end, Places to) {
  const Run run{static_cast<const uint8_t*>(pair.before), static_cast<const uint8_t*>(pair.after), pair.form == TG_PATCH_XOR,
                pair.first, to};
  switch (pair.width) {
    case 1:
      return extract_range<uint8_t>(run, begin, end, Group<uint8_t>::take);
    case 2:
      return extract_range<uint16_t>(run, begin, end, Group<uint16_t>::take);
    case 4:
      return extract_range<uint32_t>(run, begin, end, Group<uint32_t>::take);
    default:
      return extract_range<uint64_t>(run, begin, end, Group<uint64_t>::take);
  }
}

}  // namespace
}  // namespace threegate::patch

#endif  // THREEGATE_CPU_PATCH_EXTRACT_LANES_H
