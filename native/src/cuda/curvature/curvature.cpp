#include "curvature.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <vector>

#include "cuda/support/staging.h"
#include "cuda/svd/warpgroup_product.h"
#include "warpgroup_curvature.h"

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

int64_t padded(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }
int64_t tiles_of(int64_t count, int64_t unit) { return (count + unit - 1) / unit; }

// Whether warpgroups multiply. Their tiles are larger, and two thirds of the multiprocessors with one are as fast as all of them
// with those of mma. THREEGATE_CUDA_PRODUCT=wgmma takes them for few tiles, too.
bool has_warpgroups_for(const CudaSession& session, int64_t tiles) {
  static const char* const chosen = std::getenv("THREEGATE_CUDA_PRODUCT");
  const bool always = chosen != nullptr && std::strcmp(chosen, "wgmma") == 0;
  return has_warpgroup_products(session.compute_capability) && (always || 3 * tiles >= int64_t{2} * session.multiprocessors);
}

// The bf16 terms that represent all numbers of a type, rounded to float32.
int32_t planes_of(tg_dtype dtype) {
  switch (dtype) {
    case TG_F32:
    case TG_F64:
      return kPlanes;
    case TG_F16:
      return 2;
    default:
      return 1;
  }
}

VectorPlanes take_vectors(Layout& layout, int64_t count, int64_t tile, int64_t length, int32_t planes) {
  VectorPlanes vectors{nullptr, planes, static_cast<int32_t>(tile), tiles_of(count, tile), padded(length, kPadding)};
  vectors.codes = layout.take<uint16_t>(vectors.tiles * tile * planes * vectors.length);
  return vectors;
}

// A part of the tokens of a matrix on the device, and the memory that is needed to copy it there.
struct Staged {
  Staged(Layout& layout, const tg_matrix& matrix)
      : staging(
            layout.take<uint8_t>(is_on_device(matrix.data) ? 0 : staged_bytes(plain(rows_of(matrix, 0, part_tokens(matrix)))))) {}

  [[nodiscard]] Entries bring(CudaSession& session, const tg_matrix& matrix, int64_t begin, int64_t count,
                              const tg_control* control) const {
    return stage(session, plain(rows_of(matrix, begin, count)), staging, control);
  }

  uint8_t* staging;
};

// Tokens as sums of bf16 matrices.
struct Tokens {
  Tokens(Layout& layout, const tg_matrix& matrix)
      : staged(layout, matrix),
        largest(layout.take<uint64_t>(1)),
        planes{nullptr, planes_of(matrix.dtype), padded(part_tokens(matrix), kTileTokens), padded(matrix.columns, kColumns)} {
    planes.codes = layout.take<uint16_t>(planes.planes * planes.rows * planes.stride);
  }

  void bring(CudaSession& session, const tg_matrix& matrix, int64_t begin, int64_t count, const tg_control* control) const {
    Source source{};
    source.entries = staged.bring(session, matrix, begin, count, control);
    source.planes = planes.planes;
    source.rows = count;
    source.columns = matrix.columns;
    source.scale = 1;
    uint16_t* each[kPlanes] = {};
    for (int32_t plane = 0; plane < planes.planes; ++plane) {
      each[plane] = planes.codes + plane * planes.rows * planes.stride;
    }
    check(launch_split_matrix(source, each, planes.stride, padded(count, kTileTokens), largest, session.stream()), "tokens");
  }

