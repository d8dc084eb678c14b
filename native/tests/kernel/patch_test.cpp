#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>

#include "context_memory.h"
#include "support.h"

namespace {

// Buffers of elements, `shift` bytes after an aligned address.
struct Pair {
  Pair(int64_t elements, int32_t bytes, double density, int64_t shift, uint64_t seed)
      : count(elements), width(bytes), offset(shift), one(size()), two(size()) {
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> uniform;
    for (auto& byte : one) {
      byte = static_cast<uint8_t>(random());
    }
    two = one;
    for (int64_t i = 0; i < count; ++i) {
      if (uniform(random) < density) {
        // Flips any bit of it, for example the sign of a zero or the payload of a NaN.
        two[static_cast<size_t>(offset + i * width + static_cast<int64_t>(random() % static_cast<uint64_t>(width)))] ^=
            static_cast<uint8_t>(1U << random() % 8);
      }
    }
  }
  [[nodiscard]] size_t size() const { return static_cast<size_t>(offset + count * width + 1); }
  [[nodiscard]] const uint8_t* before() const { return one.data() + offset; }
  [[nodiscard]] const uint8_t* after() const { return two.data() + offset; }

  int64_t count;
  int32_t width;
  int64_t offset;
  std::vector<uint8_t> one;
  std::vector<uint8_t> two;
};

struct Entries {
  std::vector<uint8_t> positions;  // misaligned by `shift`
  std::vector<uint8_t> values;
  int64_t changed = -1;
  tg_status status = TG_INTERNAL;
  std::string error;

