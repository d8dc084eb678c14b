#include "cpu/patch/patch.h"

#include <algorithm>
#include <array>
#include <memory>

#include "api/context.h"
#include "api/mapped_file.h"
#include "api/operand.h"
#include "cpu/digest/xxh3.h"

namespace threegate {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 32;

struct NamedMemory {
  const void* data;
  int64_t alignment;  // of data on a device
  const char* name;
};

// Returns whether everything is on the context's device. Empty arrays may be anywhere.
bool require_place(const tg_context& context, const std::array<NamedMemory, 4>& all) {
  int64_t there = 0;
  int64_t somewhere = 0;
  for (const NamedMemory& memory : all) {
    if (memory.data == nullptr) {
      continue;
    }
    const bool on_device = is_on_device(context, memory.data, memory.name);
    require(!on_device || reinterpret_cast<uintptr_t>(memory.data) % static_cast<uintptr_t>(memory.alignment) == 0, memory.name,
            "misaligned", "in device memory elements must be aligned to their size");
    there += on_device ? 1 : 0;
    ++somewhere;
  }
  require(there == 0 || there == somewhere, "elements", "on the host and on the device", "all must be in the same memory");
  return there != 0;
}

void require_kind(int32_t width, int32_t form, const char* name) {
  require(width == 1 || width == 2 || width == 4 || width == 8, (std::string(name) + ".width").c_str(), std::to_string(width),
          "allowed are 1, 2, 4 and 8");
  require(form == TG_PATCH_OVERWRITE || form == TG_PATCH_XOR, (std::string(name) + ".form").c_str(), std::to_string(form),
          "it must be TG_PATCH_OVERWRITE or TG_PATCH_XOR");
}

void require_entries(const tg_patch_entries* entries) {
  require_struct(entries, "entries");
  require_kind(entries->width, entries->form, "entries");
  require(entries->count >= 0 && entries->count <= kMostElements, "entries.count", std::to_string(entries->count),
          "allowed are 0 to 2^32");
  require(entries->count == 0 || (entries->positions != nullptr && entries->values != nullptr), "entries.positions or values",
          "NULL", "entries need room for positions and values");
}

void require_count(int64_t count, const char* name) {
  require(count >= 0 && count <= kMostElements, name, std::to_string(count), "allowed are 0 to 2^32");
}

void require_bytes(const void* from, int64_t count, int32_t width, const void* to) {
  require_kind(width, TG_PATCH_XOR, "elements");
  require_count(count, "count");
  require(count == 0 || (from != nullptr && to != nullptr), "from or to", "NULL", "they must have room for the bytes");
}

void require_positions(const uint32_t* positions, int64_t count, int64_t previous) {
  require_count(count, "count");
  require(count == 0 || positions != nullptr, "positions", "NULL", "they are required");
  require(previous >= -1 && previous < kMostElements, "previous", std::to_string(previous), "allowed are -1 to 2^32 - 1");
}

// Bytes of a block that is read, digested and compared. Two blocks fit a half of most second-level caches.
constexpr int64_t kFileBlock = int64_t{1} << 17;

void require_files(const tg_patch_files* files) {
  require_struct(files, "files");
  require(files->before != nullptr && files->after != nullptr, "files.before or after", "NULL", "they must be open mapped files");
  require_kind(files->width, files->form, "files");
  require_count(files->count, "files.count");
  require(files->first >= 0 && files->first <= kMostElements - files->count, "files.first", std::to_string(files->first),
          "positions are 0 to 2^32 - 1");
  require_file_range(*files->before, files->before_offset, files->count * files->width);
  require_file_range(*files->after, files->after_offset, files->count * files->width);
  require(files->before_state == nullptr || files->before_state != files->after_state, "files.before_state",
          "that of after_state", "each has its own");
}

// Returns the places of two blocks, which are aligned for vectors.
std::array<uint8_t*, 2> blocks_of(tg_context& context) {
  constexpr int64_t kAlignment = 64;
  context.blocks.resize(static_cast<size_t>(2 * kFileBlock + kAlignment));
  void* first = context.blocks.data();
  size_t room = context.blocks.size();
  auto* const aligned = static_cast<uint8_t*>(std::align(kAlignment, 2 * kFileBlock, first, room));
  return {aligned, aligned + kFileBlock};
}

int64_t extract_files(tg_context& context, const tg_patch_files& files, const tg_patch_entries& entries) {
  const auto [before, after] = blocks_of(context);
  const digest::Xxh3Function update = digest::choose_xxh3(context.simd);
  const int64_t block = kFileBlock / files.width;
  int64_t found = 0;
  for (int64_t at = 0; at < files.count; at += block) {
    const int64_t count = std::min(block, files.count - at);
    const int64_t bytes = count * files.width;
    copy_file_range(*files.before, files.before_offset + at * files.width, bytes, before);
    copy_file_range(*files.after, files.after_offset + at * files.width, bytes, after);
    if (files.before_state != nullptr) {
      update({files.before_state, before, bytes});
    }
    if (files.after_state != nullptr) {
      update({files.after_state, after, bytes});
    }
    const tg_patch_pair pair{sizeof(pair), before, after, count, files.first + at, files.width, files.form};
    tg_patch_entries left = entries;
    left.count = std::max<int64_t>(0, entries.count - found);
    if (left.count > 0) {
      left.positions += found;
      left.values = static_cast<uint8_t*>(entries.values) + found * files.width;
    }
    found += patch::extract_alone(context.simd, pair, left);
  }
  return found;
}

}  // namespace
}  // namespace threegate

