#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "support.h"

namespace {

uint16_t bf16_of(double value) {
  const auto narrow = static_cast<float>(value);
  uint32_t bits = 0;
  std::memcpy(&bits, &narrow, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

double value_of(uint16_t code) {
  const uint32_t bits = static_cast<uint32_t>(code) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return static_cast<double>(value);
}

// A matrix in some dtype and the values that it stores.
struct Stored {
  Stored(int64_t rows, int64_t columns, tg_dtype dtype, std::mt19937_64& random, int64_t padding = 0) {
    std::normal_distribution<double> normal;
    const int64_t stride = columns + padding;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < stride; ++j) {
        const double value = normal(random);
        codes.push_back(bf16_of(value));
        singles.push_back(static_cast<float>(value));
        doubles.push_back(value);
        if (j < columns) {
          values.push_back(dtype == TG_BF16  ? value_of(codes.back())
                           : dtype == TG_F32 ? static_cast<double>(singles.back())
                                             : value);
        }
      }
    }
    const void* data = dtype == TG_BF16  ? static_cast<const void*>(codes.data())
                       : dtype == TG_F32 ? static_cast<const void*>(singles.data())
                                         : static_cast<const void*>(doubles.data());
    matrix = {data, rows, columns, stride, dtype, 0};
    operand.size = sizeof(operand);
    operand.values = matrix;
  }
  Stored(const Stored&) = delete;
  Stored& operator=(const Stored&) = delete;
  [[nodiscard]] double at(int64_t row, int64_t column) const {
    return values[static_cast<size_t>(row * matrix.columns + column)];
  }
  std::vector<uint16_t> codes;
  std::vector<float> singles;
  std::vector<double> doubles;
  std::vector<double> values;
  tg_matrix matrix{};
  tg_operand operand{};
};

struct Answer {
  tg_status status = TG_OK;
  std::string error;
  std::vector<double> slopes;
  std::vector<double> squares;
};

Answer slopes_of(const tg_layer_samples& samples, const std::vector<tg_direction>& directions, int threads = 1,
                 tg_control* control = nullptr) {
  const auto context = support::make_context(threads);
  const auto count = static_cast<int64_t>(directions.size());
  Answer answer;
  tg_workspace_size size{sizeof(size), 0, 0};
  answer.status = tg_layer_slopes_workspace(context.get(), &samples, directions.data(), count, &size);
  if (answer.status == TG_OK) {
    const auto host = support::allocate(size.host_bytes + 8);
    static_cast<uint8_t*>(host.get())[size.host_bytes] = 0x5a;
    const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
    answer.slopes.assign(static_cast<size_t>(count * samples.input.rows), -1);
    answer.squares.assign(static_cast<size_t>(count), -1);
    answer.status = tg_layer_slopes(context.get(), &samples, directions.data(), count, control, &workspace, answer.slopes.data(),
                                    answer.squares.data());
    EXPECT_EQ(0x5a, static_cast<uint8_t*>(host.get())[size.host_bytes]);
  }
  answer.error = support::error_of(context.get());
  return answer;
}

constexpr double kUnit = 0x1p-24;  // unit of rounding of float32

// Expects slopes of the entries `direction(i, j)`, within the rounding of float32 sums.
template <typename Entry>
void expect_slopes(const Answer& answer, size_t index, const Stored& input, const Stored& gradient, Entry direction) {
  const int64_t tokens = input.matrix.rows;
  double square = 0;
  for (int64_t i = 0; i < gradient.matrix.columns; ++i) {
    for (int64_t j = 0; j < input.matrix.columns; ++j) {
      square += direction(i, j) * direction(i, j);
    }
  }
  EXPECT_NEAR(square, answer.squares[index], 1e-12 * square);
  for (int64_t token = 0; token < tokens; ++token) {
    double slope = 0;
    double magnitude = 0;
    for (int64_t i = 0; i < gradient.matrix.columns; ++i) {
      for (int64_t j = 0; j < input.matrix.columns; ++j) {
        const double term = gradient.at(token, i) * direction(i, j) * input.at(token, j);
        slope += term;
        magnitude += std::abs(term);
      }
    }
    const double bound = static_cast<double>(input.matrix.columns + gradient.matrix.columns + 4) * kUnit * magnitude;
    ASSERT_NEAR(slope, answer.slopes[index * static_cast<size_t>(tokens) + static_cast<size_t>(token)], bound) << token;
  }
}

tg_direction entries(const tg_operand& matrix, const tg_operand* subtracted = nullptr, const uint64_t* mask = nullptr) {
  return {sizeof(tg_direction), &matrix, subtracted, mask, nullptr, 0};
}

TEST(Curvature, SlopesAreThoseOfTheDefinition) {
  std::mt19937_64 random(support::seed());
  struct Shape {
    int64_t tokens, outputs, inputs;
  };
  for (const Shape& shape : {Shape{1, 1, 1}, {3, 5, 70}, {513, 12, 9}, {20, 600, 33}, {40, 33, 700}}) {
    for (const tg_dtype dtype : {TG_F32, TG_BF16, TG_F64}) {
      const Stored input(shape.tokens, shape.inputs, dtype == TG_F64 ? TG_F32 : dtype, random, 3);
      const Stored gradient(shape.tokens, shape.outputs, dtype == TG_F64 ? TG_BF16 : dtype, random, 1);
      const Stored base(shape.outputs, shape.inputs, dtype, random);
      const Stored tuned(shape.outputs, shape.inputs, dtype, random);
      const int64_t across = (shape.inputs + 63) / 64;
      std::vector<uint64_t> mask(static_cast<size_t>(shape.outputs * across));
      for (auto& word : mask) {
        word = random();
      }
      const int64_t rank = 3;
      const Stored left(shape.outputs, rank, dtype, random);
      const Stored right(rank, shape.inputs, dtype, random);
      const Stored other_left(shape.outputs, 1, dtype, random);
      const Stored other_right(1, shape.inputs, dtype, random);
      const tg_low_rank terms[] = {{left.matrix, right.matrix, 0.5}, {other_left.matrix, other_right.matrix, -2}};
      const tg_layer_samples samples{sizeof(samples), input.matrix, gradient.matrix};
      const std::vector<tg_direction> directions{entries(tuned.operand, &base.operand), entries(tuned.operand),
                                                 entries(tuned.operand, &base.operand, mask.data()),
                                                 tg_direction{sizeof(tg_direction), nullptr, nullptr, nullptr, &terms[0], 2}};
      const Answer answer = slopes_of(samples, directions);
      ASSERT_EQ(TG_OK, answer.status) << answer.error;
      expect_slopes(answer, 0, input, gradient, [&](int64_t i, int64_t j) { return tuned.at(i, j) - base.at(i, j); });
      expect_slopes(answer, 1, input, gradient, [&](int64_t i, int64_t j) { return tuned.at(i, j); });
      expect_slopes(answer, 2, input, gradient, [&](int64_t i, int64_t j) {
        const bool counts = (mask[static_cast<size_t>(i * across + j / 64)] >> (j % 64) & 1U) != 0;
        return counts ? tuned.at(i, j) - base.at(i, j) : 0;
      });
      // The sum over terms may cancel, so the bound is that of the magnitudes.
      for (int64_t token = 0; token < shape.tokens; ++token) {
        double slope = 0;
        double magnitude = 0;
        for (int64_t k = 0; k <= rank; ++k) {
          const Stored& p = k < rank ? left : other_left;
          const Stored& q = k < rank ? right : other_right;
          const int64_t of = k < rank ? k : 0;
          double gp[2] = {};
          double xq[2] = {};
          for (int64_t i = 0; i < shape.outputs; ++i) {
            gp[0] += gradient.at(token, i) * p.at(i, of);
            gp[1] += std::abs(gradient.at(token, i) * p.at(i, of));
          }
          for (int64_t j = 0; j < shape.inputs; ++j) {
            xq[0] += input.at(token, j) * q.at(of, j);
            xq[1] += std::abs(input.at(token, j) * q.at(of, j));
          }
          slope += (k < rank ? 0.5 : -2) * gp[0] * xq[0];
          magnitude += (k < rank ? 0.5 : 2) * gp[1] * xq[1];
        }
        const double bound = static_cast<double>(shape.inputs + shape.outputs + 8) * kUnit * magnitude;
        ASSERT_NEAR(slope, answer.slopes[static_cast<size_t>(3 * shape.tokens + token)], bound) << token;
      }
      double square = 0;
      for (int64_t i = 0; i < shape.outputs; ++i) {
        for (int64_t j = 0; j < shape.inputs; ++j) {
          double entry = -2 * other_left.at(i, 0) * other_right.at(0, j);
          for (int64_t k = 0; k < rank; ++k) {
            entry += 0.5 * left.at(i, k) * right.at(k, j);
          }
          square += entry * entry;
        }
      }
      EXPECT_NEAR(square, answer.squares[3], 1e-10 * square + 1e-12);
      const Answer again = slopes_of(samples, directions, 3);
      EXPECT_EQ(answer.slopes, again.slopes);
      EXPECT_EQ(answer.squares, again.squares);
    }
  }
}

// Directions whose entries are one, two and three bf16 numbers, more of them than a device processes together, and among them
// some with factors. The samples are F16, whose numbers are two bf16 numbers.
TEST(Curvature, ManyDirectionsAreIndependent) {
  std::mt19937_64 random(support::seed());
  constexpr int64_t kTokens = 261;
  constexpr int64_t kOutputs = 98;
  constexpr int64_t kInputs = 45;
  Stored input(kTokens, kInputs, TG_F32, random);
  Stored gradient(kTokens, kOutputs, TG_F32, random);
  for (Stored* stored : {&input, &gradient}) {
    for (size_t i = 0; i < stored->codes.size(); ++i) {
      const auto bits = static_cast<uint16_t>(random());
      const int exponent = 12 + bits % 8;
      const int fraction = bits >> 6;
      stored->codes[i] = static_cast<uint16_t>(bits % 2 << 15 | exponent << 10 | fraction);
      stored->values[i] = std::ldexp((bits % 2 == 0 ? 1024.0 : -1024.0) + (bits % 2 == 0 ? fraction : -fraction), exponent - 25);
    }
    stored->matrix.data = stored->codes.data();
    stored->matrix.dtype = TG_F16;
  }
  const Stored whole(kOutputs, kInputs, TG_F32, random);
  const Stored one(kOutputs, kInputs, TG_BF16, random);
  const Stored other(kOutputs, kInputs, TG_BF16, random);
  const Stored left(kOutputs, 7, TG_F32, random);
  const Stored right(7, kInputs, TG_F32, random);
  const tg_low_rank term{left.matrix, right.matrix, 1};
  const tg_layer_samples samples{sizeof(samples), input.matrix, gradient.matrix};
  std::vector<tg_direction> directions;
  for (int i = 0; i < 5; ++i) {
    directions.push_back(entries(whole.operand));
    directions.push_back(entries(one.operand, &other.operand));
    directions.push_back({sizeof(tg_direction), nullptr, nullptr, nullptr, &term, 1});
    directions.push_back(entries(one.operand));
  }
  const Answer answer = slopes_of(samples, directions, 2);
  ASSERT_EQ(TG_OK, answer.status) << answer.error;
  for (size_t i = 0; i < directions.size(); i += i < 4 ? 1 : 5) {
    expect_slopes(answer, i, input, gradient, [&](int64_t row, int64_t column) {
      if (i % 4 == 2) {
        double sum = 0;
        for (int64_t k = 0; k < 7; ++k) {
          sum += left.at(row, k) * right.at(k, column);
        }
        return sum;
      }
      return i % 4 == 0 ? whole.at(row, column) : one.at(row, column) - (i % 4 == 1 ? other.at(row, column) : 0);
    });
  }
  // The same direction has the same bits in each batch.
  for (size_t i = 4; i < directions.size(); ++i) {
    EXPECT_EQ(answer.squares[i % 4], answer.squares[i]);
    for (size_t token = 0; token < kTokens; ++token) {
      ASSERT_EQ(answer.slopes[i % 4 * kTokens + token], answer.slopes[i * kTokens + token]) << i << ' ' << token;
    }
  }
  // And also without directions of the other kind.
  const Answer factored = slopes_of(samples, {directions[2]});
  EXPECT_EQ(std::vector<double>(answer.slopes.begin() + 2 * kTokens, answer.slopes.begin() + 3 * kTokens), factored.slopes);
}

TEST(Curvature, ProductsOfTokensAddUp) {
  std::mt19937_64 random(support::seed());
  constexpr int64_t kTokens = 1100;
  for (const auto& [outputs, inputs] : {std::pair<int64_t, int64_t>{1, 1}, {200, 7}, {520, 40}, {9, 1030}}) {
    const Stored input(kTokens, inputs, TG_BF16, random, 2);
    const Stored gradient(kTokens, outputs, TG_F32, random);
    std::vector<double> weights;
    std::normal_distribution<double> normal;
    for (int64_t i = 0; i < kTokens; ++i) {
      weights.push_back(normal(random));
    }
    const auto add = [&](const tg_matrix& left, const double* own, const tg_matrix& right, int threads,
                         std::vector<double>& sums) {
      const auto context = support::make_context(threads);
      tg_workspace_size size{sizeof(size), 0, 0};
      ASSERT_EQ(TG_OK, tg_token_products_workspace(context.get(), &left, &right, &size)) << support::error_of(context.get());
      const auto host = support::allocate(size.host_bytes);
      const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
      ASSERT_EQ(TG_OK, tg_token_products(context.get(), &left, own, &right, nullptr, &workspace, sums.data()))
          << support::error_of(context.get());
    };
    const auto expect = [&](const Stored& left, const double* own, const Stored& right, const std::vector<double>& sums) {
      for (int64_t i = 0; i < left.matrix.columns; ++i) {
        // If there are many rows, the reference computes every seventh one and those around the boundaries of tiles.
        if (left.matrix.columns > 1000 && i % 7 != 0 && i % 512 > 1 && i % 512 < 510) {
          continue;
        }
        for (int64_t j = 0; j < right.matrix.columns; ++j) {
          double sum = 0;
          double magnitude = 0;
          for (int64_t token = 0; token < kTokens; ++token) {
            const double term = (own == nullptr ? 1 : own[token]) * left.at(token, i) * right.at(token, j);
            sum += term;
            magnitude += std::abs(term);
          }
          ASSERT_NEAR(sum, sums[static_cast<size_t>(i * right.matrix.columns + j)], 520 * kUnit * magnitude) << i << ' ' << j;
        }
      }
    };
    std::vector<double> whole(static_cast<size_t>(outputs * inputs), 0);
    add(gradient.matrix, weights.data(), input.matrix, 1, whole);
    expect(gradient, weights.data(), input, whole);
    std::vector<double> threads(whole.size(), 0);
    add(gradient.matrix, weights.data(), input.matrix, 3, threads);
    EXPECT_EQ(whole, threads);
    // Parts of the tokens add to the existing sums. At a multiple of the block size the bits are the same.
    std::vector<double> parts(whole.size(), 0);
    for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 512}, {512, kTokens}}) {
      tg_matrix left = gradient.matrix;
      left.data = gradient.singles.data() + begin * outputs;
      left.rows = end - begin;
      tg_matrix right = input.matrix;
      right.data = input.codes.data() + begin * input.matrix.row_stride;
      right.rows = end - begin;
      add(left, weights.data() + begin, right, 1, parts);
    }
    EXPECT_EQ(whole, parts);
    if (inputs > 1000 && support::tests_device() && support::is_emulated()) {
      continue;  // the other shapes have products of a matrix with itself, too
    }
    // The product of a matrix with itself. What is below the diagonal does not come from there, and float32 numbers, which are
    // several terms, have the same sums on both sides of it.
    std::vector<double> squares(static_cast<size_t>(inputs * inputs), 0);
    for (int64_t i = 0; i < inputs; ++i) {
      std::fill_n(squares.begin() + i * inputs, i, std::numeric_limits<double>::max());
    }
    add(input.matrix, nullptr, input.matrix, 2, squares);
    expect(input, nullptr, input, squares);
    if (outputs < 500) {
      std::vector<double> of_gradients(static_cast<size_t>(outputs * outputs), 0);
      add(gradient.matrix, weights.data(), gradient.matrix, 2, of_gradients);
      expect(gradient, weights.data(), gradient, of_gradients);
      for (int64_t i = 0; i < outputs * outputs; ++i) {
        ASSERT_EQ(of_gradients[static_cast<size_t>(i % outputs * outputs + i / outputs)], of_gradients[static_cast<size_t>(i)]);
      }
    }
  }
}