  [[nodiscard]] std::vector<uint32_t> numbers() const {
    std::vector<uint32_t> all(positions.size() / 4);
    std::copy(positions.begin(), positions.end(), reinterpret_cast<uint8_t*>(all.data()));
    return all;
  }
};

constexpr uint8_t kSentinel = 0xa5;

Entries extract(tg_context* context, const Pair& pair, int32_t form, int64_t room, int64_t shift = 0) {
  Entries found;
  std::vector<uint8_t> positions(static_cast<size_t>(4 * room + shift + 8), kSentinel);
  std::vector<uint8_t> values(static_cast<size_t>(pair.width * room + shift + 8), kSentinel);
  const tg_patch_pair own{sizeof(own), pair.before(), pair.after(), pair.count, 0, pair.width, form};
  const tg_patch_entries to{
      sizeof(to), reinterpret_cast<uint32_t*>(positions.data() + shift), values.data() + shift, room, pair.width, form};
  found.status = tg_patch_extract(context, &own, &to, &found.changed);
  found.error = support::error_of(context);
  // Nothing is written beyond the room.
  EXPECT_TRUE(std::all_of(positions.end() - 8, positions.end(), [](uint8_t byte) { return byte == kSentinel; }));
  EXPECT_TRUE(std::all_of(values.end() - 8, values.end(), [](uint8_t byte) { return byte == kSentinel; }));
  const int64_t kept = std::min(found.changed, room);
  found.positions.assign(positions.begin() + shift, positions.begin() + shift + 4 * kept);
  found.values.assign(values.begin() + shift, values.begin() + shift + pair.width * kept);
  return found;
}

std::vector<uint8_t> applied(tg_context* context, const Pair& pair, Entries& entries, int32_t form) {
  std::vector<uint8_t> target = pair.one;
  const tg_patch_entries own{sizeof(own),
                             reinterpret_cast<uint32_t*>(entries.positions.data()),
                             entries.values.data(),
                             static_cast<int64_t>(entries.positions.size() / 4),
                             pair.width,
                             form};
  EXPECT_EQ(TG_OK, tg_patch_apply(context, &own, target.data() + pair.offset, pair.count)) << support::error_of(context);
  return target;
}

int64_t differing(tg_context* context, const Pair& pair, Entries& entries, const uint8_t* target) {
  const tg_patch_entries own{sizeof(own),
                             reinterpret_cast<uint32_t*>(entries.positions.data()),
                             entries.values.data(),
                             static_cast<int64_t>(entries.positions.size() / 4),
                             pair.width,
                             TG_PATCH_OVERWRITE};
  int64_t found = -1;
  EXPECT_EQ(TG_OK, tg_patch_verify(context, &own, target, pair.count, &found)) << support::error_of(context);
  return found;
}

TEST(Patch, HoldsWhatChangesAndNothingElse) {
  uint64_t seed = support::seed();
  for (const std::string& level : support::simd_levels()) {
    for (const int32_t width : {1, 2, 4, 8}) {
      for (const int64_t count : {0, 1, 63, 64, 65, 1000, 70001}) {
        for (const double density : {0.0, 0.01, 0.3, 1.0}) {
          SCOPED_TRACE(level + ", width " + std::to_string(width) + ", count " + std::to_string(count) + ", density " +
                       std::to_string(density));
          const Pair pair(count, width, density, count % 3, ++seed);
          const auto context = support::make_context(2, level.c_str());
          std::map<uint32_t, std::vector<uint8_t>> expected;
          for (int64_t i = 0; i < count; ++i) {
            const uint8_t* after = pair.after() + i * width;
            if (std::memcmp(pair.before() + i * width, after, static_cast<size_t>(width)) != 0) {
              expected[static_cast<uint32_t>(i)].assign(after, after + width);
            }
          }
          for (const int32_t form : {TG_PATCH_OVERWRITE, TG_PATCH_XOR}) {
            Entries found = extract(context.get(), pair, form, count, count % 3);
            ASSERT_EQ(TG_OK, found.status) << found.error;
            ASSERT_EQ(static_cast<int64_t>(expected.size()), found.changed);
            const std::vector<uint32_t> numbers = found.numbers();
            size_t entry = 0;
            for (const auto& [position, value] : expected) {
              ASSERT_EQ(position, numbers[entry]);
              for (int32_t byte = 0; byte < width; ++byte) {
                const auto at = static_cast<size_t>(byte);
                const uint8_t old = pair.before()[position * static_cast<size_t>(width) + at];
                const uint8_t own = found.values[entry * static_cast<size_t>(width) + at];
                ASSERT_EQ(value[at], form == TG_PATCH_XOR ? own ^ old : own);
              }
              ++entry;
            }
            if (form == TG_PATCH_OVERWRITE) {
              // First none of the entries is applied, then all of them are.
              EXPECT_EQ(found.changed, differing(context.get(), pair, found, pair.before()));
              EXPECT_EQ(0, differing(context.get(), pair, found, pair.after()));
            }
            EXPECT_EQ(pair.two, applied(context.get(), pair, found, form));
          }
        }
      }
    }
  }
}

// Tiles and parts of them, in memory where contexts compute, with and without the alignment of the widest loads. Nothing is
// written beyond the room.
TEST(Patch, OfTilesAndPartsOfThem) {
  SCOPED_TRACE("THREEGATE_TEST_SEED=" + std::to_string(support::seed()));
  uint64_t seed = support::seed();
  const auto context = support::make_context(2);
  for (const int32_t width : {1, 2, 4, 8}) {
    const int64_t tile = width <= 2 ? 8192 : 16384 / width;
    for (const int64_t count : {int64_t{1}, int64_t{17}, tile - 1, tile, tile + 1, 5 * tile, 7 * tile + 77}) {
      for (const double density : {0.0, 0.01, 0.1, 1.0}) {
        const Pair pair(count, width, density, 0, ++seed);
        std::vector<uint32_t> positions;
        std::vector<uint8_t> values;
        for (int64_t i = 0; i < count; ++i) {
          const uint8_t* const after = pair.after() + i * width;
          if (std::memcmp(pair.before() + i * width, after, static_cast<size_t>(width)) != 0) {
            positions.push_back(static_cast<uint32_t>(i));
            values.insert(values.end(), after, after + width);
          }
        }
        const auto expected = static_cast<int64_t>(positions.size());
        support::ContextMemory elements(2 * (count * width + 64));
        support::ContextMemory numbers(4 * (expected + 1));
        support::ContextMemory found(width * (expected + 1));
        for (const auto& [before, after] : {std::pair<int64_t, int64_t>{0, 0}, {0, 1}, {1, 1}}) {
          uint8_t* const one = elements.get() + before * width;
          uint8_t* const two = elements.get() + (count * width + 63) / 32 * 32 + after * width;
          std::memcpy(one, pair.before(), static_cast<size_t>(count * width));
          std::memcpy(two, pair.after(), static_cast<size_t>(count * width));
          for (const int64_t room : {expected, expected - 1, expected / 2, int64_t{0}}) {
            if (room < 0) {
              continue;
            }
            SCOPED_TRACE(testing::Message() << "width " << width << ", count " << count << ", density " << density << ", shifts "
                                            << before << ", " << after << ", room " << room);
            std::memset(numbers.get(), kSentinel, static_cast<size_t>(4 * (expected + 1)));
            std::memset(found.get(), kSentinel, static_cast<size_t>(width * (expected + 1)));
            const int64_t first = (int64_t{1} << 32) - count;
            const tg_patch_pair own{sizeof(own), one, two, count, first, width, TG_PATCH_OVERWRITE};
            const tg_patch_entries to{sizeof(to),        reinterpret_cast<uint32_t*>(numbers.get()), found.get(), room, width,
                                      TG_PATCH_OVERWRITE};
            int64_t changed = -1;
            ASSERT_EQ(TG_OK, tg_patch_extract(context.get(), &own, &to, &changed)) << support::error_of(context.get());
            ASSERT_EQ(expected, changed);
            if (room == expected) {
              for (int64_t i = 0; i < room; ++i) {
                ASSERT_EQ(static_cast<uint32_t>(first + positions[static_cast<size_t>(i)]), to.positions[i]);
              }
              ASSERT_EQ(0, std::memcmp(values.data(), found.get(), values.size()));
            }
            ASSERT_EQ(kSentinel, numbers.get()[4 * room]);
            ASSERT_EQ(kSentinel, found.get()[width * room]);
          }
        }
      }
    }
  }
}

// Every pair of offsets from the alignment of the widest loads, in memory that ends with the elements. In the second case 16 more
// bytes follow the last tile.
TEST(Patch, OfElementsAtAnyOffsets) {
  uint64_t seed = support::seed();
  const auto context = support::make_context(1);
  for (const int32_t width : {1, 2, 4, 8}) {
    const int64_t tile = width <= 2 ? 8192 : 16384 / width;
    for (const int64_t count : {2 * tile, 2 * tile + 16 / width}) {
      const Pair pair(count, width, 0.05, 0, ++seed);
      const int64_t bytes = count * width;
      std::vector<uint32_t> positions;
      for (int64_t i = 0; i < count; ++i) {
        if (std::memcmp(pair.before() + i * width, pair.after() + i * width, static_cast<size_t>(width)) != 0) {
          positions.push_back(static_cast<uint32_t>(i));
        }
      }
      const auto expected = static_cast<int64_t>(positions.size());
      support::ContextMemory numbers(4 * expected);
      support::ContextMemory values(width * expected);
      const tg_patch_entries to{sizeof(to),  reinterpret_cast<uint32_t*>(numbers.get()), values.get(), expected, width,
                                TG_PATCH_XOR};
      for (int64_t before = 0; before < 16; before += width) {
        support::ContextMemory one(before + bytes);
        std::memset(one.get(), 0x5a, static_cast<size_t>(before));
        std::memcpy(one.get() + before, pair.before(), static_cast<size_t>(bytes));
        for (int64_t after = 0; after < 16; after += width) {
          SCOPED_TRACE(testing::Message() << "width " << width << ", count " << count << ", " << before << " and " << after);
          support::ContextMemory two(after + bytes);
          std::memset(two.get(), 0xc3, static_cast<size_t>(after));
          std::memcpy(two.get() + after, pair.after(), static_cast<size_t>(bytes));
          const tg_patch_pair own{sizeof(own), one.get() + before, two.get() + after, count, 0, width, TG_PATCH_XOR};
          int64_t changed = -1;
          ASSERT_EQ(TG_OK, tg_patch_extract(context.get(), &own, &to, &changed)) << support::error_of(context.get());
          ASSERT_EQ(expected, changed);
          ASSERT_TRUE(std::equal(positions.begin(), positions.end(), to.positions));
          for (int64_t i = 0; i < expected * width; ++i) {
            const auto at = static_cast<int64_t>(positions[static_cast<size_t>(i / width)]) * width + i % width;
            ASSERT_EQ(pair.before()[at] ^ pair.after()[at], values.get()[i]);
          }
        }
      }
    }
  }
}

// All positions that there are, of which the last thread has the last ones. Zeros that nobody writes take no memory.
TEST(Patch, BeyondTwoToThe31Elements) {
  constexpr int64_t kCount = int64_t{1} << 32;
  const support::ZeroPages before(2 * kCount);
  const support::ZeroPages after(2 * kCount);
  const std::vector<uint32_t> places{1, INT32_MAX, 1U << 31, (1U << 31) + 12345, UINT32_MAX};
  for (const uint32_t place : places) {
    static_cast<uint16_t*>(after.data())[place] = static_cast<uint16_t>(place | 1U);
  }
  const auto context = support::make_context(2);
  std::vector<uint32_t> positions(places.size());
  std::vector<uint16_t> values(places.size());
  const auto room = static_cast<int64_t>(places.size());
  const tg_patch_pair pair{sizeof(pair), before.data(), after.data(), kCount, 0, 2, TG_PATCH_OVERWRITE};
  const tg_patch_entries entries{sizeof(entries), positions.data(), values.data(), room, 2, TG_PATCH_OVERWRITE};
  int64_t found = -1;
  ASSERT_EQ(TG_OK, tg_patch_extract(context.get(), &pair, &entries, &found)) << support::error_of(context.get());
  EXPECT_EQ(room, found);
  EXPECT_EQ(places, positions);
  ASSERT_EQ(TG_OK, tg_patch_verify(context.get(), &entries, before.data(), kCount, &found));
  EXPECT_EQ(room, found);
  ASSERT_EQ(TG_OK, tg_patch_apply(context.get(), &entries, before.data(), kCount)) << support::error_of(context.get());
  for (const uint32_t place : places) {
    EXPECT_EQ(static_cast<uint16_t>(place | 1U), static_cast<const uint16_t*>(before.data())[place]);
  }
  ASSERT_EQ(TG_OK, tg_patch_gaps(context.get(), positions.data(), room, -1));
  ASSERT_EQ(TG_OK, tg_patch_positions(context.get(), positions.data(), room, -1));
  EXPECT_EQ(places, positions);
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_patch_apply(context.get(), &entries, before.data(), kCount - 1));
}

