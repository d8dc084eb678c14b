#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>

#include "support.h"

namespace {

struct Selected {
  tg_status status;
  std::vector<uint64_t> words;
  std::string error;
};

Selected select(const tg_mask_scores& scores, int64_t count, bool smallest, int threads = 1, tg_control* control = nullptr) {
  const auto context = support::make_context(threads);
  const int64_t rows = scores.matrix != nullptr ? scores.matrix->values.rows : scores.rows;
  const int64_t columns = scores.matrix != nullptr ? scores.matrix->values.columns : scores.columns;
  const tg_mask_options options{sizeof(options), count, smallest ? 1 : 0, 0};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_OK, tg_mask_select_workspace(context.get(), &scores, &options, &size)) << support::error_of(context.get());
  const auto host = support::allocate(size.host_bytes + 8);
  static_cast<uint8_t*>(host.get())[size.host_bytes] = 0x5a;
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  const int64_t words = rows * ((columns + 63) / 64);
  Selected result{TG_OK, std::vector<uint64_t>(static_cast<size_t>(words) + 1, 0x123456789abcdefULL), ""};
  result.status = tg_mask_select(context.get(), &scores, &options, control, &workspace, result.words.data(), words);
  result.error = support::error_of(context.get());
  EXPECT_EQ(0x5a, static_cast<uint8_t*>(host.get())[size.host_bytes]);
  EXPECT_EQ(0x123456789abcdefULL, result.words.back());
  result.words.pop_back();
  return result;
}

// Returns the expected mask by sorting all scores.
std::vector<uint64_t> expected(const std::vector<double>& scores, int64_t columns, int64_t count, bool smallest) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return smallest ? std::abs(scores[a]) < std::abs(scores[b]) : std::abs(scores[a]) > std::abs(scores[b]);
  });
  const auto across = static_cast<size_t>((columns + 63) / 64);
  std::vector<uint64_t> words(scores.size() / static_cast<size_t>(columns) * across, 0);
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const size_t row = order[i] / static_cast<size_t>(columns);
    const size_t column = order[i] % static_cast<size_t>(columns);
    words[row * across + column / 64] |= uint64_t{1} << (column % 64);
  }
  return words;
}

tg_operand operand(const std::vector<double>& entries, int64_t columns) {
  tg_operand result{};
  result.size = sizeof(result);
  result.values = {entries.data(), static_cast<int64_t>(entries.size()) / columns, columns, columns, TG_F64, 0};
  return result;
}

TEST(MaskSelect, SelectsWhatSortingSelects) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{1, 1}, {1, 200}, {70, 1}, {130, 65}, {3, 5000}, {200, 64}, {8, 4096}, {70, 2100}}) {
    for (int kind = 0; kind < 4; ++kind) {
      std::vector<double> entries(static_cast<size_t>(rows * columns));
      for (double& entry : entries) {
        entry = normal(random);
        if (kind == 1) {
          entry = std::round(entry * 2);  // many equal scores, and zeros of both signs
        } else if (kind == 2) {
          entry = 1;
        } else if (kind == 3) {
          entry = std::ldexp(entry, static_cast<int>(random() % 2000) - 1000);
        }
      }
      const tg_operand matrix = operand(entries, columns);
      const tg_mask_scores scores{sizeof(scores), &matrix, nullptr, nullptr, nullptr, 0, 0, 0};
      const int64_t all = rows * columns;
      for (const int64_t count : {int64_t{0}, int64_t{1}, all / 3, all / 2, all - 1, all}) {
        for (const bool smallest : {false, true}) {
          const Selected found = select(scores, std::max<int64_t>(count, 0), smallest);
          ASSERT_EQ(TG_OK, found.status) << found.error;
          EXPECT_EQ(expected(entries, columns, std::max<int64_t>(count, 0), smallest), found.words)
              << rows << " x " << columns << " kind " << kind << " count " << count;
        }
      }
    }
  }
}

