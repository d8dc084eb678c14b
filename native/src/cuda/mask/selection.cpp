#include "selection.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "common/candidates.h"
#include "cuda/support/staging.h"
#include "selection_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int64_t kMostCandidates = int64_t{1} << 21;
constexpr int kNarrowBits = 31;  // bits of a float32 key
constexpr int kWideBits = 63;

int64_t rows_of(const tg_mask_scores& scores) { return scores.matrix != nullptr ? scores.matrix->values.rows : scores.rows; }
int64_t columns_of(const tg_mask_scores& scores) {
  return scores.matrix != nullptr ? scores.matrix->values.columns : scores.columns;
}

// The arrays of a selection on the device. Without memory the layout only counts.
struct Arrays {
  Arrays(const tg_mask_scores& scores, uint8_t* memory) {
    Layout layout(memory);
    const int64_t rows = rows_of(scores);
    const int64_t columns = columns_of(scores);
    words = rows * ((columns + 63) / 64);
    beyond = layout.take<uint64_t>(words);
    between = layout.take<uint64_t>(words);
    digits = layout.take<uint64_t>(kDigits);
    norms = layout.take<uint64_t>(2);
    flags = layout.take<uint32_t>(1);
    if (scores.matrix != nullptr) {
      operand = layout.take<uint8_t>(staged_bytes(*scores.matrix));
    } else {
      values = layout.take<double>(scores.rank);
      left = layout.take<double>(scores.rank * rows);
      right = layout.take<double>(scores.rank * columns);
      narrow_left = layout.take<float>(scores.rank * rows);
      narrow_right = layout.take<float>(scores.rank * columns);
    }
    bytes = layout.used();
  }
  int64_t words;
  uint64_t* beyond;
  uint64_t* between;
  uint64_t* digits;
  uint64_t* norms;
  uint32_t* flags;
  uint8_t* operand = nullptr;
  double* values = nullptr;
  double* left = nullptr;
  double* right = nullptr;
  float* narrow_left = nullptr;
  float* narrow_right = nullptr;
  int64_t bytes;
};

Arrays reserve(CudaSession& session, const tg_mask_scores& scores) {
  session.memory.reserve(Arrays(scores, nullptr).bytes);
  return {scores, session.memory.get()};
}

tg_matrix vectors(const double* data, int64_t rank, int64_t length) { return {data, rank, length, length, TG_F64, 0}; }

class Selection {
 public:
  Selection(CudaSession& session, const tg_mask_scores& scores, const tg_mask_options& options, tg_control* control,
            uint64_t* mask)
      : session_(session),
        scores_(scores),
        options_(options),
        control_(control),
        mask_(mask),
        rows_(rows_of(scores)),
        columns_(columns_of(scores)),
        arrays_(reserve(session, scores)) {}

  void run() {
    std::fill_n(mask_, arrays_.words, uint64_t{0});
    if (arrays_.words == 0) {
      return;
    }
    bring();
    if (scores_.matrix == nullptr && options_.smallest == 0 && options_.count > 0 && screen()) {
      return;
    }
    select_exactly();
  }

 private:
  void bring() {
    device_.rows = rows_;
    device_.columns = columns_;
    if (scores_.matrix != nullptr) {
      device_.kind = ScoreKind::kMatrix;
      device_.entries = stage(session_, *scores_.matrix, arrays_.operand, control_);
      return;
    }
    device_.kind = ScoreKind::kTriplets;
    device_.rank = scores_.rank;
    device_.left = arrays_.left;
    device_.right = arrays_.right;
    device_.narrow_left = arrays_.narrow_left;
    device_.narrow_right = arrays_.narrow_right;
    const auto put = [&](const tg_matrix& matrix, double* to) {
      copy_matrix(session_, matrix, reinterpret_cast<uint8_t*>(to), control_);
    };
    put(vectors(scores_.values, 1, scores_.rank), arrays_.values);
    put(vectors(scores_.left, scores_.rank, rows_), arrays_.left);
    put(vectors(scores_.right, scores_.rank, columns_), arrays_.right);
    check(cudaMemsetAsync(arrays_.norms, 0, 2 * sizeof(uint64_t), session_.stream()), "the factors");
    check(launch_prepare_factors(arrays_.values, scores_.rank, rows_, arrays_.left, arrays_.narrow_left, columns_, arrays_.right,
                                 arrays_.narrow_right, arrays_.norms, session_.stream()),
          "the factors");
  }