// Planes lie in repeated pages, in which the last bytes are written last.
TEST(Patch, PlanesBeyondTwoToThe31Elements) {
  constexpr int64_t kCount = (int64_t{1} << 31) + 77;
  const support::ZeroPages elements(2 * kCount);
  const support::RepeatedPages planes(2 * kCount);
  const support::RepeatedPages back(2 * kCount);
  static_cast<uint16_t*>(elements.data())[kCount - 1] = 0x2345;
  const auto context = support::make_context(1);
  ASSERT_EQ(TG_OK, tg_byte_planes(context.get(), elements.data(), kCount, 2, planes.data())) << support::error_of(context.get());
  EXPECT_EQ(0x45, static_cast<const uint8_t*>(planes.data())[kCount - 1]);
  EXPECT_EQ(0x23, static_cast<const uint8_t*>(planes.data())[2 * kCount - 1]);
  ASSERT_EQ(TG_OK, tg_byte_elements(context.get(), planes.data(), kCount, 2, back.data())) << support::error_of(context.get());
  EXPECT_EQ(0x2345, static_cast<const uint16_t*>(back.data())[kCount - 1]);
}

TEST(Patch, DoesNotDependOnThreadsOrLevels) {
  const Pair pair(1 << 20, 2, 0.02, 1, support::seed());
  const auto one = support::make_context(1);
  const Entries alone = extract(one.get(), pair, TG_PATCH_XOR, pair.count);
  ASSERT_EQ(TG_OK, alone.status) << alone.error;
  for (const std::string& level : support::simd_levels()) {
    for (const int threads : {1, 2, 3, 7}) {
      const auto context = support::make_context(threads, level.c_str());
      Entries found = extract(context.get(), pair, TG_PATCH_XOR, pair.count);
      EXPECT_EQ(alone.positions, found.positions);
      EXPECT_EQ(alone.values, found.values);
      EXPECT_EQ(pair.two, applied(context.get(), pair, found, TG_PATCH_XOR));
    }
  }
}

