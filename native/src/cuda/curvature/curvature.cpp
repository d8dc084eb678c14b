#include "curvature.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cuda/support/staging.h"
#include "curvature_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int64_t kMostTokens = 16 * kProbeTokens;  // of a part, a multiple of the blocks that are summed in float32

int64_t part_tokens(const tg_matrix& tokens) { return std::min(tokens.rows, kMostTokens); }

tg_matrix rows_of(const tg_matrix& matrix, int64_t begin, int64_t count) {
  tg_matrix rows = matrix;
  rows.data = static_cast<const uint8_t*>(matrix.data) + begin * matrix.row_stride * element_bytes(matrix.dtype);
  rows.rows = count;
  return rows;
}

tg_operand plain(const tg_matrix& values) {
  tg_operand operand{};
  operand.size = sizeof(operand);
  operand.values = values;
  return operand;
}

// Rows of a matrix as float32 on the device, and the memory that is needed to copy them there.
struct Tokens {
  Tokens(Layout& layout, const tg_matrix& matrix)
      : staging(
            layout.take<uint8_t>(is_on_device(matrix.data) ? 0 : staged_bytes(plain(rows_of(matrix, 0, part_tokens(matrix)))))),
        floats(layout.take<float>(part_tokens(matrix) * matrix.columns)) {}

  void bring(CudaSession& session, const tg_matrix& matrix, int64_t begin, int64_t count, const tg_control* control) const {
    const Entries entries = stage(session, plain(rows_of(matrix, begin, count)), staging, control);
    check(launch_narrow_rows(entries, count, matrix.columns, floats, session.stream()), "tokens");
  }

  uint8_t* staging;
  float* floats;
};

double value_of(const uint8_t* at, tg_dtype dtype) {
  const auto load = [at](auto value) {
    std::memcpy(&value, at, sizeof(value));
    return value;
  };
  switch (dtype) {
    case TG_F64:
      return load(0.0);
    case TG_F32:
      return static_cast<double>(load(0.0F));
    case TG_F16:
      return static_cast<double>(f16_to_float(load(uint16_t{0})));
    case TG_BF16:
      return static_cast<double>(bf16_to_float(load(uint16_t{0})));
    case TG_F8_E4M3:
      return static_cast<double>(f8_e4m3_to_float(*at));
    default:
      return static_cast<double>(f8_e5m2_to_float(*at));
  }
}

// Copies the entries of a factor to the host, wherever they are, and widens them.
std::vector<double> widened(const CudaSession& session, const tg_matrix& matrix) {
  const int64_t bytes = element_bytes(matrix.dtype);
  std::vector<uint8_t> copy;
  const auto* data = static_cast<const uint8_t*>(matrix.data);
  if (is_on_device(data)) {
    copy.resize(static_cast<size_t>(((matrix.rows - 1) * matrix.row_stride + matrix.columns) * bytes));
    check(cudaMemcpyAsync(copy.data(), data, copy.size(), cudaMemcpyDeviceToHost, session.stream()), "a factor");
    check(cudaStreamSynchronize(session.stream()), "a factor");
    data = copy.data();
  }
  std::vector<double> values;
  for (int64_t i = 0; i < matrix.rows; ++i) {
    for (int64_t j = 0; j < matrix.columns; ++j) {
      values.push_back(value_of(data + (i * matrix.row_stride + j) * bytes, matrix.dtype));
    }
  }
  return values;
}

int64_t rank_of(const tg_direction& direction) {
  int64_t rank = 0;
  for (int64_t term = 0; term < direction.low_rank_count; ++term) {
    rank += direction.low_rank[term].left.columns;
  }
  return rank;
}

// One direction on the device: its entries, or its factors with one row for each rank.
struct Formed {
  Formed(Layout& layout, const tg_direction& direction, int64_t outputs, int64_t inputs) : rank(rank_of(direction)) {
    if (direction.matrix != nullptr) {
      matrix = layout.take<uint8_t>(staged_bytes(*direction.matrix));
      subtracted = layout.take<uint8_t>(direction.subtracted == nullptr ? 0 : staged_bytes(*direction.subtracted));
      mask = layout.take<uint64_t>(direction.mask == nullptr ? 0 : outputs * ((inputs + 63) / 64));
      entries = layout.take<float>(outputs * inputs);
      row_squares = layout.take<double>(outputs);
      return;
    }
    left = layout.take<float>(rank * outputs);
    right = layout.take<float>(rank * inputs);
  }

  int64_t rank;
  uint8_t* matrix = nullptr;
  uint8_t* subtracted = nullptr;
  uint64_t* mask = nullptr;
  float* entries = nullptr;
  double* row_squares = nullptr;
  float* left = nullptr;   // rank x outputs
  float* right = nullptr;  // rank x inputs
};