// The workspace does not grow with the tokens beyond the number that is processed together.
TEST(Curvature, WorkspaceDoesNotGrowWithTheTokens) {
  const std::vector<uint16_t> few(1);
  std::vector<int64_t> bytes;
  for (const int64_t tokens : {int64_t{20000}, int64_t{20000000}}) {
    // The entries are not read.
    const tg_matrix input{few.data(), tokens, 300, 300, TG_BF16, 0};
    const tg_matrix gradient{few.data(), tokens, 200, 200, TG_BF16, 0};
    const tg_matrix weights{few.data(), 200, 300, 300, TG_BF16, 0};
    tg_operand matrix{};
    matrix.size = sizeof(matrix);
    matrix.values = weights;
    const tg_layer_samples samples{sizeof(samples), input, gradient};
    const tg_direction direction = entries(matrix);
    const auto context = support::make_context();
    tg_workspace_size size{sizeof(size), 0, 0};
    ASSERT_EQ(TG_OK, tg_layer_slopes_workspace(context.get(), &samples, &direction, 1, &size));
    bytes.push_back(size.host_bytes + size.device_bytes);
    ASSERT_EQ(TG_OK, tg_token_products_workspace(context.get(), &gradient, &input, &size));
    bytes.push_back(size.host_bytes + size.device_bytes);
  }
  EXPECT_EQ(bytes[0], bytes[2]);
  EXPECT_EQ(bytes[1], bytes[3]);
}