// A mapped file with some bytes, at most until the end of the test.
class File {
 public:
  File(tg_context* context, const std::vector<uint8_t>& bytes) {
    char name[] = "/tmp/threegate-patch-XXXXXX";
    const int descriptor = mkstemp(name);
    EXPECT_EQ(static_cast<ssize_t>(bytes.size()), write(descriptor, bytes.data(), bytes.size()));
    close(descriptor);
    path_ = name;
    const void* data = nullptr;
    int64_t length = 0;
    EXPECT_EQ(TG_OK, tg_mapped_file_open(context, name, &file_, &data, &length)) << support::error_of(context);
  }
  ~File() {
    tg_mapped_file_close(file_);
    unlink(path_.c_str());
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] tg_mapped_file* get() const { return file_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  tg_mapped_file* file_ = nullptr;
};

using State = std::vector<uint8_t>;

std::vector<uint8_t> digest_of(tg_context* context, const State& state) {
  std::vector<uint8_t> digest(16);
  EXPECT_EQ(TG_OK, tg_xxh3_digest(context, state.data(), digest.data()));
  return digest;
}

TEST(Patch, OfFilesIsThatOfTheirBytes) {
  const auto context = support::make_context();
  for (const int32_t width : {1, 2, 4, 8}) {
    // Ends of blocks and of groups, and offsets of any alignment.
    for (const int64_t count :
         {int64_t{0}, int64_t{1}, int64_t{63}, int64_t{131072 / width}, int64_t{131072 / width + 1}, int64_t{300001}}) {
      for (const double density : {0.0, 0.01, 0.3, 1.0}) {
        const Pair pair(count, width, density, 3, support::seed());
        const File before(context.get(), pair.one);
        const File after(context.get(), pair.two);
        const Entries expected = extract(context.get(), pair, TG_PATCH_XOR, count);
        State states[4] = {State(TG_XXH3_STATE_BYTES), State(TG_XXH3_STATE_BYTES), State(TG_XXH3_STATE_BYTES),
                           State(TG_XXH3_STATE_BYTES)};
        // In two calls, as the parts of a larger tensor.
        std::vector<uint32_t> positions(static_cast<size_t>(count + 1), 0xa5a5a5a5U);
        std::vector<uint8_t> values(static_cast<size_t>((count + 1) * width), kSentinel);
        int64_t found = 0;
        for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, count / 3}, {count / 3, count}}) {
          const tg_patch_files files{sizeof(files),
                                     before.get(),
                                     after.get(),
                                     pair.offset + begin * width,
                                     pair.offset + begin * width,
                                     end - begin,
                                     begin,
                                     states[0].data(),
                                     states[1].data(),
                                     width,
                                     TG_PATCH_XOR};
          const tg_patch_entries to{sizeof(to),  positions.data() + found, values.data() + found * width, count - found, width,
                                    TG_PATCH_XOR};
          int64_t changed = -1;
          ASSERT_EQ(TG_OK, tg_patch_extract_files(context.get(), &files, &to, &changed)) << support::error_of(context.get());
          found += changed;
        }
        ASSERT_EQ(expected.changed, found) << count << " elements of " << width;
        EXPECT_TRUE(std::equal(positions.begin(), positions.begin() + found, expected.numbers().begin()));
        EXPECT_TRUE(std::equal(values.begin(), values.begin() + found * width, expected.values.begin()));
        EXPECT_EQ(0xa5a5a5a5U, positions.back());
        EXPECT_EQ(kSentinel, values.back());
        const tg_xxh3_part parts[] = {{states[2].data(), pair.before(), count * width},
                                      {states[3].data(), pair.after(), count * width}};
        ASSERT_EQ(TG_OK, tg_xxh3_update(context.get(), parts, 2));
        EXPECT_EQ(digest_of(context.get(), states[2]), digest_of(context.get(), states[0]));
        EXPECT_EQ(digest_of(context.get(), states[3]), digest_of(context.get(), states[1]));
      }
    }
  }
}