TEST(MaskSelect, OfTripletsIsThatOfTheReconstruction) {
  std::mt19937_64 random(support::seed());
  constexpr int64_t kRows = 90;
  constexpr int64_t kColumns = 2100;
  constexpr int64_t kRank = 3;
  std::vector<double> values{3, 2, 1};
  std::vector<double> left;
  std::vector<double> right;
  // Small integers: every order of summation gives the same score, and many scores are equal.
  for (int64_t i = 0; i < kRank * kRows; ++i) {
    left.push_back(static_cast<double>(random() % 7) - 3);
  }
  for (int64_t i = 0; i < kRank * kColumns; ++i) {
    right.push_back(static_cast<double>(random() % 9) - 4);
  }
  std::vector<double> entries;
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t j = 0; j < kColumns; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < kRank; ++k) {
        sum += values[static_cast<size_t>(k)] * left[static_cast<size_t>(k * kRows + i)] *
               right[static_cast<size_t>(k * kColumns + j)];
      }
      entries.push_back(sum);
    }
  }
  const tg_mask_scores scores{sizeof(scores), nullptr, values.data(), left.data(), right.data(), kRank, kRows, kColumns};
  for (const int64_t count : {int64_t{1}, kRows * kColumns / 10, kRows * kColumns / 2}) {
    for (const bool smallest : {false, true}) {
      const std::vector<uint64_t> wanted = expected(entries, kColumns, count, smallest);
      EXPECT_EQ(wanted, select(scores, count, smallest).words);
      if (!support::tests_device()) {
        EXPECT_EQ(wanted, select(scores, count, smallest, 3).words);
      }
    }
  }
}

// Triplets that are large enough to be screened by a sample. `entry` gives the left and right vectors.
template <typename Left, typename Right>
void expect_exact(int64_t rows, int64_t columns, int64_t rank, Left left_entry, Right right_entry) {
  std::vector<double> values(static_cast<size_t>(rank));
  std::vector<double> left(static_cast<size_t>(rank * rows));
  std::vector<double> right(static_cast<size_t>(rank * columns));
  for (int64_t k = 0; k < rank; ++k) {
    values[static_cast<size_t>(k)] = static_cast<double>(rank - k);
    for (int64_t i = 0; i < rows; ++i) {
      left[static_cast<size_t>(k * rows + i)] = left_entry(k, i);
    }
    for (int64_t j = 0; j < columns; ++j) {
      right[static_cast<size_t>(k * columns + j)] = right_entry(k, j);
    }
  }
  std::vector<double> reconstruction(static_cast<size_t>(rows * columns), 0);
  for (int64_t k = 0; k < rank; ++k) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        reconstruction[static_cast<size_t>(i * columns + j)] += values[static_cast<size_t>(k)] *
                                                                left[static_cast<size_t>(k * rows + i)] *
                                                                right[static_cast<size_t>(k * columns + j)];
      }
    }
  }
  const tg_mask_scores scores{sizeof(scores), nullptr, values.data(), left.data(), right.data(), rank, rows, columns};
  std::vector<int64_t> counts{1, rows * columns / 2};
  if (!support::tests_device() || !support::is_emulated()) {
    counts.insert(counts.end(), {rows * columns / 100, rows * columns - 7, rows * columns});
  }
  for (const int64_t count : counts) {
    const Selected selected = select(scores, count, false, 2);
    ASSERT_EQ(TG_OK, selected.status) << selected.error;
    EXPECT_TRUE(expected(reconstruction, columns, count, false) == selected.words) << count;
  }
}

TEST(MaskSelect, LargeReconstructionsAreSelectedExactly) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  expect_exact(
      800, 1030, 3, [&](int64_t, int64_t) { return normal(random); }, [&](int64_t, int64_t) { return normal(random); });
}

