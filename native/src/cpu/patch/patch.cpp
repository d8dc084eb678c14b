#include "patch.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "common/control.h"
#include "cpu/support/processor.h"
#include "extract_lanes.h"

namespace threegate::patch {
namespace {

constexpr int64_t kPart = int64_t{1} << 13;  // elements that a thread compares at a time, so that its entries stay in its cache
constexpr int64_t kAlone = (int64_t{1} << 17) / kPart * kPart;  // elements below which another thread does not pay
constexpr int64_t kApplied = 1 << 14;                           // entries from which on another thread pays

template <typename Element>
struct Group {
  static int64_t take(const Run& run, int64_t at, uint64_t bits, int64_t found) {
    return take_bits<Element>(run, at, bits, found);
  }

  static uint64_t compare(const uint8_t* before, const uint8_t* after, int64_t at) {
    const int64_t bytes = kGroup * static_cast<int64_t>(sizeof(Element));
    const int64_t offset = at * static_cast<int64_t>(sizeof(Element));
    return std::memcmp(before + offset, after + offset, static_cast<size_t>(bytes)) == 0
               ? 0
               : compare_some<Element>(before, after, at, kGroup);
  }
};

// Writes parts of the output contiguously, in the order of the parts of the input.
class InOrder {
 public:
  // Waits for the parts before this one. Returns the index where the entries of this part begin. The next part may follow at
  // once.
  int64_t place(int64_t part, int64_t count) {
    // Parts take equally long, some microseconds. A sleeping thread would wake up too late.
    for (int64_t turns = 0; next_.load(std::memory_order_acquire) != part; ++turns) {
      if (turns < kTurns) {
        relax();
      } else {
        std::this_thread::yield();
      }
    }
    const int64_t at = used_;
    used_ += count;
    next_.store(part + 1, std::memory_order_release);
    return at;
  }
  [[nodiscard]] int64_t used() const { return used_; }

 private:
  static constexpr int64_t kTurns = 1000;
  std::atomic<int64_t> next_{0};
  int64_t used_ = 0;
};

template <typename Element>
void apply_range(const tg_patch_entries& entries, int64_t begin, int64_t end, uint8_t* target, int64_t count) {
  const auto* values = static_cast<const uint8_t*>(entries.values);
  const bool is_xor = entries.form == TG_PATCH_XOR;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t at = load<uint32_t>(reinterpret_cast<const uint8_t*>(entries.positions), i);
    if (at >= count) {
      continue;  // the caller changed it after the check
    }
    Element value = load<Element>(values, i);
    if (is_xor) {
      value = static_cast<Element>(value ^ load<Element>(target, at));
    }
    std::memcpy(target + at * static_cast<int64_t>(sizeof(Element)), &value, sizeof(Element));
  }
}

template <typename Element>
int64_t differing_range(const tg_patch_entries& entries, int64_t begin, int64_t end, const uint8_t* target, int64_t count) {
  const auto* values = static_cast<const uint8_t*>(entries.values);
  int64_t found = 0;
  for (int64_t i = begin; i < end; ++i) {
    if (i % kPart == 0) {
      require_not_cancelled();
    }
    const int64_t at = load<uint32_t>(reinterpret_cast<const uint8_t*>(entries.positions), i);
    found += at >= count || load<Element>(target, at) != load<Element>(values, i) ? 1 : 0;
  }
  return found;
}

// Calls body(element, begin, end) for each thread's share of the entries. `element` is a number of the width of the elements.
template <typename Body>
void for_each_share(ThreadPool& pool, const tg_patch_entries& entries, Body body) {
  const int threads = static_cast<int>(std::clamp<int64_t>(entries.count / kApplied, 1, pool.threads()));
  pool.run(threads, [&](int thread) {
    const int64_t begin = entries.count * thread / threads;
    const int64_t end = entries.count * (thread + 1) / threads;
    switch (entries.width) {
      case 1:
        body(uint8_t{}, begin, end);
        break;
      case 2:
        body(uint16_t{}, begin, end);
        break;
      case 4:
        body(uint32_t{}, begin, end);
        break;
      default:
        body(uint64_t{}, begin, end);
        break;
    }
  });
}

template <int32_t kWidth>
void to_planes(const uint8_t* from, int64_t count, uint8_t* to) {
  for (int64_t i = 0; i < count; ++i) {
    for (int32_t plane = 0; plane < kWidth; ++plane) {
      to[plane * count + i] = from[i * kWidth + plane];
    }
  }
}

template <int32_t kWidth>
void from_planes(const uint8_t* from, int64_t count, uint8_t* to) {
  for (int64_t i = 0; i < count; ++i) {
    for (int32_t plane = 0; plane < kWidth; ++plane) {
      to[i * kWidth + plane] = from[plane * count + i];
    }
  }
}

uint32_t get(const uint32_t* numbers, int64_t index) { return load<uint32_t>(reinterpret_cast<const uint8_t*>(numbers), index); }
void put(uint32_t* numbers, int64_t index, uint32_t value) {
  std::memcpy(reinterpret_cast<uint8_t*>(numbers) + 4 * index, &value, sizeof(value));
}

}  // namespace

int64_t extract_scalar(const tg_patch_pair& pair, int64_t begin, int64_t end, Places to) {
  return extract_with<Group>(pair, begin, end, to);
}