TEST(Patch, OfFilesSaysHowMuchRoomIsNeededAndWhatIsWrong) {
  const auto context = support::make_context();
  const Pair pair(1000, 2, 1, 0, support::seed());
  const File before(context.get(), pair.one);
  const File after(context.get(), pair.two);
  std::vector<uint32_t> positions(11, 7);
  std::vector<uint16_t> values(11, 7);
  tg_patch_files files{sizeof(files), before.get(), after.get(), 0, 0, 1000, 0, nullptr, nullptr, 2, TG_PATCH_OVERWRITE};
  const tg_patch_entries to{sizeof(to), positions.data(), values.data(), 10, 2, TG_PATCH_OVERWRITE};
  int64_t changed = -1;
  ASSERT_EQ(TG_OK, tg_patch_extract_files(context.get(), &files, &to, &changed));
  EXPECT_EQ(1000, changed);
  EXPECT_EQ(7U, positions.back());
  EXPECT_EQ(7U, values.back());
  const auto refused = [&](const char* why) {
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_patch_extract_files(context.get(), &files, &to, &changed));
    EXPECT_EQ(why, support::error_of(context.get()));
  };
  files.after_offset = 2;
  refused("bytes is 2000; offset + bytes must lie in the file");
  files.after_offset = 0;
  files.form = TG_PATCH_XOR;
  refused("entries.width or form is 2, 1; they must be those of the files");
  files.form = TG_PATCH_OVERWRITE;
  State state(TG_XXH3_STATE_BYTES);
  files.before_state = files.after_state = state.data();
  refused("files.before_state is that of after_state; each has its own");
  files.before_state = files.after_state = nullptr;
  files.before = nullptr;
  refused("files.before or after is NULL; they must be open mapped files");
  files.before = before.get();
  ASSERT_EQ(0, truncate(after.path().c_str(), 500));
  EXPECT_EQ(TG_IO, tg_patch_extract_files(context.get(), &files, &to, &changed));
}

