#include <algorithm>
#include <array>
#include <cstdio>
#include <random>

#include "support.h"

namespace {

std::string hex(const std::array<uint8_t, 17>& digest) {
  EXPECT_EQ(0xa5, digest[16]);
  std::string text;
  char two[3];
  for (int i = 0; i < 16; ++i) {
    std::snprintf(two, sizeof(two), "%02x", digest[static_cast<size_t>(i)]);
    text += two;
  }
  return text;
}

struct State {
  std::vector<uint8_t> bytes = std::vector<uint8_t>(TG_XXH3_STATE_BYTES + 9);
  int64_t shift = 0;
  [[nodiscard]] void* place() { return bytes.data() + shift; }
};

std::string digest(tg_context* context, State& state) {
  std::array<uint8_t, 17> out{};
  out[16] = 0xa5;
  EXPECT_EQ(TG_OK, tg_xxh3_digest(context, state.place(), out.data())) << support::error_of(context);
  return hex(out);
}

// Digests of the whole and of parts, at every SIMD level and for any alignment of the state. All of them must agree.
std::string digest(const std::string& text, const std::vector<size_t>& cuts) {
  std::string result;
  for (const std::string& level : support::simd_levels()) {
    const auto context = support::make_context(2, level.c_str());
    for (int64_t shift = 0; shift < 9; shift += 3) {
      State whole;
      whole.shift = shift;
      const tg_xxh3_part all{whole.place(), text.data(), static_cast<int64_t>(text.size())};
      EXPECT_EQ(TG_OK, tg_xxh3_update(context.get(), &all, 1)) << support::error_of(context.get());
      State parts;
      parts.shift = shift;
      size_t begin = 0;
      for (size_t i = 0; i <= cuts.size(); ++i) {
        const size_t end = std::min(text.size(), i < cuts.size() ? cuts[i] : text.size());
        const tg_xxh3_part part{parts.place(), text.data() + begin, static_cast<int64_t>(end - begin)};
        EXPECT_EQ(TG_OK, tg_xxh3_update(context.get(), &part, 1)) << support::error_of(context.get());
        begin = end;
      }
      const std::string own = digest(context.get(), whole);
      EXPECT_EQ(own, digest(context.get(), parts)) << level << ", " << shift;
      EXPECT_TRUE(result.empty() || result == own) << level << ", " << shift;
      result = own;
    }
  }
  return result;
}

// No bytes, and lengths around every value at which the algorithm changes. The digests come from another implementation.
TEST(Xxh3, KnownAnswers) {
  const std::vector<std::pair<size_t, std::string>> known{
      {0, "99aa06d3014798d86001c324468d497f"},    {1, "495b62073ef70ca44c5cca45d0f4811f"},
      {3, "46f66cb93538156515f7093b173d005c"},    {4, "7fefeeffb4d0eab3b987ca5d9241572a"},
      {8, "803c675a846cc6c256bb836ceb6d4baa"},    {9, "d46556872d230f224376673580310154"},
      {16, "650fe308c566747df853dd94614dfa07"},   {17, "18217300b5132d5a78c349fe81b2f26c"},
      {128, "b4f87b99d2db8a511e04fad9f0cacb4d"},  {129, "6881633650cd8924c51bc887976aef63"},
      {240, "de57aab31e77a2ff93e173833f75ab66"},  {241, "92b991a7192f3f080b3b630948ce4a00"},
      {1024, "4c17271c906df79223bc880ebf0d29c6"}, {1025, "70a4eb1b9691d77fc09fdfbc398c7d82"},
      {5000, "3bf60aa89c7feeaa559fff92c2b7f8ee"}, {100000, "8ce7a24d31cd94b1ccf90df7e7e37036"}};
  for (const auto& [length, expected] : known) {
    std::string text;
    for (size_t i = 0; i < length; ++i) {
      text += static_cast<char>(i * 31 + 7);
    }
    EXPECT_EQ(expected, digest(text, {1, 17, 300, 4096, 70000})) << length;
  }
}

TEST(Xxh3, PartsAreTheWhole) {
  std::mt19937_64 random(3);
  std::string text(300000, '\0');
  for (char& letter : text) {
    letter = static_cast<char>(random());
  }
  for (int i = 0; i < 20; ++i) {
    std::vector<size_t> cuts;
    for (int j = 0; j < 10; ++j) {
      cuts.push_back(random() % (i % 2 == 0 ? text.size() : 600));
    }
    std::sort(cuts.begin(), cuts.end());
    digest(text, cuts);
  }
}

TEST(Xxh3, StatesTakePartsSideBySide) {
  const std::string text(1 << 20, 'x');
  for (const int threads : {1, 2, 3}) {
    const auto context = support::make_context(threads, nullptr);
    std::vector<State> states(5);
    std::vector<tg_xxh3_part> parts;
    for (size_t i = 0; i < states.size(); ++i) {
      parts.push_back({states[i].place(), text.data(), static_cast<int64_t>(1000 * i * i * i)});
    }
    ASSERT_EQ(TG_OK, tg_xxh3_update(context.get(), parts.data(), 5));
    ASSERT_EQ(TG_OK, tg_xxh3_update(context.get(), parts.data(), 5));
    for (size_t i = 0; i < states.size(); ++i) {
      EXPECT_EQ(digest(text.substr(0, 2000 * i * i * i), {}), digest(context.get(), states[i]));
    }
  }
}

TEST(Xxh3, BeyondTwoToThe31Bytes) {
  constexpr int64_t kBytes = (int64_t{1} << 32) + 77;
  const support::ZeroPages pages(kBytes);
  auto* const bytes = static_cast<uint8_t*>(pages.data());
  bytes[5] = 1;
  bytes[(int64_t{1} << 31) + 3] = 2;
  bytes[kBytes - 1] = 3;
  const auto context = support::make_context(1);
  State whole;
  const tg_xxh3_part all{whole.place(), bytes, kBytes};
  ASSERT_EQ(TG_OK, tg_xxh3_update(context.get(), &all, 1)) << support::error_of(context.get());
  State parts;
  for (int64_t begin = 0; begin < kBytes; begin += int64_t{1} << 30) {
    const tg_xxh3_part part{parts.place(), bytes + begin, std::min(kBytes - begin, int64_t{1} << 30)};
    ASSERT_EQ(TG_OK, tg_xxh3_update(context.get(), &part, 1)) << support::error_of(context.get());
  }
  EXPECT_EQ(digest(context.get(), parts), digest(context.get(), whole));
}

TEST(Xxh3, RefusesWhatItCannotRead) {
  const auto context = support::make_context(1, nullptr);
  State state;
  std::vector<tg_xxh3_part> parts{{state.place(), nullptr, 1}};
  const auto refusal = [&] {
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_xxh3_update(context.get(), parts.data(), static_cast<int64_t>(parts.size())));
    return support::error_of(context.get());
  };
  EXPECT_EQ("parts[0].data is NULL; data is required if bytes is not 0", refusal());
  parts = {{state.place(), "", -1}};
  EXPECT_EQ("parts[0].bytes is -1; it must not be negative", refusal());
  parts = {{nullptr, "", 0}};
  EXPECT_EQ("parts[0].state is NULL; it must not be NULL", refusal());
  parts = {{state.place(), "a", 1}, {state.place(), "b", 1}};
  EXPECT_EQ("parts[1].state is that of another part; each has its own", refusal());
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_xxh3_digest(context.get(), state.place(), nullptr));
  EXPECT_EQ("digest is NULL; it must not be NULL", support::error_of(context.get()));
  EXPECT_EQ("99aa06d3014798d86001c324468d497f", digest(context.get(), state));
}

}  // namespace