  // Whole tiles of outputs, and whole steps of a product.
  static constexpr int64_t kColumns = std::lcm(kPadding, kTileVectors);
  Staged staged;
  uint64_t* largest;  // is not used
  TokenPlanes planes;
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

// Directions whose products with the tokens are computed together. Tokens are brought once for each batch.
struct Batch {
  int64_t begin;
  int64_t end;
};

// Directions given by entries, and the rows of the factors of all others, on the device.
struct Formed {
  Formed(Layout& layout, const tg_direction* directions, const Batch& batch, int64_t outputs, int64_t inputs, int64_t tokens) {
    int64_t matrix_bytes = 0;
    int64_t subtracted_bytes = 0;
    int64_t mask_words = 0;
    for (int64_t i = batch.begin; i < batch.end; ++i) {
      const tg_direction& direction = directions[i];
      if (direction.matrix == nullptr) {
        rank += rank_of(direction);
        continue;
      }
      ++dense_count;
      matrix_bytes = std::max(matrix_bytes, staged_bytes(*direction.matrix));
      subtracted_bytes = std::max(subtracted_bytes, direction.subtracted == nullptr ? 0 : staged_bytes(*direction.subtracted));
      mask_words = std::max(mask_words, direction.mask == nullptr ? 0 : outputs * ((inputs + 63) / 64));
    }
    const int64_t count = batch.end - batch.begin;
    matrix = layout.take<uint8_t>(matrix_bytes);
    subtracted = layout.take<uint8_t>(subtracted_bytes);
    mask = layout.take<uint64_t>(mask_words);
    tiles = tiles_of(outputs, kTileVectors);
    dense = take_vectors(layout, dense_count * tiles * kTileVectors, kTileVectors, inputs, kPlanes);
    row_squares = layout.take<double>(dense_count * outputs);
    partial = layout.take<double>(dense_count * tiles * kPartialsOfTile * tokens);
    factors = layout.take<float>(rank * std::max(outputs, inputs));
    left = take_vectors(layout, rank, kFactorVectors, outputs, kPlanes);
    right = take_vectors(layout, rank, kFactorVectors, inputs, kPlanes);
    of_inputs = layout.take<float>(tokens * right.tiles * kFactorVectors);
    of_gradients = layout.take<float>(tokens * left.tiles * kFactorVectors);
    terms = layout.take<int32_t>(dense_count);
    slopes = layout.take<double>(count * tokens);
  }

  [[nodiscard]] VectorPlanes direction(int64_t place) const {
    VectorPlanes own = dense;
    own.tiles = tiles;
    own.codes += place * tiles * own.tile * own.planes * own.length;
    return own;
  }

  int64_t dense_count = 0;
  int64_t rank = 0;  // of all directions with factors
  int64_t tiles = 0;
  uint8_t* matrix = nullptr;  // directions are formed one after the other and share this memory
  uint8_t* subtracted = nullptr;
  uint64_t* mask = nullptr;
  VectorPlanes dense{};
  double* row_squares = nullptr;
  double* partial = nullptr;
  float* factors = nullptr;
  VectorPlanes left{};
  VectorPlanes right{};
  float* of_inputs = nullptr;
  float* of_gradients = nullptr;
  int32_t* terms = nullptr;
  double* slopes = nullptr;
};

class Slopes {
 public:
  Slopes(Layout& layout, const tg_layer_samples& samples, const tg_direction* directions, int64_t count)
      : samples_(samples),
        directions_(directions),
        inputs_(samples.input.columns),
        outputs_(samples.gradient.columns),
        input_(layout, samples.input),
        gradient_(layout, samples.gradient) {
    for (int64_t begin = 0; begin < count; begin = batches_.back().end) {
      batches_.push_back({begin, end_of_batch(begin, count)});
    }
    // Batches share this memory.
    int64_t most = 0;
    for (const Batch& batch : batches_) {
      Layout counted;
      const Formed formed(counted, directions, batch, outputs_, inputs_, input_.planes.rows);
      most = std::max(most, counted.used());
    }
    room_ = layout.take<uint8_t>(most);
  }

  void run(CudaSession& session, tg_control* control, double* slopes, double* squares) {
    const int64_t tokens = samples_.input.rows;
    begin_work(control, batches_.back().end * tokens);
    int64_t brought = -1;
    for (const Batch& batch : batches_) {
      Layout layout(room_);
      const Formed formed(layout, directions_, batch, outputs_, inputs_, input_.planes.rows);
      form(session, batch, formed, control, squares);
      for (int64_t begin = 0; begin < tokens; begin += kMostTokens) {
        check_cancelled(control);
        const int64_t part = std::min(kMostTokens, tokens - begin);
        if (brought != begin) {
          input_.bring(session, samples_.input, begin, part, control);
          gradient_.bring(session, samples_.gradient, begin, part, control);
          brought = begin;
        }
        multiply(session, batch, formed, part);
        Downloads downloads(session, (batch.end - batch.begin) * part * static_cast<int64_t>(sizeof(double)));
        for (int64_t i = batch.begin; i < batch.end; ++i) {
          downloads.add(formed.slopes + (i - batch.begin) * part, part * static_cast<int64_t>(sizeof(double)),
                        slopes + i * tokens + begin);
        }
        downloads.finish();
        add_done(control, (batch.end - batch.begin) * part);
      }
    }
  }

