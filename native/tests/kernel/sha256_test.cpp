#include <cstring>
#include <numeric>

#include "support.h"

namespace {

std::string hex(const uint8_t* digest) {
  std::string text;
  char two[3];
  for (int i = 0; i < 32; ++i) {
    std::snprintf(two, sizeof(two), "%02x", digest[i]);
    text += two;
  }
  return text;
}

// Computes digests at every SIMD level. All of them must agree.
std::vector<std::string> digests(const std::vector<std::string>& inputs, int threads = 1) {
  std::vector<tg_span> spans;
  for (const std::string& input : inputs) {
    spans.push_back({input.data(), static_cast<int64_t>(input.size())});
  }
  std::vector<std::string> result;
  for (const std::string& level : support::simd_levels()) {
    const auto context = support::make_context(threads, level.c_str());
    std::vector<uint8_t> out(32 * inputs.size() + 1, 0xa5);
    EXPECT_EQ(TG_OK, tg_sha256(context.get(), spans.data(), static_cast<int64_t>(spans.size()), nullptr, out.data()));
    EXPECT_EQ(0xa5, out.back());
    std::vector<std::string> at_level;
    for (size_t i = 0; i < inputs.size(); ++i) {
      at_level.push_back(hex(out.data() + 32 * i));
    }
    EXPECT_TRUE(result.empty() || result == at_level) << level;
    result = at_level;
  }
  return result;
}

// The examples of FIPS 180-2, appendix B, and the empty message.
TEST(Sha256, KnownAnswers) {
  const std::vector<std::string> inputs{"", "abc", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                                        std::string(1000000, 'a')};
  const std::vector<std::string> expected{"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                                          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                                          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
                                          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"};
  EXPECT_EQ(expected, digests(inputs));
  EXPECT_EQ(expected, digests(inputs, 3));
}

// Lengths around every boundary of a block, each together with another length. The pairing must not matter.
TEST(Sha256, APairGivesWhatEachGivesAlone) {
  std::string text(300, '\0');
  std::iota(text.begin(), text.end(), '\1');
  for (size_t n = 0; n < 200; n += 7) {
    const std::string a = text.substr(0, n);
    const std::string b = text.substr(1, 263 - n);
    EXPECT_EQ((std::vector<std::string>{digests({a})[0], digests({b})[0]}), digests({a, b}));
  }
}

// More ranges than a thread processes in step, and long ones of several chunks among short ones. Streams begin and end at any
// time.
TEST(Sha256, ManyGiveWhatEachGivesAlone) {
  std::vector<std::string> inputs;
  for (size_t i = 0; i < 23; ++i) {
    inputs.emplace_back(i % 5 == 0 ? (size_t{1} << 20) * (i / 5 + 1) + i : 64 * i + i % 3, static_cast<char>(i + 1));
  }
  std::vector<std::string> alone;
  for (const std::string& input : inputs) {
    alone.push_back(digests({input})[0]);
  }
  for (const int threads : {1, 2, 5}) {
    EXPECT_EQ(alone, digests(inputs, threads)) << threads << " threads";
  }
}

// The digest is that of Python's hashlib.
TEST(Sha256, BeyondTwoToThe31Bytes) {
  constexpr int64_t kBytes = (int64_t{1} << 32) + 77;
  const support::ZeroPages pages(kBytes);
  auto* const bytes = static_cast<uint8_t*>(pages.data());
  bytes[5] = 1;
  bytes[(int64_t{1} << 31) + 3] = 2;
  bytes[kBytes - 1] = 3;
  const tg_span span{bytes, kBytes};
  uint8_t digest[32];
  ASSERT_EQ(TG_OK, tg_sha256(support::make_context(1).get(), &span, 1, nullptr, digest));
  EXPECT_EQ("6c587d7a19a2ade927e00525d47587ce813b1bde1329ff68816312939b158a9a", hex(digest));
}

TEST(Sha256, RefusesAndCancels) {
  const auto context = support::make_context();
  uint8_t digest[32];
  const tg_span bad{nullptr, 5};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_sha256(context.get(), &bad, 1, nullptr, digest));
  EXPECT_EQ("spans[0].data is NULL; data is required if bytes is not 0", support::error_of(context.get()));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_sha256(context.get(), nullptr, 1, nullptr, digest));
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_sha256(context.get(), nullptr, -1, nullptr, digest));
  EXPECT_EQ(TG_OK, tg_sha256(context.get(), nullptr, 0, nullptr, nullptr));
  tg_control control{sizeof(tg_control), 1, 0, 0, 0};
  const std::string text(1000, 'x');
  const tg_span span{text.data(), 1000};
  EXPECT_EQ(TG_CANCELLED, tg_sha256(context.get(), &span, 1, &control, digest));
}

}  // namespace
