// What extract_*.cpp share. Everything has internal linkage: each instruction set gets a copy of its own.
#ifndef THREEGATE_CPU_PATCH_EXTRACT_LANES_H
#define THREEGATE_CPU_PATCH_EXTRACT_LANES_H

#include <cstring>

#include "patch.h"

namespace threegate::patch {
namespace {

constexpr int64_t kGroup = 64;  // elements whose comparison is a word of bits

template <typename Element>
Element load(const uint8_t* from, int64_t index) {
  Element element;
  std::memcpy(&element, from + index * static_cast<int64_t>(sizeof(Element)), sizeof(Element));
  return element;
}

// Bit i: elements `at` + i differ.
template <typename Element>
uint64_t compare_some(const uint8_t* before, const uint8_t* after, int64_t at, int64_t count) {
  uint64_t bits = 0;
  for (int64_t i = 0; i < count; ++i) {
    bits |= static_cast<uint64_t>(load<Element>(before, at + i) != load<Element>(after, at + i)) << i;
  }
  return bits;
}

// `group` compares kGroup elements. Few differ, so that the loop over bits is what costs least.
template <typename Element, typename Group>
int64_t extract_range(const tg_patch_pair& pair, int64_t begin, int64_t end, Places to, Group group) {
  const auto* before = static_cast<const uint8_t*>(pair.before);
  const auto* after = static_cast<const uint8_t*>(pair.after);
  const bool is_xor = pair.form == TG_PATCH_XOR;
  int64_t found = 0;
  for (int64_t at = begin; at < end; at += kGroup) {
    uint64_t bits = end - at >= kGroup ? group(before, after, at) : compare_some<Element>(before, after, at, end - at);
    for (; bits != 0; bits &= bits - 1) {
      const int64_t element = at + __builtin_ctzll(bits);
      Element value = load<Element>(after, element);
      if (is_xor) {
        value = static_cast<Element>(value ^ load<Element>(before, element));
      }
      to.positions[found] = static_cast<uint32_t>(element);
      std::memcpy(to.values + found * static_cast<int64_t>(sizeof(Element)), &value, sizeof(Element));
      ++found;
    }
  }
  return found;
}

// Group<Element>::compare for the pair's width.
template <template <typename> class Group>
int64_t extract_with(const tg_patch_pair& pair, int64_t begin, int64_t end, Places to) {
  switch (pair.width) {
    case 1:
      return extract_range<uint8_t>(pair, begin, end, to, Group<uint8_t>::compare);
    case 2:
      return extract_range<uint16_t>(pair, begin, end, to, Group<uint16_t>::compare);
    case 4:
      return extract_range<uint32_t>(pair, begin, end, to, Group<uint32_t>::compare);
    default:
      return extract_range<uint64_t>(pair, begin, end, to, Group<uint64_t>::compare);
  }
}

}  // namespace
}  // namespace threegate::patch

#endif  // THREEGATE_CPU_PATCH_EXTRACT_LANES_H
