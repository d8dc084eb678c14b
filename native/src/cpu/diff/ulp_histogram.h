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

// Counts the same bins in 2-bit fields of 32-bit lanes. They take half the vectors, and must be spilled sooner.
template <typename Parts>
class NarrowHistogram {
 public:
  // The counts of a group, which stay in registers.
  struct Group {
    static constexpr int kAdditions = 3;  // before a field could overflow
    static constexpr int kMost = 8;       // additions to a group

    // Adds one-hot fields. Bin b is the number 1 shifted by 2 b bits.
    [[gnu::always_inline]] void add(const Parts& one_hot) { fields += one_hot; }

    // Moves the counts to fields of four bits.
    [[gnu::always_inline]] void spill() {
      even += fields & 0x33333333U;
      odd += (fields >> 2) & 0x33333333U;
      fields = Parts{};
    }

    Parts fields{};
    Parts even{};
    Parts odd{};
  };

  // Adds a group, all of which is spilled, in fields of eight bits. They move to the bins before one could overflow.
  [[gnu::always_inline]] void add(const Group& group) {
    bytes_[0] += group.even & 0x0f0f0f0fU;
    bytes_[1] += group.odd & 0x0f0f0f0fU;
    bytes_[2] += (group.even >> 4) & 0x0f0f0f0fU;
    bytes_[3] += (group.odd >> 4) & 0x0f0f0f0fU;
    if (++groups_ == 255 / Group::kMost) {
      flush();
    }
  }

  [[gnu::noinline]] void flush() {
    for (int k = 0; k < 4; ++k) {
      for (size_t lane = 0; lane < sizeof(Parts) / sizeof(uint32_t); ++lane) {
        for (int byte = 0; byte < 4; ++byte) {
          bins_[4 * byte + k] += bytes_[k][lane] >> (8 * byte) & 0xffU;
        }
      }
      bytes_[k] = Parts{};
    }
    groups_ = 0;
  }

  [[nodiscard]] const int64_t* bins() const { return bins_; }

 private:
  Parts bytes_[4]{};
  int groups_ = 0;
  int64_t bins_[16] = {};
};

inline void copy_bins(const int64_t* bins, BlockResult& result) {
  for (int bin = 1; bin < TG_ULP_BINS; ++bin) {
    result.ulp_histogram[bin] = bins[bin];
  }
}

}  // namespace
}  // namespace threegate::diff

#endif  // THREEGATE_CPU_DIFF_ULP_HISTOGRAM_H