 private:
  // A batch has one direction at least.
  [[nodiscard]] int64_t end_of_batch(int64_t begin, int64_t count) const {
    int64_t bytes = 0;
    int64_t end = begin;
    while (end < count && end - begin < kMostDirections && (end == begin || bytes < kMostBytes)) {
      const int64_t entries =
          directions_[end].matrix != nullptr ? inputs_ * outputs_ : rank_of(directions_[end]) * (inputs_ + outputs_);
      bytes += entries * kPlanes * static_cast<int64_t>(sizeof(uint16_t));
      ++end;
    }
    return end;
  }

  // Writes the planes of all directions of a batch, and their squares.
  void form(CudaSession& session, const Batch& batch, const Formed& formed, const tg_control* control, double* squares) {
    check(cudaMemsetAsync(formed.terms, 0, static_cast<size_t>(formed.dense_count) * sizeof(int32_t), session.stream()),
          "a direction");
    int64_t place = 0;
    for (int64_t i = batch.begin; i < batch.end; ++i) {
      if (directions_[i].matrix != nullptr) {
        form_entries(session, directions_[i], formed, place++, control);
      }
    }
    std::vector<double> row_squares(static_cast<size_t>(formed.dense_count * outputs_));
    copy_to_host(session, formed.row_squares, static_cast<int64_t>(row_squares.size() * sizeof(double)), row_squares.data());
    terms_.resize(static_cast<size_t>(formed.dense_count));
    copy_to_host(session, formed.terms, formed.dense_count * static_cast<int64_t>(sizeof(int32_t)), terms_.data());
    std::vector<double> left;
    std::vector<double> right;
    const double* row = row_squares.data();
    for (int64_t i = batch.begin; i < batch.end; ++i) {
      double square = 0;
      if (directions_[i].matrix != nullptr) {
        square = std::accumulate(row, row + outputs_, 0.0);
        row += outputs_;
      } else {
        square = gather_factors(session, directions_[i], left, right);
      }
      if (squares != nullptr) {
        squares[i] = square;
      }
    }
    if (formed.rank > 0) {
      form_factor(session, left, outputs_, formed, formed.left, control);
      form_factor(session, right, inputs_, formed, formed.right, control);
    }
  }

  void form_entries(CudaSession& session, const tg_direction& direction, const Formed& formed, int64_t place,
                    const tg_control* control) const {
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
    check(launch_form_direction(entries, formed.direction(place), formed.row_squares + place * outputs_, formed.terms + place,
                                session.stream()),
          "a direction");
  }

  // The factors are small. The host appends them, with their scales, in float64. Returns |P Q|^2.
  double gather_factors(const CudaSession& session, const tg_direction& direction, std::vector<double>& left,
                        std::vector<double>& right) const {
    const size_t own_left = left.size();
    const size_t own_right = right.size();
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
    // It is the sum over pairs of ranks of the product of the two inner products.
    const auto dot = [](const double* rows, int64_t length, int64_t a, int64_t b) {
      return std::inner_product(rows + a * length, rows + (a + 1) * length, rows + b * length, 0.0);
    };
    double square = 0;
    for (int64_t a = 0; a < rank_of(direction); ++a) {
      for (int64_t b = 0; b <= a; ++b) {
        square += (a == b ? 1 : 2) * dot(left.data() + own_left, outputs_, a, b) * dot(right.data() + own_right, inputs_, a, b);
      }
    }
    return std::max(0.0, square);
  }

