// The histogram of changes in units of the spacing of bf16, with the vector extensions of GCC. Everything has internal linkage,
// for the reason in dtype.h.
#ifndef THREEGATE_CPU_DIFF_ULP_HISTOGRAM_H
#define THREEGATE_CPU_DIFF_ULP_HISTOGRAM_H

#include <cstddef>
#include <cstdint>

#include "block.h"

namespace threegate::diff {
namespace {

constexpr int64_t kSmallestNormalExponent = 1023 - 126;  // of bf16, with the bias of a double

// Counts the bins of tg_diff_result.ulp_histogram in 4-bit fields of 64-bit lanes. A vector of entries takes one addition.
template <typename Words>
class UlpHistogram {
 public:
  static constexpr int kAdditions = 15;  // before a field could overflow

  // Adds one-hot fields. Bin b is the number 1 shifted by 4 b bits. spill() must follow after at most kAdditions calls.
  [[gnu::always_inline]] void add(const Words& one_hot) { fields_ += one_hot; }

  // Moves the counts to fields of eight bits, which hold seventeen additions, and from there to the 16 `bins`.
  [[gnu::always_inline]] void spill(int64_t* bins) {
    even_ += fields_ & 0x0f0f0f0f0f0f0f0fULL;
    odd_ += (fields_ >> 4) & 0x0f0f0f0f0f0f0f0fULL;
    fields_ = Words{};
    if (++spills_ == 17) {
      flush(bins);
    }
  }

  [[gnu::always_inline]] void flush(int64_t* bins) {
    count(even_, odd_, bins);
    even_ = Words{};
    odd_ = Words{};
    spills_ = 0;
  }

 private:
  // Static, so that the sums next to this object stay in registers.
  [[gnu::noinline]] static void count(Words even, Words odd, int64_t* bins) {
    for (size_t lane = 0; lane < sizeof(Words) / sizeof(uint64_t); ++lane) {
      for (int bin = 0; bin < 16; bin += 2) {
        bins[bin] += static_cast<int64_t>((even[lane] >> (4 * bin)) & 0xffU);
        bins[bin + 1] += static_cast<int64_t>((odd[lane] >> (4 * bin)) & 0xffU);
      }
    }
  }

  Words fields_{};
  Words even_{};
  Words odd_{};
  int spills_ = 0;
};

inline void copy_bins(const int64_t* bins, BlockResult& result) {
  for (int bin = 1; bin < TG_ULP_BINS; ++bin) {
    result.ulp_histogram[bin] = bins[bin];
  }
}

}  // namespace
}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_ULP_HISTOGRAM_H