class Slopes {
 public:
  Slopes(Layout& layout, const tg_layer_samples& samples, const tg_direction* directions, int64_t count)
      : samples_(samples),
        inputs_(samples.input.columns),
        outputs_(samples.gradient.columns),
        input_(layout, samples.input),
        gradient_(layout, samples.gradient) {
    const int64_t tokens = part_tokens(samples.input);
    int64_t most_rank = 0;
    for (int64_t i = 0; i < count; ++i) {
      most_rank = std::max(most_rank, directions[i].matrix == nullptr ? rank_of(directions[i]) : 0);
    }
    partial_ = layout.take<double>((outputs_ + kProbeTile - 1) / kProbeTile * tokens);
    slopes_ = layout.take<double>(tokens);
    of_inputs_ = layout.take<float>(most_rank * tokens);
    of_gradients_ = layout.take<float>(most_rank * tokens);
    // Directions are processed one after the other and share this memory.
    room_ = layout.take<uint8_t>(most_formed(directions, count));
  }

  void run(CudaSession& session, const tg_direction* directions, int64_t count, tg_control* control, double* slopes,
           double* squares) {
    const int64_t tokens = samples_.input.rows;
    begin_work(control, count * tokens);
    for (int64_t i = 0; i < count; ++i) {
      Layout layout(room_);
      const Formed formed(layout, directions[i], outputs_, inputs_);
      const double square = directions[i].matrix != nullptr ? form(session, directions[i], formed, control)
                                                            : form_factors(session, directions[i], formed);
      if (squares != nullptr) {
        squares[i] = square;
      }
      for (int64_t begin = 0; begin < tokens; begin += kMostTokens) {
        check_cancelled(control);
        const int64_t part = std::min(kMostTokens, tokens - begin);
        input_.bring(session, samples_.input, begin, part, control);
        gradient_.bring(session, samples_.gradient, begin, part, control);
        multiply(session, formed, part);
        check(cudaMemcpyAsync(slopes + i * tokens + begin, slopes_, static_cast<size_t>(part) * sizeof(double),
                              cudaMemcpyDeviceToHost, session.stream()),
              "slopes");
        check(cudaStreamSynchronize(session.stream()), "slopes");
        add_done(control, part);
      }
    }
  }

 private:
  int64_t most_formed(const tg_direction* directions, int64_t count) const {
    int64_t most = 0;
    for (int64_t i = 0; i < count; ++i) {
      Layout counted;
      const Formed formed(counted, directions[i], outputs_, inputs_);
      most = std::max(most, counted.used());
    }
    return most;
  }

  double form(CudaSession& session, const tg_direction& direction, const Formed& formed, const tg_control* control) const {
    DirectionEntries entries{};
    entries.matrix = stage(session, *direction.matrix, formed.matrix, control);
    entries.rows = outputs_;
    entries.columns = inputs_;
    if (direction.subtracted != nullptr) {
      entries.has_subtracted = 1;
      entries.subtracted = stage(session, *direction.subtracted, formed.subtracted, control);
    }
    if (direction.mask != nullptr) {
      entries.mask = direction.mask;
      if (!is_on_device(direction.mask)) {
        const int64_t words = outputs_ * ((inputs_ + 63) / 64);
        copy_matrix(session, {direction.mask, 1, words, words, TG_F64, 0}, reinterpret_cast<uint8_t*>(formed.mask), control);
        entries.mask = formed.mask;
      }
    }
    check(launch_form_direction(entries, formed.entries, formed.row_squares, session.stream()), "a direction");
    std::vector<double> squares(static_cast<size_t>(outputs_));
    check(cudaMemcpyAsync(squares.data(), formed.row_squares, squares.size() * sizeof(double), cudaMemcpyDeviceToHost,
                          session.stream()),
          "a direction");
    check(cudaStreamSynchronize(session.stream()), "a direction");
    double sum = 0;
    for (const double square : squares) {
      sum += square;
    }
    return sum;
  }

  // The factors are small. The host places them side by side, with their scales, in float64.
  double form_factors(CudaSession& session, const tg_direction& direction, const Formed& formed) const {
    std::vector<double> left;
    std::vector<double> right;
    for (int64_t term = 0; term < direction.low_rank_count; ++term) {
      const tg_low_rank& product = direction.low_rank[term];
      const std::vector<double> columns = widened(session, product.left);
      for (int64_t k = 0; k < product.left.columns; ++k) {
        for (int64_t i = 0; i < outputs_; ++i) {
          left.push_back(product.scale * columns[static_cast<size_t>(i * product.left.columns + k)]);
        }
      }
      const std::vector<double> rows = widened(session, product.right);
      right.insert(right.end(), rows.begin(), rows.end());
    }
    put(session, left, formed.left);
    put(session, right, formed.right);
    // |P Q|^2 is the sum over pairs of ranks of the product of the two inner products.
    const auto dot = [](const std::vector<double>& rows, int64_t length, int64_t a, int64_t b) {
      double sum = 0;
      for (int64_t i = 0; i < length; ++i) {
        sum += rows[static_cast<size_t>(a * length + i)] * rows[static_cast<size_t>(b * length + i)];
      }
      return sum;
    };
    double square = 0;
    for (int64_t a = 0; a < formed.rank; ++a) {
      for (int64_t b = 0; b <= a; ++b) {
        square += (a == b ? 1 : 2) * dot(left, outputs_, a, b) * dot(right, inputs_, a, b);
      }
    }
    return std::max(0.0, square);
  }

