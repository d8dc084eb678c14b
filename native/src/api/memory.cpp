#include <sys/mman.h>

#include <cstdlib>

#include "api/context.h"

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

// Asks for huge pages within a large block. They need fewer faults and fewer entries of the processor's table of pages. This is
// only advice.
void advise(void* block, size_t bytes) {
  const auto begin = (reinterpret_cast<uintptr_t>(block) + kHugePage - 1) / kHugePage * kHugePage;
  const auto end = (reinterpret_cast<uintptr_t>(block) + bytes) / kHugePage * kHugePage;
  if (end > begin) {
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
  }
}

// The header in front of each block keeps its size, so that the counts need no table.
struct Header {
  int64_t bytes;
};

}  // namespace

extern "C" {

tg_status tg_memory_allocate(int64_t bytes, void** memory) {
  if (memory == nullptr || bytes < 0) {
    return TG_INVALID_ARGUMENT;
  }
  int64_t padded = 0;
  if (__builtin_add_overflow(bytes, static_cast<int64_t>(2 * kAlignment - 1), &padded)) {
    return TG_OUT_OF_MEMORY;
  }
  // NOLINTBEGIN(cppcoreguidelines-owning-memory): ownership goes to the caller of a C function
  auto* block =
      static_cast<unsigned char*>(std::aligned_alloc(kAlignment, static_cast<size_t>(padded) / kAlignment * kAlignment));
  // NOLINTEND(cppcoreguidelines-owning-memory)
  if (block == nullptr) {
    return TG_OUT_OF_MEMORY;
  }
  advise(block, static_cast<size_t>(padded));
  reinterpret_cast<Header*>(block)->bytes = bytes;
  *memory = block + kAlignment;
  ++threegate::live_objects().objects;
  threegate::live_objects().bytes += bytes;
  return TG_OK;
}

tg_status tg_memory_free(void* memory) {
  if (memory == nullptr) {
    return TG_OK;
  }
  unsigned char* block = static_cast<unsigned char*>(memory) - kAlignment;
  --threegate::live_objects().objects;
  threegate::live_objects().bytes -= reinterpret_cast<Header*>(block)->bytes;
  std::free(block);  // NOLINT(cppcoreguidelines-owning-memory,cppcoreguidelines-no-malloc): and comes back
  return TG_OK;
}

tg_status tg_live_objects(int64_t* objects, int64_t* bytes) {
  if (objects == nullptr || bytes == nullptr) {
    return TG_INVALID_ARGUMENT;
  }
  *objects = threegate::live_objects().objects.load();
  *bytes = threegate::live_objects().bytes.load();
  return TG_OK;
}

}  // extern "C"