TEST(Patch, SaysHowMuchRoomIsNeeded) {
  const Pair pair(100000, 2, 0.1, 0, support::seed());
  const auto context = support::make_context(2);
  const int64_t needed = extract(context.get(), pair, TG_PATCH_XOR, pair.count).changed;
  for (const int64_t room : {int64_t{0}, int64_t{1}, needed - 1, needed}) {
    const Entries found = extract(context.get(), pair, TG_PATCH_XOR, room);
    EXPECT_EQ(TG_OK, found.status) << found.error;
    EXPECT_EQ(needed, found.changed);
  }
}

TEST(Patch, PartsAreTheWhole) {
  constexpr int64_t kPart = 9973;
  for (const std::string& level : support::simd_levels()) {
    const Pair pair(70001, 2, 0.1, 1, support::seed());
    const auto context = support::make_context(2, level.c_str());
    for (const int64_t first : {int64_t{0}, int64_t{5}, (int64_t{1} << 32) - pair.count}) {
      const Entries whole = extract(context.get(), pair, TG_PATCH_OVERWRITE, pair.count);
      std::vector<uint32_t> positions(static_cast<size_t>(whole.changed));
      std::vector<uint16_t> values(positions.size());
      int64_t found = 0;
      for (int64_t begin = 0; begin < pair.count; begin += kPart) {
        const tg_patch_pair own{
            sizeof(own), pair.before() + 2 * begin, pair.after() + 2 * begin, std::min(kPart, pair.count - begin), first + begin,
            2,           TG_PATCH_OVERWRITE};
        const tg_patch_entries to{sizeof(to), positions.data() + found, values.data() + found, whole.changed - found,
                                  2,          TG_PATCH_OVERWRITE};
        int64_t changed = 0;
        ASSERT_EQ(TG_OK, tg_patch_extract(context.get(), &own, &to, &changed)) << support::error_of(context.get());
        found += changed;
      }
      ASSERT_EQ(whole.changed, found);
      EXPECT_EQ(0, std::memcmp(whole.values.data(), values.data(), whole.values.size()));
      const std::vector<uint32_t> numbers = whole.numbers();
      for (size_t i = 0; i < positions.size(); ++i) {
        ASSERT_EQ(static_cast<uint32_t>(first + numbers[i]), positions[i]);
      }
    }
    const tg_patch_pair beyond{sizeof(beyond), pair.before(), pair.after(), pair.count, (int64_t{1} << 32) - pair.count + 1, 2,
                               TG_PATCH_XOR};
    const tg_patch_entries none{sizeof(none), nullptr, nullptr, 0, 2, TG_PATCH_XOR};
    int64_t changed = 0;
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_patch_extract(context.get(), &beyond, &none, &changed));
    EXPECT_EQ("pair.first is 4294897296; positions are 0 to 2^32 - 1", support::error_of(context.get()));
  }
}