TEST(MaskSelect, SumsOfSeveralChunksAreSelectedExactly) {
  // Ranks around a chunk and beyond it, and vectors whose norms differ widely: each score has its own error.
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  const auto scaled = [&](int64_t i) { return std::ldexp(normal(random), static_cast<int>(i % 7) * -9); };
  const std::vector<int64_t> ranks =
      support::tests_device() ? std::vector<int64_t>{65} : std::vector<int64_t>{191, 192, 193, 400};
  for (const int64_t rank : ranks) {
    expect_exact(
        517, 519, rank, [&](int64_t, int64_t i) { return scaled(i); }, [&](int64_t, int64_t j) { return scaled(j / 3); });
  }
}

TEST(MaskSelect, ClustersOfLargeScoresMisleadNoSample) {
  // All but some columns and rows are equal up to float32, so that a sample of any blocks says little about the last selected
  // score.
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  expect_exact(
      800, 1030, 3, [&](int64_t, int64_t i) { return i % 97 == 5 ? normal(random) : 1 + 1e-9 * normal(random); },
      [&](int64_t, int64_t j) { return j / 64 == 7 ? normal(random) : 1 + 1e-9 * normal(random); });
}

TEST(MaskSelect, ASampleThatMisleadsIsNotBelieved) {
  // The sample reads every second column, where all scores are zero.
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  expect_exact(
      800, 1024, 2, [&](int64_t, int64_t) { return normal(random); },
      [&](int64_t, int64_t j) { return j % 2 == 0 ? 0.0 : normal(random); });
}

TEST(MaskSelect, EqualScoresAreTakenByTheirIndex) {
  // All scores are equal. They are integers, so that no order of summation rounds.
  expect_exact(
      800, 800, 1, [](int64_t, int64_t i) { return i % 3 == 0 ? 2.0 : -2.0; }, [](int64_t, int64_t) { return 1.0; });
  // Two different scores, with more equal ones than are kept as candidates.
  expect_exact(
      2100, 2000, 1, [](int64_t, int64_t i) { return i % 2 == 0 ? 2.0 : 1.0; }, [](int64_t, int64_t) { return 1.0; });
}

TEST(MaskSelect, ScoresBeyondFloat32AreSelectedToo) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  for (const double scale : {1e-200, 1e60}) {
    expect_exact(
        40, 50, 2, [&](int64_t, int64_t) { return scale * normal(random); }, [&](int64_t, int64_t) { return normal(random); });
  }
}

TEST(MaskSelect, RefusesAndCancels) {
  std::vector<double> entries(200, 1);
  entries[150] = std::numeric_limits<double>::quiet_NaN();
  const tg_operand matrix = operand(entries, 10);
  const tg_mask_scores scores{sizeof(scores), &matrix, nullptr, nullptr, nullptr, 0, 0, 0};
  for (const int64_t count : {0, 100}) {
    const Selected found = select(scores, count, false);
    EXPECT_EQ(TG_INVALID_ARGUMENT, found.status);
    EXPECT_EQ("scores has an entry that is not finite", found.error);
  }
  entries[150] = 1;
  tg_control control{sizeof(control), 1, 0, 0, 0};
  EXPECT_EQ(TG_CANCELLED, select(scores, 100, false, 1, &control).status);
  const auto context = support::make_context();
  const tg_mask_options options{sizeof(options), 201, 0, 0};
  tg_workspace_size size{sizeof(size), 0, 0};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_mask_select_workspace(context.get(), &scores, &options, &size));
  EXPECT_EQ("options.count is 201; allowed are 0 to 200", support::error_of(context.get()));
  const tg_mask_scores none{sizeof(none), nullptr, nullptr, nullptr, nullptr, 2, 3, 4};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_mask_select_workspace(context.get(), &none, &options, &size));
  EXPECT_EQ("scores.values, left or right is NULL; scores need a matrix or triplets", support::error_of(context.get()));
}