  static void form_factor(CudaSession& session, const std::vector<double>& rows, int64_t length, const Formed& formed,
                          const VectorPlanes& out, const tg_control* control) {
    const std::vector<float> narrow(rows.begin(), rows.end());
    const tg_matrix matrix{narrow.data(), formed.rank, length, length, TG_F32, 0};
    copy_matrix(session, matrix, reinterpret_cast<uint8_t*>(formed.factors), control);
    DirectionEntries entries{};
    entries.matrix.data = reinterpret_cast<const uint8_t*>(formed.factors);
    entries.matrix.row_stride = length;
    entries.matrix.dtype = TG_F32;
    entries.rows = formed.rank;
    entries.columns = length;
    check(launch_form_direction(entries, out, nullptr, nullptr, session.stream()), "a direction");
  }

  // Writes the slopes of a part of the tokens along all directions of a batch.
  void multiply(CudaSession& session, const Batch& batch, const Formed& formed, int64_t tokens) const {
    const cudaStream_t stream = session.stream();
    const int64_t token_tiles = tiles_of(tokens, kTileTokens);
    const int64_t stride = token_tiles * kTileTokens;
    // It depends on one direction, so that a slope has the same bits in all batches.
    const bool warpgroups = has_warpgroups_for(session, tiles_of(tokens, kSlopeTokens) * tiles_of(outputs_, kSlopeVectors));
    // Neighbouring directions with as many planes are multiplied together.
    for (int64_t begin = 0, end = 0; begin < formed.dense_count; begin = end) {
      const auto terms_of = [&](int64_t place) { return terms_[static_cast<size_t>(place)]; };
      for (end = begin; end < formed.dense_count && terms_of(end) == terms_of(begin);) {
        ++end;
      }
      VectorPlanes directions = formed.direction(begin);
      directions.tiles *= end - begin;
      double* const partial = formed.partial + begin * formed.tiles * kPartialsOfTile * stride;
      const SlopeWork work{input_.planes, gradient_.planes, directions, partial, token_tiles, formed.tiles};
      check(
          warpgroups ? launch_warpgroup_slopes(work, terms_of(begin), stream) : launch_slope_tiles(work, terms_of(begin), stream),
          "slopes");
    }
    if (formed.rank > 0) {
      check(launch_project(input_.planes, formed.right, token_tiles, formed.of_inputs, stream), "slopes");
      check(launch_project(gradient_.planes, formed.left, token_tiles, formed.of_gradients, stream), "slopes");
    }
    const double* partial = formed.partial;
    const int64_t partials = formed.tiles * kPartialsOfTile;
    int64_t column = 0;
    double* slopes = formed.slopes;
    for (int64_t i = batch.begin; i < batch.end; ++i, slopes += tokens) {
      if (directions_[i].matrix != nullptr) {
        check(launch_add_slopes(partial, partials, stride, tokens, slopes, stream), "slopes");
        partial += partials * stride;
      } else {
        const int64_t rank = rank_of(directions_[i]);
        check(launch_row_products(formed.of_inputs + column, formed.of_gradients + column, formed.left.tiles * kFactorVectors,
                                  tokens, rank, slopes, stream),
              "slopes");
        column += rank;
      }
    }
  }

  static constexpr int64_t kMostDirections = 16;  // for which tokens are brought once
  static constexpr int64_t kMostBytes = int64_t{2} << 30;
  const tg_layer_samples& samples_;
  const tg_direction* directions_;
  int64_t inputs_;
  int64_t outputs_;
  Tokens input_;
  Tokens gradient_;
  std::vector<Batch> batches_;
  std::vector<int32_t> terms_;  // of the directions of the current batch that are given by entries
  uint8_t* room_ = nullptr;
};

// The arrays of a sum over tokens on the device. The tokens of both matrices become the terms of sums.
class Products {
 public:
  Products(Layout& layout, const tg_matrix& left, const tg_matrix& right, bool weighted)
      : left_(left),
        right_(right),
        staged_left_(layout, left),
        staged_right_(layout, right),
        left_planes_(take_vectors(layout, left.columns, kTileTokens, part_tokens(left), planes_of(left.dtype))),
        right_planes_(
            take_vectors(layout, right.columns, kTileVectors, part_tokens(right), weighted ? kPlanes : planes_of(right.dtype))),
        weights_(layout.take<double>(part_tokens(left))),
        matrix_(layout.take<double>(left.columns * right.columns)),
        sums_(layout.take<double2>(left_planes_.tiles * right_planes_.tiles * kTileTokens * kTileVectors / 2)) {}