TEST(Patch, RefusesMisplacedPositionsAndWritesNothing) {
  const auto context = support::make_context(2);
  constexpr int64_t kCount = 50000;
  std::vector<uint16_t> target(kCount, 7);
  std::vector<uint32_t> positions(40000);
  std::vector<uint16_t> values(positions.size(), 9);
  const auto apply = [&] {
    const tg_patch_entries own{sizeof(own), positions.data(),  values.data(), static_cast<int64_t>(positions.size()),
                               2,           TG_PATCH_OVERWRITE};
    return tg_patch_apply(context.get(), &own, target.data(), kCount);
  };
  const auto ascend = [&] {
    for (size_t i = 0; i < positions.size(); ++i) {
      positions[i] = static_cast<uint32_t>(i);
    }
  };
  for (const auto& [entry, position] : std::vector<std::pair<size_t, uint32_t>>{
           {39999, 50000}, {39999, UINT32_MAX}, {20000, 19999}, {20000, 5}, {1, 0}, {0, 1}}) {
    ascend();
    positions[entry] = position;
    const size_t named = entry == 0 ? 1 : entry;
    EXPECT_EQ(TG_INVALID_ARGUMENT, apply());
    EXPECT_EQ("entries.positions[" + std::to_string(named) + "] is misplaced; positions ascend strictly and are below 50000",
              support::error_of(context.get()));
    EXPECT_EQ(std::vector<uint16_t>(kCount, 7), target);
  }
  {
    const tg_patch_entries own{sizeof(own), positions.data(), values.data(), static_cast<int64_t>(positions.size()),
                               2,           TG_PATCH_XOR};
    int64_t found = 0;
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_patch_verify(context.get(), &own, target.data(), kCount, &found));
    EXPECT_EQ("entries.form is 2; it must be TG_PATCH_OVERWRITE", support::error_of(context.get()));
  }
  ascend();
  EXPECT_EQ(TG_OK, apply());
  EXPECT_EQ(40000, std::count(target.begin(), target.end(), 9));
}