tg_status tg_patch_extract(tg_context* context, const tg_patch_pair* pair, const tg_patch_entries* entries, int64_t* changed) {
  return threegate::guarded_call(context, [&] {
    threegate::require_struct(pair, "pair");
    threegate::require_kind(pair->width, pair->form, "pair");
    threegate::require_count(pair->count, "pair.count");
    threegate::require(pair->first >= 0 && pair->first <= threegate::kMostElements - pair->count, "pair.first",
                       std::to_string(pair->first), "positions are 0 to 2^32 - 1");
    threegate::require(pair->count == 0 || (pair->before != nullptr && pair->after != nullptr), "pair.before or after", "NULL",
                       "the elements are required");
    threegate::require_entries(entries);
    threegate::require(entries->width == pair->width && entries->form == pair->form, "entries.width or form",
                       std::to_string(entries->width) + ", " + std::to_string(entries->form), "they must be those of the pair");
    threegate::require(changed != nullptr, "changed", "NULL", "it must not be NULL");
    const bool there = threegate::require_place(*context, {{{pair->before, pair->width, "pair.before"},
                                                            {pair->after, pair->width, "pair.after"},
                                                            {entries->positions, 4, "entries.positions"},
                                                            {entries->values, entries->width, "entries.values"}}});
    if (there && pair->count > 0) {
      context->cuda->call(&threegate::CudaFunctions::patch_extract, pair, entries, changed);
    } else {
      *changed = threegate::patch::extract(context->pool, context->simd, *pair, *entries);
    }
  });
}

namespace threegate {
namespace {

void require_placed(int64_t misplaced, const tg_patch_entries& entries, int64_t count) {
  require(misplaced == entries.count, ("entries.positions[" + std::to_string(misplaced) + "]").c_str(), "misplaced",
          ("positions ascend strictly and are below " + std::to_string(count)).c_str());
}

// Returns whether the entries and the target are on the context's device. False if there are none.
bool require_target(tg_context& context, const tg_patch_entries* entries, const void* target, int64_t count) {
  require_entries(entries);
  require_count(count, "count");
  require(count == 0 || target != nullptr, "target", "NULL", "the elements are required");
  return require_place(context, {{{target, entries->width, "target"},
                                  {entries->positions, 4, "entries.positions"},
                                  {entries->values, entries->width, "entries.values"},
                                  {nullptr, 1, ""}}}) &&
         entries->count > 0;
}

bool are_there(const tg_context& context, const NamedMemory& one, const NamedMemory& other, int64_t count) {
  return require_place(context, {{one, other, {nullptr, 1, ""}, {nullptr, 1, ""}}}) && count > 0;
}

}  // namespace
}  // namespace threegate