struct Sets {
  Sets(int64_t count, int64_t rows, int64_t columns, std::mt19937_64& random) {
    const int64_t across = (columns + 63) / 64;
    for (int64_t i = 0; i < count; ++i) {
      std::vector<uint64_t> mask(static_cast<size_t>(rows * across), 0);
      // Densities from empty to full.
      const uint64_t density = static_cast<uint64_t>(i) * 16 / static_cast<uint64_t>(count) + (i == count - 1 ? 1 : 0);
      for (int64_t at = 0; at < rows * columns; ++at) {
        if (random() % 16 < density) {
          mask[static_cast<size_t>(at / columns * across + at % columns / 64)] |= uint64_t{1} << (at % columns % 64);
        }
      }
      words.push_back(mask);
    }
    for (auto& mask : words) {
      pointers.push_back(mask.data());
    }
    sets = {sizeof(sets), pointers.data(), count, rows, columns};
  }
  [[nodiscard]] bool has(size_t mask, int64_t at) const { return bit(words[mask], at); }
  [[nodiscard]] bool bit(const std::vector<uint64_t>& of, int64_t at) const {
    const int64_t across = (sets.columns + 63) / 64;
    return (of[static_cast<size_t>(at / sets.columns * across + at % sets.columns / 64)] >> (at % sets.columns % 64) & 1U) != 0;
  }
  std::vector<std::vector<uint64_t>> words;
  std::vector<const uint64_t*> pointers;
  tg_mask_sets sets{};
};

bool expected_of(const Sets& sets, int32_t operation, int64_t at) {
  size_t in = 0;
  for (size_t i = 0; i < sets.words.size(); ++i) {
    in += static_cast<size_t>(sets.has(i, at));
  }
  switch (operation) {
    case TG_MASK_UNION:
      return in > 0;
    case TG_MASK_INTERSECTION:
      return in == sets.words.size();
    case TG_MASK_DIFFERENCE:
      return in == 1 && sets.has(0, at);
    case TG_MASK_SYMMETRIC_DIFFERENCE:
      return in % 2 == 1;
    default:
      return in == 0;
  }
}

TEST(MaskSets, CombineEntryByEntry) {
  std::mt19937_64 random(support::seed());
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{1, 1}, {3, 70}, {5, 64}, {130, 200}, {0, 5}, {5, 0}}) {
    for (const int64_t count : {int64_t{1}, int64_t{2}, int64_t{3}, int64_t{9}}) {
      for (int32_t operation = TG_MASK_UNION; operation <= TG_MASK_COMPLEMENT; ++operation) {
        Sets sets(count, rows, columns, random);
        int64_t wanted = 0;
        std::vector<bool> bits;
        for (int64_t at = 0; at < rows * columns; ++at) {
          bits.push_back(expected_of(sets, operation, at));
          wanted += bits.back() ? 1 : 0;
        }
        const auto context = support::make_context(2);
        int64_t entries = -1;
        ASSERT_EQ(TG_OK, tg_mask_combine(context.get(), &sets.sets, operation, nullptr, 0, &entries))
            << support::error_of(context.get());
        EXPECT_EQ(wanted, entries);
        // The result overwrites the last mask.
        auto& result = sets.words.back();
        ASSERT_EQ(TG_OK, tg_mask_combine(context.get(), &sets.sets, operation, result.data(), static_cast<int64_t>(result.size()),
                                         &entries));
        EXPECT_EQ(wanted, entries);
        for (int64_t at = 0; at < rows * columns; ++at) {
          ASSERT_EQ(bits[static_cast<size_t>(at)], sets.bit(result, at))
              << operation << " of " << count << " masks of " << rows << " x " << columns << " at " << at;
        }
        int64_t set = 0;
        for (const uint64_t word : result) {
          set += __builtin_popcountll(word);
        }
        EXPECT_EQ(wanted, set) << "bits beyond the columns";
      }
    }
  }
}