  static void put(CudaSession& session, const std::vector<double>& values, float* to) {
    const std::vector<float> narrow(values.begin(), values.end());
    const auto count = static_cast<int64_t>(narrow.size());
    copy_matrix(session, {narrow.data(), 1, count, count, TG_F32, 0}, reinterpret_cast<uint8_t*>(to), nullptr);
  }

  void multiply(CudaSession& session, const Formed& formed, int64_t tokens) const {
    const float* input = input_.floats;
    const float* gradient = gradient_.floats;
    const cudaStream_t stream = session.stream();
    if (formed.entries != nullptr) {
      check(launch_dense_slopes(input, gradient, formed.entries, tokens, inputs_, outputs_, partial_, slopes_, stream), "slopes");
      return;
    }
    check(launch_project(input, formed.right, tokens, formed.rank, inputs_, of_inputs_, stream), "slopes");
    check(launch_project(gradient, formed.left, tokens, formed.rank, outputs_, of_gradients_, stream), "slopes");
    check(launch_row_products(of_inputs_, of_gradients_, tokens, formed.rank, slopes_, stream), "slopes");
  }

  const tg_layer_samples& samples_;
  int64_t inputs_;
  int64_t outputs_;
  Tokens input_;
  Tokens gradient_;
  double* partial_ = nullptr;
  double* slopes_ = nullptr;
  float* of_inputs_ = nullptr;
  float* of_gradients_ = nullptr;
  uint8_t* room_ = nullptr;
};

// The arrays of a sum over tokens on the device.
class Products {
 public:
  Products(Layout& layout, const tg_matrix& left, const tg_matrix& right)
      : left_(left),
        right_(right),
        left_tokens_(layout, left),
        right_tokens_(layout, right),
        weights_(layout.take<double>(part_tokens(left))),
        sums_(layout.take<double>(left.columns * right.columns)) {}

  void run(CudaSession& session, const double* weights, tg_control* control, double* sums) const {
    begin_work(control, left_.rows);
    const int64_t count = left_.columns * right_.columns;
    const auto doubles = [&](const double* from, int64_t numbers, double* to) {
      copy_matrix(session, {from, 1, numbers, numbers, TG_F64, 0}, reinterpret_cast<uint8_t*>(to), control);
    };
    doubles(sums, count, sums_);
    for (int64_t begin = 0; begin < left_.rows; begin += kMostTokens) {
      check_cancelled(control);
      const int64_t part = std::min(kMostTokens, left_.rows - begin);
      left_tokens_.bring(session, left_, begin, part, control);
      right_tokens_.bring(session, right_, begin, part, control);
      if (weights != nullptr) {
        doubles(weights + begin, part, weights_);
      }
      check(launch_token_products(left_tokens_.floats, weights == nullptr ? nullptr : weights_, right_tokens_.floats, part,
                                  left_.columns, right_.columns, sums_, session.stream()),
            "products of tokens");
      // The next part overwrites this one.
      check(cudaStreamSynchronize(session.stream()), "products of tokens");
      add_done(control, part);
    }
    copy_to_host(session, sums_, count * static_cast<int64_t>(sizeof(double)), sums);
  }

 private:
  const tg_matrix& left_;
  const tg_matrix& right_;
  Tokens left_tokens_;
  Tokens right_tokens_;
  double* weights_;
  double* sums_;
};

}  // namespace

int64_t slopes_bytes(const tg_layer_samples& samples, const tg_direction* directions, int64_t count) {
  Layout counted;
  const Slopes none(counted, samples, directions, count);
  return counted.used();
}

void slopes(CudaSession& session, const tg_layer_samples& samples, const tg_direction* directions, int64_t count,
            tg_control* control, double* slopes, double* squares) {
  session.memory.reserve(slopes_bytes(samples, directions, count));
  Layout layout(session.memory.get());
  Slopes(layout, samples, directions, count).run(session, directions, count, control, slopes, squares);
}

int64_t products_bytes(const tg_matrix& left, const tg_matrix& right) {
  Layout counted;
  const Products none(counted, left, right);
  return counted.used();
}

void products(CudaSession& session, const tg_matrix& left, const double* weights, const tg_matrix& right, tg_control* control,
              double* sums) {
  session.memory.reserve(products_bytes(left, right));
  Layout layout(session.memory.get());
  Products(layout, left, right).run(session, weights, control, sums);
}

}  // namespace threegate::cuda