tg_status tg_patch_extract_files(tg_context* context, const tg_patch_files* files, const tg_patch_entries* entries,
                                 int64_t* changed) {
  return threegate::guarded_call(context, [&] {
    threegate::require_files(files);
    threegate::require_entries(entries);
    threegate::require(entries->width == files->width && entries->form == files->form, "entries.width or form",
                       std::to_string(entries->width) + ", " + std::to_string(entries->form), "they must be those of the files");
    threegate::require(changed != nullptr, "changed", "NULL", "it must not be NULL");
    threegate::require(!threegate::are_there(*context, {entries->positions, 4, "entries.positions"},
                                             {entries->values, entries->width, "entries.values"}, 1),
                       "entries", "on the device", "they must be in host memory");
    *changed = threegate::extract_files(*context, *files, *entries);
  });
}

tg_status tg_patch_apply(tg_context* context, const tg_patch_entries* entries, void* target, int64_t count) {
  return threegate::guarded_call(context, [&] {
    const bool there = threegate::require_target(*context, entries, target, count);
    int64_t misplaced = 0;
    if (there) {
      context->cuda->call(&threegate::CudaFunctions::patch_apply, entries, target, count, &misplaced);
    } else {
      misplaced = threegate::patch::first_misplaced(*entries, count);
    }
    threegate::require_placed(misplaced, *entries, count);
    if (!there) {
      threegate::patch::apply(context->pool, *entries, target, count);
    }
  });
}

tg_status tg_patch_verify(tg_context* context, const tg_patch_entries* entries, const void* target, int64_t count,
                          int64_t* differing) {
  return threegate::guarded_call(context, [&] {
    const bool there = threegate::require_target(*context, entries, target, count);
    threegate::require(entries->form == TG_PATCH_OVERWRITE, "entries.form", std::to_string(entries->form),
                       "it must be TG_PATCH_OVERWRITE");
    threegate::require(differing != nullptr, "differing", "NULL", "it must not be NULL");
    int64_t misplaced = 0;
    *differing = 0;
    if (there) {
      context->cuda->call(&threegate::CudaFunctions::patch_verify, entries, target, count, &misplaced, differing);
    } else {
      misplaced = threegate::patch::first_misplaced(*entries, count);
    }
    threegate::require_placed(misplaced, *entries, count);
    if (!there) {
      *differing = threegate::patch::differing(context->pool, *entries, target, count);
    }
  });
}

tg_status tg_patch_gaps(tg_context* context, uint32_t* positions, int64_t count, int64_t previous) {
  return threegate::guarded_call(context, [&] {
    threegate::require_positions(positions, count, previous);
    if (threegate::are_there(*context, {positions, 4, "positions"}, {nullptr, 1, ""}, count)) {
      context->cuda->call(&threegate::CudaFunctions::patch_gaps, positions, count, previous);
    } else {
      threegate::patch::gaps(positions, count, previous);
    }
  });
}

tg_status tg_patch_positions(tg_context* context, uint32_t* gaps, int64_t count, int64_t previous) {
  return threegate::guarded_call(context, [&] {
    threegate::require_positions(gaps, count, previous);
    int64_t summed = 0;
    if (threegate::are_there(*context, {gaps, 4, "gaps"}, {nullptr, 1, ""}, count)) {
      context->cuda->call(&threegate::CudaFunctions::patch_positions, gaps, count, previous, &summed);
    } else {
      summed = threegate::patch::positions(gaps, count, previous);
    }
    threegate::require(summed == count, ("gaps[" + std::to_string(summed) + "]").c_str(), "too large",
                       "positions are below 2^32");
  });
}

tg_status tg_byte_planes(tg_context* context, const void* from, int64_t count, int32_t width, void* to) {
  return threegate::guarded_call(context, [&] {
    threegate::require_bytes(from, count, width, to);
    if (threegate::are_there(*context, {from, width, "from"}, {to, 1, "to"}, count)) {
      context->cuda->call(&threegate::CudaFunctions::byte_planes, from, count, width, to);
    } else {
      threegate::patch::byte_planes(from, count, width, to);
    }
  });
}

tg_status tg_byte_elements(tg_context* context, const void* from, int64_t count, int32_t width, void* to) {
  return threegate::guarded_call(context, [&] {
    threegate::require_bytes(from, count, width, to);
    if (threegate::are_there(*context, {from, 1, "from"}, {to, width, "to"}, count)) {
      context->cuda->call(&threegate::CudaFunctions::byte_elements, from, count, width, to);
    } else {
      threegate::patch::byte_elements(from, count, width, to);
    }
  });
}