TEST(Curvature, RefusesWhatIsNoSample) {
  std::mt19937_64 random(support::seed());
  Stored input(4, 6, TG_F32, random);
  Stored gradient(4, 5, TG_F32, random);
  Stored direction(5, 6, TG_F32, random);
  tg_layer_samples samples{sizeof(samples), input.matrix, gradient.matrix};
  const auto refused = [&](const tg_direction& own, const char* why) {
    const Answer answer = slopes_of(samples, {own});
    EXPECT_EQ(TG_INVALID_ARGUMENT, answer.status);
    EXPECT_EQ(why, answer.error);
  };
  gradient.singles[11] = std::numeric_limits<float>::quiet_NaN();
  refused(entries(direction.operand), "samples.gradient has an entry that is not finite, in row 2");
  gradient.singles[11] = 1;
  input.singles[23] = std::numeric_limits<float>::infinity();
  refused(entries(direction.operand), "samples.input has an entry that is not finite, in row 3");
  // Also if the direction is zero.
  Stored zero(5, 6, TG_F32, random);
  std::fill(zero.singles.begin(), zero.singles.end(), 0.0F);
  refused(entries(zero.operand), "samples.input has an entry that is not finite, in row 3");
  input.singles[23] = 1;
  direction.singles[0] = std::numeric_limits<float>::infinity();
  refused(entries(direction.operand), "a direction has an entry that is not finite, or slopes exceed float32");
  direction.singles[0] = 1;
  refused(entries(input.operand), "directions[0].matrix is 4 x 6; the layer is 5 x 6");
  refused({sizeof(tg_direction), nullptr, nullptr, nullptr, nullptr, 0},
          "directions[0].low_rank is empty; a direction needs a matrix or low-rank terms");
  samples.gradient.rows = 3;
  refused(entries(direction.operand), "samples.gradient.rows is 3; there must be one for each of the 4 inputs");
  samples.gradient.rows = 4;
  tg_control control{sizeof(control), 1, 0, 0, 0};
  EXPECT_EQ(TG_CANCELLED, slopes_of(samples, {entries(direction.operand)}, 1, &control).status);
  // Gradients of zero give slopes of zero.
  std::fill(gradient.singles.begin(), gradient.singles.end(), 0.0F);
  const Answer zeros = slopes_of(samples, {entries(direction.operand)});
  EXPECT_EQ(TG_OK, zeros.status);
  EXPECT_EQ(std::vector<double>(4, 0.0), zeros.slopes);
}

}  // namespace