TEST(Patch, GapsAndPositionsAreEachOthersInverse) {
  const auto context = support::make_context();
  std::vector<uint32_t> numbers{0, 5, 6, 70000};
  ASSERT_EQ(TG_OK, tg_patch_gaps(context.get(), numbers.data(), 4, -1));
  EXPECT_EQ((std::vector<uint32_t>{0, 4, 0, 69993}), numbers);
  ASSERT_EQ(TG_OK, tg_patch_positions(context.get(), numbers.data(), 4, -1));
  EXPECT_EQ((std::vector<uint32_t>{0, 5, 6, 70000}), numbers);
  // A second part continues where the first one ended.
  std::vector<uint32_t> more{70001, UINT32_MAX};
  ASSERT_EQ(TG_OK, tg_patch_gaps(context.get(), more.data(), 2, 70000));
  EXPECT_EQ((std::vector<uint32_t>{0, UINT32_MAX - 70002}), more);
  ASSERT_EQ(TG_OK, tg_patch_positions(context.get(), more.data(), 2, 70000));
  EXPECT_EQ((std::vector<uint32_t>{70001, UINT32_MAX}), more);
  std::vector<uint32_t> large{3, UINT32_MAX - 3};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_patch_positions(context.get(), large.data(), 2, -1));
  EXPECT_EQ("gaps[1] is too large; positions are below 2^32", support::error_of(context.get()));
}

TEST(Patch, PlanesHoldBytesOfOneSignificance) {
  const auto context = support::make_context();
  std::mt19937_64 random(support::seed());
  for (const int32_t width : {1, 2, 4, 8}) {
    for (const int64_t count : {0, 1, 7, 1000}) {
      std::vector<uint8_t> elements(static_cast<size_t>(count * width + 1));
      std::generate(elements.begin(), elements.end(), [&] { return static_cast<uint8_t>(random()); });
      std::vector<uint8_t> planes(elements.size(), kSentinel);
      ASSERT_EQ(TG_OK, tg_byte_planes(context.get(), elements.data(), count, width, planes.data()));
      for (int64_t i = 0; i < count; ++i) {
        for (int32_t byte = 0; byte < width; ++byte) {
          ASSERT_EQ(elements[static_cast<size_t>(i * width + byte)], planes[static_cast<size_t>(byte * count + i)]);
        }
      }
      EXPECT_EQ(kSentinel, planes.back());
      std::vector<uint8_t> back(elements.size(), elements.back());
      ASSERT_EQ(TG_OK, tg_byte_elements(context.get(), planes.data(), count, width, back.data()));
      EXPECT_EQ(elements, back);
    }
  }
}

TEST(Patch, RefusesWhatIsNoPatch) {
  const auto context = support::make_context();
  const Pair pair(10, 2, 1, 0, 1);
  uint32_t positions[10];
  uint16_t values[10];
  int64_t changed = 0;
  tg_patch_pair own{sizeof(own), pair.before(), pair.after(), pair.count, 0, 2, TG_PATCH_XOR};
  tg_patch_entries to{sizeof(to), positions, values, 10, 2, TG_PATCH_XOR};
  const auto refused = [&](const std::string& message) {
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_patch_extract(context.get(), &own, &to, &changed));
    EXPECT_EQ(message, support::error_of(context.get()));
  };
  own.width = 3;
  refused("pair.width is 3; allowed are 1, 2, 4 and 8");
  own.width = 2;
  own.form = 0;
  refused("pair.form is 0; it must be TG_PATCH_OVERWRITE or TG_PATCH_XOR");
  own.form = TG_PATCH_OVERWRITE;
  refused("entries.width or form is 2, 2; they must be those of the pair");
  own.form = TG_PATCH_XOR;
  own.count = (int64_t{1} << 32) + 1;
  refused("pair.count is 4294967297; allowed are 0 to 2^32");
  own.count = 10;
  own.after = nullptr;
  refused("pair.before or after is NULL; the elements are required");
  own.after = pair.after();
  to.values = nullptr;
  refused("entries.positions or values is NULL; entries need room for positions and values");
  to.size = 8;
  refused("entries is a struct of size 8; the size in this library is 40");
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_byte_planes(context.get(), values, 1, 3, positions));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_patch_gaps(context.get(), positions, 1, -2));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_patch_positions(context.get(), nullptr, 1, -1));
}

}  // namespace
