// Kernels that count and mark scores for the selection of masks. What they find stays on the device: no launch waits for the
// host.
#ifndef THREEGATE_CUDA_MASK_SELECTION_KERNELS_H
#define THREEGATE_CUDA_MASK_SELECTION_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/support/entries.h"

namespace threegate::cuda {

// The search for the key of the last selected entry. A key is the bits of a score without the sign, as it is stored or computed.
struct Search {
  uint64_t low;  // keys in [low, high] have the digits of that key which are known
  uint64_t high;
  uint64_t left;        // number of selected entries among those
  uint64_t sure;        // number of entries that a screening selects by their float32 score
  uint64_t candidates;  // number of entries that it leaves open
  uint32_t not_finite;  // a score is not finite
  // Kernels that count read these, and only other kernels write them, so that all threads of a block agree.
  uint32_t finished;   // no more digits are needed
  uint32_t undecided;  // float32 cannot decide
};

// Begins a search among keys of `bits` bits.
cudaError_t launch_begin(Search* search, uint64_t* digits, int bits, int64_t count, cudaStream_t stream);

// ---------------------------------------------------------------- exact scores

// The scores of entries, or of the factors of a reconstruction in float64. The left factor includes the singular values.
struct Scores {
  bool of_triplets;
  int64_t rows;
  int64_t columns;
  int64_t rank;
  Entries entries;
  const double* left;   // rank x rows
  const double* right;  // rank x columns
};

// The keys of scores: how many bits they have, and the first one of a number that is not finite.
struct Keys {
  int bits;
  uint64_t infinity;
};
Keys keys_of(const Scores& scores);

// Counts the values of the next digit.
cudaError_t launch_count_digits(const Scores& scores, int shift, const Search* search, uint64_t* digits, int multiprocessors,
                                cudaStream_t stream);

// Finds the next digit, whose lowest bit is `shift`, from its counts, and clears the counts. The first one tells whether a score
// is not finite.
cudaError_t launch_find_digit(Search* search, uint64_t* digits, const Keys& keys, int shift, bool smallest, cudaStream_t stream);

// Writes the bits of keys beyond the interval of the search to `beyond`, and those of keys within to `within`.
cudaError_t launch_mark(const Scores& scores, bool smallest, const Search* search, uint64_t* beyond, uint64_t* within,
                        int multiprocessors, cudaStream_t stream);

// Adds the first entries of `within` to `mask`, as many as are left.
constexpr int64_t kMostChunks = 1024;
cudaError_t launch_take_first(const Search* search, const uint64_t* within, int64_t words, uint64_t* sums, uint64_t* mask,
                              cudaStream_t stream);

// ---------------------------------------------------------------- screening

constexpr int64_t kMostCandidates = int64_t{1} << 20;

// A factor in sums of two bf16 terms: kTerms x padded_length() x padded_rank().
constexpr int kTerms = 2;
int64_t padded_rank(int64_t rank);
int64_t padded_rows(int64_t rows);
int64_t padded_columns(int64_t columns);

struct Candidate {
  uint32_t row;
  uint32_t column;
};

// A screening of the scores of triplets.
struct Screen {
  Search* search;
  int64_t rows;
  int64_t columns;
  int64_t rank;
  const double* left;
  const double* right;
  const uint16_t* left_terms;
  const uint16_t* right_terms;
  const uint64_t* norms;  // the largest squared norms of a row of the factors, as bits of doubles
  uint64_t* keys;         // of candidates, in float64
  Candidate* candidates;
};

// Computes left[k][i] *= values[k], the terms of both factors and their norms, which must be zero before.
cudaError_t launch_prepare_factors(const double* values, int64_t rank, int64_t rows, double* left, uint16_t* left_terms,
                                   int64_t columns, const double* right, uint16_t* right_terms, uint64_t* norms,
                                   cudaStream_t stream);

// Selects the `count` largest scores in `mask`. The search has begun with kScreenedBits.
constexpr int kScreenedBits = 31;
cudaError_t launch_screening(const Screen& screen, int64_t count, uint64_t* digits, uint64_t* mask, int multiprocessors,
                             cudaStream_t stream);

}  // namespace threegate::cuda

#endif  // THREEGATE_CUDA_MASK_SELECTION_KERNELS_H
