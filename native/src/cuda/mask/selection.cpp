#include "selection.h"

#include <algorithm>

#include "cuda/support/staging.h"
#include "digits.h"
#include "selection_kernels.h"

namespace threegate::cuda {
namespace {

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
    mask = layout.take<uint64_t>(words);
    within = layout.take<uint64_t>(words);
    digits = layout.take<uint64_t>(kDigits);
    sums = layout.take<uint64_t>(kMostChunks);
    norms = layout.take<uint64_t>(2);
    search = layout.take<Search>(1);
    if (scores.matrix != nullptr) {
      operand = layout.take<uint8_t>(staged_bytes(*scores.matrix));
    } else {
      values = layout.take<double>(scores.rank);
      left = layout.take<double>(scores.rank * rows);
      right = layout.take<double>(scores.rank * columns);
      left_terms = layout.take<uint16_t>(kTerms * padded_rank(scores.rank) * padded_rows(rows));
      right_terms = layout.take<uint16_t>(kTerms * padded_rank(scores.rank) * padded_columns(columns));
      keys = layout.take<uint64_t>(kMostCandidates);
      candidates = layout.take<Candidate>(kMostCandidates);
    }
    bytes = layout.used();
  }
  int64_t words;
  uint64_t* mask;
  uint64_t* within;
  uint64_t* digits;
  uint64_t* sums;
  uint64_t* norms;
  Search* search;
  uint8_t* operand = nullptr;
  double* values = nullptr;
  double* left = nullptr;
  double* right = nullptr;
  uint16_t* left_terms = nullptr;
  uint16_t* right_terms = nullptr;
  uint64_t* keys = nullptr;
  Candidate* candidates = nullptr;
  int64_t bytes;
};

Arrays reserve(CudaSession& session, const tg_mask_scores& scores) {
  session.memory.reserve(Arrays(scores, nullptr).bytes);
  return {scores, session.memory.get()};
}

// All decisions are made on the device. The host waits once, for the mask and the state of the search.
class Selection {
 public:
  Selection(CudaSession& session, const tg_mask_scores& scores, const tg_mask_options& options, tg_control* control,
            uint64_t* mask)
      : session_(session),
        scores_(scores),
        options_(options),
        control_(control),
        host_mask_(is_on_device(mask) ? nullptr : mask),
        rows_(rows_of(scores)),
        columns_(columns_of(scores)),
        arrays_(reserve(session, scores)),
        mask_(is_on_device(mask) ? mask : arrays_.mask) {}

  void run() {
    if (arrays_.words == 0) {
      return;
    }
    bring();
    if (!(can_be_screened() && screen())) {
      select_exactly();
    }
    add_done(control_, rows_ * columns_);
  }

 private:
  // Positions of candidates have 32 bits.
  [[nodiscard]] bool can_be_screened() const {
    constexpr int64_t kMost = int64_t{1} << 31;
    return scores_.matrix == nullptr && options_.smallest == 0 && options_.count > 0 && std::max(rows_, columns_) < kMost;
  }

  void bring() {
    device_.of_triplets = scores_.matrix == nullptr;
    device_.rows = rows_;
    device_.columns = columns_;
    if (scores_.matrix != nullptr) {
      device_.entries = stage(session_, *scores_.matrix, arrays_.operand, control_);
      return;
    }
    device_.rank = scores_.rank;
    device_.left = arrays_.left;
    device_.right = arrays_.right;
    Uploads uploads(session_, scores_.rank * (rows_ + columns_ + 1) * static_cast<int64_t>(sizeof(double)), control_);
    uploads.add_array(scores_.values, scores_.rank, arrays_.values);
    uploads.add_array(scores_.left, scores_.rank * rows_, arrays_.left);
    uploads.add_array(scores_.right, scores_.rank * columns_, arrays_.right);
    check(cudaMemsetAsync(arrays_.norms, 0, 2 * sizeof(uint64_t), session_.stream()), "the factors");
    check(launch_prepare_factors(arrays_.values, scores_.rank, rows_, arrays_.left, arrays_.left_terms, columns_, arrays_.right,
                                 arrays_.right_terms, arrays_.norms, session_.stream()),
          "the factors");
  }

  void begin(int bits) {
    check_cancelled(control_);
    check(launch_begin(arrays_.search, arrays_.digits, bits, options_.count, session_.stream()), "scores");
  }

  // Copies the mask and what the search found.
  Search finish() {
    const int64_t bytes = host_mask_ == nullptr ? 0 : arrays_.words * static_cast<int64_t>(sizeof(uint64_t));
    Search found{};
    Downloads downloads(session_, bytes + static_cast<int64_t>(sizeof(found)));
    downloads.add(arrays_.search, sizeof(found), &found);
    downloads.add(mask_, bytes, host_mask_);
    downloads.finish();
    return found;
  }

  // float32 decides all scores except those close to the last selected one, which float64 decides. See cpu/mask/screening.cpp.
  bool screen() {
    begin(kScreenedBits);
    const Screen screen{arrays_.search, rows_,         columns_,           scores_.rank,
                        arrays_.left,   arrays_.right, arrays_.left_terms, arrays_.right_terms,
                        arrays_.norms,  arrays_.keys,  arrays_.candidates};
    check(launch_screening(screen, options_.count, arrays_.digits, mask_, session_.multiprocessors, session_.stream()),
          "screening scores");
    return finish().undecided == 0;
  }

  // Selects by exact keys, digit by digit. Of equal keys those with the lower index are selected.
  void select_exactly() {
    const Keys keys = keys_of(device_);
    const cudaStream_t stream = session_.stream();
    const bool smallest = options_.smallest != 0;
    begin(keys.bits);
    for (int above = keys.bits; above > 0;) {
      check_cancelled(control_);
      const int shift = std::max(above - kDigitBits, 0);
      check(launch_count_digits(device_, shift, arrays_.search, arrays_.digits, session_.multiprocessors, stream),
            "counting scores");
      check(launch_find_digit(arrays_.search, arrays_.digits, keys, shift, smallest, stream), "counting scores");
      // If none is selected, one pass finds scores that are not finite.
      above = options_.count == 0 ? 0 : shift;
    }
    if (options_.count == 0) {
      check(cudaMemsetAsync(mask_, 0, static_cast<size_t>(arrays_.words) * sizeof(uint64_t), stream), "a mask");
    } else {
      check(launch_mark(device_, smallest, arrays_.search, mask_, arrays_.within, session_.multiprocessors, stream),
            "marking scores");
      check(launch_take_first(arrays_.search, arrays_.within, arrays_.words, arrays_.sums, mask_, stream), "marking scores");
    }
    if (finish().not_finite != 0) {
      throw Error(TG_INVALID_ARGUMENT, "scores has an entry that is not finite");
    }
  }

  CudaSession& session_;
  const tg_mask_scores& scores_;
  const tg_mask_options& options_;
  tg_control* control_;
  uint64_t* host_mask_;  // nullptr if the caller's mask is on the device
  int64_t rows_;
  int64_t columns_;
  Arrays arrays_;
  uint64_t* mask_;
  Scores device_{};
};

}  // namespace

int64_t mask_bytes(const tg_mask_scores& scores) { return Arrays(scores, nullptr).bytes; }

void select(CudaSession& session, const tg_mask_scores& scores, const tg_mask_options& options, tg_control* control,
            uint64_t* mask) {
  begin_work(control, rows_of(scores) * columns_of(scores));
  check_cancelled(control);
  Selection(session, scores, options, control, mask).run();
}

}  // namespace threegate::cuda