int64_t extract_alone(SimdLevel level, const tg_patch_pair& pair, const tg_patch_entries& entries) {
  const auto range = TG_AT_LEVEL(level, extract);
  auto* const positions = reinterpret_cast<uint8_t*>(entries.positions);
  auto* const values = static_cast<uint8_t*>(entries.values);
  std::vector<uint8_t> place;  // for entries that may not have room
  int64_t found = 0;
  for (int64_t begin = 0; begin < pair.count; begin += kPart) {
    require_not_cancelled();
    const int64_t end = std::min(pair.count, begin + kPart);
    if (entries.count - found >= end - begin) {
      found += range(pair, begin, end, {positions + 4 * found, values + pair.width * found});
      continue;
    }
    place.resize(static_cast<size_t>(kPart * (4 + pair.width)));
    const int64_t own = range(pair, begin, end, {place.data(), place.data() + 4 * kPart});
    if (own > 0 && found + own <= entries.count) {
      std::memcpy(positions + 4 * found, place.data(), static_cast<size_t>(4 * own));
      std::memcpy(values + pair.width * found, place.data() + 4 * kPart, static_cast<size_t>(pair.width * own));
    }
    found += own;
  }
  return found;
}

int64_t extract(ThreadPool& pool, SimdLevel level, const tg_patch_pair& pair, const tg_patch_entries& entries) {
  const int64_t parts = (pair.count + kPart - 1) / kPart;
  const int threads = pair.count <= kAlone ? 1 : static_cast<int>(std::min<int64_t>(parts, pool.threads()));
  if (threads <= 1) {
    return extract_alone(level, pair, entries);
  }
  const auto range = TG_AT_LEVEL(level, extract);
  InOrder order;
  std::atomic<int64_t> next{0};
  pool.run(threads, [&](int) {
    std::vector<uint8_t> place(static_cast<size_t>(kPart * (4 + pair.width)));
    uint8_t* const values = place.data() + 4 * kPart;
    for (int64_t part = next.fetch_add(1); part < parts; part = next.fetch_add(1)) {
      const int64_t begin = part * kPart;
      // The other threads wait for every part, also after a cancellation.
      const int64_t found =
          is_cancelled(control_of_call) ? 0 : range(pair, begin, std::min(pair.count, begin + kPart), {place.data(), values});
      const int64_t at = order.place(part, found);
      if (found > 0 && at + found <= entries.count) {
        std::memcpy(reinterpret_cast<uint8_t*>(entries.positions) + 4 * at, place.data(), static_cast<size_t>(4 * found));
        std::memcpy(static_cast<uint8_t*>(entries.values) + pair.width * at, values, static_cast<size_t>(pair.width * found));
      }
    }
  });
  require_not_cancelled();
  return order.used();
}

int64_t first_misplaced(const tg_patch_entries& entries, int64_t count) {
  int64_t before = -1;
  for (int64_t i = 0; i < entries.count; ++i) {
    const int64_t position = get(entries.positions, i);
    if (position <= before || position >= count) {
      return i;
    }
    before = position;
  }
  return entries.count;
}

void apply(ThreadPool& pool, const tg_patch_entries& entries, void* target, int64_t count) {
  auto* const to = static_cast<uint8_t*>(target);
  // Positions ascend strictly, so that no two threads write the same element.
  for_each_share(pool, entries, [&](auto element, int64_t begin, int64_t end) {
    apply_range<decltype(element)>(entries, begin, end, to, count);
  });
}

int64_t differing(ThreadPool& pool, const tg_patch_entries& entries, const void* target, int64_t count) {
  std::atomic<int64_t> sum{0};
  for_each_share(pool, entries, [&](auto element, int64_t begin, int64_t end) {
    sum += differing_range<decltype(element)>(entries, begin, end, static_cast<const uint8_t*>(target), count);
  });
  return sum;
}

void gaps(uint32_t* positions, int64_t count, int64_t previous) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t position = get(positions, i);
    put(positions, i, static_cast<uint32_t>(position - previous - 1));
    previous = position;
  }
}

int64_t positions(uint32_t* gaps, int64_t count, int64_t previous) {
  for (int64_t i = 0; i < count; ++i) {
    previous += int64_t{1} + get(gaps, i);
    if (previous > int64_t{UINT32_MAX}) {
      return i;
    }
    put(gaps, i, static_cast<uint32_t>(previous));
  }
  return count;
}

void byte_planes(const void* from, int64_t count, int32_t width, void* to) {
  const auto* bytes = static_cast<const uint8_t*>(from);
  auto* planes = static_cast<uint8_t*>(to);
  switch (width) {
    case 1:
      std::copy_n(bytes, count, planes);
      break;
    case 2:
      to_planes<2>(bytes, count, planes);
      break;
    case 4:
      to_planes<4>(bytes, count, planes);
      break;
    default:
      to_planes<8>(bytes, count, planes);
      break;
  }
}

void byte_elements(const void* from, int64_t count, int32_t width, void* to) {
  const auto* planes = static_cast<const uint8_t*>(from);
  auto* bytes = static_cast<uint8_t*>(to);
  switch (width) {
    case 1:
      std::copy_n(planes, count, bytes);
      break;
    case 2:
      from_planes<2>(planes, count, bytes);
      break;
    case 4:
      from_planes<4>(planes, count, bytes);
      break;
    default:
      from_planes<8>(planes, count, bytes);
      break;
  }
}

}  // namespace threegate::patch