TEST(MaskSets, OverlapsAreCountedEntryByEntry) {
  std::mt19937_64 random(support::seed());
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{1, 1}, {3, 70}, {40, 1000}, {0, 5}}) {
    for (const int count : {1, 2, 3, 4, 5, 15, 16, TG_MASK_MOST_SETS}) {
      if (count == TG_MASK_MOST_SETS && rows * columns > 1000 && support::tests_device() && support::is_emulated()) {
        continue;  // the smaller shapes have as many masks
      }
      const Sets sets(count, rows, columns, random);
      std::vector<int64_t> common(static_cast<size_t>(count * count), 0);
      std::vector<int64_t> memberships(static_cast<size_t>(count + 1), 0);
      for (int64_t at = 0; at < rows * columns; ++at) {
        std::vector<size_t> in;
        for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
          if (sets.has(i, at)) {
            in.push_back(i);
          }
        }
        ++memberships[in.size()];
        for (const size_t i : in) {
          for (const size_t j : in) {
            ++common[i * static_cast<size_t>(count) + j];
          }
        }
      }
      for (const int threads : support::tests_device() ? std::vector<int>{1} : std::vector<int>{1, 3}) {
        const auto context = support::make_context(threads);
        std::vector<int64_t> pairs(common.size(), -1);
        std::vector<int64_t> exactly(memberships.size(), -1);
        ASSERT_EQ(TG_OK, tg_mask_overlaps(context.get(), &sets.sets, pairs.data(), exactly.data()))
            << support::error_of(context.get());
        EXPECT_EQ(common, pairs) << count << " masks of " << rows << " x " << columns;
        EXPECT_EQ(memberships, exactly) << count << " masks of " << rows << " x " << columns;
        pairs.assign(common.size(), -1);
        ASSERT_EQ(TG_OK, tg_mask_overlaps(context.get(), &sets.sets, pairs.data(), nullptr));
        EXPECT_EQ(common, pairs);
      }
    }
  }
}

TEST(MaskSets, RefuseWhatIsNoSet) {
  std::mt19937_64 random(support::seed());
  Sets sets(2, 3, 70, random);
  const auto context = support::make_context();
  int64_t entries = 0;
  const auto refused = [&](const char* why, int32_t operation = TG_MASK_UNION, uint64_t* result = nullptr) {
    EXPECT_EQ(TG_INVALID_ARGUMENT, tg_mask_combine(context.get(), &sets.sets, operation, result, 5, &entries));
    EXPECT_EQ(why, support::error_of(context.get()));
  };
  refused("operation is 6; allowed are 1 to 5, TG_MASK_*", 6);
  refused("result_words is 5; it must be at least 6", TG_MASK_UNION, sets.words[0].data());
  sets.pointers[1] = nullptr;
  refused("sets.masks[1] is NULL; every mask must have its bits");
  sets.sets.count = TG_MASK_MOST_SETS + 1;
  refused("sets.count is 256; allowed are 1 to 255");
  sets.sets.count = 0;
  refused("sets.count is 0; allowed are 1 to 255");
  sets.sets.count = 1;
  sets.sets.rows = -1;
  refused("sets.rows or columns is -1 x 70; neither may be negative");
  sets.sets.rows = 3;
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_mask_overlaps(context.get(), &sets.sets, nullptr, nullptr));
  EXPECT_EQ("common is NULL; it must have room for count * count counts", support::error_of(context.get()));
}

TEST(MagnitudeHistogram, CountsByCode) {
  // 1, -1 and 1.5 in bf16, and 1 + 2^-10, which rounds to 1. The columns cross a word.
  constexpr int64_t kColumns = 70;
  std::vector<double> entries(2 * kColumns, 1);
  entries[3] = -1;
  entries[4] = 1.5;
  entries[69] = 1 + std::ldexp(1, -10);
  entries[139] = -0.0;
  std::vector<uint64_t> first{0x18, 0x20, 0, 0x20};
  std::vector<uint64_t> second{0x10, 0x20, 0, 0};
  const tg_operand matrix = operand(entries, kColumns);
  const auto context = support::make_context();
  std::vector<std::vector<int64_t>> counts(4, std::vector<int64_t>(TG_MAGNITUDE_CODES, -1));
  ASSERT_EQ(TG_OK, tg_magnitude_histogram(context.get(), &matrix, first.data(), second.data(), counts[0].data(), counts[1].data(),
                                          counts[2].data(), counts[3].data()));
  EXPECT_EQ(138, counts[0][0x3f80]);
  EXPECT_EQ(1, counts[0][0x3fc0]);
  EXPECT_EQ(1, counts[0][0]);
  EXPECT_EQ(2, counts[1][0x3f80]);
  EXPECT_EQ(1, counts[1][0x3fc0]);
  EXPECT_EQ(1, counts[1][0]);
  EXPECT_EQ(1, counts[2][0x3f80]);
  EXPECT_EQ(1, counts[3][0x3f80]);
  EXPECT_EQ(1, counts[3][0x3fc0]);
  EXPECT_EQ(0, counts[3][0]);
  EXPECT_EQ(140, std::accumulate(counts[0].begin(), counts[0].end(), int64_t{0}));
}