  template <typename T>
  std::vector<T> fetch(const T* from, int64_t count) {
    std::vector<T> values(static_cast<size_t>(count));
    check(cudaMemcpyAsync(values.data(), from, static_cast<size_t>(count) * sizeof(T), cudaMemcpyDeviceToHost, session_.stream()),
          "scores");
    check(cudaStreamSynchronize(session_.stream()), "scores");
    return values;
  }

  void clear_flags() { check(cudaMemsetAsync(arrays_.flags, 0, sizeof(uint32_t), session_.stream()), "scores"); }
  bool all_finite() { return fetch(arrays_.flags, 1)[0] == 0; }

  // Counts one digit of the keys.
  std::vector<uint64_t> count(const Scores& scores, uint64_t prefix, int shift, int above) {
    check_cancelled(control_);
    const cudaStream_t stream = session_.stream();
    check(cudaMemsetAsync(arrays_.digits, 0, kDigits * sizeof(uint64_t), stream), "scores");
    check(launch_count_digits(scores, {prefix, shift, above}, arrays_.digits, arrays_.flags, session_.multiprocessors, stream),
          "counting scores");
    return fetch(arrays_.digits, kDigits);
  }

  // Returns the digit of the last selected key. Subtracts the keys beyond it from `left`.
  uint64_t take_digit(const std::vector<uint64_t>& digits, int64_t& left) const {
    auto digit = options_.smallest != 0 ? int64_t{0} : int64_t{kDigits - 1};
    const int64_t step = options_.smallest != 0 ? 1 : -1;
    while (static_cast<int64_t>(digits[static_cast<size_t>(digit)]) < left) {
      left -= static_cast<int64_t>(digits[static_cast<size_t>(digit)]);
      digit += step;
    }
    return static_cast<uint64_t>(digit);
  }

  // Finds the key of the last selected entry down to bit `lowest`. Keys have `bits` bits. `left` becomes the number of selected
  // entries among those that share these bits. Returns false if a score is not finite.
  bool find(const Scores& scores, int bits, int lowest, uint64_t& key, int64_t& left) {
    key = 0;
    left = options_.count;
    clear_flags();
    int above = 64;
    for (int shift = bits - kDigitBits;; shift -= kDigitBits) {
      const int at = std::max(shift, 0);
      // The last digit may overlap the one before it. Its leading bits are the same in all keys that count.
      const std::vector<uint64_t> digits = count(scores, key, at, above);
      if (above == 64 && !all_finite()) {
        return false;
      }
      const uint64_t digit = take_digit(digits, left);
      key = (above == 64 ? 0 : key >> above << above) | digit << at;
      above = at;
      if (at <= lowest) {
        return true;
      }
    }
  }

  // Copies the bits of the keys beyond [low, high] to the caller's mask. Returns the bits of the keys within.
  std::vector<uint64_t> mark(const Scores& scores, uint64_t low, uint64_t high) {
    check_cancelled(control_);
    clear_flags();
    check(launch_mark(scores, {low, high, options_.smallest}, arrays_.beyond, arrays_.between, arrays_.flags,
                      session_.multiprocessors, session_.stream()),
          "marking scores");
    check(cudaMemcpyAsync(mask_, arrays_.beyond, static_cast<size_t>(arrays_.words) * sizeof(uint64_t), cudaMemcpyDeviceToHost,
                          session_.stream()),
          "a mask");
    return fetch(arrays_.between, arrays_.words);
  }