  void run(CudaSession& session, const double* weights, tg_control* control, double* sums) const {
    begin_work(control, left_.rows);
    const int64_t count = left_.columns * right_.columns;
    const cudaStream_t stream = session.stream();
    const auto doubles = [&](const double* from, int64_t numbers, double* to) {
      copy_matrix(session, {from, 1, numbers, numbers, TG_F64, 0}, reinterpret_cast<uint8_t*>(to), control);
    };
    doubles(sums, count, matrix_);
    // As on the CPU, the product of a matrix with itself is computed from the diagonal on.
    const bool symmetric = left_.data == right_.data && left_.columns == right_.columns && left_.dtype == right_.dtype &&
                           left_.row_stride == right_.row_stride;
    const auto arrange = [&](bool back) {
      check(launch_arrange_sums(back, symmetric, sums_, left_.columns, right_.columns, matrix_, stream), "products of tokens");
    };
    arrange(false);
    for (int64_t begin = 0; begin < left_.rows; begin += kMostTokens) {
      check_cancelled(control);
      const int64_t part = std::min(kMostTokens, left_.rows - begin);
      if (weights != nullptr) {
        doubles(weights + begin, part, weights_);
      }
      split(session, left_, staged_left_, nullptr, begin, part, left_planes_, control);
      // The weights go to the factor whose planes are multiplied together.
      split(session, right_, staged_right_, weights == nullptr ? nullptr : weights_, begin, part, right_planes_, control);
      check(multiply(session, padded(part, kPadding), symmetric), "products of tokens");
      // The next part overwrites this one.
      check(cudaStreamSynchronize(stream), "products of tokens");
      add_done(control, part);
    }
    arrange(true);
    copy_to_host(session, matrix_, count * static_cast<int64_t>(sizeof(double)), sums);
  }

 private:
  static void split(CudaSession& session, const tg_matrix& matrix, const Staged& staged, const double* weights, int64_t begin,
                    int64_t count, const VectorPlanes& out, const tg_control* control) {
    const Entries entries = staged.bring(session, matrix, begin, count, control);
    check(launch_split_columns(entries, weights, count, matrix.columns, out, session.stream()), "tokens");
  }

  [[nodiscard]] cudaError_t multiply(const CudaSession& session, int64_t tokens, bool symmetric) const {
    const cudaStream_t stream = session.stream();
    if (has_warpgroups_for(session, tiles_of(left_.columns, kProductRows) * tiles_of(right_.columns, kProductVectors))) {
      return launch_warpgroup_products(left_planes_, right_planes_, tokens, symmetric, sums_, stream);
    }
    cudaError_t error = cudaSuccess;
    for (int64_t block = 0; block < tokens && error == cudaSuccess; block += kProbeTokens) {
      VectorPlanes left = left_planes_;
      VectorPlanes right = right_planes_;
      left.codes += block;
      right.codes += block;
      error = launch_token_products(left, right, std::min(kProbeTokens, tokens - block), symmetric, sums_, stream);
    }
    return error;
  }

  const tg_matrix& left_;
  const tg_matrix& right_;
  Staged staged_left_;
  Staged staged_right_;
  VectorPlanes left_planes_;
  VectorPlanes right_planes_;
  double* weights_;
  double* matrix_;
  double2* sums_;
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
  Slopes(layout, samples, directions, count).run(session, control, slopes, squares);
}

int64_t products_bytes(const tg_matrix& left, const tg_matrix& right) {
  Layout counted;
  const Products none(counted, left, right, true);
  return counted.used();
}

void products(CudaSession& session, const tg_matrix& left, const double* weights, const tg_matrix& right, tg_control* control,
              double* sums) {
  session.memory.reserve(products_bytes(left, right));
  Layout layout(session.memory.get());
  Products(layout, left, right, weights != nullptr).run(session, weights, control, sums);
}

}  // namespace threegate::cuda