TEST(MagnitudeOverlaps, AreTheHistogramsOfAllPairs) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  const auto context = support::make_context();
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{1, 1}, {16, 16}, {5, 70}, {300, 600}, {0, 4}}) {
    std::vector<double> entries(static_cast<size_t>(rows * columns));
    for (double& entry : entries) {
      entry = random() % 50 == 0 ? std::numeric_limits<double>::quiet_NaN() : std::exp(3 * normal(random));
    }
    const tg_operand matrix = operand(entries, columns);
    constexpr int64_t kMasks = 3;
    const int64_t words = rows * ((columns + 63) / 64);
    std::vector<std::vector<uint64_t>> masks(kMasks, std::vector<uint64_t>(static_cast<size_t>(words), 0));
    for (auto& mask : masks) {
      for (int64_t i = 0; i < rows * columns; ++i) {
        mask[static_cast<size_t>(i / columns * ((columns + 63) / 64) + i % columns / 64)] |= (random() % 2) << (i % columns % 64);
      }
    }
    const uint64_t* const addresses[] = {masks[0].data(), masks[1].data(), masks[2].data()};
    const tg_mask_sets sets{sizeof(sets), &addresses[0], kMasks, rows, columns};
    const int64_t capacity = std::min<int64_t>(rows * columns, TG_MAGNITUDE_CODES);
    std::vector<int32_t> codes(static_cast<size_t>(capacity + 1), -1);
    std::vector<int64_t> all(static_cast<size_t>(capacity + 1), -1);
    std::vector<int64_t> common(static_cast<size_t>(kMasks * kMasks * capacity + 1), -1);
    int64_t count = -1;
    ASSERT_EQ(TG_OK,
              tg_magnitude_overlaps(context.get(), &matrix, &sets, capacity, codes.data(), all.data(), common.data(), &count))
        << support::error_of(context.get());
    EXPECT_EQ(-1, codes.back());
    EXPECT_EQ(-1, all.back());
    EXPECT_EQ(-1, common.back());
    EXPECT_TRUE(std::is_sorted(codes.begin(), codes.begin() + count));
    for (int64_t i = 0; i < kMasks; ++i) {
      for (int64_t j = 0; j < kMasks; ++j) {
        std::vector<std::vector<int64_t>> counts(4, std::vector<int64_t>(TG_MAGNITUDE_CODES, -1));
        ASSERT_EQ(TG_OK, tg_magnitude_histogram(context.get(), &matrix, addresses[i], addresses[j], counts[0].data(),
                                                counts[1].data(), counts[2].data(), counts[3].data()));
        int64_t entries_with_code = 0;
        for (int64_t c = 0; c < count; ++c) {
          const auto code = static_cast<size_t>(codes[static_cast<size_t>(c)]);
          EXPECT_EQ(counts[0][code], all[static_cast<size_t>(c)]);
          EXPECT_EQ(counts[3][code], common[static_cast<size_t>((i * kMasks + j) * capacity + c)]);
          entries_with_code += all[static_cast<size_t>(c)];
        }
        EXPECT_EQ(rows * columns, entries_with_code);
      }
    }
    int64_t alone = -1;
    ASSERT_EQ(TG_OK, tg_magnitude_overlaps(context.get(), &matrix, nullptr, capacity, codes.data(), all.data(), nullptr, &alone));
    EXPECT_EQ(count, alone);
  }
}