  // float32 decides all scores except those close to the last selected one, which the host decides. See cpu/mask/screening.cpp.
  bool screen() {
    const std::vector<uint64_t> bits = fetch(arrays_.norms, 2);
    const double norms = std::sqrt(bit_cast<double>(bits[0]) * bit_cast<double>(bits[1]));
    constexpr double kUnit = std::numeric_limits<float>::epsilon() / 2;
    constexpr double kOthers = 8;  // roundings other than those of the sum
    const double error = (static_cast<double>(scores_.rank) + kOthers) * kUnit * norms;
    if (!(error > 1e-25 && error < 1e25)) {
      return false;
    }
    Scores narrow = device_;
    narrow.kind = ScoreKind::kNarrowTriplets;
    uint64_t key = 0;
    int64_t left = 0;
    constexpr int kLeft = kNarrowBits - 2 * kDigitBits;
    if (!find(narrow, kNarrowBits, kLeft, key, left)) {
      return false;
    }
    const auto value = [](uint64_t of) { return static_cast<double>(bit_cast<float>(static_cast<uint32_t>(of))); };
    const double low = value(key) - 2 * error;
    const double high = value(key + (uint64_t{1} << kLeft)) + 2 * error;
    const auto key_of = [](double of) { return uint64_t{bit_cast<uint32_t>(static_cast<float>(of))}; };
    // The interval is rounded outwards by one key on either side.
    const uint64_t low_key = low <= 0 ? 0 : std::max(key_of(low), uint64_t{1}) - 1;
    const std::vector<uint64_t> between = mark(narrow, low_key, key_of(high) + 1);
    int64_t sure = 0;
    int64_t candidates = 0;
    for (int64_t i = 0; i < arrays_.words; ++i) {
      sure += __builtin_popcountll(mask_[i]);
      candidates += __builtin_popcountll(between[static_cast<size_t>(i)]);
    }
    const int64_t wanted = options_.count - sure;
    if (candidates > kMostCandidates || wanted < 0 || wanted > candidates) {
      return false;
    }
    settle(between, wanted);
    add_done(control_, rows_ * columns_);
    return true;
  }

  // Calls body(row, column) for each bit in row-major order, until it returns false.
  template <typename Body>
  void for_bits(const std::vector<uint64_t>& bits, Body body) const {
    const int64_t across = (columns_ + 63) / 64;
    for (int64_t i = 0; i < arrays_.words; ++i) {
      for (uint64_t word = bits[static_cast<size_t>(i)]; word != 0; word &= word - 1) {
        if (!body(i / across, i % across * 64 + __builtin_ctzll(word))) {
          return;
        }
      }
    }
  }

  void set(int64_t row, int64_t column) { mask_[row * ((columns_ + 63) / 64) + column / 64] |= uint64_t{1} << (column % 64); }

  // Selects the `wanted` largest candidates by their scores in float64, which are summed as on the CPU.
  void settle(const std::vector<uint64_t>& candidates, int64_t wanted) {
    std::vector<Candidate> open;
    for_bits(candidates, [&](int64_t row, int64_t column) {
      open.push_back(score_exactly(scores_, row, column));
      return true;
    });
    take_largest(scores_, open, wanted, [&](int64_t row, int64_t column) { set(row, column); });
  }

  // Selects by float64 keys, digit by digit. Of equal keys those with the lower index are selected.
  void select_exactly() {
    uint64_t key = 0;
    int64_t left = 0;
    if (options_.count == 0) {
      clear_flags();
      count(device_, 0, kWideBits - kDigitBits, 64);
      if (!all_finite()) {
        throw Error(TG_INVALID_ARGUMENT, "scores has an entry that is not finite");
      }
      add_done(control_, rows_ * columns_);
      return;
    }
    if (!find(device_, kWideBits, 0, key, left)) {
      throw Error(TG_INVALID_ARGUMENT, "scores has an entry that is not finite");
    }
    const std::vector<uint64_t> equal = mark(device_, key, key);
    for_bits(equal, [&](int64_t row, int64_t column) {
      if (left > 0) {
        set(row, column);
      }
      return --left > 0;
    });
    add_done(control_, rows_ * columns_);
  }

  CudaSession& session_;
  const tg_mask_scores& scores_;
  const tg_mask_options& options_;
  tg_control* control_;
  uint64_t* mask_;
  int64_t rows_;
  int64_t columns_;
  Arrays arrays_;
  Scores device_{};
};

}  // namespace

int64_t mask_bytes(const tg_mask_scores& scores) { return Arrays(scores, nullptr).bytes; }

void select(CudaSession& session, const tg_mask_scores& scores, const tg_mask_options& options, tg_control* control,
            uint64_t* mask) {
  begin_work(control, rows_of(scores) * columns_of(scores));
  check_cancelled(control);
  if (!is_on_device(mask)) {
    Selection(session, scores, options, control, mask).run();
    return;
  }
  // The host decides about entries close to the last selected one.
  const int64_t words = rows_of(scores) * ((columns_of(scores) + 63) / 64);
  std::vector<uint64_t> selected(static_cast<size_t>(words));
  Selection(session, scores, options, control, selected.data()).run();
  copy_matrix(session, {selected.data(), 1, words, words, TG_F64, 0}, reinterpret_cast<uint8_t*>(mask), nullptr);
}

}  // namespace threegate::cuda