TEST(MagnitudeSums, AreTheProfilesOfAllTables) {
  std::mt19937_64 random(support::seed());
  std::normal_distribution<double> normal;
  constexpr int64_t kRows = 9;
  constexpr int64_t kColumns = 600;
  std::vector<double> entries(static_cast<size_t>(kRows * kColumns));
  for (double& entry : entries) {
    entry = normal(random);
  }
  const tg_operand matrix = operand(entries, kColumns);
  const auto context = support::make_context();
  // Some of the codes, and one that no entry has.
  std::vector<int32_t> codes;
  for (int32_t code = 0x3f00; code < 0x3fc0; ++code) {
    codes.push_back(code);
  }
  codes.push_back(1);
  std::vector<double> values(2 * codes.size());
  for (double& value : values) {
    value = normal(random);
  }
  std::vector<double> row_sums(2 * kRows, -1);
  std::vector<double> column_sums(2 * kColumns, -1);
  ASSERT_EQ(TG_OK, tg_magnitude_sums(context.get(), &matrix, codes.data(), static_cast<int64_t>(codes.size()), values.data(), 2,
                                     row_sums.data(), column_sums.data()))
      << support::error_of(context.get());
  for (size_t t = 0; t < 2; ++t) {
    std::vector<double> table(TG_MAGNITUDE_CODES, 0.0);
    for (size_t c = 0; c < codes.size(); ++c) {
      table[static_cast<size_t>(codes[c])] = values[t * codes.size() + c];
    }
    std::vector<double> rows(kRows);
    std::vector<double> columns(kColumns);
    ASSERT_EQ(TG_OK, tg_magnitude_profile(context.get(), &matrix, table.data(), rows.data(), columns.data()));
    // A device adds the profile in another order, and these sums on the host.
    const double rounding = support::tests_device() ? 1e-12 : 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_NEAR(rows[i], row_sums[t * kRows + i], rounding) << i;
    }
    for (size_t j = 0; j < columns.size(); ++j) {
      EXPECT_NEAR(columns[j], column_sums[t * kColumns + j], rounding) << j;
    }
  }
}

TEST(MagnitudeOverlaps, RefuseWhatDoesNotFit) {
  const std::vector<double> entries{1, 2, 3, 4};
  const tg_operand matrix = operand(entries, 2);
  const auto context = support::make_context();
  int32_t codes[4];
  int64_t all[4];
  int64_t count = 0;
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_magnitude_overlaps(context.get(), &matrix, nullptr, 3, &codes[0], &all[0], nullptr, &count));
  EXPECT_EQ("capacity is 3; the matrix has 4 codes", support::error_of(context.get()));
  const uint64_t mask[] = {0};
  const uint64_t* const addresses[] = {&mask[0]};
  const tg_mask_sets other{sizeof(other), &addresses[0], 1, 1, 2};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_magnitude_overlaps(context.get(), &matrix, &other, 4, &codes[0], &all[0], &all[0], &count));
  const tg_mask_sets sets{sizeof(sets), &addresses[0], 1, 2, 2};
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_magnitude_overlaps(context.get(), &matrix, &sets, 4, &codes[0], &all[0], nullptr, &count));
  EXPECT_EQ("common is NULL; it must have room for all pairs of masks", support::error_of(context.get()));
  const int32_t beyond = TG_MAGNITUDE_CODES;
  const double value = 1;
  double sums[2];
  EXPECT_EQ(TG_INVALID_ARGUMENT, tg_magnitude_sums(context.get(), &matrix, &beyond, 1, &value, 1, &sums[0], &sums[0]));
  EXPECT_EQ("codes is 32768; each must be 0 to TG_MAGNITUDE_CODES - 1", support::error_of(context.get()));
}

}  // namespace
